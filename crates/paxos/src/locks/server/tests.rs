//! Servers on three nodes, in a simulated world.

use ombak_base::{ClusterId, DirectoryId, NodeId, Partition, ShardId};
use ombak_sim::{
    Booted, Faults, Heard, LogDevice, LogWriter, Rng, SimDisk, SimFile, System, World, open_log,
};

use super::*;
use crate::ballot::Voters;
use crate::locks::{Path, Request, Token, Value, Wait};
use crate::members::Members;

mod seeds;

const SHARD: ShardId = ShardId(0);
const SECOND: u64 = 1_000_000;
const LEASE_US: u64 = 2 * SECOND;

struct Cluster {
    voters: u32,
}

impl System for Cluster {
    type Machine = LockServer;
    type Device = LogDevice;
    type Writer = LogWriter<SimFile>;

    fn boot(
        &mut self,
        id: NodeId,
        disk: &SimDisk,
        _: u64,
        rng: &mut Rng,
    ) -> Result<Booted<Cluster>, String> {
        let (devices, writer) = open_log(disk, 1).map_err(|error| error.to_string())?;
        let mut members = Members::new(Voters::majority((0..self.voters).map(NodeId)));
        members.learners = (self.voters..4).map(NodeId).collect();
        let (home, groups) = (Partition(0), vec![(LOCKS, members)]);
        let setup = Setup {
            id,
            cluster: ClusterId(1),
            disk: DirectoryId(rng.below(u64::MAX)),
            home,
            groups,
            snapshot_every: 2_000,
            lease: None,
            damaged: false,
            beats: true,
            watch: true,
        };
        let server = |device| (LockServer::new(setup.clone()), device);
        Ok(Booted { shards: devices.into_iter().map(server).collect(), writer })
    }
}

/// Four nodes; three vote.
struct Service {
    world: World<Cluster>,
}

fn node(id: u32) -> NodeId {
    NodeId(id)
}

fn printer(wait: Wait) -> Request {
    let path = Path::new(["printer"]).unwrap();
    Request::Lock { path, under: None, mode: Mode::EX, wait, notify: true }
}

impl Service {
    fn new(seed: u64) -> Service {
        let mut world = World::new(Cluster { voters: 3 }, 4, seed).unwrap();
        let leads = |world: &World<Cluster>| leader(world).is_some();
        assert!(world.run_until_true(5 * SECOND, leads), "nobody leads");
        Service { world }
    }

    fn leader(&self) -> NodeId {
        leader(&self.world).unwrap()
    }

    /// How far the log goes.
    fn slot(&self) -> crate::log::Slot {
        let server = self.world.machine(self.leader(), SHARD).unwrap();
        server.replica().unwrap().status().committed
    }

    fn someone_else(&self) -> NodeId {
        let leader = self.leader();
        self.world.node_ids().find(|id| *id != leader).unwrap()
    }

    /// Sends it to nodes in turn until it is answered.
    fn command(&mut self, at: NodeId, command: &Command) -> LockReply {
        let ask = LockAsk::Command(command.clone());
        for turn in 0..100 {
            let at = NodeId((at.0 + turn) % 4);
            match self.world.ask(at, SHARD, ask.clone(), 10 * SECOND) {
                Some(Heard::Reply(LockReply::Failed(_))) | Some(Heard::HungUp) | None => {
                    self.world.run_for(SECOND / 10);
                }
                Some(Heard::Reply(reply)) => return reply,
            }
        }
        panic!("never answered: {command:?}");
    }

    fn open(&mut self, at: NodeId, session: u128) {
        let open = Command::Open {
            session: SessionId(session),
            lease_us: LEASE_US,
            about: Value::default(),
        };
        let reply = self.command(at, &open);
        assert!(matches!(reply, LockReply::Session(SessionState::Live { .. })), "{reply:?}");
    }

    fn call(&mut self, at: NodeId, session: u128, number: u64, request: Request) -> LockReply {
        let session = SessionId(session);
        self.command(at, &Command::Call { session, number, have: (number - 1).into(), request })
    }

    /// Asks, and does not wait for the answer.
    fn begin(&mut self, at: NodeId, session: u128, number: u64, request: Request) -> ClientId {
        let call = Command::Call { session: SessionId(session), number, have: 0.into(), request };
        self.world.request(at, SHARD, LockAsk::Command(call))
    }

    fn answer_of(&mut self, client: ClientId) -> Option<LockReply> {
        let replies = self.world.take_replies();
        replies.into_iter().find(|reply| reply.client == client).map(|reply| match reply.heard {
            Heard::Reply(reply) => reply,
            Heard::HungUp => LockReply::Failed(LockFailure::Unknown),
        })
    }
}

fn leader(world: &World<Cluster>) -> Option<NodeId> {
    let leads = |id: &NodeId| {
        let replica = world.machine(*id, SHARD).and_then(|server| server.replica());
        replica.is_some_and(|replica| replica.leads())
    };
    world.node_ids().find(leads)
}

fn token(reply: &LockReply) -> Option<Token> {
    match reply {
        LockReply::Answer(Answer::Granted { token, .. }) => Some(*token),
        _ => None,
    }
}

#[test]
fn a_client_of_any_node_waits_for_a_holder_on_another() {
    let mut service = Service::new(1);
    let (leader, other) = (service.leader(), service.someone_else());
    service.open(leader, 1);
    service.open(node(3), 2);
    let first = token(&service.call(other, 1, 1, printer(Wait::No))).expect("nobody has it");
    // The fourth node votes on nothing, and its clients wait as well as any.
    let waiting = service.begin(node(3), 2, 1, printer(Wait::Forever));
    service.world.run_for(SECOND);
    assert_eq!(service.answer_of(waiting), None);
    let unlocked = service.call(leader, 1, 2, Request::Unlock { lock: 1, value: None });
    assert_eq!(unlocked, LockReply::Answer(Answer::Unlocked));
    service.world.run_for(SECOND / 10);
    let second = service.answer_of(waiting).as_ref().and_then(token).expect("granted");
    assert!(second > first);
}

#[test]
fn who_dies_with_a_lock_gives_it_up_with_its_lease() {
    let mut service = Service::new(2);
    let at = service.someone_else();
    service.open(at, 1);
    service.call(at, 1, 1, printer(Wait::No));
    service.open(at, 2);
    let waiting = service.begin(at, 2, 1, printer(Wait::Forever));
    let mut granted = None;
    // The waiter keeps its lease, the holder does not.
    for _ in 0..8 {
        service.world.run_for(SECOND / 2);
        granted = granted.or(service.answer_of(waiting));
        service.world.request(
            at,
            SHARD,
            LockAsk::Command(Command::KeepAlive { session: SessionId(2) }),
        );
    }
    assert!(granted.as_ref().and_then(token).is_some(), "{granted:?}");
    let gone = service.command(at, &Command::KeepAlive { session: SessionId(1) });
    assert!(matches!(gone, LockReply::Session(SessionState::Refused(_))), "{gone:?}");
}

#[test]
fn what_waits_no_longer_than_it_wanted_is_refused_by_nobodys_clock_but_the_logs() {
    let mut service = Service::new(3);
    let at = service.someone_else();
    service.open(at, 1);
    service.open(at, 2);
    service.call(at, 1, 1, printer(Wait::No));
    let refused = service.call(at, 2, 1, printer(Wait::Us(SECOND / 2)));
    assert_eq!(refused, LockReply::Answer(Answer::Refused(crate::locks::Refused::TimedOut)));
}

/// While nobody leads, nobody can renew a lease: the first command of a new leader gives all of them a whole one.
#[test]
fn a_leader_dies_and_no_lease_is_lost() {
    let mut service = Service::new(4);
    let (leader, other) = (service.leader(), service.someone_else());
    service.open(other, 1);
    service.call(other, 1, 1, printer(Wait::No));
    service.world.run_for(LEASE_US - SECOND / 2);
    service.world.crash(leader);
    service.world.run_for(LEASE_US - SECOND / 2);
    let at = service.someone_else();
    let alive = service.command(at, &Command::KeepAlive { session: SessionId(1) });
    assert!(matches!(alive, LockReply::Session(SessionState::Live { .. })), "{alive:?}");
}

#[test]
fn a_watcher_hears_that_its_lock_is_in_the_way() {
    let mut service = Service::new(5);
    let (at, other) = (service.leader(), service.someone_else());
    service.open(at, 1);
    service.open(other, 2);
    service.call(at, 1, 1, printer(Wait::No));
    let watch =
        |service: &mut Service| service.world.request(other, SHARD, LockAsk::Watch(SessionId(1)));
    let early = watch(&mut service);
    service.begin(at, 2, 1, printer(Wait::Forever));
    service.world.run_for(SECOND / 10);
    let told = service.answer_of(early);
    assert!(matches!(told, Some(LockReply::Blocking { lock, .. }) if lock.number == 1), "{told:?}");
    // Who asks when it is so already is told at once.
    let late = watch(&mut service);
    service.world.run_for(SECOND / 100);
    let told = service.answer_of(late);
    assert!(matches!(told, Some(LockReply::Blocking { .. })), "{told:?}");
}

#[test]
fn the_same_request_elsewhere_is_answered_there() {
    let mut service = Service::new(6);
    let at = service.someone_else();
    service.open(at, 1);
    service.open(at, 2);
    service.call(at, 1, 1, printer(Wait::No));
    let first = service.begin(at, 2, 1, printer(Wait::Forever));
    service.world.run_for(SECOND / 10);
    let again = service.begin(at, 2, 1, printer(Wait::Forever));
    service.world.run_for(SECOND / 10);
    assert_eq!(service.answer_of(first), Some(LockReply::Failed(LockFailure::Replaced)));
    service.call(at, 1, 2, Request::Unlock { lock: 1, value: None });
    service.world.run_for(SECOND / 10);
    assert!(service.answer_of(again).as_ref().and_then(token).is_some());
}

#[test]
fn clients_do_not_make_time() {
    let mut service = Service::new(7);
    let at = service.leader();
    for command in [Command::Tick, Command::NewLeader] {
        let heard = service.world.ask(at, SHARD, LockAsk::Command(command), SECOND);
        let refused = LockReply::Failed(LockFailure::NotForClients);
        assert_eq!(heard, Some(Heard::Reply(refused)));
    }
}

#[test]
fn everything_can_be_read_anywhere() {
    let mut service = Service::new(8);
    let at = service.leader();
    service.open(at, 1);
    service.call(at, 1, 1, printer(Wait::No));
    let heard = service.world.ask(node(3), SHARD, LockAsk::All, SECOND);
    let Some(Heard::Reply(LockReply::All { manager, now })) = heard else { panic!("{heard:?}") };
    let path = Path::new(["printer"]).unwrap();
    assert_eq!(manager.holders(&path).count(), 1);
    // Time passes, whether anybody asks for something or not.
    service.world.run_for(SECOND);
    let heard = service.world.ask(node(3), SHARD, LockAsk::All, SECOND);
    let Some(Heard::Reply(LockReply::All { now: later, .. })) = heard else { panic!("{heard:?}") };
    assert!(later.since_us(now) >= SECOND * 9 / 10, "{now:?}, {later:?}");
}

/// Who waits may ask as often as it wants to know whether the node lives: the log does not grow by it.
#[test]
fn what_waits_is_not_in_the_log_twice() {
    let mut service = Service::new(10);
    let at = service.someone_else();
    for session in [1, 2] {
        let (session, about) = (SessionId(session), Value::default());
        service.command(at, &Command::Open { session, lease_us: 60 * SECOND, about });
    }
    service.call(at, 1, 1, printer(Wait::No));
    service.begin(at, 2, 1, printer(Wait::Forever));
    service.world.run_for(SECOND / 10);
    let before = service.slot();
    let mut again = service.begin(at, 2, 1, printer(Wait::Forever));
    for _ in 0..10 {
        again = service.begin(at, 2, 1, printer(Wait::Forever));
        service.world.run_for(SECOND / 10);
    }
    assert_eq!(service.slot(), before);
    service.call(at, 1, 2, Request::Unlock { lock: 1, value: None });
    service.world.run_for(SECOND / 10);
    assert!(service.answer_of(again).as_ref().and_then(token).is_some());
}

/// A node that is cut off hears of no grant: it does not say that the client waits, and the client goes elsewhere.
#[test]
fn a_node_that_is_cut_off_does_not_say_that_somebody_waits() {
    let mut service = Service::new(11);
    let at = service.someone_else();
    service.open(at, 1);
    service.open(at, 2);
    let granted = service.call(at, 1, 1, printer(Wait::No));
    service.begin(at, 2, 1, printer(Wait::Forever));
    service.world.run_for(SECOND / 10);
    let look = |service: &mut Service, session| {
        let ask = LockAsk::Look { session: SessionId(session), number: 1 };
        match service.world.ask(at, SHARD, ask, SECOND) {
            Some(Heard::Reply(reply)) => reply,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(look(&mut service, 2), LockReply::Answer(Answer::Waiting));
    let others: Vec<NodeId> = service.world.node_ids().filter(|id| *id != at).collect();
    service.world.partition(&[at], &others);
    service.world.run_for(SECOND);
    assert_eq!(look(&mut service, 2), LockReply::Failed(LockFailure::Unknown));
    assert_eq!(look(&mut service, 1), granted, "what was answered stays so");
}

/// An idle group proposes nothing: its log does not grow.
#[test]
fn nobody_ticks_for_nothing() {
    let mut service = Service::new(9);
    service.world.run_for(SECOND);
    let before = service.slot();
    service.world.run_for(60 * SECOND);
    assert_eq!(service.slot(), before);
}

//! Locks behind a log of three replicas, whose leader dies.

use bytes::Bytes;
use ombak_base::{ClusterId, DirectoryId, NodeId, Partition, ShardId};
use ombak_sim::{
    Booted, Heard, LogDevice, LogWriter, Rng, SimDisk, SimFile, System, World, open_log,
};

use crate::ballot::Voters;
use crate::locks::limits::LEASE_US_MIN;
use crate::locks::service::LockService;
use crate::locks::{
    Answer, Command, LogTime, Mode, Notice, Path, Request, SessionId, SessionState, Token, Value,
    Wait,
};
use crate::log::{Ask, Outcome};
use crate::member::{Group, Member, Setup};
use crate::members::Members;

const LOCKS: Group = Group(7);

struct Three;

impl System for Three {
    type Machine = Member<LockService>;
    type Device = LogDevice;
    type Writer = LogWriter<SimFile>;

    fn boot(
        &mut self,
        id: NodeId,
        disk: &SimDisk,
        _: u64,
        _: &mut Rng,
    ) -> Result<Booted<Three>, String> {
        let (devices, writer) = open_log(disk, 1).map_err(|error| error.to_string())?;
        let members = Members::new(Voters::majority((0..3).map(NodeId)));
        let setup = Setup {
            id,
            cluster: ClusterId(1),
            disk: DirectoryId(id.0.into()),
            home: Partition(0),
            groups: vec![(LOCKS, members)],
            snapshot_every: 1_000,
            lease: None,
            damaged: false,
            beats: true,
            watch: false,
        };
        let member = |device| (Member::new(setup.clone(), LockService::default()), device);
        Ok(Booted { shards: devices.into_iter().map(member).collect(), writer })
    }
}

struct Service {
    world: World<Three>,
}

impl Service {
    fn leader(&mut self) -> NodeId {
        let leads = |world: &World<Three>, id: NodeId| {
            let member = world.machine(id, ShardId(0));
            member.and_then(|member| member.replica(LOCKS)).is_some_and(|replica| replica.leads())
        };
        let ids: Vec<NodeId> = self.world.node_ids().collect();
        let any = |world: &World<Three>| ids.iter().any(|id| leads(world, *id));
        assert!(self.world.run_until_true(5_000_000, any), "nobody leads");
        ids.iter().copied().find(|id| leads(&self.world, *id)).unwrap()
    }

    /// Asks through whichever node leads until it is applied: what a client may do with each of these commands.
    fn apply(&mut self, command: &Command) -> Vec<Notice> {
        for _ in 0..100 {
            let at = LogTime(self.world.now().0);
            let ask = (LOCKS, Ask::Propose(LockService::command(at, command)));
            let node = self.leader();
            match self.world.ask(node, ShardId(0), ask, 1_000_000) {
                Some(Heard::Reply(Outcome::Applied { answer, .. })) => {
                    return LockService::notices(answer).unwrap().unwrap();
                }
                _ => self.world.run_for(100_000),
            }
        }
        panic!("{command:?} was never applied");
    }

    fn call(&mut self, session: u128, number: u64, request: Request) -> Vec<Notice> {
        let session = SessionId(session);
        self.apply(&Command::Call { session, number, have: (number - 1).into(), request })
    }
}

fn exclusive() -> Request {
    let path = Path::new(["printer"]).unwrap();
    Request::Lock { path, under: None, mode: Mode::EX, wait: Wait::Forever, notify: false }
}

fn granted(notices: &[Notice], of: u128) -> Option<Token> {
    notices.iter().find_map(|notice| match notice {
        Notice::Answer { session, answer: Answer::Granted { token, .. }, .. }
            if *session == SessionId(of) =>
        {
            Some(*token)
        }
        _ => None,
    })
}

#[test]
fn a_holder_dies_with_its_leader_and_the_next_gets_a_higher_token() {
    let mut service = Service { world: World::new(Three, 3, 1).unwrap() };
    for session in [1, 2] {
        let session = SessionId(session);
        let opened = service.apply(&Command::Open {
            session,
            lease_us: 10 * LEASE_US_MIN,
            about: Value::default(),
        });
        assert!(matches!(opened[..], [Notice::Session { state: SessionState::Live { .. }, .. }]));
    }
    let first = granted(&service.call(1, 1, exclusive()), 1).expect("nobody has it");
    let waits = service.call(2, 1, exclusive());
    assert!(matches!(waits[..], [Notice::Answer { answer: Answer::Waiting, .. }]));

    let leader = service.leader();
    service.world.crash(leader);
    service.apply(&Command::NewLeader);
    let mut found = None;
    for _ in 0..40 {
        service.world.run_for(100_000);
        service.apply(&Command::KeepAlive { session: SessionId(2) });
        let notices = service.apply(&Command::Tick);
        found = found.or(granted(&notices, 2));
    }
    let second = found.expect("the first has expired");
    assert!(second > first, "{second:?} after {first:?}");
    // Sent again, the request is not made again.
    assert_eq!(granted(&service.call(2, 1, exclusive()), 2), Some(second));

    service.world.restart(leader).unwrap();
    service.world.run_for(5_000_000);
    let states: Vec<Bytes> = (0..3)
        .map(|id| {
            let member = service.world.machine(NodeId(id), ShardId(0)).unwrap();
            crate::log::StateMachine::snapshot(member.replica(LOCKS).unwrap().state())
        })
        .collect();
    assert_eq!(states[0], states[1]);
    assert_eq!(states[0], states[2]);
}

#[test]
fn what_is_no_command_changes_nothing() {
    let mut service = LockService::default();
    let before = service.clone();
    let slot = crate::log::Slot(1);
    let answer = crate::log::StateMachine::apply(&mut service, slot, &Bytes::from_static(b"\x09?"));
    assert_eq!(LockService::notices(answer), Ok(None));
    assert_eq!(service, before);
}

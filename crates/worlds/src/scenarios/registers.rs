//! Registers on whole nodes: what anybody was told of stays, whatever becomes of nodes, links and disks. All that clients saw in a
//! run is linearisable.

mod rivals;
mod spec;

use std::collections::BTreeMap;

use ombak_base::ClientId;
use ombak_node::Request as Ask;
use ombak_paxos::register::server::{
    RegisterAsk, RegisterFailure, RegisterPage, RegisterReply, RegisterRequest,
};
use ombak_paxos::register::{Outcome, Value, Wish};
use ombak_sim::Rng;
use ombak_sim::linear::{self, History, OperationId};

use super::*;
use spec::{Registers, Told};

/// A history of a hundred operations takes far fewer.
const STEPS_MAX: u64 = 1_000_000;

/// A world with registers, and all that its clients know.
struct Office {
    world: World<Cluster>,
    asked: BTreeMap<ClientId, Asked>,
    /// Who asked which registers there are, and what had been told of by then.
    listing: BTreeMap<ClientId, BTreeMap<Bytes, u64>>,
    listed: u64,
    /// All that was asked, and told.
    history: History<Registers>,
    /// Of each register, the latest value that anybody was told of.
    told: BTreeMap<Bytes, u64>,
    /// A version is one value.
    values: BTreeMap<(Bytes, u64), Value>,
    done: u64,
    failed: BTreeMap<RegisterFailure, u64>,
    next: u64,
}

struct Asked {
    operation: OperationId,
    at: Tick,
    client: ClientId,
    key: Bytes,
    wish: Wish,
    /// What had been told of by then.
    floor: u64,
}

impl Office {
    fn new(nodes: u32, seed: u64) -> Office {
        let shape = Shape { nodes, shards: 2, ring_size: 8 };
        let world = World::new(Cluster::new(shape).unwrap().with_root(), nodes, seed).unwrap();
        let (asked, listing, told, values) = Default::default();
        let (history, failed) = (History::new(), BTreeMap::new());
        let (listed, done, next) = (0, 0, 0);
        let mut office =
            Office { world, asked, listing, listed, history, told, values, done, failed, next };
        office.run_for(5 * SECOND);
        office
    }

    fn ask(&mut self, node: NodeId, key: &Bytes, wish: Wish) -> ClientId {
        let ask = RegisterAsk { key: key.clone(), wish: wish.clone() };
        let floor = self.told.get(key).copied().unwrap_or(0);
        let client = self.world.request(node, S, Ask::Register(RegisterRequest::One(ask)));
        let (at, key) = (self.world.now(), key.clone());
        let operation = self.history.call(client, at, (key.clone(), wish.clone()));
        self.asked.insert(client, Asked { operation, at, client, key, wish, floor });
        client
    }

    fn set(&mut self, node: NodeId, key: &Bytes) -> ClientId {
        self.next += 1;
        let bytes = Some(Bytes::from(self.next.to_string()));
        self.ask(node, key, Wish::Set(bytes))
    }

    fn compare_and_set(&mut self, node: NodeId, key: &Bytes) -> ClientId {
        self.next += 1;
        let version = self.told.get(key).copied().unwrap_or(0);
        let bytes = Some(Bytes::from(self.next.to_string()));
        self.ask(node, key, Wish::CompareAndSet { version, bytes })
    }

    /// Asks which registers there are.
    fn list(&mut self, node: NodeId) {
        let ask = Ask::Register(RegisterRequest::List { from: Bytes::new() });
        let client = self.world.request(node, S, ask);
        self.listing.insert(client, self.told.clone());
    }

    /// Whatever anybody was told of before is listed, as it was then or later.
    fn hear_list(&self, floor: &BTreeMap<Bytes, u64>, page: &RegisterPage) {
        assert_eq!(page.next, None, "there are few");
        let listed = page.registers.iter().map(|each| (each.name.clone(), each));
        let listed: BTreeMap<_, _> = listed.collect();
        for (key, version) in floor.iter().filter(|(_, version)| **version > 0) {
            let register = listed.get(key);
            let is_seen = register.is_some_and(|each| each.version >= *version);
            assert!(is_seen, "{key:?} had version {version}: {register:?}");
        }
    }

    fn run_for(&mut self, us: u64) {
        let until = self.world.now() + us;
        while self.world.now() < until {
            let rest = until.since(self.world.now());
            self.world.run_for(rest.min(5_000));
            for reply in self.world.take_replies() {
                let asked = self.asked.remove(&reply.client);
                self.world.finish(reply.client);
                if let Some(floor) = self.listing.remove(&reply.client) {
                    if let Heard::Reply(Reply::Register(RegisterReply::Listed(page))) = reply.heard
                    {
                        self.hear_list(&floor, &page);
                        self.listed += 1;
                    }
                    continue;
                }
                if let (Some(asked), Heard::Reply(Reply::Register(reply))) = (asked, reply.heard) {
                    self.hear(asked, reply);
                }
            }
        }
    }

    /// In the order of the versions the operations are one after the other, as they were in time.
    fn hear(&mut self, asked: Asked, reply: RegisterReply) {
        self.record(&asked, &reply);
        let Asked { key, wish, floor, .. } = asked;
        let outcome = match reply {
            RegisterReply::Answer(outcome) => outcome,
            RegisterReply::Listed(page) => panic!("it asked for something else: {page:?}"),
            RegisterReply::Failed(why) => return *self.failed.entry(why).or_default() += 1,
        };
        let (Outcome::Done(value) | Outcome::Differs(value) | Outcome::Unknown(value)) = &outcome;
        let version = value.version;
        let known = self.values.entry((key.clone(), version)).or_insert_with(|| value.clone());
        assert_eq!(known, value, "a version is one value: {key:?}");
        assert!(version >= floor, "{key:?}: {wish:?} began after {floor}: {value:?}");
        match (&wish, &outcome) {
            (Wish::Set(bytes), Outcome::Done(value)) => {
                assert!(&value.bytes == bytes && version > floor, "{wish:?}: {value:?}");
            }
            (Wish::CompareAndSet { version: of, bytes }, Outcome::Done(value)) => {
                assert!(&value.bytes == bytes && version == of + 1, "{wish:?}: {value:?}");
            }
            (Wish::CompareAndSet { version: of, .. }, Outcome::Differs(_)) => {
                assert_ne!(*of, version);
            }
            _ => {}
        }
        self.done += 1;
        let told = self.told.entry(key).or_default();
        *told = version.max(*told);
    }

    /// What is not known to have been done or not stays open, and may have been done at any time.
    fn record(&mut self, asked: &Asked, reply: &RegisterReply) {
        let now = self.world.now();
        let told = match reply {
            RegisterReply::Failed(RegisterFailure::Unknown) => return,
            RegisterReply::Failed(_) | RegisterReply::Listed(_) => Told::Nothing,
            RegisterReply::Answer(Outcome::Unknown(value)) => {
                // It was seen, all the same, what is there.
                let read = (asked.key.clone(), Wish::Read);
                let read = self.history.call(asked.client, asked.at, read);
                let told = Told::Outcome(Outcome::Done(value.clone()));
                return self.history.answer(read, now, told);
            }
            RegisterReply::Answer(outcome) => Told::Outcome(outcome.clone()),
        };
        self.history.answer(asked.operation, now, told);
    }

    /// One order explains all that clients saw, and no change was made twice: each writes something else.
    fn check_history(&self) {
        let mut written = BTreeMap::new();
        for ((key, version), value) in &self.values {
            let Some(bytes) = &value.bytes else { continue };
            let before = written.insert((key, bytes), version);
            assert_eq!(before, None, "{value:?} was written before");
        }
        let verdict = linear::check(&Registers, &self.history, STEPS_MAX);
        assert!(verdict.is_linearisable(), "{verdict}");
    }

    /// Asks until there is an answer.
    fn sure(&mut self, node: NodeId, key: &Bytes, wish: &Wish) -> Value {
        for _ in 0..40 {
            let before = self.done;
            self.ask(node, key, wish.clone());
            self.run_for(SECOND / 4);
            if self.done > before {
                let version = self.told[key];
                return self.values[&(key.clone(), version)].clone();
            }
        }
        panic!("never answered: {wish:?} {:?}", self.failed);
    }

    /// Whether each seat answers, and votes: then no disk counts as lost.
    fn all_keep(&self) -> bool {
        let all: Vec<NodeId> = self.world.node_ids().collect();
        // Of four nodes the last has none.
        let seats = &all[..all.len() - usize::from(all.len() == 4)];
        let keeps = |node: &NodeId| {
            let root = self.world.machine(*node, S).and_then(Shard::root_status);
            root.is_some_and(|root| root.keeps_registers && root.voters == seats)
        };
        seats.iter().all(keeps)
    }

    /// All run, and no power is about to go.
    fn start_all(&mut self) {
        for node in self.world.node_ids().collect::<Vec<_>>() {
            self.world.resume(node);
            self.world.disk(node).call_off();
            if !self.world.is_up(node) {
                self.world.restart(node).unwrap();
            }
        }
    }

    /// Nothing goes wrong any more: every register can be read everywhere, and changed.
    fn converge(&mut self) {
        self.world.heal();
        self.world.set_faults(Faults::default());
        self.start_all();
        self.run_for(10 * SECOND);
        let keys: Vec<Bytes> = self.told.keys().cloned().collect();
        for node in self.world.node_ids().collect::<Vec<_>>() {
            for key in &keys {
                self.sure(node, key, &Wish::Read);
            }
        }
        for key in &keys {
            self.sure(A, key, &Wish::Set(None));
        }
        let before = self.listed;
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        nodes.iter().for_each(|node| self.list(*node));
        self.run_for(SECOND);
        assert_eq!(self.listed, before + nodes.len() as u64, "each node lists");
        self.check_history();
    }
}

#[test]
fn what_is_set_is_read_everywhere() {
    let mut office = Office::new(5, 1);
    let set = office.sure(NodeId(1), &key(1), &Wish::Set(Some(key(7))));
    assert_eq!((set.version, set.bytes), (1, Some(key(7))));
    for node in 0..5 {
        let read = office.sure(NodeId(node), &key(1), &Wish::Read);
        assert_eq!((read.version, read.bytes), (1, Some(key(7))));
    }
    let removed = office.sure(NodeId(4), &key(1), &Wish::Set(None));
    assert_eq!((removed.version, removed.bytes), (2, None));
}

/// Four nodes: one has no seat. Its clients are served as all others are.
#[test]
fn a_node_without_a_seat_passes_on() {
    let mut office = Office::new(4, 2);
    let set = office.sure(NodeId(3), &key(1), &Wish::Set(Some(key(7))));
    assert_eq!(set.version, 1);
    let wrong = Wish::CompareAndSet { version: 0, bytes: None };
    assert_eq!(office.sure(NodeId(3), &key(1), &wrong), set);
}

/// One after the other, each at another node: nobody is in anybody's way, so everybody is told what became of it.
#[test]
fn who_sets_after_others_is_sure_of_it() {
    let mut office = Office::new(3, 7);
    for round in 1..10 {
        let bytes = Some(key(round));
        let set = office.sure(NodeId(round as u32 % 3), &key(0), &Wish::Set(bytes.clone()));
        assert_eq!((set.version, set.bytes), (round, bytes));
    }
}

/// Of those who compare and set the same, one does.
#[test]
fn all_compare_and_set_at_once() {
    let mut office = Office::new(3, 3);
    for round in 0..20 {
        for node in 0..3 {
            office.compare_and_set(NodeId(node), &key(1));
        }
        office.run_for(2 * SECOND);
        assert_eq!(office.told[&key(1)], round + 1, "{:?}", office.failed);
    }
    office.check_history();
}

/// A disk after the other is lost, each time when the one before is back. What was written on two of three disks, one of which is
/// lost, is read from those two that did not have it.
pub(crate) fn one_disk_after_the_other_is_lost(seed: u64) {
    let mut office = Office::new(3, seed);
    for round in 0..3 {
        let [behind, writer, lost] = [0, 1, 2].map(|node| NodeId((round + node) % 3));
        office.world.crash(behind);
        let keys: Vec<Bytes> = (0..5).map(|n| key(u64::from(round) * 10 + n)).collect();
        for key in &keys {
            office.sure(writer, key, &Wish::Set(Some(key.clone())));
        }
        office.world.wipe(lost);
        office.world.restart(behind).unwrap();
        office.world.restart(lost).unwrap();
        office.run_for(10 * SECOND);
        office.world.crash(writer);
        for key in &keys {
            assert_eq!(office.sure(behind, key, &Wish::Read).version, 1);
        }
        office.world.restart(writer).unwrap();
        office.run_for(5 * SECOND);
    }
    office.converge();
    assert_eq!(office.told.len(), 15);
}

#[test]
fn lost_disks_are_copied_before_they_answer() {
    (0..5).for_each(one_disk_after_the_other_is_lost);
}

#[test]
fn the_power_goes_everywhere() {
    let mut office = Office::new(3, 5);
    office.sure(A, &key(1), &Wish::Set(Some(key(1))));
    let ids: Vec<NodeId> = office.world.node_ids().collect();
    ids.iter().for_each(|node| office.world.crash(*node));
    ids.iter().for_each(|node| office.world.restart(*node).unwrap());
    office.run_for(3 * SECOND);
    assert_eq!(office.sure(NodeId(2), &key(1), &Wish::Read).version, 1);
    office.converge();
}

/// Of two seats that are left, each has missed what the other has not.
#[test]
fn what_either_of_a_majority_knows_is_listed() {
    let mut office = Office::new(4, 8);
    for (down, name) in [(1, 1), (2, 2)] {
        office.world.crash(NodeId(down));
        office.sure(A, &key(name), &Wish::Set(Some(key(name))));
        office.world.restart(NodeId(down)).unwrap();
        office.run_for(3 * SECOND);
    }
    office.world.crash(A);
    office.run_for(SECOND);
    // The last has no seat.
    for node in 1..4 {
        office.list(NodeId(node));
    }
    office.run_for(SECOND);
    assert_eq!(office.listed, 3);
    office.world.crash(NodeId(1));
    office.list(NodeId(2));
    office.run_for(6 * SECOND);
    assert_eq!((office.listed, office.listing.len()), (3, 0), "one seat is not enough");
}

/// Two of three seats are gone: nothing is answered, and nothing is made up.
#[test]
fn without_a_majority_nothing_is_answered() {
    let mut office = Office::new(3, 6);
    office.sure(A, &key(1), &Wish::Set(Some(key(1))));
    office.world.crash(NodeId(1));
    office.world.crash(NodeId(2));
    office.set(A, &key(1));
    office.ask(A, &key(1), Wish::Read);
    office.run_for(12 * SECOND);
    // Of the change, what was asked of the others may be under way.
    let failed = [(RegisterFailure::Unknown, 1), (RegisterFailure::NoQuorum, 1)];
    assert_eq!(office.failed, BTreeMap::from(failed));
    office.converge();
}

/// A run in which everything goes wrong for a while.
pub(crate) fn run(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x5bd1_e995);
    let nodes = [1, 3, 3, 4, 5][rng.below(5) as usize];
    let mut office = Office::new(nodes, seed);
    if rng.chance(3, 4) {
        office.world.set_faults(Faults::random(&mut rng));
    }
    let [crashes, cuts, wipes, pauses] = [2, 2, 3, 4].map(|of| rng.chance(1, of));
    let keys = rng.between(1, 4);
    for _ in 0..rng.between(20, 100) {
        let at = NodeId(rng.below(nodes.into()) as u32);
        let key = key(rng.below(keys));
        match rng.below(20) {
            0 if crashes => office.world.crash(at),
            1 | 2 if !office.world.is_up(at) => office.world.restart(at).unwrap(),
            3 if crashes && office.world.is_up(at) => {
                office.world.disk(at).cut_power(1 + rng.below(12));
            }
            4 if cuts => {
                let cut = (0..nodes).filter(|_| rng.chance(1, 2)).map(NodeId).collect::<Vec<_>>();
                let rest = (0..nodes).map(NodeId).filter(|id| !cut.contains(id));
                office.world.partition(&cut, &rest.collect::<Vec<_>>());
            }
            5 | 6 if cuts => office.world.heal(),
            7 if pauses => office.world.pause(at),
            8 if pauses => office.world.resume(at),
            // One at a time.
            9 if wipes && nodes >= 3 && office.all_keep() => {
                office.world.wipe(at);
                office.world.restart(at).unwrap();
            }
            10..14 => drop(office.set(at, &key)),
            14..17 => drop(office.compare_and_set(at, &key)),
            17 => office.list(at),
            _ => drop(office.ask(at, &key, Wish::Read)),
        }
        let us = match rng.below(4) {
            0 => rng.between(1, 1_000),
            1 | 2 => rng.between(1, 50_000),
            _ => rng.between(1, SECOND),
        };
        office.run_for(us);
    }
    office.converge();
}

#[test]
fn seeds() {
    for seed in 0..60 {
        let ended = std::panic::catch_unwind(|| run(seed));
        assert!(ended.is_ok(), "seed {seed}");
    }
}

/// Each is found by somebody who was told of something and does not see it.
#[cfg(debug_assertions)]
#[test]
fn every_planted_bug_is_found() {
    use std::io::{Write, stdout};

    let planted = |bug, scenario: &dyn Fn()| {
        ombak_base::property::plant(bug);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scenario));
        ombak_base::property::plant("");
        assert!(ended.is_err(), "{bug} was not found");
        println!("{bug}: found");
    };
    let lost = &|| (0..5).for_each(one_disk_after_the_other_is_lost);
    planted("a new disk answers before it has copied", lost);
    planted("a register answers before it is synced", &|| (0..60).for_each(run));
    planted("a list of registers is what one seat knows", &|| (0..60).for_each(run));
    // What `println!` prints is not shown of a test that passes.
    writeln!(stdout(), "score: paxos, its registers: 3 of 3 planted bugs found").unwrap();
}

/// What a seat has said of its registers may be lost with a part of its disk: it says nothing more. The others do without it.
#[test]
fn a_seat_whose_disk_has_lost_some_of_its_registers_says_nothing_more() {
    let shape = Shape { nodes: 3, shards: 2, ring_size: 8 };
    let mut w = World::new(Cluster::new(shape).unwrap().with_root(), 3, 1).unwrap();
    w.run_for(5 * SECOND);
    let ask = |w: &mut World<Cluster>, node| {
        let wish = Wish::Set(Some(key(2)));
        let ask = Ask::Register(RegisterRequest::One(RegisterAsk { key: key(1), wish }));
        match w.ask(node, S, ask, 10 * SECOND) {
            Some(Heard::Reply(Reply::Register(reply))) => reply,
            other => panic!("{other:?}"),
        }
    };
    let is_done = |reply| matches!(reply, RegisterReply::Answer(Outcome::Done(_)));
    assert!(is_done(ask(&mut w, NodeId(0))));
    w.lose_some(NodeId(0), S, ombak_node::REGISTER_PARTITION);
    assert!(is_done(ask(&mut w, NodeId(0))), "another seat does it");
    assert!(is_done(ask(&mut w, NodeId(1))));
    // With another gone there is no majority of those who may speak.
    w.crash(NodeId(2));
    assert!(matches!(ask(&mut w, NodeId(1)), RegisterReply::Failed(_)));
}

/// The checker finds what it is there for: a read that is told of a version after another was told of a later one, and two changes
/// that are both told that they made the same version.
#[test]
fn a_history_that_no_order_explains_is_found() {
    let value = |version: u64| Value { version, writer: 0, bytes: Some(key(version)) };
    let done = |version| Told::Outcome(Outcome::Done(value(version)));
    let set = |version| Wish::Set(Some(key(version)));
    let says = |told: &[(Wish, Told)]| {
        let mut history = History::<Registers>::new();
        for (at, (wish, told)) in (0..).zip(told) {
            let call = (key(0), wish.clone());
            let operation = history.call(ClientId(at), Tick(10 * at), call);
            history.answer(operation, Tick(10 * at + 5), told.clone());
        }
        linear::check(&Registers, &history, STEPS_MAX).is_linearisable()
    };
    assert!(says(&[(set(1), done(1)), (set(2), done(2)), (Wish::Read, done(2))]));
    assert!(!says(&[(set(1), done(1)), (set(2), done(2)), (Wish::Read, done(1))]));
    assert!(!says(&[(set(1), done(1)), (set(1), done(1))]));
    let swap = Wish::CompareAndSet { version: 1, bytes: Some(key(2)) };
    assert!(!says(&[(set(1), done(1)), (swap.clone(), done(2)), (swap, done(2))]));
}

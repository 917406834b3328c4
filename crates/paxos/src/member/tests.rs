//! A member at its start, and what it does with what is not for it.

use ombak_base::{Address, ClientId, DecodeError, Entry, Peek, Refused, ScanEntry, ShardId};

use super::*;
use crate::ballot::{Ballot, Voters};
use crate::log::tests::Journal;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const FROM_B: Address = Address { node: B, shard: ShardId(0) };
const GROUP: Group = Group(7);

#[derive(Default)]
struct Desk {
    sent: Vec<(NodeId, Telling)>,
    stored: Vec<(Bytes, Option<Entry>)>,
    probes: Vec<&'static str>,
}

impl Effects<Member<Journal>> for Desk {
    fn send(&mut self, to: Address, message: Telling, _: Stamp) -> Result<(), Refused> {
        self.sent.push((to.node, message));
        Ok(())
    }

    fn reply(&mut self, _: ClientId, _: Outcome, _: Stamp) {}

    fn arm(&mut self, _: Timer, _: Tick) {}

    fn disarm(&mut self, _: Timer) {}

    fn choose(&mut self, n: u64) -> u64 {
        99 % n
    }

    fn load(&mut self, _: Ticket, _: Partition, _: &Bytes) {}

    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        Peek::Absent
    }

    fn store(&mut self, _: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        self.stored.push((key.clone(), entry));
        Stamp(self.stored.len() as u64)
    }

    fn await_durable(&mut self, _: Stamp) {}

    fn scan(&mut self, _: Ticket, _: Scan) {}

    fn probe(&mut self, name: &'static str) {
        self.probes.push(name);
    }
}

fn setup() -> Setup {
    Setup {
        id: A,
        cluster: ClusterId(1),
        disk: DirectoryId(5),
        home: Partition(0),
        groups: vec![(GROUP, Members::new(Voters::majority([A])))],
        snapshot_every: usize::MAX,
        lease: None,
        damaged: false,
        beats: true,
        watch: false,
    }
}

fn step(member: &mut Member<Journal>, event: Event<Member<Journal>>) -> Desk {
    let mut desk = Desk::default();
    member.step(Now::default(), event, &mut desk);
    desk
}

/// A member that has found these things.
fn booted(setup: Setup, found: &[(Bytes, Bytes)]) -> (Member<Journal>, Desk) {
    let mut member = Member::new(setup, Journal::default());
    step(&mut member, Event::Start);
    let entry = |(key, bytes): &(Bytes, Bytes)| ScanEntry {
        key: key.clone(),
        tag: 0,
        bytes: Some(bytes.clone()),
    };
    let chunk = Ok(Chunk { entries: found.iter().map(entry).collect(), next: None });
    let desk = step(&mut member, Event::Scanned { ticket: SCAN, chunk });
    (member, desk)
}

/// What a member has on its disk that leads a group of one.
fn led() -> (Member<Journal>, Vec<(Bytes, Bytes)>) {
    let (mut member, desk) = booted(setup(), &[]);
    let mut stored = desk.stored;
    for _ in 0..3 {
        stored.extend(step(&mut member, Event::Durable(Stamp(u64::MAX))).stored);
    }
    assert!(member.replica(GROUP).unwrap().leads());
    (member, stored.into_iter().map(|(key, entry)| (key, entry.unwrap().bytes)).collect())
}

#[test]
fn data_of_somebody_else_are_not_touched() {
    let (_, found) = led();
    let other = |change: fn(&mut Setup)| {
        let mut setup = setup();
        change(&mut setup);
        setup
    };
    let without = found[1..].to_vec();
    let mut damaged = found.clone();
    damaged[0].1 = Bytes::from_static(b"?");
    let version = DecodeError::Version(b'?'.into());
    for (setup, found, failure) in [
        (other(|s| s.cluster = ClusterId(2)), &found, Failure::OtherCluster(ClusterId(1))),
        (other(|s| s.id = B), &found, Failure::OtherNode(A)),
        (other(|s| s.groups[0].0 = Group(8)), &found, Failure::OtherGroup(GROUP)),
        (setup(), &without, Failure::NoIdentity),
        (setup(), &damaged, Failure::Unreadable(groups::IDENTITY, version.to_string())),
    ] {
        let (mut member, desk) = booted(setup, found);
        assert_eq!(member.failure(), Some(&failure), "{failure}");
        let hello = Bytes::new();
        let after = step(&mut member, Event::PeerUp { node: B, shards: 1, hello });
        for desk in [desk, after] {
            assert!(desk.stored.is_empty() && desk.sent.is_empty(), "{failure}");
        }
    }
}

#[test]
fn a_start_is_another_life_on_the_same_disk() {
    let (first, found) = led();
    let (mut second, _) = booted(Setup { disk: DirectoryId(6), ..setup() }, &found);
    step(&mut second, Event::Durable(Stamp(1)));
    let (first, second) = (first.life().unwrap(), second.life().unwrap());
    assert_eq!((first.disk, first.boot), (DirectoryId(5), 1));
    assert_eq!((second.disk, second.boot), (DirectoryId(5), 2));
}

/// A node that comes with another disk each time, as one does that keeps nothing on any.
#[test]
fn disks_that_nobody_needs_are_forgotten() {
    let (mut member, _) = led();
    let mut kept = BTreeSet::new();
    for disk in 100..200 {
        let life = Life { disk: DirectoryId(disk), boot: 1, name: 2 };
        let greeting = Greeting { cluster: ClusterId(1), life, asks: false, yours: None };
        let message = Telling::Beat(greeting);
        for (key, entry) in step(&mut member, Event::Message { from: FROM_B, message }).stored {
            match entry {
                Some(_) => kept.insert(key),
                None => kept.remove(&key),
            };
        }
        assert!(kept.contains(&key_of_life(B, DirectoryId(disk))));
    }
    assert!(kept.len() <= who::LIVES_MAX, "{}", kept.len());
}

fn refused(member: &mut Member<Journal>, message: Telling, why: Refusal) {
    let before = member.replica(GROUP).cloned();
    let desk = step(member, Event::Message { from: FROM_B, message });
    assert_eq!(member.replica(GROUP).cloned(), before, "{why:?}");
    assert!(desk.stored.is_empty(), "{why:?}");
    let says_so = |(to, telling): &(NodeId, Telling)| {
        *to == B && matches!(telling, Telling::Refused { why: said, .. } if *said == why)
    };
    assert!(desk.sent.iter().any(says_so), "{why:?}: {:?}", desk.sent);
    assert!(desk.probes.contains(&why.name()), "{why:?}");
}

/// Neither on the disk nor in memory is anything changed by it, and the sender is told why.
#[test]
fn what_is_not_for_this_member_is_refused() {
    let (mut member, _) = led();
    let disk = DirectoryId(8);
    let life = Life { disk, boot: 1, name: 2 };
    let hello = |cluster| {
        Telling::Beat(Greeting { cluster: ClusterId(cluster), life, asks: false, yours: None })
    };
    let log = |group, disk, body| {
        let message = Message::new(Ballot { round: 9, proposer: B }, body);
        Telling::Log { group: Group(group), disk, members_at: Slot(0), message }
    };
    let prepare = Body::Prepare { committed: Slot(0) };
    let canvass = Body::Canvass { committed: Slot(0) };
    refused(&mut member, hello(2), Refusal::OtherCluster);
    refused(&mut member, log(7, disk, prepare.clone()), Refusal::NotGreeted);
    step(&mut member, Event::Message { from: FROM_B, message: hello(1) });
    refused(&mut member, log(8, disk, prepare.clone()), Refusal::NoGroup);
    refused(&mut member, log(7, DirectoryId(9), prepare), Refusal::NotGreeted);
    refused(&mut member, log(7, disk, canvass), Refusal::Removed);
}

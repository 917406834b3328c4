//! A member at its start, and what it does with what is not for it.

use ombak_base::{Address, ClientId, DecodeError, Entry, Peek, Refused, ScanEntry, ShardId};

use super::*;
use crate::ballot::{Ballot, Voters};
use crate::log::tests::Journal;
use crate::log::{COMMAND_BYTES_MAX, Place, checksum};

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const FROM_B: Address = Address { node: B, shard: ShardId(0) };
const GROUP: Group = Group(7);

#[derive(Default)]
struct Desk {
    sent: Vec<(NodeId, Telling)>,
    stored: Vec<(Bytes, Option<Entry>)>,
    probes: Vec<&'static str>,
    answers: Vec<Outcome>,
}

impl Effects<Member<Journal>> for Desk {
    fn send(&mut self, to: Address, message: Telling, _: Stamp) -> Result<(), Refused> {
        self.sent.push((to.node, message));
        Ok(())
    }

    fn reply(&mut self, _: ClientId, outcome: Outcome, _: Stamp) {
        self.answers.push(outcome);
    }

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
        let counted = desk.probes.contains(&refusals::OTHER_DATA);
        assert_eq!(counted, failure.is_others(), "{failure}");
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
    refused(&mut member, log(7, DirectoryId(9), prepare.clone()), Refusal::NotGreeted);
    let ask = Ask::Propose(Bytes::from_static(b"x"));
    let forward = Body::Forward { life: 1, ticket: 1, floor: 1, ask };
    for body in [canvass, prepare, forward] {
        refused(&mut member, log(7, disk, body), Refusal::Removed);
    }
}

/// A member of a group of two, and what B says to it, that leads.
fn following() -> (Member<Journal>, impl Fn(Body) -> Telling) {
    let (disk, ballot) = (DirectoryId(8), Ballot { round: 1, proposer: B });
    let mut members = Members::new(Voters::majority([A, B]));
    members.disks = [(A, DirectoryId(5)), (B, disk)].into();
    let (mut member, _) = booted(Setup { groups: vec![(GROUP, members)], ..setup() }, &[]);
    step(&mut member, Event::Durable(Stamp(u64::MAX)));
    let yours = member.life();
    let life = Life { disk, boot: 1, name: 2 };
    let greeting = Greeting { cluster: ClusterId(1), life, asks: false, yours };
    let message = Telling::Beat(greeting);
    step(&mut member, Event::Message { from: FROM_B, message });
    let says = move |body| {
        let message = Message::new(ballot, body);
        Telling::Log { group: GROUP, disk, members_at: Slot(0), message }
    };
    let (committed, first) = (Slot(0), Slot(1));
    let message = says(Body::Accept { committed, first, entries: Vec::new(), question: 1 });
    step(&mut member, Event::Message { from: FROM_B, message });
    step(&mut member, Event::Durable(Stamp(u64::MAX)));
    assert_eq!(member.replica(GROUP).unwrap().status().leader, Some(B));
    (member, says)
}

/// Its clients do not wait for somebody who does not listen to it any more.
#[test]
fn who_is_told_that_it_is_out_follows_nobody() {
    let (mut member, _) = following();
    let ask = Ask::Propose(Bytes::from_static(b"x"));
    let asked = Event::Request { client: ClientId(1), request: (GROUP, ask) };
    let desk = step(&mut member, asked);
    let forwards = |telling: &Telling| match telling {
        Telling::Log { message, .. } => matches!(message.body, Body::Forward { .. }),
        _ => false,
    };
    assert!(desk.sent.iter().any(|(to, telling)| *to == B && forwards(telling)));
    let told = |members_at| {
        let message = Telling::Refused { group: GROUP, members_at, why: Refusal::Removed };
        Event::Message { from: FROM_B, message }
    };
    // It knows as much as who says so, and that it is in.
    assert!(step(&mut member, told(Slot(0))).answers.is_empty());
    assert_eq!(member.replica(GROUP).unwrap().status().leader, Some(B));
    assert_eq!(step(&mut member, told(Slot(3))).answers, [Outcome::Unknown]);
    assert_eq!(member.replica(GROUP).unwrap().status().leader, None);
}

/// What a refusal of that name leaves behind: nothing.
fn passed_over(member: &mut Member<Journal>, message: Telling, what: &str) {
    let before = member.replica(GROUP).cloned();
    let desk = step(member, Event::Message { from: FROM_B, message });
    assert_eq!(member.replica(GROUP).cloned(), before, "{what}");
    assert!(desk.stored.is_empty() && desk.sent.is_empty(), "{what}: {:?}", desk.sent);
    let counted = REFUSALS.iter().filter(|(name, _)| desk.probes.contains(name));
    assert_eq!(counted.map(|(_, what)| *what).collect::<Vec<_>>(), [what]);
}

#[test]
fn a_ballot_or_a_slot_from_the_future_is_refused() {
    let (mut member, says) = following();
    let far = Ballot { round: u64::MAX, proposer: B };
    let later = Body::Accept {
        committed: Slot(u64::MAX),
        first: Slot(1),
        entries: Vec::new(),
        question: 2,
    };
    for body in [Body::Refuse { promised: far }, later] {
        passed_over(&mut member, says(body), "from the future");
    }
}

/// Cut short anywhere, with something behind it, with another bit anywhere, or another one than was announced.
#[test]
fn a_snapshot_that_is_not_what_was_sent_is_refused() {
    let (mut member, says) = following();
    let (through, members_at) = (Slot(9), Slot(0));
    let members = Members::new(Voters::majority([A, B]));
    let state = Bytes::from_static(b"\x01\x02");
    let mut whole = Vec::new();
    Place { through, members, members_at }.encode_with(&state, &mut whole);
    whole.extend_from_slice(&state);
    let before_checksums = whole.len();
    whole.extend_from_slice(&checksum(&[&whole]));
    let cut = (0..whole.len()).filter(|end| *end != before_checksums);
    let cut = cut.map(|end| (through, whole[..end].to_vec()));
    let flipped = (0..8 * whole.len()).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (through, bytes)
    });
    let longer = [&whole[..], b"x"].concat();
    let wrong = [(through, longer), (Slot(8), whole.clone())];
    for (through, bytes) in cut.chain(flipped).chain(wrong) {
        let (total, piece) = (bytes.len() as u64, Bytes::from(bytes));
        let state = Body::State { through, offset: 0, total, piece };
        passed_over(&mut member, says(state), "broken snapshot");
    }
    let (total, piece) = (whole.len() as u64, Bytes::from(whole));
    let message = says(Body::State { through, offset: 0, total, piece });
    step(&mut member, Event::Message { from: FROM_B, message });
    assert_eq!(member.replica(GROUP).unwrap().status().committed, through);
}

#[test]
fn a_command_that_is_too_large_is_refused() {
    let (mut member, _) = led();
    let before = member.replica(GROUP).cloned();
    let ask = |bytes: usize| Ask::Propose(Bytes::from(vec![0; bytes]));
    let asks = |ask| Event::Request { client: ClientId(1), request: (GROUP, ask) };
    let desk = step(&mut member, asks(ask(COMMAND_BYTES_MAX + 1)));
    assert_eq!(member.replica(GROUP).cloned(), before);
    assert!(desk.stored.is_empty() && desk.sent.is_empty());
    assert_eq!(desk.answers, [Outcome::TooLarge]);
    assert_eq!(desk.probes, [refusals::TOO_LARGE]);
    let desk = step(&mut member, asks(ask(COMMAND_BYTES_MAX)));
    assert!(!desk.stored.is_empty() && desk.probes.is_empty());
}

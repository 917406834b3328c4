use super::*;

use ombak_base::{Address, Chunk, DecodeError, Peek, Refused, ShardId};
use ombak_paxos::Ballot;
use ombak_paxos::log::{Body, Message, Slot};
use ombak_paxos::{Members, Voters};

const SECOND: u64 = 1_000;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Count(u8);

impl StateMachine for Count {
    fn apply(&mut self, _: Slot, _: &Bytes) -> Bytes {
        self.0 += 1;
        self.snapshot()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::copy_from_slice(&[self.0])
    }

    fn restore(_: Bytes) -> Result<Count, DecodeError> {
        Err(DecodeError::Invalid("nothing is restored here"))
    }
}

/// A host that does nothing by itself.
#[derive(Default)]
struct Desk {
    stored: u64,
    replies: Vec<(ClientId, Reply)>,
    counted: Vec<Place>,
}

impl Effects<Hosted<Count>> for Desk {
    fn send(&mut self, _: ombak_base::Address, _: Telling, _: Stamp) -> Result<(), Refused> {
        Err(Refused::Down)
    }
    fn reply(&mut self, to: ClientId, reply: Reply, _: Stamp) {
        self.replies.push((to, reply));
    }
    fn arm(&mut self, _: Timer, _: Tick) {}
    fn disarm(&mut self, _: Timer) {}
    fn choose(&mut self, _: u64) -> u64 {
        0
    }
    fn load(&mut self, _: Ticket, _: Partition, _: &Bytes) {}
    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        Peek::Unknown
    }
    fn store(&mut self, _: Partition, _: &Bytes, _: Option<Entry>) -> Stamp {
        self.stored += 1;
        Stamp(self.stored)
    }
    fn await_durable(&mut self, _: Stamp) {}
    fn scan(&mut self, _: Ticket, _: Scan) {}
    fn probe(&mut self, _: &'static str) {}
    fn count(&mut self, place: Place) {
        self.counted.push(place);
    }
}

/// A member and its host.
struct Pair(Hosted<Count>, Desk);

impl Pair {
    /// That was started with these voters, and has read nothing yet.
    fn new(voters: &[u32]) -> Pair {
        let voters = voters.iter().copied().map(NodeId);
        let founders = Members::new(Voters::majority(voters));
        let who = (NodeId(1), ClusterId(1), DirectoryId(1));
        let hosted = Hosted::new(who, founders, (1024, None), Count::default());
        let mut pair = Pair(hosted, Desk::default());
        pair.step(Event::Start);
        pair
    }

    fn step(&mut self, event: Event<Hosted<Count>>) {
        let now = Now { tick: Tick::from_ms(SECOND), wall_us: 0 };
        self.0.step(now, event, &mut self.1);
        self.0.check();
    }

    fn read(&mut self) {
        self.step(Event::Scanned { ticket: Ticket(0), chunk: Ok(Chunk::default()) });
        self.sync(); // It says nothing before it is on the disk who it is.
    }

    fn sync(&mut self) {
        self.step(Event::Durable(Stamp(self.1.stored)));
    }

    fn ask(&mut self, client: u64, request: Request) {
        self.step(Event::Request { client: ClientId(client), request });
    }

    fn propose(&mut self, client: u64) {
        self.ask(client, Request::Ask(Ask::Propose(Bytes::new())));
    }

    fn said(&mut self) -> Vec<String> {
        let replies = std::mem::take(&mut self.1.replies);
        let show = |(client, reply)| match reply {
            Reply::Outcome(Outcome::Applied { answer, .. }) => format!("{client} {answer:?}"),
            Reply::Status(Status { leader, is_ready, failure, .. }) => {
                format!("{client} {leader:?} {is_ready} {failure:?}")
            }
            other => format!("{client} {other:?}"),
        };
        replies.into_iter().map(show).collect()
    }
}

#[test]
fn what_is_asked_early_is_answered_later() {
    let mut one = Pair::new(&[1]);
    one.propose(1);
    one.propose(2);
    one.step(Event::Gone(ClientId(1)));
    assert!(one.said().is_empty());
    one.read();
    one.sync(); // It leads.
    one.sync(); // What it proposed is on the disk.
    assert_eq!(one.said(), [r#"c2 b"\x01""#]);
}

#[test]
fn what_is_refused_is_counted() {
    let mut one = Pair::new(&[1]);
    one.read();
    let message = Message { ballot: Ballot::NONE.next(NodeId(2)), body: Body::Support };
    let disk = DirectoryId(9);
    let message = Telling::Log { group: GROUP, disk, members_at: Slot(0), message };
    let from = Address { node: NodeId(2), shard: ShardId(0) };
    one.step(Event::Message { from, message });
    let counted = refusals().filter(|(place, _)| one.1.counted.contains(place));
    assert_eq!(counted.map(|(_, what)| what).collect::<Vec<_>>(), ["not greeted"]);
}

#[test]
fn who_watches_is_told_what_changed_when_asking_for_more() {
    let mut one = Pair::new(&[1]);
    one.ask(7, Request::Watch);
    assert_eq!(one.said(), ["c7 None false None"]);
    one.read();
    one.sync();
    assert!(one.said().is_empty(), "it has not asked for more");
    one.step(Event::More(ClientId(7)));
    assert_eq!(one.said(), ["c7 Some(n1) true None"]);
    one.step(Event::More(ClientId(7)));
    one.propose(1);
    one.sync();
    assert_eq!(one.said(), [r#"c1 b"\x01""#], "a slot is no news");
    one.step(Event::DeviceFailed);
    assert_eq!(one.said(), [r#"c7 None false Some("the disk failed")"#]);
    one.step(Event::Gone(ClientId(7)));
    assert!(one.0.watching.is_empty());
}

#[test]
fn who_waits_when_a_member_fails_is_told_so_once() {
    let mut one = Pair::new(&[1]);
    one.read();
    one.sync();
    one.propose(1);
    one.step(Event::DeviceFailed);
    one.sync();
    one.propose(2);
    let failed = r#"Failed("the disk failed")"#;
    assert_eq!(one.said(), [format!("c1 {failed}"), format!("c2 {failed}")]);
}

#[test]
fn a_member_of_which_a_property_broke_does_nothing_more() {
    let mut one = Pair::new(&[1]);
    one.read();
    one.sync();
    one.propose(1);
    one.step(Event::Broken(None));
    one.sync();
    one.ask(2, Request::Status);
    let why = "a property of the code broke: the log of this process says which";
    let told = [format!("c1 Failed({why:?})"), format!("c2 None false Some({why:?})")];
    assert_eq!(one.said(), told);
}

#[test]
fn a_full_disk_takes_no_commands_and_answers_questions() {
    let mut one = Pair::new(&[1]);
    one.read();
    one.sync();
    one.step(Event::DeviceFull(true));
    one.propose(1);
    one.ask(2, Request::Ask(Ask::Read(Bytes::new())));
    assert_eq!(one.said(), ["c1 Full", r#"c2 Outcome(Read { slot: slot0, answer: b"\0" })"#]);
    one.step(Event::DeviceFull(false));
    one.propose(3);
    one.sync();
    assert_eq!(one.said(), [r#"c3 b"\x01""#]);
}

#[test]
fn what_is_stored_and_cannot_be_read_ends_it() {
    let mut one = Pair::new(&[1]);
    one.propose(1);
    let error = ombak_base::DeviceError::Io("no".into());
    one.step(Event::Scanned { ticket: Ticket(0), chunk: Err(error) });
    assert_eq!(one.said(), [r#"c1 Failed("reading the disk: storage failed: no")"#]);
}

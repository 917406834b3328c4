//! What servers say and store, byte by byte. What they do is tested on whole nodes, in `worlds`.

use ombak_base::{Entry, Peek, Refused, Scan, Wire};
use proptest::prelude::*;

use super::super::{Ask, Bid, Cell, Value};
use super::*;
use crate::ballot::Ballot;
use crate::golden::{hex, wire};

fn page_of(bid: Bid) -> KnownPage {
    let known = |name, value_bytes| {
        let register = ListedRegister { name: Bytes::from_static(name), version: 2, value_bytes };
        Known { register, bid }
    };
    let known = vec![known(b"k", Some(300)), known(b"l", None)];
    KnownPage { known, next: Some(Bytes::from_static(b"m")) }
}

fn listed_of(bid: Bid) -> RegisterPage {
    let KnownPage { known, next } = page_of(bid);
    RegisterPage { registers: known.into_iter().map(|known| known.register).collect(), next }
}

/// One of each.
fn tellings() -> Vec<RegisterTelling> {
    let bid = Bid { era: Era(5), ballot: Ballot { round: 300, proposer: NodeId(7) } };
    let value = Value { version: 2, writer: 1, bytes: Some(Bytes::from_static(b"v")) };
    let mut cell = Cell::default();
    let told = cell.answer(Ask::Accept { bid, value: value.clone() });
    let (era, key, disk) = (Era(5), Bytes::from_static(b"k"), DirectoryId(9));
    let wish = Wish::CompareAndSet { version: 2, bytes: None };
    vec![
        RegisterTelling::Ask { number: 3, era, key: key.clone(), ask: Ask::Look },
        RegisterTelling::Told { number: 3, era, disk, told },
        RegisterTelling::Copy { era, from: Bytes::new() },
        RegisterTelling::Copied {
            era,
            disk,
            from: Bytes::new(),
            cells: vec![(key.clone(), cell)],
            next: Some(key.clone()),
        },
        RegisterTelling::Forward {
            number: 4,
            request: RegisterRequest::One(RegisterAsk { key: key.clone(), wish }),
        },
        RegisterTelling::Forwarded {
            number: 4,
            reply: RegisterReply::Answer(Outcome::Differs(value)),
        },
        RegisterTelling::Forwarded {
            number: 4,
            reply: RegisterReply::Failed(RegisterFailure::Full),
        },
        RegisterTelling::List { number: 6, era, from: key.clone() },
        RegisterTelling::Listed { number: 6, era, disk, page: page_of(bid) },
        RegisterTelling::Forward { number: 8, request: RegisterRequest::List { from: key } },
        RegisterTelling::Forwarded { number: 8, reply: RegisterReply::Listed(listed_of(bid)) },
    ]
}

#[test]
fn golden() {
    let written = tellings().iter().map(|telling| hex(&wire(telling)) + "\n").collect::<String>();
    assert_eq!(written, include_str!("golden-1.txt"));
    for telling in tellings() {
        assert_eq!(RegisterTelling::decode(wire(&telling).into()), Ok(telling));
    }
    let state = State { era: Era(300), complete: Some(DirectoryId(9)) };
    assert_eq!(hex(&state.encode()), "01ac02010900000000000000");
    assert_eq!(State::decode(state.encode()), Ok(state));
}

#[test]
fn a_new_disk_copies_from_all_that_a_quorum_could_miss() {
    let needed = |n: u32| sources_needed(&Voters::majority((0..n).map(NodeId)));
    assert_eq!([1, 2, 3, 5, 7].map(needed), [1, 1, 2, 3, 4]);
}

/// A host that answers nothing by itself.
#[derive(Default)]
struct Desk {
    sent: Vec<(NodeId, RegisterTelling)>,
    loads: Vec<Ticket>,
    answers: Vec<RegisterReply>,
    /// No message can be sent.
    is_full: bool,
}

impl Effects<RegisterServer> for Desk {
    fn send(&mut self, to: Address, message: RegisterTelling, _: Stamp) -> Result<(), Refused> {
        if self.is_full {
            return Err(Refused::Full);
        }
        self.sent.push((to.node, message));
        Ok(())
    }

    fn reply(&mut self, _: ClientId, reply: RegisterReply, _: Stamp) {
        self.answers.push(reply);
    }

    fn arm(&mut self, _: RegisterTimer, _: Tick) {}

    fn disarm(&mut self, _: RegisterTimer) {}

    fn choose(&mut self, n: u64) -> u64 {
        1 % n
    }

    fn load(&mut self, ticket: Ticket, _: Partition, _: &Bytes) {
        self.loads.push(ticket);
    }

    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        Peek::Unknown
    }

    fn store(&mut self, _: Partition, _: &Bytes, _: Option<Entry>) -> Stamp {
        Stamp(1)
    }

    fn await_durable(&mut self, _: Stamp) {}

    fn scan(&mut self, _: Ticket, _: Scan) {}

    fn probe(&mut self, _: &'static str) {}
}

fn step(server: &mut RegisterServer, event: Event<RegisterServer>) -> Desk {
    let mut desk = Desk::default();
    server.step(Now::default(), event, &mut desk);
    desk
}

fn heard(server: &mut RegisterServer, from: u32, message: RegisterTelling) -> Desk {
    let from = Address { node: NodeId(from), shard: ShardId(0) };
    step(server, Event::Message { from, message })
}

/// Node 0 of three, which all can reach.
fn started(id: u32) -> RegisterServer {
    let seats = Voters::majority((0..3).map(NodeId));
    let setup = RegisterSetup { id: NodeId(id), home: Partition(0), seats, damaged: false };
    let mut server = RegisterServer::new(setup);
    step(&mut server, Event::Start);
    for node in (0..3).map(NodeId) {
        step(&mut server, Event::PeerUp { node, shards: 1, hello: Bytes::new() });
    }
    step(&mut server, Event::Loaded { ticket: STATE, entry: Ok(None) });
    server
}

/// Node 0 has lost its disk, and sits on this one.
fn sit_down(server: &mut RegisterServer, era: u64, mine: u64) -> Desk {
    let (era, mine) = (Era(era), DirectoryId(mine));
    let disks = [(NodeId(0), mine), (NodeId(1), DirectoryId(1)), (NodeId(2), DirectoryId(2))];
    let mut desk = Desk::default();
    let seating = Seating { era, disks: disks.into(), mine };
    server.seat(Now::default(), Some(seating), &mut desk);
    desk
}

fn page(source: NodeId, era: u64, names: &[&'static str]) -> RegisterTelling {
    let cells = names.iter().map(|name| (Bytes::from_static(name.as_bytes()), Cell::default()));
    let disk = DirectoryId(source.0.into());
    let (era, from) = (Era(era), Bytes::new());
    RegisterTelling::Copied { era, disk, from, cells: cells.collect(), next: None }
}

/// What the earlier name has begun to merge is merged, and does not count for the new one.
#[test]
fn a_disk_that_gets_another_name_while_it_copies_begins_again() {
    let mut server = started(0);
    let mut loads = Vec::new();
    for (era, mine) in [(5, 50), (9, 90)] {
        let asked = sit_down(&mut server, era, mine).sent;
        let [(source, RegisterTelling::Copy { .. })] = asked[..] else { panic!("{asked:?}") };
        let early = heard(&mut server, source.0, page(source, era - 1, &["c"]));
        assert_eq!(early.loads, [], "it may say more yet in an era before");
        loads.extend(heard(&mut server, source.0, page(source, era, &["a", "b"])).loads);
    }
    let mut asked = Vec::new();
    for ticket in loads {
        asked.extend(step(&mut server, Event::Loaded { ticket, entry: Ok(None) }).sent);
    }
    assert!(!server.is_seated(), "one of two was copied");
    let [(source, RegisterTelling::Copy { era: Era(9), .. })] = asked[..] else {
        panic!("{asked:?}")
    };
    for ticket in heard(&mut server, source.0, page(source, 9, &["a"])).loads {
        step(&mut server, Event::Loaded { ticket, entry: Ok(None) });
    }
    assert!(server.is_seated());
}

/// Whoever was not asked has nothing to answer.
#[test]
fn an_answer_of_another_node_is_none() {
    let mut server = started(7);
    let ask = RegisterAsk { key: Bytes::from_static(b"k"), wish: Wish::Read };
    let request = RegisterRequest::One(ask);
    let desk = step(&mut server, Event::Request { client: ClientId(1), request });
    let [(to, RegisterTelling::Forward { number, .. })] = desk.sent[..] else {
        panic!("{:?}", desk.sent)
    };
    let reply = RegisterReply::Answer(Outcome::Done(Value::default()));
    let answer = RegisterTelling::Forwarded { number, reply: reply.clone() };
    assert_eq!(heard(&mut server, (to.0 + 1) % 3, answer.clone()).answers, []);
    assert_eq!(heard(&mut server, to.0, answer).answers, [reply]);
}

/// A message that comes twice is one request.
#[test]
fn what_is_passed_on_is_done_once() {
    let mut server = started(0);
    sit_down(&mut server, 0, 3);
    let ask = RegisterAsk { key: Bytes::from_static(b"k"), wish: Wish::Set(None) };
    let request = RegisterRequest::One(ask);
    let forward = RegisterTelling::Forward { number: 7 << 64 | 1, request: request.clone() };
    heard(&mut server, 2, forward.clone());
    assert_eq!(server.clients(), 1);
    heard(&mut server, 2, forward);
    assert_eq!(server.clients(), 1);
    heard(&mut server, 2, RegisterTelling::Forward { number: 7 << 64 | 2, request });
    assert_eq!(server.clients(), 2);
}

/// What was never sent is not waited for.
#[test]
fn what_cannot_be_passed_on_is_answered_at_once() {
    let mut server = started(7);
    let ask = RegisterAsk { key: Bytes::from_static(b"k"), wish: Wish::Set(None) };
    let mut desk = Desk { is_full: true, ..Desk::default() };
    let request = RegisterRequest::One(ask);
    server.step(Now::default(), Event::Request { client: ClientId(1), request }, &mut desk);
    assert_eq!(desk.answers, [RegisterReply::Failed(RegisterFailure::Busy)]);
    assert_eq!(server.clients(), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(telling) = RegisterTelling::decode(bytes.clone()) {
            prop_assert_eq!(wire(&telling), bytes.to_vec());
        }
        if let Ok(state) = State::decode(bytes.clone()) {
            prop_assert_eq!(state.encode(), bytes);
        }
    }

    #[test]
    fn what_is_cut_short_or_altered_is_refused_or_another(i in 0usize..11, at in any::<prop::sample::Index>()) {
        let whole = wire(&tellings()[i]);
        let cut = Bytes::from(whole).slice(..at.index(wire(&tellings()[i]).len()));
        prop_assert!(RegisterTelling::decode(cut).is_err());
    }
}

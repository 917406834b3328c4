//! The bytes of messages and of what is stored: golden, and whatever arrives.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{ClusterId, DirectoryId, NodeId, Wire};
use proptest::prelude::*;

use crate::ballot::{Ballot, Voters};
use crate::golden::{hex, wire};
use crate::log::batch::Gathering;
use crate::log::{
    Ask, Body, Change, Entry, Membership, Message, Outcome, Place, Slot, Snapshot, Write,
};
use crate::member::{Greeting, Group, Life, Refusal, Telling};
use crate::members::{Disks, Members};
use crate::synod::Accepted;

const BALLOT: Ballot = Ballot { round: 300, proposer: NodeId(2) };

fn commands() -> Entry {
    let mut gathering = Gathering::default();
    gathering.push(Bytes::from_static(b"one"));
    gathering.push(Bytes::new());
    Entry::Commands(gathering.take())
}

fn members() -> Members {
    let voters = |ids: &[u32]| Voters::majority(ids.iter().copied().map(NodeId));
    let learners = BTreeSet::from([NodeId(9)]);
    let disks = Disks::from([(NodeId(1), DirectoryId(5))]);
    let returning = Disks::from([(NodeId(4), DirectoryId(6))]);
    let (voters, next, witnesses) = (voters(&[1, 2, 3]), Some(voters(&[4])), BTreeSet::new());
    Members { voters, next, learners, witnesses, disks, returning }
}

fn with_witness() -> Members {
    Members { witnesses: BTreeSet::from([NodeId(2)]), ..members() }
}

fn place(members: Members) -> Place {
    Place { through: Slot(9), members, members_at: Slot(5) }
}

fn accepted(value: Entry) -> Accepted<Entry> {
    Accepted { ballot: BALLOT, value }
}

fn stored(write: &Write) -> Vec<u8> {
    let mut out = Vec::new();
    write.encode(&mut out);
    out
}

fn bodies() -> Vec<(Body, &'static str)> {
    let committed = Slot(7);
    let change = Entry::Members(Box::new(Change { after: Slot(5), members: members() }));
    let voters = BTreeSet::from([NodeId(1), NodeId(2)]);
    let others = |accept, witnesses| {
        let (voters, learners) = (voters.clone(), BTreeSet::new());
        Ask::Members(Box::new(Membership { voters, learners, witnesses, accept }))
    };
    let (none, second) = (BTreeSet::new(), BTreeSet::from([NodeId(2)]));
    let ask = |ask| Body::Forward { life: 1, ticket: 2, floor: 1, ask };
    let answer = |outcome| Body::Answer { life: 1, ticket: 2, outcome };
    vec![
        (Body::Canvass { committed }, "0101ac020207"),
        (Body::Support, "0102ac0202"),
        (Body::Prepare { committed }, "0103ac020207"),
        (
            Body::Promise { committed, tail: vec![(Slot(8), accepted(commands()))] },
            "0104ac0202070108ac0202010205036f6e6500",
        ),
        (Body::Refuse { promised: BALLOT.next(NodeId(1)) }, "0105ac0202ad0201"),
        (
            Body::Accept { committed, first: Slot(8), entries: vec![Entry::Nothing], question: 3 },
            "0106ac02020708030100",
        ),
        (Body::Accepted { through: Slot(8), question: 3 }, "0107ac02020803"),
        (ask(Ask::Propose(Bytes::from_static(b"x"))), "0108ac0202010201010178"),
        (ask(Ask::Read(Bytes::new())), "0108ac02020102010200"),
        (ask(others(None, none.clone())), "0108ac02020102010302010200"),
        (ask(others(Some(2), none)), "0108ac0202010201060201020002"),
        (ask(others(None, second.clone())), "0108ac0202010201070201020001 02"),
        (ask(others(Some(2), second)), "0108ac020201020108020102000201 02"),
        (ask(Ask::Lead(NodeId(300))), "0108ac020201020104ac02"),
        (
            answer(Outcome::Applied { slot: Slot(9), answer: Bytes::from_static(b"y") }),
            "0109ac0202010201090179",
        ),
        (answer(Outcome::Unknown), "0109ac0202010204"),
        (answer(Outcome::Led), "0109ac0202010209"),
        (answer(Outcome::Behind), "0109ac020201020a"),
        (answer(Outcome::Read { slot: Slot(9), answer: Bytes::new() }), "0109ac02020102020900"),
        (ask(Ask::ReadAt(Slot(9), Bytes::new())), "0108ac0202010201050900"),
        (
            Body::State { through: Slot(9), offset: 0, total: 1, piece: Bytes::from_static(b"z") },
            "010aac0202090001017a",
        ),
        (Body::Resign { successor: true }, "010bac020201"),
        (Body::Enquire { committed }, "010cac020207"),
        (
            Body::Chosen { first: Slot(8), entries: vec![accepted(change)] },
            "010dac02020801ac02020205020203010203010101010401 09 0101 0500000000000000 0104 0600000000000000",
        ),
        (Body::Lease { number: 3, ms: 1_000 }, "010eac020203e807"),
        (Body::Granted { number: 3 }, "010fac020203"),
        (Body::Took { through: Slot(9), offset: 65_536 }, "0110ac020209808004"),
        (
            Body::Skip(Box::new(place(with_witness()))),
            "0111ac0202 090502020301020303010101040109 0101 0500000000000000 0104 0600000000000000 0102",
        ),
    ]
}

#[test]
fn messages_have_these_bytes() {
    for (body, golden) in bodies() {
        let message = Message { ballot: BALLOT, body };
        let bytes = wire(&message);
        assert_eq!(hex(&bytes), golden.replace(' ', ""), "{message:?}");
        assert_eq!(Message::decode(Bytes::from(bytes)), Ok(message));
    }
}

fn tellings() -> Vec<(Telling, &'static str)> {
    let (group, disk, members_at) = (Group(300), DirectoryId(5), Slot(7));
    let life = Life { disk, boot: 3, name: 4 };
    let greeting =
        |yours| Telling::Beat(Greeting { cluster: ClusterId(1), life, asks: true, yours });
    let message = Message { ballot: BALLOT, body: Body::Support };
    let begun = Some((Slot(0), Disks::from([(NodeId(1), disk)])));
    let to = DirectoryId(6);
    vec![
        (greeting(None), "00 0100000000000000 0500000000000000 03 0400000000000000 01 00"),
        (
            greeting(Some(Life { boot: 2, ..life })),
            "00 0100000000000000 0500000000000000 03 0400000000000000 01 01 0500000000000000 02 0400000000000000",
        ),
        (
            Telling::Log { group, disk, members_at, message },
            "01 ac02 0500000000000000 07 0102ac0202",
        ),
        (
            Telling::Begin { group, disk, to, begun: None },
            "02 ac02 0500000000000000 0600000000000000 00",
        ),
        (
            Telling::Begin { group, disk, to, begun },
            "02 ac02 0500000000000000 0600000000000000 01 00 0101 0500000000000000",
        ),
        (Telling::Refused { group, members_at, why: Refusal::OtherDisk }, "03 ac02 07 02"),
        (Telling::Return { group, disk }, "04 ac02 0500000000000000"),
    ]
}

#[test]
fn tellings_have_these_bytes() {
    for (telling, golden) in tellings() {
        let bytes = wire(&telling);
        assert_eq!(hex(&bytes), golden.replace(' ', ""), "{telling:?}");
        assert_eq!(Telling::decode(Bytes::from(bytes)), Ok(telling));
    }
}

#[test]
fn what_is_stored_has_these_bytes() {
    let state = Some(Bytes::from_static(b"s"));
    let snapshot = Snapshot { place: place(members()), state };
    let of_witness = Snapshot { place: place(with_witness()), state: None };
    let entry = Write::Entry { slot: Slot(8), accepted: accepted(commands()), committed: Slot(7) };
    for (write, golden) in [
        (Write::Promise(BALLOT), "0101ac0202"),
        (entry, "010208ac020207010205036f6e6500"),
        (
            Write::Snapshot(Box::new(snapshot)),
            "0103090502020301020301010101040109 0101 0500000000000000 0104 0600000000000000 0173",
        ),
        (
            Write::Snapshot(Box::new(of_witness)),
            "0105090502020301020303010101040109 0101 0500000000000000 0104 0600000000000000 0102",
        ),
        (Write::Forget(Slot(4)), "010404"),
    ] {
        let bytes = stored(&write);
        assert_eq!(hex(&bytes), golden.replace(' ', ""), "{write:?}");
        assert_eq!(Write::decode(Bytes::from(bytes)), Ok(write));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = Bytes::from(bytes);
        if let Ok(message) = Telling::decode(bytes.clone()) {
            prop_assert_eq!(wire(&message), bytes.to_vec());
        }
        if let Ok(write) = Write::decode(bytes.clone()) {
            prop_assert_eq!(stored(&write), bytes.to_vec());
        }
    }

    #[test]
    fn wounded_tellings_are_read_or_refused(which in 0..tellings().len(), at in 0..64usize, byte: u8, cut in 0..64usize) {
        let mut bytes = wire(&tellings().swap_remove(which).0);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len().max(cut) - cut % 3);
        if let Ok(read) = Telling::decode(Bytes::from(bytes.clone())) {
            prop_assert_eq!(wire(&read), bytes);
        }
    }

    /// Whatever is read from a wounded message is written as it was read.
    #[test]
    fn wounded_messages_are_read_or_refused(which in 0..bodies().len(), at in 0..64usize, byte: u8, cut in 0..64usize) {
        let message = Message { ballot: BALLOT, body: bodies().swap_remove(which).0 };
        let mut bytes = wire(&message);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len().max(cut) - cut % 3);
        if let Ok(read) = Message::decode(Bytes::from(bytes.clone())) {
            prop_assert_eq!(wire(&read), bytes);
        }
    }
}

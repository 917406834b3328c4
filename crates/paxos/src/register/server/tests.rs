//! What servers say and store, byte by byte. What they do is tested on whole nodes, in `worlds`.

use ombak_base::Wire;
use proptest::prelude::*;

use super::super::{Ask, Bid, Cell, Value};
use super::*;
use crate::ballot::Ballot;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wire(what: &impl Wire) -> Vec<u8> {
    let mut out = Vec::new();
    what.encode(&mut out);
    out
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
            disk,
            from: Bytes::new(),
            cells: vec![(key.clone(), cell)],
            next: Some(key.clone()),
        },
        RegisterTelling::Forward { number: 4, ask: RegisterAsk { key, wish } },
        RegisterTelling::Forwarded {
            number: 4,
            reply: RegisterReply::Answer(Outcome::Differs(value)),
        },
        RegisterTelling::Forwarded {
            number: 4,
            reply: RegisterReply::Failed(RegisterFailure::Full),
        },
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
    fn what_is_cut_short_or_altered_is_refused_or_another(i in 0usize..7, at in any::<prop::sample::Index>()) {
        let whole = wire(&tellings()[i]);
        let cut = Bytes::from(whole).slice(..at.index(wire(&tellings()[i]).len()));
        prop_assert!(RegisterTelling::decode(cut).is_err());
    }
}

//! How what seats know is put together.

use super::super::super::{Ask, Value};
use super::*;
use crate::ballot::Ballot;

fn known_of(name: &'static str, round: u64, value_bytes: Option<u64>) -> Known {
    let name = Bytes::from_static(name.as_bytes());
    let bid = Bid { era: Era(1), ballot: Ballot { round, proposer: NodeId(1) } };
    Known { register: ListedRegister { name, version: round, value_bytes }, bid }
}

fn page(known: &[Known], next: Option<&'static str>) -> KnownPage {
    KnownPage { known: known.to_vec(), next: next.map(|name| Bytes::from_static(name.as_bytes())) }
}

#[test]
fn the_last_change_that_any_has_accepted_is_listed() {
    let early = page(&[known_of("a", 1, Some(1)), known_of("c", 4, None)], None);
    let late = page(&[known_of("a", 3, None), known_of("b", 2, Some(7))], None);
    let registers = [known_of("a", 3, None), known_of("b", 2, Some(7)), known_of("c", 4, None)];
    let registers: Vec<_> = registers.map(|known| known.register).into();
    for pages in [vec![early.clone(), late.clone()], vec![late, early]] {
        assert_eq!(put_together(pages), RegisterPage { registers: registers.clone(), next: None });
    }
}

/// What lies behind the end of anybody's page may be known to that one, and later.
#[test]
fn a_page_ends_where_the_first_ends() {
    let long =
        page(&[known_of("a", 1, None), known_of("b", 1, None), known_of("c", 1, None)], None);
    let short = page(&[known_of("a", 2, None)], Some("b"));
    let registers = vec![known_of("a", 2, None).register];
    let next = Some(Bytes::from_static(b"b"));
    assert_eq!(put_together(vec![long, short]), RegisterPage { registers, next });
}

#[test]
fn what_was_never_written_is_not_listed_and_what_cannot_be_read_is_not_passed_over() {
    let entry = |bytes: Vec<u8>| {
        let (key, bytes) = (Bytes::from_static(b"\x01k"), Some(Bytes::from(bytes)));
        ScanEntry { key, tag: 0, bytes }
    };
    let wire = |cell: &Cell| {
        let mut out = Vec::new();
        cell.encode(&mut out);
        entry(out)
    };
    let Known { register, bid } = known_of("k", 2, Some(3));
    let mut cell = Cell::default();
    cell.answer(Ask::Prepare(bid));
    assert_eq!(known(wire(&cell)), Some(None));
    let value = Value { version: 2, writer: 1, bytes: Some(Bytes::from_static(b"abc")) };
    cell.answer(Ask::Accept { bid, value });
    assert_eq!(known(wire(&cell)), Some(Some(Known { register, bid })));
    assert_eq!(known(entry(vec![9])), None);
}

//! Histories that are known to be good or bad. Times are in milliseconds.

use super::*;

mod deletes;
mod latest;
mod listings;
mod lost_disk;
mod turned;

const INVENTED: Option<&str> = Some("nothing is invented");
const DOUBLED: Option<&str> = Some("nothing is doubled");
const NOT_FOUND: Option<&str> = Some("no false not-found");
const LOST: Option<&str> = Some("nothing is lost");
const BACK: Option<&str> = Some("nothing comes back");
const OLDER: Option<&str> = Some("nothing older is shown");

/// An operation of the default quorums, acknowledged or answered.
fn op(kind: OpKind, began: u64, ended: u64, outcome: Outcome) -> Op {
    Op {
        client: 0,
        node: NodeId(0),
        key: 0,
        kind,
        known: None,
        reads: 2,
        holds: 2,
        began: Tick::from_ms(began),
        ended: Some(Tick::from_ms(ended)),
        outcome,
    }
}

fn put(value: u64, began: u64, ended: u64) -> Op {
    op(OpKind::Put(value), began, ended, Outcome::Done)
}

fn delete(began: u64, ended: u64) -> Op {
    op(OpKind::Delete, began, ended, Outcome::Done)
}

fn read(values: &[u64], began: u64, ended: u64) -> Op {
    let found = Found { values: values.to_vec(), named: Tick(0) };
    let outcome = if values.is_empty() { Outcome::NotFound } else { Outcome::Found(found) };
    op(OpKind::Get, began, ended, outcome)
}

/// A read that shows when the latest of what it found was named.
fn named(at: u64, values: &[u64], began: u64, ended: u64) -> Op {
    let found = Found { values: values.to_vec(), named: Tick::from_ms(at) };
    op(OpKind::Get, began, ended, Outcome::Found(found))
}

/// With the context of a read at two replicas, which began at `at` and returned `values`.
fn knowing(values: &[u64], at: u64, op: Op) -> Op {
    let known = Known { values: values.to_vec(), at: Tick::from_ms(at), heard: 2 };
    Op { known: Some(known), ..op }
}

fn failed(op: Op) -> Op {
    Op { outcome: Outcome::Failed("timeout".into()), ..op }
}

/// A history of one key. Reads that do not say when what they show was named have it from the puts.
fn history(ops: &[Op]) -> History {
    let mut history = History::default();
    for op in ops {
        let mut op = op.clone();
        if let Outcome::Found(found) = &mut op.outcome
            && found.named == Tick(0)
        {
            let shown = |put: &&Op| put.value().is_some_and(|value| found.values.contains(&value));
            found.named = ops.iter().filter(shown).map(|put| put.began).max().unwrap_or_default();
        }
        history.begin(op);
    }
    history
}

fn verdict(history: &History) -> Option<&'static str> {
    history.check().err().map(|broken| broken.rule)
}

/// In a bucket that keeps siblings.
fn siblings(ops: &[Op]) -> Option<&'static str> {
    let mut history = history(ops);
    history.siblings_from(0, Tick(0));
    verdict(&history)
}

/// In a bucket where the last write wins.
fn latest(ops: &[Op]) -> Option<&'static str> {
    verdict(&history(ops))
}

/// In either.
fn both(ops: &[Op]) -> Option<&'static str> {
    assert_eq!(siblings(ops), latest(ops), "{ops:?}");
    latest(ops)
}

#[test]
fn known_good() {
    assert_eq!(both(&[put(1, 0, 1), read(&[1], 2, 3)]), None);
    assert_eq!(both(&[put(1, 0, 1), knowing(&[1], 2, put(2, 3, 4)), read(&[2], 5, 6)]), None);
    assert_eq!(both(&[put(1, 0, 5), read(&[], 1, 2)]), None, "concurrent");
    assert_eq!(siblings(&[put(1, 0, 1), put(2, 2, 3), read(&[1, 2], 4, 5)]), None, "siblings");
    assert_eq!(both(&[put(1, 0, 1), knowing(&[1], 2, delete(3, 4)), read(&[], 5, 6)]), None);
    assert_eq!(both(&[failed(put(2, 0, 1)), read(&[2], 2, 3)]), None, "may be there");
    assert_eq!(both(&[failed(put(2, 0, 1)), read(&[], 2, 3)]), None, "or not");
    let replaced = knowing(&[1], 2, failed(put(2, 3, 4)));
    assert_eq!(both(&[put(1, 0, 1), replaced.clone(), read(&[1], 5, 6)]), None, "not done");
    assert_eq!(both(&[put(1, 0, 1), replaced, read(&[2], 5, 6)]), None, "or done");
}

#[test]
fn known_bad() {
    assert_eq!(both(&[put(1, 0, 1), read(&[], 2, 3)]), NOT_FOUND);
    assert_eq!(siblings(&[put(1, 0, 1), put(2, 2, 3), read(&[2], 4, 5)]), LOST);
    assert_eq!(both(&[read(&[7], 2, 3)]), INVENTED);
    assert_eq!(both(&[put(1, 0, 1), read(&[1, 1], 2, 3)]), DOUBLED);
    let replacing = knowing(&[1], 2, put(2, 3, 4));
    assert_eq!(both(&[put(1, 0, 1), replacing, read(&[1, 2], 5, 6)]), BACK);
    let deleting = knowing(&[1], 2, delete(3, 4));
    assert_eq!(both(&[put(1, 0, 1), deleting, read(&[1], 5, 6)]), BACK);
}

/// A context covers what was hidden, or replaced before: that may not come back either.
#[test]
fn a_write_removes_what_its_context_covers() {
    let hidden = [put(1, 0, 1), put(2, 2, 3), knowing(&[2], 4, put(3, 5, 6)), read(&[1], 7, 8)];
    assert_eq!(latest(&hidden), BACK);
    let under_way = [put(1, 0, 9), knowing(&[1], 4, put(3, 5, 6)), read(&[1, 3], 10, 11)];
    assert_eq!(both(&under_way), None, "its retry is concurrent");
}

/// The quorums of a read and of what it must meet overlap, or nothing is certain.
#[test]
fn rules_hold_where_quorums_meet() {
    let held = |holds, op| Op { holds, ..op };
    let heard = |reads, op| Op { reads, ..op };
    for (holds, reads) in [(0, 3), (1, 2), (2, 1)] {
        let put = held(holds, put(1, 0, 1));
        assert_eq!(both(&[put.clone(), heard(reads, read(&[], 2, 3))]), None);
        let removed = knowing(&[1], 2, held(holds, delete(3, 4)));
        assert_eq!(both(&[put, removed, heard(reads, read(&[1], 5, 6))]), None);
    }
    for (holds, reads) in [(1, 3), (2, 2), (3, 1)] {
        let put = held(holds, put(1, 0, 1));
        assert_eq!(both(&[put.clone(), heard(reads, read(&[], 2, 3))]), NOT_FOUND);
        let removed = held(holds, heard(reads, delete(3, 4)));
        assert_eq!(both(&[put, removed, heard(reads, read(&[1], 5, 6))]), BACK);
    }
}

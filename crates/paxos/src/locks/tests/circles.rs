//! Circles that no command can make, put together by hand: an invariant that never fails would look just the same.

use ombak_base::{DecodeError, Wire};

use super::super::resource::Place;
use super::*;

/// What the locks of each session have, and want at which place: a letter for the session, then its locks.
type Locks<'a> = &'a [(char, &'a str, Option<Mode>, Option<(Mode, u64)>)];

/// A manager with just these locks, whether they could come about or not.
fn put_together(locks: Locks<'_>) -> LockManager {
    let mut sessions = BTreeMap::<SessionId, Session>::new();
    let mut tokens = 0;
    for (name, on, held, wanted) in locks {
        let new = Session::new(limits::LEASE_US_MIN, Value::default(), LogTime(0));
        let session = sessions.entry(session(*name)).or_insert(new);
        let number = session.locks.len() as u64 + 1;
        let mut lock = Lock::new(path(on), None, false);
        lock.held = held.map(|mode| {
            tokens += 1;
            Held { mode, token: Token(tokens), since: LogTime(0) }
        });
        lock.wanted = wanted.map(|(mode, place)| {
            let (since, until, place) = (LogTime(0), None, Place(place));
            Wanted { mode, number, since, until, place }
        });
        session.have = number;
        session.locks.insert(number, lock);
    }
    let counters = LockManager { tokens, places: 9, ..LockManager::default() };
    LockManager::assemble(counters, sessions, BTreeMap::new()).unwrap()
}

fn is_circle(locks: Locks<'_>) -> bool {
    let manager = put_together(locks);
    let mut bytes = Vec::new();
    manager.encode(&mut bytes);
    let found = manager.waits_in_a_circle().is_some();
    let read = LockManager::decode(bytes.into());
    let refused = Err(DecodeError::Invalid("nobody waits in a circle"));
    assert_eq!(read, if found { refused } else { Ok(manager) });
    found
}

use Mode::{CR, CW, EX, NL, PR};

#[test]
fn through_holders() {
    let (a, b) = (('a', "r", Some(EX), None), ('b', "s", Some(EX), None));
    assert!(is_circle(&[a, b, ('a', "s", None, Some((PR, 1))), ('b', "r", None, Some((PR, 2)))]));
    assert!(!is_circle(&[a, b, ('a', "s", None, Some((PR, 1))), ('c', "r", None, Some((PR, 2)))]));
    assert!(is_circle(&[a, ('a', "r", None, Some((PR, 1)))]));
}

#[test]
fn through_a_queue() {
    let (a, b) = (('a', "r", Some(PR), None), ('c', "s", Some(EX), None));
    let (first, second) = (('b', "r", None, Some((EX, 1))), ('c', "r", None, Some((PR, 2))));
    assert!(is_circle(&[a, b, first, second, ('a', "s", None, Some((EX, 3)))]));
    assert!(!is_circle(&[a, b, first, second, ('d', "s", None, Some((EX, 3)))]));
}

#[test]
fn through_conversions() {
    let converts = |name, held, wanted, place| (name, "r", Some(held), Some((wanted, place)));
    assert!(is_circle(&[converts('a', PR, EX, 1), converts('b', PR, EX, 2)]));
    assert!(is_circle(&[converts('a', CW, PR, 1), converts('b', CW, EX, 2)]));
    // Behind one that it keeps waiting itself; and the other way round.
    let c = ('c', "r", Some(CR), None);
    assert!(is_circle(&[converts('a', NL, EX, 1), converts('b', PR, EX, 2), c]));
    assert!(!is_circle(&[converts('a', NL, EX, 2), converts('b', PR, EX, 1), c]));
}

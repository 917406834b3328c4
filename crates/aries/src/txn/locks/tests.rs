use super::*;

fn txn(id: u64) -> Arc<TxnState> {
    Arc::new(TxnState::new(TxnId(id)))
}

fn name(key: &'static str) -> LockName {
    LockName { space: 1, key: Bytes::from_static(key.as_bytes()) }
}

#[test]
fn a_lock_has_one_owner() {
    let locks = Locks::new();
    let (one, two) = (txn(1), txn(2));
    assert!(locks.acquire(&one, &name("a"), None, Waits::Refuse).unwrap());
    assert!(!locks.acquire(&one, &name("a"), None, Waits::Refuse).unwrap(), "it had it");
    let refused = locks.acquire(&two, &name("a"), None, Waits::Refuse);
    assert!(matches!(refused, Err(Error::Locked { holder: TxnId(1) })));
    locks.release(&one, &[name("a")]);
    assert!(locks.acquire(&two, &name("a"), None, Waits::Refuse).unwrap());
}

#[test]
fn a_reader_sees_what_was_there_before_the_first_change_that_he_does_not_see() {
    let locks = Locks::new();
    let before = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    for (id, at, text) in [(1, 5, "zero"), (2, 6, "one"), (3, 0, "two")] {
        let writer = txn(id);
        locks.acquire(&writer, &name("a"), None, Waits::Refuse).unwrap();
        locks.remember(&writer, &name("a"), || before(text));
        locks.remember(&writer, &name("a"), || before("its own"));
        if at != 0 {
            writer.set_committed(at);
            locks.unlock(&[name("a")], 0);
        }
    }
    let seen = |snapshot, reader| locks.seen(1, b"a", snapshot, reader);
    assert_eq!(seen(4, None), Seen::Before(before("zero")));
    assert_eq!(seen(5, None), Seen::Before(before("one")));
    assert_eq!(seen(9, None), Seen::Before(before("two")));
    assert_eq!(seen(9, Some(TxnId(3))), Seen::Current);
    assert_eq!(locks.seen(1, b"b", 0, None), Seen::Current);
    locks.forget(&[name("a")], 6);
    assert_eq!(seen(6, None), Seen::Before(before("two")));
    let late = locks.acquire(&txn(4), &name("a"), Some(5), Waits::Refuse);
    assert!(matches!(late, Err(Error::Locked { .. })));
}

#[test]
fn nothing_is_kept_that_nobody_needs() {
    let locks = Locks::new();
    let one = txn(1);
    locks.acquire(&one, &name("a"), None, Waits::Refuse).unwrap();
    locks.remember(&one, &name("a"), || None);
    assert!(locks.knows(1, b"a"));
    one.set_committed(1);
    locks.unlock(&[name("a")], 0);
    assert!(locks.knows(1, b"a"), "somebody may have a snapshot from before");
    locks.forget(&[name("a")], 1);
    assert!(!locks.knows(1, b"a"));
}

#[test]
fn a_circle_of_waiters_is_refused_to_whoever_would_close_it() {
    let locks = Locks::new();
    let (one, two) = (txn(1), txn(2));
    locks.acquire(&one, &name("a"), None, Waits::Block).unwrap();
    locks.acquire(&two, &name("b"), None, Waits::Block).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| locks.acquire(&one, &name("b"), None, Waits::Block));
        while locks.waiting() == 0 {
            std::thread::yield_now();
        }
        let refused = locks.acquire(&two, &name("a"), None, Waits::Block);
        assert!(matches!(refused, Err(Error::Deadlock { holder: TxnId(1) })));
        locks.release(&two, &[name("b")]);
        assert!(waiter.join().unwrap().unwrap());
    });
}

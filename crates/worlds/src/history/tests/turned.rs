use super::*;

/// Siblings from 10 on.
fn turned(ops: &[Op]) -> Option<&'static str> {
    let mut history = history(ops);
    history.siblings_from(0, Tick::from_ms(10));
    verdict(&history)
}

#[test]
fn siblings_are_kept_from_the_acknowledgement_on() {
    assert_eq!(turned(&[put(1, 11, 12), put(2, 11, 13), read(&[1, 2], 20, 21)]), None);
    assert_eq!(turned(&[put(1, 11, 12), put(2, 11, 13), read(&[2], 20, 21)]), LOST);
    assert_eq!(turned(&[put(1, 2, 3), put(2, 11, 13), read(&[2], 20, 21)]), None, "before");
    assert_eq!(turned(&[put(1, 2, 3), put(2, 4, 5), read(&[2], 20, 21)]), None);
}

/// It may have been named before the bucket was turned, and replaces what its coordinator holds.
#[test]
fn a_put_under_way_replaces_by_the_old_rule() {
    let named_late = named(12, &[2], 20, 21);
    assert_eq!(turned(&[put(2, 9, 13), put(1, 11, 12), named_late.clone()]), None);
    assert_eq!(turned(&[failed(put(2, 8, 9)), put(1, 11, 12), named_late.clone()]), None);
    assert_eq!(turned(&[put(2, 8, 9), put(1, 11, 12), named_late]), LOST, "over by then");
}

/// Turned at 10; from 20 on everyone knows. Then 3 replaces what it has seen since 14.
fn written_again(put: Op, by: Op) -> Option<&'static str> {
    let replaced = knowing(&[2], 14, super::put(3, 15, 16));
    let mut history = history(&[put, by, replaced, read(&[1, 3], 30, 31)]);
    history.turning_from(0, Tick::from_ms(10));
    history.siblings_from(0, Tick::from_ms(20));
    verdict(&history)
}

#[test]
fn what_was_replaced_unseen_may_be_written_again() {
    assert_eq!(written_again(put(1, 2, 3), put(2, 4, 12)), None);
    let late = failed(put(2, 18, 19));
    assert_eq!(written_again(put(1, 2, 3), late), None, "where 3 was not heard of");
    assert_eq!(written_again(put(1, 2, 3), put(2, 4, 9)), BACK, "over before it was turned");
    assert_eq!(written_again(put(1, 2, 3), put(2, 21, 28)), BACK, "everyone knows it");
    let seen = knowing(&[1], 4, put(2, 5, 12));
    assert_eq!(written_again(put(1, 2, 3), seen), BACK, "it has seen what it replaces");
    assert_eq!(written_again(put(1, 2, 12), put(2, 4, 9)), None, "replaced while under way");
    let (put, by) = (put(1, 2, 3), put(2, 4, 12));
    let replaced = knowing(&[2], 14, super::put(3, 15, 16));
    assert_eq!(
        turned(&[put, by, replaced, read(&[1, 3], 30, 31)]),
        BACK,
        "it was not being turned"
    );
}

/// Turned at 10; from 20 on everyone knows. 2 replaces 1 unseen, a deletion removes 2, and 1 has been written again meanwhile.
fn older_left(put: Op, by: Op, delete: Op) -> Option<&'static str> {
    let mut history = history(&[put, by, delete, named(3, &[1], 30, 31)]);
    history.turning_from(0, Tick::from_ms(10));
    history.siblings_from(0, Tick::from_ms(20));
    verdict(&history)
}

#[test]
fn a_deletion_leaves_what_is_written_again() {
    assert_eq!(older_left(put(1, 2, 3), put(2, 8, 12), super::delete(9, 13)), None);
    assert_ne!(older_left(put(1, 2, 3), put(2, 5, 7), super::delete(9, 13)), None, "not by 2");
}

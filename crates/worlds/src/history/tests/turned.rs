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

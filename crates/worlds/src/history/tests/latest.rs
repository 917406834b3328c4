use super::*;

/// The old rules did not look at buckets without siblings.
#[test]
fn an_acknowledged_put_hides_what_was_named_before() {
    assert_eq!(latest(&[put(1, 0, 1), put(2, 2, 3), read(&[2], 4, 5)]), None);
    assert_eq!(latest(&[put(1, 0, 1), put(2, 2, 3), read(&[1], 4, 5)]), OLDER);
    assert_eq!(
        latest(&[put(1, 0, 3), put(2, 2, 4), read(&[1], 5, 6)]),
        OLDER,
        "named at its beginning"
    );
    assert_eq!(latest(&[put(1, 0, 1), put(2, 2, 5), read(&[1], 4, 6)]), None, "not done yet");
    assert_eq!(latest(&[put(1, 0, 1), failed(put(2, 2, 3)), read(&[1], 4, 5)]), None);
    assert_eq!(latest(&[failed(put(1, 0, 1)), put(2, 2, 3), read(&[1], 4, 5)]), OLDER);
}

/// Whichever of two concurrent puts has the later time is shown.
#[test]
fn clocks_decide_between_concurrent_puts() {
    let shown = |at, value| latest(&[put(1, 0, 4), put(2, 2, 4), named(at, &[value], 5, 6)]);
    assert_eq!((shown(3, 1), shown(3, 2)), (None, None));
    assert_eq!(shown(1, 1), OLDER);
    let mut slow = history(&[put(1, 0, 1), put(2, 2, 3), read(&[1], 4, 5)]);
    slow.clocks_are_slow(2_000);
    assert_eq!(verdict(&slow), None, "the clock of one was slow, or that of the other fast");
    let mut slow = history(&[put(1, 0, 1), put(2, 4, 5), read(&[1], 6, 7)]);
    slow.clocks_are_slow(2_000);
    assert_eq!(verdict(&slow), OLDER, "but not that slow");
}

/// A deletion removes the later put, and leaves a failed one that it had not met.
#[test]
fn a_delete_uncovers_what_it_had_not_seen() {
    let uncovered = [failed(put(1, 0, 1)), put(2, 2, 3), delete(4, 5), read(&[1], 6, 7)];
    assert_eq!(latest(&uncovered), None);
    let before = [failed(put(1, 0, 1)), delete(2, 3), put(2, 4, 5), read(&[1], 6, 7)];
    assert_eq!(latest(&before), OLDER);
    let known = [put(1, 0, 1), put(2, 2, 3), failed(delete(4, 5)), read(&[1], 6, 7)];
    assert_eq!(latest(&known), OLDER, "it had met both");
}

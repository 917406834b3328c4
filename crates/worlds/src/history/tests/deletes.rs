use super::*;

/// A deletion without context excuses what it may have met, and nothing else.
#[test]
fn a_blind_delete_excuses_what_began_before_its_end() {
    assert_eq!(both(&[put(1, 0, 1), delete(2, 3), read(&[], 4, 5)]), None);
    assert_eq!(both(&[delete(0, 3), put(1, 2, 4), read(&[], 5, 6)]), None, "concurrent");
    assert_eq!(both(&[delete(2, 2), put(1, 2, 3), read(&[], 5, 6)]), None, "at the same moment");
    assert_eq!(siblings(&[put(1, 0, 1), delete(2, 3), put(2, 4, 5), read(&[2], 6, 7)]), None);
    let raced = [delete(0, 3), put(1, 2, 4), put(2, 5, 6), read(&[2], 7, 8)];
    assert_eq!(siblings(&raced), None, "concurrent");
}

/// The old rules let any deletion of the key excuse everything, for ever.
#[test]
fn a_delete_long_before_is_no_excuse() {
    assert_eq!(both(&[delete(0, 1), put(1, 2, 3), read(&[], 4, 5)]), NOT_FOUND);
    let lost = [delete(0, 1), put(1, 2, 3), put(2, 4, 5), read(&[2], 6, 7)];
    assert_eq!(siblings(&lost), LOST);
    let older = [delete(0, 1), put(1, 2, 3), put(2, 4, 5), read(&[1], 6, 7)];
    assert_eq!(siblings(&older), LOST);
    assert_eq!(latest(&older), OLDER);
    let known = knowing(&[9], 0, delete(1, 2));
    assert_eq!(both(&[put(9, 0, 0), known, put(1, 3, 4), read(&[], 5, 6)]), NOT_FOUND);
}

/// One that failed may still be on its way: for as long as it can be.
#[test]
fn a_failed_delete_is_an_excuse_for_a_while() {
    let soon = [failed(delete(0, 1)), put(1, 2, 3), put(2, 4, 5), read(&[2], 6, 7)];
    assert_eq!(siblings(&soon), None);
    assert_eq!(both(&[failed(delete(0, 1)), put(1, 2, 3), read(&[], 6, 7)]), None);
    let late = [failed(delete(0, 1)), put(1, 6_000, 6_001), read(&[], 6_002, 6_003)];
    assert_eq!(both(&late), NOT_FOUND);
    let open = Op { outcome: Outcome::Open, ended: None, ..delete(0, 1) };
    assert_eq!(both(&[open, put(1, 6_000, 6_001), read(&[], 6_002, 6_003)]), None);
}

/// It knew nothing of a context, so nothing of it was ever looked at.
#[test]
fn what_a_blind_delete_removed_stays_away() {
    assert_eq!(both(&[put(1, 0, 1), delete(2, 3), read(&[1], 4, 5)]), BACK);
    assert_eq!(both(&[put(1, 0, 3), delete(2, 4), read(&[1], 5, 6)]), None, "not acknowledged");
    assert_eq!(both(&[put(1, 0, 1), delete(2, 5), read(&[1], 4, 6)]), None, "not done yet");
    assert_eq!(both(&[put(1, 0, 1), failed(delete(2, 3)), read(&[1], 4, 5)]), None);
    let again = [put(1, 0, 1), delete(2, 3), put(2, 4, 5), read(&[2], 6, 7)];
    assert_eq!(both(&again), None);
}

/// It answered that there was nothing: that is a read.
#[test]
fn a_delete_that_found_nothing_has_read() {
    let nothing = Op { outcome: Outcome::NotFound, ..delete(4, 5) };
    assert_eq!(both(&[put(1, 0, 1), delete(2, 3), nothing.clone()]), None);
    // Its first attempt may have removed the value which the second did not find.
    assert_eq!(both(&[put(1, 0, 1), nothing]), None);
}

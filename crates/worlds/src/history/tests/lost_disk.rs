use super::*;

/// A disk with key 0 is lost at 10 and repaired at 20.
fn around_a_loss(ops: &[Op]) -> Option<&'static str> {
    let mut history = history(ops);
    history.siblings_from(0, Tick(0));
    history.disk_lost([0], Tick::from_ms(10));
    history.disk_repaired(Tick::from_ms(20));
    verdict(&history)
}

#[test]
fn stale_values_are_shown_until_the_repair() {
    let lost =
        |began, ended| around_a_loss(&[put(1, 0, 1), put(2, 2, 3), read(&[2], began, ended)]);
    assert_eq!((lost(4, 5), lost(15, 16), lost(21, 22)), (LOST, None, LOST));
    let back =
        |began, ended| around_a_loss(&[put(1, 0, 1), delete(2, 3), read(&[1], began, ended)]);
    assert_eq!((back(4, 5), back(15, 16), back(21, 22)), (BACK, None, BACK));
    let gone = |began, ended| around_a_loss(&[put(1, 0, 1), read(&[], began, ended)]);
    assert_eq!((gone(4, 5), gone(15, 16), gone(21, 22)), (NOT_FOUND, NOT_FOUND, NOT_FOUND));
}

/// An older copy has again what was deleted since; what was never deleted is replaced as always.
#[test]
fn what_was_deleted_may_come_back_from_an_older_disk() {
    let after = |ops: &[Op], note: fn(&mut History, [usize; 1], Tick)| {
        let mut history = history(ops);
        history.siblings_from(0, Tick(0));
        note(&mut history, [0], Tick::from_ms(10));
        history.disk_repaired(Tick::from_ms(20));
        verdict(&history)
    };
    let deleted = [put(1, 0, 1), delete(2, 3), read(&[1], 21, 22)];
    assert_eq!(after(&deleted, History::disk_lost), BACK);
    assert_eq!(after(&deleted, History::disk_is_older), None);
    assert_eq!(after(&deleted, History::disk_loses), None);
    let replaced = [put(1, 0, 1), knowing(&[1], 2, put(2, 3, 4)), read(&[1, 2], 21, 22)];
    assert_eq!(after(&replaced, History::disk_is_older), BACK);
}

/// Until its peers have seen it, nobody can know that a disk lacks something.
#[test]
fn nothing_is_found_on_an_older_disk_until_it_is_known() {
    let found_nothing = |note: fn(&mut History, [usize; 1], Tick), began| {
        let mut history = history(&[put(1, 0, 1), read(&[], began, began + 1)]);
        note(&mut history, [0], Tick::from_ms(10));
        history.disk_repaired(Tick::from_ms(20));
        verdict(&history)
    };
    assert_eq!(found_nothing(History::disk_lost, 15), NOT_FOUND);
    assert_eq!(found_nothing(History::disk_is_older, 15), None);
    assert_eq!(found_nothing(History::disk_is_older, 21), NOT_FOUND);
}

/// Who reads too little knows too little: his write removes what he has seen, perhaps, and it may come back.
#[test]
fn a_write_with_a_stale_read_behind_it_is_no_promise() {
    let read_at =
        |at| around_a_loss(&[put(1, 0, 1), knowing(&[], at, delete(30, 31)), read(&[1], 32, 33)]);
    assert_eq!((read_at(15), read_at(21)), (None, BACK));
    let blind =
        |began, ended| around_a_loss(&[put(1, 0, 1), delete(began, ended), read(&[1], 32, 33)]);
    assert_eq!((blind(15, 16), blind(22, 23)), (None, BACK));
}

/// What one disk held may be gone with it. What two held is on two after the repair.
#[test]
fn a_single_copy_may_be_lost() {
    let held = |holds, began| {
        let put = Op { holds, ..put(1, began, began + 1) };
        around_a_loss(&[put, Op { reads: 3, ..read(&[], 32, 33) }])
    };
    assert_eq!((held(1, 2), held(2, 2), held(1, 12)), (None, NOT_FOUND, NOT_FOUND));
}

/// On a disk that will lose a write, a single copy may be that of a later one, too.
#[test]
fn a_single_copy_may_be_lost_later() {
    let found_nothing = |holds| {
        let put = Op { holds, ..put(1, 12, 13) };
        let mut history = history(&[put, Op { reads: 3, ..read(&[], 32, 33) }]);
        history.disk_loses([0], Tick::from_ms(10));
        history.disk_repaired(Tick::from_ms(20));
        verdict(&history)
    };
    assert_eq!((found_nothing(1), found_nothing(2)), (None, NOT_FOUND));
}

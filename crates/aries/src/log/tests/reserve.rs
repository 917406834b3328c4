//! Room that was reserved.

use super::*;

#[test]
fn what_was_reserved_is_one_batch_however_large() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes: 16 << 20, segments_max: 2 };
    let (mut log, ..) = open_with(&disk, options).unwrap();
    let record = vec![3; 1 << 20];
    // More than a batch gathers otherwise.
    log.reserve(6, 6 << 20).unwrap();
    for _ in 0..6 {
        log.append(A, &[&record]).unwrap();
        assert_eq!(log.durable(), Lsn(0), "nothing is written before all are there");
    }
    log.sync().unwrap();
    // The room was for that batch alone.
    for _ in 0..6 {
        log.append(A, &[&record]).unwrap();
    }
    assert_eq!(log.durable(), Lsn(9));
}

#[test]
fn so_it_is_where_threads_share_the_log() {
    let options = Options { segment_bytes: 16 << 20, segments_max: 2 };
    let (log, _) = shared::SharedLog::open(SimDisk::new(), "wal", options, |_, _, _| {}).unwrap();
    let record = vec![3; 1 << 20];
    let mut tail = log.hold();
    tail.reserve(6, 6 << 20).unwrap();
    for _ in 0..6 {
        tail.append(A, &[&record]).unwrap();
        assert_eq!(log.durable(), Lsn(0), "nothing is written before all are there");
    }
    drop(tail);
    assert_eq!(log.sync().unwrap(), Lsn(6));
}

#[test]
fn a_reservation_that_fails_changes_nothing() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    let bytes_max = log.record_bytes_max();
    assert!(matches!(log.reserve(2, bytes_max), Err(LogError::TooLarge { .. })));
    fill(&mut log, A);
    let before = (log.next_lsn(), log.durable(), log.used_bytes());
    assert!(matches!(log.reserve(3, 300), Err(LogError::Full)));
    assert_eq!((log.next_lsn(), log.durable(), log.used_bytes()), before);
    log.set_mark(A, log.next_lsn());
    log.reserve(3, 300).unwrap();
    for _ in 0..3 {
        log.append(A, &[&[1; 100]]).unwrap();
    }
    assert_eq!(log.sync().unwrap(), Lsn(before.0.0 + 2));
}

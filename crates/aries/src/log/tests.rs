//! The log on a simulated disk. Crashes, damage and fuzzing have files of their own.

mod ahead;
mod crash;
mod damage;
mod fuzz;
mod golden;
mod reads;
mod reserve;

use std::io::ErrorKind;

use ombak_sim::{SimDisk, SyncFault};

use super::*;

type Log = CommitLog<SimDisk>;
type Record = (StreamId, Lsn, Vec<u8>);

const SMALL: Options = Options { segment_bytes: 16 * 1024, segments_max: 3 };
const A: StreamId = StreamId(1);
const B: StreamId = StreamId(2);

/// Opens the log as a new process would. Whoever reads a copy with another thread must see the same.
fn open_with(disk: &SimDisk, options: Options) -> Result<(Log, Recovery, Vec<Record>), LogError> {
    let copy = SimDisk::new();
    copy.restore(&disk.snapshot());
    let opened = open_alone(disk, options);
    if let Ok((_, recovery, records)) = &opened {
        let ahead = read_ahead(&copy, options).unwrap();
        assert_eq!((&ahead.0, &ahead.1), (recovery, records));
    }
    opened
}

fn read_ahead(disk: &SimDisk, options: Options) -> Result<(Recovery, Vec<Record>), LogError> {
    let mut records = Vec::new();
    let threads = NonZeroU32::new(2).unwrap();
    let log = ReadLog::read(disk.mount(), "wal", options, threads, |record| {
        records.push((record.stream, record.lsn, record.payload.to_vec()));
    })?;
    Ok((log.recovery().clone(), records))
}

fn open_alone(disk: &SimDisk, options: Options) -> Result<(Log, Recovery, Vec<Record>), LogError> {
    let mut records = Vec::new();
    let (log, recovery) = CommitLog::open(disk.mount(), "wal", options, |stream, lsn, bytes| {
        records.push((stream, lsn, bytes.to_vec()));
    })?;
    assert_eq!(recovery.records, records.len() as u64);
    Ok((log, recovery, records))
}

fn open(disk: &SimDisk) -> (Log, Recovery, Vec<Record>) {
    open_with(disk, SMALL).unwrap()
}

/// Appends a record of its own in a batch of its own.
fn put(log: &mut Log, stream: StreamId, bytes: &[u8]) -> Result<Lsn, LogError> {
    let lsn = log.append(stream, &[bytes])?;
    assert_eq!(log.sync()?, lsn);
    Ok(lsn)
}

/// Fills the log with batches of one block until it refuses.
fn fill(log: &mut Log, stream: StreamId) -> u64 {
    let mut count = 0;
    loop {
        match put(log, stream, &[7; 100]) {
            Ok(_) => count += 1,
            Err(LogError::Full) => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_was_synced_is_replayed_in_order() {
    let disk = SimDisk::new();
    let (mut log, recovery, records) = open(&disk);
    assert_eq!((recovery.end, records.len(), log.durable()), (Lsn(1), 0, Lsn(0)));
    assert_eq!(log.append(A, &[b"on", b"", b"e"]).unwrap(), Lsn(1));
    assert_eq!(log.append(B, &[]).unwrap(), Lsn(2));
    assert_eq!((log.durable(), log.next_lsn(), log.pending_bytes()), (Lsn(0), Lsn(3), 4096));
    assert_eq!(log.sync().unwrap(), Lsn(2));
    assert_eq!(put(&mut log, A, b"three").unwrap(), Lsn(3));
    log.append(A, &[b"never synced"]).unwrap();
    drop(log);

    let (_, recovery, records) = open(&disk);
    let expected = [(A, Lsn(1), &b"one"[..]), (B, Lsn(2), b""), (A, Lsn(3), b"three")];
    assert_eq!(records, expected.map(|(stream, lsn, bytes)| (stream, lsn, bytes.to_vec())));
    let expected = Recovery { records: 3, bytes: 8, end: Lsn(4), ..Recovery::default() };
    assert_eq!(recovery, expected);
}

#[test]
fn a_sync_is_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    let before = disk.counters();
    for _ in 0..50 {
        log.append(A, &[b"together"]).unwrap();
    }
    log.sync().unwrap();
    let after = disk.counters();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1));
    assert_eq!(after.bytes_written - before.bytes_written, 4096);
    log.sync().unwrap();
    assert_eq!(disk.counters(), after, "nothing to write, nothing written");
}

#[test]
fn a_stream_without_a_mark_pins_the_log() {
    let (mut log, ..) = open(&SimDisk::new());
    put(&mut log, A, b"pins").unwrap();
    fill(&mut log, B);
    log.set_mark(B, log.next_lsn());
    assert!(matches!(log.append(B, &[b"x"]), Err(LogError::Full)));
    assert_eq!(log.oldest_needed(), Some((A, Lsn(1))));
    assert_eq!(log.used_bytes(), log.capacity());
    log.set_mark(A, Lsn(2));
    assert_eq!((log.oldest_needed(), log.used_bytes()), (None, SMALL.segment_bytes));
    put(&mut log, B, b"x").unwrap();
}

#[test]
fn a_full_log_keeps_what_waits_and_goes_on_after_a_mark() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    let count = fill(&mut log, A);
    assert_eq!(count, 9, "three segments of three batches");
    assert!(matches!(log.append(A, &[b"more"]), Err(LogError::Full)));
    log.set_mark(A, Lsn(3));
    assert!(matches!(log.append(A, &[b"more"]), Err(LogError::Full)), "3 is needed still");
    log.set_mark(A, Lsn(4));
    assert_eq!(put(&mut log, A, b"more").unwrap(), Lsn(10));
    drop(log);
    let (_, recovery, records) = open(&disk);
    assert_eq!((records[0].1, recovery.end), (Lsn(4), Lsn(11)));
    assert_eq!((recovery.torn_tail, recovery.damaged), (None, vec![]));
}

#[test]
fn lsns_grow_through_many_lives_of_few_files() {
    let disk = SimDisk::new();
    let mut expected = 1;
    for _ in 0..30 {
        let (mut log, recovery, _) = open(&disk);
        assert_eq!((recovery.end, &recovery.damaged), (Lsn(expected), &vec![]));
        for _ in 0..5 {
            log.set_mark(A, Lsn(expected));
            assert_eq!(put(&mut log, A, &[1; 3000]).unwrap(), Lsn(expected));
            expected += 1;
        }
    }
    assert!(disk.files().len() <= 3, "{:?}", disk.files());
}

#[test]
fn a_record_may_fill_a_segment_and_not_more() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    let most = log.record_bytes_max() as usize;
    put(&mut log, A, b"first").unwrap();
    let refused = log.append(A, &[&vec![1; most + 1]]);
    assert!(
        matches!(refused, Err(LogError::TooLarge { bytes_max, .. }) if bytes_max == most as u64)
    );
    put(&mut log, A, &vec![1; most]).unwrap();
    assert_eq!(open(&disk).2[1].2.len(), most);
}

#[test]
fn a_batch_that_grew_large_is_synced_on_the_way() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    for lsn in 1..=9 {
        assert_eq!(log.append(A, &[&[3; 4000]]).unwrap(), Lsn(lsn));
    }
    assert!(matches!(log.append(A, &[&[3; 4000]]), Err(LogError::Full)));
    assert_eq!(log.sync().unwrap(), Lsn(9));
    assert_eq!(open(&disk).1.records, 9);
}

#[test]
fn a_failed_sync_poisons() {
    for fault in [SyncFault::Keeps, SyncFault::Drops] {
        let disk = SimDisk::new();
        let (mut log, ..) = open(&disk);
        put(&mut log, A, b"safe").unwrap();
        log.append(A, &[b"unsure"]).unwrap();
        disk.fail_sync(1, ErrorKind::Other, fault);
        assert!(matches!(log.sync(), Err(LogError::Io { .. })));
        assert!(matches!(log.sync(), Err(LogError::Poisoned)));
        assert!(matches!(log.append(A, &[b"x"]), Err(LogError::Poisoned)));
        assert!(matches!(log.tidy(), Err(LogError::Poisoned)));
        assert_eq!(log.durable(), Lsn(1));

        // The kernel may still show what it did not write. What is replayed, must survive the next crash.
        // No copy of the disk has that.
        let (_, _, records) = open_alone(&disk, SMALL).unwrap();
        disk.crash_with(|_| false);
        assert_eq!(open(&disk).2, records);
    }
}

#[test]
fn a_failed_write_poisons() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    put(&mut log, A, b"safe").unwrap();
    disk.fail_write(1, ErrorKind::Other);
    log.append(A, &[b"unsure"]).unwrap();
    assert!(matches!(log.sync(), Err(LogError::Io { .. })));
    assert!(matches!(log.sync(), Err(LogError::Poisoned)));
    assert_eq!(open(&disk).2[0].2, b"safe");
}

#[test]
fn a_full_disk_is_a_full_log() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    disk.fill_after(5000);
    let count = fill(&mut log, A);
    assert_eq!(count, 3, "one segment");
    assert_eq!(log.append(A, &[b"waits"]).unwrap(), Lsn(5), "4 waits already");
    assert!(matches!(log.sync(), Err(LogError::Full)));
    disk.set_capacity(None);
    assert_eq!(log.sync().unwrap(), Lsn(5), "and nothing was lost");
    assert_eq!(open(&disk).1.records, 5);
}

#[test]
fn tidying_prepares_one_spare_and_removes_what_is_too_much() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes: 3 << 20, segments_max: 20 };
    let (mut log, ..) = open_with(&disk, options).unwrap();
    while log.tidy().unwrap() {}
    assert_eq!(disk.files().len(), 2);
    for _ in 0..10 {
        put(&mut log, A, &[0; (3 << 20) - 5000]).unwrap();
    }
    assert_eq!(disk.files().len(), 10);
    log.set_mark(A, log.next_lsn());
    put(&mut log, A, &[0; 5000]).unwrap();
    while log.tidy().unwrap() {}
    assert_eq!(disk.files().len(), 5, "four spares and the current one");
    drop(log);
    assert_eq!(open_with(&disk, options).unwrap().1.damaged, []);
}

#[test]
fn the_size_of_segments_may_change() {
    let disk = SimDisk::new();
    let mut expected = 0;
    for blocks in [4, 2, 9, 3, 30, 2] {
        let options = Options { segment_bytes: blocks * BLOCK, segments_max: 4 };
        let (mut log, recovery, records) = open_with(&disk, options).unwrap();
        assert_eq!((recovery.damaged, recovery.end), (vec![], Lsn(expected + 1)));
        assert!(records.last().is_none_or(|record| record.1 == Lsn(expected)));
        for _ in 0..40 {
            expected = put(&mut log, A, &[1; 2000]).unwrap().0;
            log.set_mark(A, Lsn(expected));
        }
    }
}

#[test]
fn absurd_options_are_brought_within_bounds() {
    let options = Options { segment_bytes: 0, segments_max: 0 };
    let (mut log, ..) = open_with(&SimDisk::new(), options).unwrap();
    assert_eq!(log.capacity(), 4 * BLOCK);
    assert_eq!(fill(&mut log, A), 2);
}

#[test]
fn a_real_directory_works_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let disk = crate::OsDisk::open(directory.path()).unwrap();
    for life in 0..3 {
        let (mut log, recovery) =
            CommitLog::open(disk.clone(), "a/wal", SMALL, |_, _, _| {}).unwrap();
        assert_eq!(recovery.records, life * 2);
        log.append(A, &[&[1; 5000]]).unwrap();
        log.sync().unwrap();
        log.append(A, &[b"small"]).unwrap();
        log.sync().unwrap();
    }
}

//! The archive on a simulated disk.

use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::log::{Options, StreamId};
use crate::seeds::seeds;

type Log = SharedLog<SimDisk>;
type Record = (Lsn, Vec<u8>);

const SMALL: Options = Options { segment_bytes: 16 * 1024, segments_max: 3 };
/// For what is restored, which may be longer.
const LARGE: Options = Options { segments_max: 200, ..SMALL };
const A: StreamId = StreamId(1);

fn open_in(disk: &SimDisk, dir: &str, options: Options) -> Result<(Log, Vec<Record>), LogError> {
    let mut records = Vec::new();
    let (log, recovery) = SharedLog::open(disk.mount(), dir, options, |_, lsn, bytes| {
        records.push((lsn, bytes.to_vec()));
    })?;
    if !recovery.damaged.is_empty() {
        return Err(LogError::Gone { lsn: recovery.damaged[0].first_lsn });
    }
    log.keep_for_archive();
    Ok((log, records))
}

fn open(disk: &SimDisk) -> (Log, Vec<Record>) {
    open_in(disk, "wal", SMALL).unwrap()
}

fn archive(disk: &SimDisk) -> Archive {
    Archive::new(disk.mount(), "kept/log")
}

/// Appends records in batches of some, which nobody needs once they are durable, and archives when it must.
fn grow(log: &Log, archive: &Archive, count: usize, rng: &mut Rng) -> Result<(), ArchiveError> {
    log.set_mark(A, log.next_lsn());
    for _ in 0..count {
        for _ in 0..1 + rng.below(4) {
            let bytes = vec![log.next_lsn().0 as u8; rng.below(3000) as usize];
            while let Err(error) = log.append(A, &[&bytes]) {
                if !matches!(error, LogError::Full) || !log.archive(archive)? {
                    return Err(error.into());
                }
            }
        }
        log.set_mark(A, Lsn(log.sync()?.0 + 1));
    }
    Ok(())
}

/// What record `lsn` begins with, if it is not empty.
fn check(records: &[Record], first: Lsn, last: Lsn) {
    let lsns: Vec<u64> = records.iter().map(|(lsn, _)| lsn.0).collect();
    assert_eq!(lsns, (first.0..=last.0).collect::<Vec<_>>());
    for (lsn, bytes) in records {
        assert!(bytes.iter().all(|byte| *byte == lsn.0 as u8));
    }
}

fn restored(disk: &SimDisk, dir: &str) -> Vec<Record> {
    open_in(disk, dir, LARGE).unwrap().1
}

#[test]
fn no_segment_is_used_again_before_it_is_archived() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let fill = || {
        loop {
            match log.append(A, &[&[0; 3000]]) {
                Ok(lsn) => drop(log.force(lsn).map(|()| log.set_mark(A, Lsn(lsn.0 + 1)))),
                Err(LogError::Full) => return log.durable().0,
                Err(error) => panic!("{error}"),
            }
        }
    };
    assert_eq!(fill(), 9);
    let archive = archive(&disk);
    assert!(log.archive(&archive).unwrap());
    assert_eq!(fill(), 12);
    assert!(log.archive(&archive).unwrap() && log.archive(&archive).unwrap());
    assert!(!log.archive(&archive).unwrap(), "the current one is not full");
    assert_eq!(fill(), 18);
}

#[test]
fn a_log_is_restored_to_any_record() {
    let disk = SimDisk::new();
    let archive = archive(&disk);
    let mut rng = Rng::new(1);
    for _ in 0..5 {
        let (log, _) = open(&disk);
        grow(&log, &archive, 6, &mut rng).unwrap();
    }
    let (log, _) = open(&disk);
    let last = log.archive_durable(&archive).unwrap();
    assert_eq!(last, log.durable());
    let all = archive.restore(&disk, "all", Lsn(0), None).unwrap();
    assert_eq!((all.first, all.last), (Lsn(1), last));
    check(&restored(&disk, "all"), Lsn(1), last);
    for until in 1..=last.0 {
        let target = SimDisk::new();
        let found = archive.restore(&target, "", Lsn(0), Some(Lsn(until))).unwrap();
        assert_eq!(found.last, Lsn(until));
        check(&restored(&target, ""), Lsn(1), Lsn(until));
        let target = SimDisk::new();
        let from = Lsn(1 + until / 2);
        let found = archive.restore(&target, "wal", from, Some(Lsn(until))).unwrap();
        assert!(found.first <= from);
        check(&restored(&target, "wal"), found.first, Lsn(until));
        // And life goes on.
        let (log, _) = open_in(&target, "wal", LARGE).unwrap();
        let next = log.append(A, &[b"on"]).unwrap();
        log.force(next).unwrap();
        assert_eq!(next, Lsn(until + 1));
    }
    let refused = archive.restore(&disk, "all", Lsn(0), None);
    assert!(matches!(refused, Err(ArchiveError::Occupied { dir }) if dir == "all"));
}

#[test]
fn what_is_missing_is_named() {
    let disk = SimDisk::new();
    let archive = archive(&disk);
    let (log, _) = open(&disk);
    grow(&log, &archive, 20, &mut Rng::new(2)).unwrap();
    let last = log.archive_durable(&archive).unwrap();
    let restore = |from, until| archive.restore(&SimDisk::new(), "wal", Lsn(from), until);
    match restore(0, Some(Lsn(last.0 + 3))) {
        Err(ArchiveError::Missing { first, next, file, offset, .. }) => {
            assert_eq!((first, next), (Lsn(last.0 + 1), Lsn(last.0 + 4)));
            let len = disk.contents(&file).unwrap().len() as u64;
            assert!(file.ends_with(".part") && (BLOCK + 1..=len).contains(&offset), "{offset}");
        }
        other => panic!("{other:?}"),
    }
    let first_lsn = |sequence| {
        let bytes = disk.contents(&format!("kept/log/{}", name(sequence))).unwrap();
        SegmentHeader::decode(&bytes).unwrap().first_lsn
    };
    let (from, to) = (first_lsn(2), first_lsn(3));
    Disk::remove(&disk.mount(), &format!("kept/log/{}", name(2))).unwrap();
    match restore(0, None) {
        Err(ArchiveError::Missing { first, next, sequence: 2, file, offset: 0 }) => {
            assert_eq!((first, next), (from, to));
            assert_eq!(file, format!("kept/log/{}", name(2)));
        }
        other => panic!("{other:?}"),
    }
    assert!(restore(0, Some(Lsn(from.0 - 1))).is_ok(), "what is before it is there");
    assert!(restore(to.0, None).is_ok(), "what is behind it is there");
    Disk::remove(&disk.mount(), &format!("kept/log/{}", name(1))).unwrap();
    match restore(1, None) {
        Err(ArchiveError::Missing { first: Lsn(1), next, .. }) => assert_eq!(next, to),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flipped_bit_is_told_or_does_not_matter() {
    let disk = SimDisk::new();
    let archive = archive(&disk);
    let (log, _) = open(&disk);
    grow(&log, &archive, 8, &mut Rng::new(3)).unwrap();
    let last = log.archive_durable(&archive).unwrap();
    let image = disk.snapshot();
    let mut told = 0;
    for (file, len) in disk.files().iter().filter(|(file, _)| file.starts_with("kept")) {
        for offset in (0..*len).filter(|offset| offset % 4096 < 60 || offset % 97 == 0) {
            disk.restore(&image);
            assert!(disk.flip_bit(file, offset, 3));
            let target = SimDisk::new();
            match archive.restore(&target, "wal", Lsn(0), Some(last)) {
                Ok(_) => check(&restored(&target, "wal"), Lsn(1), last),
                Err(error) => {
                    told += 1;
                    assert!(target.files().is_empty(), "{error}: nothing was restored");
                }
            }
        }
    }
    assert!(told > 100, "only {told}");
}

#[test]
fn another_logs_archive_is_refused() {
    let disk = SimDisk::new();
    let archive = archive(&disk);
    grow(&open(&disk).0, &archive, 20, &mut Rng::new(4)).unwrap();
    let (other, _) = open_in(&disk, "other", SMALL).unwrap();
    let refused = grow(&other, &archive, 20, &mut Rng::new(5));
    assert!(matches!(refused, Err(ArchiveError::Foreign { .. })), "{refused:?}");
}

fn live(disk: &SimDisk, seed: u64) -> Result<(), ArchiveError> {
    let mut rng = Rng::new(seed);
    let (log, _) = open_in(disk, "wal", SMALL)?;
    for _ in 0..4 {
        grow(&log, &archive(disk), 4, &mut rng)?;
        log.archive_durable(&archive(disk))?;
    }
    Ok(())
}

#[test]
fn archiving_may_be_cut_at_any_operation() {
    let mut cut = 0;
    for n in 1.. {
        let mut ended = false;
        for seed in seeds(4) {
            let mut rng = Rng::new(seed << 32 | n);
            let disk = SimDisk::new();
            disk.cut_power(n);
            ended = live(&disk, 6).is_ok();
            disk.cut_power(u64::MAX);
            disk.crash_with(|_| rng.chance(seed, 3));
            let (log, _) = open(&disk);
            grow(&log, &archive(&disk), 3, &mut rng).unwrap();
            let last = log.archive_durable(&archive(&disk)).unwrap();
            archive(&disk).restore(&disk, "again", Lsn(0), None).unwrap();
            check(&restored(&disk, "again"), Lsn(1), last);
        }
        if ended {
            break;
        }
        cut += 1;
    }
    assert!(cut > 60, "only {cut} operations were cut");
}

#[test]
fn restoring_may_be_cut_at_any_operation() {
    let source = SimDisk::new();
    let kept = archive(&source);
    let (log, _) = open(&source);
    grow(&log, &kept, 12, &mut Rng::new(7)).unwrap();
    let last = log.archive_durable(&kept).unwrap();
    for n in 1.. {
        let mut ended = false;
        for seed in seeds(64) {
            let mut rng = Rng::new(seed << 32 | n);
            let disk = SimDisk::new();
            disk.cut_power(n);
            ended = kept.restore(&disk, "db/wal", Lsn(0), None).is_ok();
            disk.cut_power(u64::MAX);
            disk.crash_with(|_| rng.chance(seed % 8, 7));
            let image = disk.snapshot();
            // What is there looks like nothing, like a log that lost records, or is complete.
            if let Ok((_, records)) = open_in(&disk, "db/wal", LARGE) {
                assert!(records.is_empty() || records.len() as u64 == last.0, "{n}");
            }
            disk.restore(&image);
            match kept.restore(&disk, "db/wal", Lsn(0), None) {
                Ok(_) | Err(ArchiveError::Occupied { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            check(&restored(&disk, "db/wal"), Lsn(1), last);
        }
        if ended {
            break;
        }
    }
}

#[test]
fn what_is_below_is_removed_and_the_rest_is_restored() {
    let disk = SimDisk::new();
    let kept = archive(&disk);
    let (log, _) = open(&disk);
    grow(&log, &kept, 20, &mut Rng::new(8)).unwrap();
    let last = log.archive_durable(&kept).unwrap();
    let image = disk.snapshot();
    let copies = || disk.files().iter().filter(|(path, _)| path.starts_with("kept")).count() as u64;
    let all = copies();
    assert!(all > 5);
    let mut before = 0;
    for lsn in 0..=last.0 + 2 {
        disk.restore(&image);
        let kept = archive(&disk);
        let removed = kept.remove_below(Lsn(lsn)).unwrap();
        assert_eq!(copies(), all - removed);
        assert!(removed >= before, "more are below");
        before = removed;
        let from = Lsn(lsn.clamp(1, last.0));
        let target = SimDisk::new();
        let found = kept.restore(&target, "wal", from, Some(last)).unwrap();
        assert!(found.first <= from);
        check(&restored(&target, "wal"), found.first, last);
        assert_eq!(kept.remove_below(Lsn(lsn)).unwrap(), 0);
        // What is not there any more is said to be missing.
        let gone = kept.restore(&SimDisk::new(), "wal", Lsn(1), Some(last));
        let is_told = matches!(gone, Err(ArchiveError::Missing { first: Lsn(1), .. }));
        assert_eq!(is_told, removed > 0, "{gone:?}");
    }
    assert_eq!(before, all - 1, "the last copy stays: what it ends with is not known");
}

#[test]
fn nothing_is_removed_if_a_copy_cant_be_read() {
    let disk = SimDisk::new();
    let archive = archive(&disk);
    grow(&open(&disk).0, &archive, 20, &mut Rng::new(9)).unwrap();
    disk.flip_bit(&format!("kept/log/{}", name(2)), 20, 1);
    let before = disk.files();
    let refused = archive.remove_below(Lsn(1000));
    assert!(matches!(refused, Err(ArchiveError::Foreign { .. })), "{refused:?}");
    assert_eq!(disk.files(), before);
}

#[test]
fn removing_may_be_cut_at_any_operation() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    grow(&log, &archive(&disk), 20, &mut Rng::new(10)).unwrap();
    let last = log.archive_durable(&archive(&disk)).unwrap();
    let image = disk.snapshot();
    for n in 1.. {
        let mut ended = false;
        for seed in seeds(8) {
            let mut rng = Rng::new(seed << 32 | n);
            disk.restore(&image);
            disk.cut_power(n);
            ended = archive(&disk).remove_below(last).is_ok();
            disk.cut_power(u64::MAX);
            disk.crash_with(|_| rng.chance(1, 2));
            let found = archive(&disk).restore(&SimDisk::new(), "wal", last, None).unwrap();
            assert_eq!(found.last, last);
            // What is left has no gap.
            let target = SimDisk::new();
            let found = archive(&disk).restore(&target, "wal", Lsn(0), Some(last)).unwrap();
            check(&restored(&target, "wal"), found.first, last);
            archive(&disk).remove_below(last).unwrap();
        }
        if ended {
            break;
        }
    }
}

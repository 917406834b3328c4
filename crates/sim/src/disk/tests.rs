//! What the disk keeps, what it forgets, and how it fails.

use std::io::{ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode};
use proptest::prelude::*;

use super::*;
use crate::Rng;

fn put(file: &SimFile, data: &[u8], offset: u64) -> io::Result<()> {
    file.write_at(&[IoSlice::new(data)], offset)
}

/// A disk with one durable file of `data`.
fn disk_with(data: &[u8]) -> (SimDisk, SimFile) {
    let disk = SimDisk::new();
    let file = disk.open("f", OpenMode::Cached).unwrap();
    put(&file, data, 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.unsynced(), []);
    (disk, file)
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.files().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn each_sector_is_old_or_new() {
    let (disk, file) = disk_with(&[1; 1024]);
    put(&file, &[2; 1024], 0).unwrap();
    assert_eq!(disk.unsynced_sectors(), [("f".to_string(), 0), ("f".to_string(), 1)]);
    disk.crash_with(|what| what.part == Part::Sector(1));
    let expected = [[1; 512], [2; 512]].concat();
    assert_eq!(disk.contents("f").unwrap(), expected);
}

#[test]
fn a_length_may_survive_without_its_bytes() {
    let (disk, file) = disk_with(&[1; 100]);
    put(&file, &[2; 1000], 100).unwrap();
    disk.crash_with(|what| what.part == Part::Length);
    assert_eq!(disk.contents("f").unwrap(), [&[1; 100][..], &[0; 1000]].concat());

    let (disk, file) = disk_with(&[1; 100]);
    put(&file, &[2; 1000], 100).unwrap();
    disk.crash_with(|what| what.part != Part::Length);
    assert_eq!(disk.contents("f").unwrap(), [1; 100]);
}

#[test]
fn a_misdirected_write_is_missing_in_one_place_and_too_much_in_another() {
    let (disk, file) = disk_with(&[1; 2048]);
    let other = disk.open("a/g", OpenMode::Cached).unwrap();
    put(&other, &[3; 1024], 0).unwrap();
    disk.misdirect_write("a/", 2, 7);
    put(&file, &[2; 512], 0).unwrap();
    put(&other, &[4; 512], 0).unwrap();
    assert_eq!(
        &disk.contents("a/g").unwrap()[..512],
        [4; 512],
        "the first there is where it belongs"
    );
    put(&other, &[5; 700], 1024).unwrap();
    let found = disk.contents("a/g").unwrap();
    assert_eq!(found.len(), 1724, "the length is the file system's");
    let astray = found.iter().filter(|byte| **byte == 5).count();
    assert!(
        astray > 0 && found.chunks(512).any(|sector| sector[0] == 5),
        "{astray} bytes are elsewhere"
    );
    assert!(found[1024..].contains(&0), "they are not where they belong");
    assert_eq!(disk.contents("f").unwrap()[..512], [2; 512], "files that are not meant are spared");
    put(&other, &[6; 10], 0).unwrap();
    assert_eq!(&disk.contents("a/g").unwrap()[..10], [6; 10], "one write alone goes astray");
}

#[test]
fn rot_turns_one_bit_of_each_file() {
    let (disk, _file) = disk_with(&[0; 2048]);
    let other = disk.open("a/g", OpenMode::Cached).unwrap();
    put(&other, &[0; 100], 0).unwrap();
    let _empty = disk.open("a/h", OpenMode::Cached).unwrap();
    disk.rot("a/", &mut Rng::new(3));
    let bits =
        |path| disk.contents(path).unwrap().iter().map(|byte| byte.count_ones()).sum::<u32>();
    assert_eq!((bits("f"), bits("a/g"), bits("a/h")), (0, 1, 0));
}

#[test]
fn what_was_cut_does_not_come_back() {
    let (disk, file) = disk_with(&[1; 2000]);
    file.set_len(700).unwrap();
    put(&file, &[2; 10], 1990).unwrap();
    let expected = [&[1; 700][..], &[0; 1290], &[2; 10]].concat();
    assert_eq!(disk.contents("f").unwrap(), expected);
    file.sync().unwrap();
    disk.crash(&mut Rng::new(1));
    assert_eq!(disk.contents("f").unwrap(), expected);
}

#[test]
fn the_dead_write_no_more() {
    let (operator, _) = disk_with(b"x");
    let disk = operator.mount();
    let file = disk.open("f", OpenMode::Cached).unwrap();
    operator.crash(&mut Rng::new(1));
    assert!(put(&file, b"ghost", 0).is_err());
    assert!(file.sync().is_err() && file.len().is_err() && file.read_at(&mut [0], 0).is_err());
    assert!(disk.open("g", OpenMode::Cached).is_err() && disk.remove("f").is_err());
    assert!(operator.mount().open("f", OpenMode::Read).is_ok());
    assert_eq!(names(&operator), ["f"]);
}

#[test]
fn names_need_their_directory_synced() {
    let disk = SimDisk::new();
    let file = disk.open("a/b/f", OpenMode::Cached).unwrap();
    put(&file, b"data", 0).unwrap();
    file.sync().unwrap();
    disk.crash_with(|_| false);
    assert_eq!(names(&disk), [""; 0]);
    assert_eq!((disk.list("").unwrap(), disk.list("a/b").unwrap()), (vec!["a".into()], vec![]));

    disk.open("a/b/f", OpenMode::Cached).unwrap();
    disk.sync_dir("a/b").unwrap();
    disk.crash_with(|_| false);
    assert_eq!(disk.list("a/b").unwrap(), ["f"]);
}

#[test]
fn changes_of_a_directory_survive_in_order() {
    for keep in 0..8 {
        let disk = SimDisk::new();
        for name in ["d/1", "d/2", "e/1"] {
            disk.open(name, OpenMode::Cached).unwrap();
        }
        let mut bits = (0..3).map(|bit| keep >> bit & 1 == 1);
        disk.crash_with(|_| bits.next().unwrap());
        let survived = names(&disk);
        assert!(survived.contains(&"d/1".into()) || !survived.contains(&"d/2".into()));
        assert_eq!(survived.contains(&"e/1".into()), keep & 4 != 0);
    }
}

#[test]
fn a_rename_is_whole_and_ties_its_directories() {
    let (disk, _) = disk_with(b"old");
    let new = disk.open("t/new", OpenMode::Cached).unwrap();
    put(&new, b"new", 0).unwrap();
    new.sync().unwrap();
    disk.rename("t/new", "f").unwrap();
    assert_eq!(disk.contents("f").unwrap(), b"new");
    let image = disk.snapshot();
    disk.crash_with(|_| false);
    assert_eq!((disk.contents("f").unwrap(), names(&disk)), (b"old".to_vec(), vec!["f".into()]));

    disk.restore(&image);
    assert_eq!((disk.contents("f").unwrap(), names(&disk)), (b"new".to_vec(), vec!["f".into()]));

    disk.rename("f", "u/f").unwrap();
    disk.sync_dir("u").unwrap();
    disk.crash_with(|_| false);
    assert_eq!(names(&disk), ["u/f"]);
}

#[test]
fn a_synced_rename_brings_what_came_before_it() {
    let disk = SimDisk::new();
    disk.open("t/new", OpenMode::Cached).unwrap();
    disk.open("other/x", OpenMode::Cached).unwrap();
    disk.rename("t/new", "f").unwrap();
    disk.sync_dir("").unwrap();
    let left = [Unsynced { path: "other/x".into(), part: Part::Name }];
    assert_eq!(disk.unsynced(), left, "t/new is not waiting to come back");
    disk.crash_with(|_| true);
    assert_eq!(names(&disk), ["f", "other/x"]);
}

#[test]
fn a_removed_file_lives_until_closed_and_synced() {
    let (disk, file) = disk_with(&[7; 4096]);
    disk.remove("f").unwrap();
    let mut byte = [0];
    assert_eq!((file.read_at(&mut byte, 9).unwrap(), byte), (1, [7]));
    disk.sync_dir("").unwrap();
    assert_eq!(disk.used_bytes(), 4096);
    drop(file);
    assert_eq!(disk.used_bytes(), 0);

    let (disk, file) = disk_with(&[7; 4096]);
    disk.remove("f").unwrap();
    drop(file);
    disk.crash_with(|_| false);
    assert_eq!(disk.contents("f").unwrap(), [7; 4096]);
}

#[test]
fn a_failed_sync_may_drop_the_data() {
    let (disk, file) = disk_with(&[1; 512]);
    put(&file, &[2; 512], 0).unwrap();
    disk.fail_sync(1, ErrorKind::Other, SyncFault::Drops);
    assert!(file.sync().is_err());
    assert_eq!(disk.contents("f").unwrap(), [2; 512]);
    file.sync().unwrap();
    disk.crash_with(|_| true);
    assert_eq!(disk.contents("f").unwrap(), [1; 512]);

    let file = disk.open("f", OpenMode::Cached).unwrap();
    put(&file, &[3; 512], 0).unwrap();
    disk.fail_sync(1, ErrorKind::Other, SyncFault::Keeps);
    assert!(file.sync().is_err());
    assert_eq!(disk.unsynced_sectors().len(), 1);
}

#[test]
fn a_later_sync_keeps_of_a_page_what_was_not_dropped() {
    let (disk, file) = disk_with(&[1; 1536]);
    put(&file, &[2; 1024], 0).unwrap();
    disk.fail_sync(1, ErrorKind::Other, SyncFault::Drops);
    assert!(file.sync().is_err());
    put(&file, &[3; 1024], 512).unwrap();
    file.sync().unwrap();
    put(&file, &[4; 512], 1024).unwrap();
    disk.crash_with(|_| false);
    assert_eq!(disk.contents("f").unwrap(), [[1; 512], [3; 512], [3; 512]].concat());
}

#[test]
fn the_nth_operation_fails_once() {
    let (disk, file) = disk_with(&[1; 8]);
    disk.fail_write(2, ErrorKind::BrokenPipe);
    put(&file, &[2; 2], 0).unwrap();
    assert_eq!(put(&file, &[3; 4], 4).unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(disk.contents("f").unwrap(), [2, 2, 1, 1, 3, 3, 1, 1]);
    put(&file, &[4; 4], 4).unwrap();
    disk.fail_read(1, ErrorKind::TimedOut);
    assert_eq!(file.read_at(&mut [0], 0).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(file.read_at(&mut [0], 0).unwrap(), 1);
}

#[test]
fn a_full_disk_can_still_be_overwritten() {
    let (disk, file) = disk_with(&[1; 100]);
    disk.fill_after(10);
    put(&file, &[2; 100], 10).unwrap();
    assert_eq!(put(&file, &[3; 100], 11).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.set_len(111).unwrap_err().kind(), ErrorKind::StorageFull);
    put(&file, &[4; 110], 0).unwrap();
    disk.set_capacity(None);
    file.set_len(111).unwrap();
}

#[test]
fn a_power_cut_may_leave_the_last_operation_done() {
    let (disk, file) = disk_with(&[1; 4]);
    let before = disk.counters().changes();
    disk.cut_power(2);
    put(&file, &[2; 2], 0).unwrap();
    assert!(file.sync().is_err());
    assert!(disk.open("g", OpenMode::Cached).is_err() && disk.list("").is_err());
    assert_eq!(disk.counters().changes() - before, 2);
    assert_eq!(disk.unsynced_sectors().len(), 1);
    disk.crash_with(|_| true);
    assert_eq!(disk.contents("f").unwrap(), [2, 2, 1, 1]);
    assert!(disk.open("g", OpenMode::Cached).is_ok());
}

#[test]
fn damage_is_seen_and_rewriting_heals_bad_sectors() {
    let (disk, file) = disk_with(&[0; 600]);
    assert!(disk.flip_bit("f", 599, 3) && !disk.flip_bit("f", 600, 0) && !disk.flip_bit("g", 0, 0));
    assert_eq!(disk.contents("f").unwrap()[599], 8);
    assert!(disk.break_sector("f", 10));
    assert!(file.read_at(&mut [0; 600], 0).is_err());
    assert_eq!(file.read_at(&mut [0; 88], 512).unwrap(), 88);
    put(&file, &[1; 512], 0).unwrap();
    assert_eq!(file.read_at(&mut [0; 600], 0).unwrap(), 600);
}

#[test]
fn modes_are_kept() {
    let (disk, _) = disk_with(b"x");
    let file = disk.open("f", OpenMode::Read).unwrap();
    assert_eq!(put(&file, b"y", 0).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(
        disk.open("none", OpenMode::Read).is_err() && disk.open("../x", OpenMode::Read).is_err()
    );
    let direct = disk.open("f", OpenMode::Direct).unwrap();
    assert_eq!(put(&direct, b"y", 0).unwrap_err().kind(), ErrorKind::InvalidInput);
    let memory = vec![5; 2 * BLOCK_BYTES];
    let aligned = memory.as_ptr().align_offset(BLOCK_BYTES);
    put(&direct, &memory[aligned..aligned + BLOCK_BYTES], BLOCK_BYTES as u64).unwrap();
    assert_eq!(disk.unsynced_sectors().len(), 8, "a direct write, too, waits for its sync");
    disk.set_cold(true);
    assert_eq!(file.read_cached_at(&mut [0], 0).unwrap_err().kind(), ErrorKind::WouldBlock);
    disk.set_broken(Some(ErrorKind::Other));
    disk.crash(&mut Rng::new(0));
    assert!(disk.open("f", OpenMode::Read).is_err());
    disk.set_broken(None);
    disk.wipe();
    assert_eq!((disk.files(), disk.list("").unwrap()), (vec![], vec![]));
}

#[derive(Clone, Debug)]
enum Op {
    Write { at: u16, len: u16, byte: u8 },
    Cut(u16),
    Sync,
    Crash(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..6000u16, 0..3000u16, 1..=255u8).prop_map(|(at, len, byte)| Op::Write { at, len, byte }),
        1 => (0..6000u16).prop_map(Op::Cut),
        2 => Just(Op::Sync),
        1 => any::<u64>().prop_map(Op::Crash),
    ]
}

/// The naive disk: two byte vectors and a list of what was touched.
#[derive(Default)]
struct Oracle {
    now: Vec<u8>,
    synced: Vec<u8>,
}

impl Oracle {
    fn write(&mut self, at: usize, len: usize, byte: u8) {
        if len > 0 {
            self.now.resize(self.now.len().max(at + len), 0);
            self.now[at..at + len].fill(byte);
        }
    }

    /// Every sector is the old or the new one, and so is the length.
    fn allows(&self, found: &[u8]) -> bool {
        let len = found.len() == self.now.len() || found.len() == self.synced.len();
        let matches = |at: usize, sector: &[u8], from: &[u8]| {
            let byte = |place: usize| from.get(place).copied().unwrap_or(0);
            sector.iter().enumerate().all(|(i, found)| *found == byte(at + i))
        };
        let sectors = found.chunks(SECTOR_BYTES).enumerate().all(|(i, sector)| {
            let at = i * SECTOR_BYTES;
            matches(at, sector, &self.now) || matches(at, sector, &self.synced)
        });
        len && sectors
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn synced_data_survives_any_crash(ops in prop::collection::vec(op(), 1..40)) {
        let (disk, mut file) = disk_with(b"");
        let mut oracle = Oracle::default();
        for op in ops {
            match op {
                Op::Write { at, len, byte } => {
                    put(&file, &vec![byte; len.into()], at.into()).unwrap();
                    oracle.write(at.into(), len.into(), byte);
                }
                Op::Cut(len) => {
                    file.set_len(len.into()).unwrap();
                    oracle.now.resize(len.into(), 0);
                }
                Op::Sync => {
                    file.sync().unwrap();
                    oracle.synced = oracle.now.clone();
                }
                Op::Crash(seed) => {
                    disk.crash(&mut Rng::new(seed));
                    let found = disk.contents("f").unwrap();
                    prop_assert!(oracle.allows(&found));
                    oracle = Oracle { now: found.clone(), synced: found };
                    file = disk.open("f", OpenMode::Cached).unwrap();
                }
            }
            prop_assert_eq!(&disk.contents("f").unwrap(), &oracle.now);
        }
    }
}

//! The pool over a simulated file and a log that only remembers.

use std::io::{ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use ombak_base::{Disk, DiskFile, OpenMode};
use ombak_sim::{SimDisk, SyncFault};

use super::*;
use crate::log::archive::{Archive, ArchiveError};
use crate::log::{LogError, Piece, Place};
use crate::wal::WalEnd;

/// A log of which only matters up to where it was forced.
#[derive(Default)]
struct Notes {
    durable: AtomicU64,
    is_full: AtomicBool,
}

impl Wal for Notes {
    fn hold(
        &self,
        _: &mut dyn FnMut(&mut dyn WalEnd) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        Err(LogError::Full)
    }

    fn force(&self, lsn: Lsn) -> Result<(), LogError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(LogError::Full);
        }
        self.durable.fetch_max(lsn.0, Ordering::Relaxed);
        Ok(())
    }

    fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Relaxed))
    }

    fn read(&self, lsn: Lsn) -> Result<Bytes, LogError> {
        Err(LogError::Gone { lsn })
    }
    fn place_of(&self, _: Lsn) -> Place {
        Place { file: "(no file)".to_string(), offset: 0 }
    }

    fn pieces(&self, _: Lsn) -> Box<dyn Iterator<Item = Piece> + '_> {
        Box::new(std::iter::empty())
    }

    fn set_mark(&self, _: Lsn) {}

    fn tidy(&self) -> Result<bool, LogError> {
        Ok(false)
    }

    fn used_bytes(&self) -> u64 {
        0
    }

    fn used_bytes_lately(&self) -> u64 {
        0
    }

    fn written_bytes(&self) -> u64 {
        0
    }

    fn capacity(&self) -> u64 {
        u64::MAX
    }

    fn archive(&self, _: &Archive) -> Result<bool, ArchiveError> {
        unreachable!()
    }
    fn archive_durable(&self, _: &Archive) -> Result<Lsn, ArchiveError> {
        unreachable!()
    }
    fn copy_from(&self, _: Lsn, _: &Archive) -> Result<Lsn, ArchiveError> {
        unreachable!()
    }
    fn record_bytes_max(&self) -> u64 {
        u64::MAX
    }
}

const FRAMES: usize = 40;

fn pool(disk: &SimDisk) -> (Pool, Arc<Notes>) {
    pool_over(disk, Lsn(0))
}

/// A pool that finds the log with so much in it.
fn pool_over(disk: &SimDisk, log_end: Lsn) -> (Pool, Arc<Notes>) {
    let open = |name: &str| NamedFile::open(disk, name.to_string(), OpenMode::Cached).unwrap();
    let files = (open("pages"), open("pages.double"));
    let log =
        Arc::new(Notes { durable: AtomicU64::new(log_end.0), is_full: AtomicBool::new(false) });
    (Pool::new(FRAMES, files, 1, log.clone()).unwrap(), log)
}

/// Changes a page as if record `lsn` had said so.
fn change(pool: &Pool, id: u32, lsn: u64) {
    let id = PageId(id);
    pool.grow_to(id).unwrap();
    let mut page = pool.write(id).unwrap();
    page.mark_dirty(Lsn(lsn));
    page.page_mut().body_mut()[0] = lsn as u8;
    page.page_mut().set_lsn(Lsn(lsn));
}

#[test]
fn a_page_is_found_again_after_its_frame_was_given_to_others() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    (1..200).for_each(|id| change(&pool, id, 1000 + u64::from(id)));
    for id in 1..200 {
        let page = pool.read(PageId(id)).unwrap();
        assert_eq!((page.lsn(), page.body()[0]), (Lsn(1000 + u64::from(id)), (1000 + id) as u8));
    }
    assert!(pool.usage().reads > 0 && pool.usage().writes > 0);
}

#[test]
fn a_page_is_written_after_its_log() {
    let disk = SimDisk::new();
    let (pool, log) = pool(&disk);
    change(&pool, 3, 77);
    assert_eq!(log.durable(), Lsn(0));
    pool.flush_below(Lsn(77), Latched::PassOver).unwrap();
    assert_eq!((log.durable(), pool.usage().writes), (Lsn(0), 0), "its first change is not below");
    pool.flush_below(Lsn(78), Latched::PassOver).unwrap();
    assert_eq!((log.durable(), pool.usage().writes), (Lsn(77), 1));
    assert_eq!(pool.dirty_pages(), []);
}

#[test]
fn what_was_written_and_not_synced_is_still_dirty() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    (1..=FRAMES as u32).for_each(|id| change(&pool, id, u64::from(id)));
    let dirty = |pool: &Pool| {
        let mut pages: Vec<u32> = pool.dirty_pages().into_iter().map(|(page, _)| page.0).collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    };
    let all: Vec<u32> = (1..=FRAMES as u32).collect();
    assert_eq!(dirty(&pool), all);
    // Another page needs a frame, so some are written; no sync has made them durable in place.
    drop(pool.read(PageId(500)).unwrap());
    assert!(pool.usage().dirty < FRAMES);
    assert_eq!(dirty(&pool), all);
}

#[test]
fn a_scan_does_not_drive_out_what_is_used() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    let hot: Vec<PageId> = (0..20).map(PageId).collect();
    for _ in 0..4 {
        hot.iter().for_each(|id| drop(pool.read(*id).unwrap()));
    }
    for (step, id) in (1000..2000).enumerate() {
        drop(pool.read(PageId(id)).unwrap());
        // The working set is used all the while, a page of it for each of the scan's.
        drop(pool.read(hot[step % hot.len()]).unwrap());
    }
    let misses = pool.usage().reads - 20 - 1000;
    assert_eq!(misses, 0, "pages of the working set that had to be read again");
}

#[test]
fn frames_get_memory_when_they_are_needed_and_no_more_than_there_may_be() {
    let places = |frames: &Frames| frames.made().map(|(place, _)| place).collect::<Vec<_>>();
    let frames = Frames::new(150);
    assert_eq!((frames.len(), places(&frames)), (150, vec![]));
    for (place, made) in [(70, 64..128), (64, 64..128), (149, 64..150), (0, 0..150)] {
        frames.get(place).heat.store(place as u8, Ordering::Relaxed);
        assert_eq!(places(&frames), made.collect::<Vec<_>>());
    }
    for (place, frame) in frames.made() {
        let heat = if [64, 70, 149].contains(&place) { place as u8 } else { 0 };
        assert_eq!(frame.heat.load(Ordering::Relaxed), heat);
        assert!(std::ptr::eq(frame, frames.get(place)));
    }

    let (pool, _) = pool(&SimDisk::new());
    (0..3 * FRAMES as u32).for_each(|id| drop(pool.read(PageId(id)).unwrap()));
    assert_eq!(pool.frames.made().count(), FRAMES);
}

#[test]
fn latched_pages_keep_their_frames_and_too_many_are_refused() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    let held: Vec<PageRef<'_>> =
        (0..FRAMES as u32).map(|id| pool.read(PageId(id)).unwrap()).collect();
    let refused = pool.read(PageId(9999)).map(drop);
    assert!(matches!(refused, Err(Error::PoolExhausted { frames: FRAMES })));
    drop(held);
    pool.read(PageId(9999)).unwrap();
}

#[test]
fn a_damaged_page_is_told_and_the_others_can_be_read() {
    let disk = SimDisk::new();
    let (first, _) = pool(&disk);
    (1..4).for_each(|id| change(&first, id, 5));
    first.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    drop(first);
    assert!(disk.flip_bit("pages", 2 * PAGE_BYTES as u64 + 700, 3));
    let (second, _) = pool_over(&disk, Lsn(5));
    let error = second.read(PageId(2)).map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pages is damaged at offset 16384 (page2): its checksum does not match; what was on it is lost"
    );
    second.read(PageId(1)).unwrap();
    second.read(PageId(3)).unwrap();
}

#[test]
fn a_write_that_the_disk_lost_is_told_when_the_page_is_read_again() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    let flush = |lsn| {
        change(&pool, 2, lsn);
        pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    };
    flush(1);
    let old = disk.contents("pages").unwrap();
    flush(2);
    let file = disk.open("pages", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(&old)], 0).unwrap();
    assert_eq!(pool.read(PageId(2)).unwrap().lsn(), Lsn(2), "memory has it");
    (100..400).for_each(|id| drop(pool.read(PageId(id)).unwrap()));
    let told = pool.read(PageId(2)).map(drop).unwrap_err();
    assert!(matches!(told, Error::Damaged { fault: PageFault::Outdated, .. }), "{told}");
    // Another pool has not written it, and can't know.
    assert_eq!(pool_over(&disk, Lsn(2)).0.read(PageId(2)).unwrap().lsn(), Lsn(1));
}

/// A full disk is no damage. Which write finds it full: of the copies, or of the pages.
#[test]
fn what_could_not_be_written_stays_in_memory() {
    // The first is of copies, the second in place, where there was to be room.
    for (n, kind) in [(1, ErrorKind::Other), (2, ErrorKind::StorageFull)] {
        let disk = SimDisk::new();
        let (pool, _) = pool(&disk);
        (1..=FRAMES as u32).for_each(|id| change(&pool, id, u64::from(id)));
        disk.fail_write(n, kind);
        let told = pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap_err();
        assert!(matches!(told, Error::Io { .. }), "{n}: {told}");
        for other in 100..300 {
            let told = pool.read(PageId(other)).map(drop).unwrap_err();
            assert!(matches!(told, Error::Stopped { .. }), "{n}: {told}");
        }
        for id in 1..=FRAMES as u32 {
            assert_eq!(pool.read(PageId(id)).unwrap().lsn(), Lsn(id.into()), "{n}");
        }
    }
}

/// What it threw away is in the log.
#[test]
fn what_a_failed_sync_has_lost_is_no_damage() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    change(&pool, 2, 1);
    pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    let old = disk.contents("pages").unwrap();
    change(&pool, 2, 2);
    disk.fail_sync(2, ErrorKind::Other, SyncFault::Drops); // After that of the copies.
    pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap_err();
    let file = disk.open("pages", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(&old)], 0).unwrap();
    (100..400).for_each(|id| drop(pool.read(PageId(id)).unwrap()));
    let told = pool.read(PageId(2)).map(drop).unwrap_err();
    assert!(matches!(told, Error::Stopped { .. }), "{told}");
}

/// What is written twice needs room for the copies, besides that in the page file.
#[test]
fn on_a_full_disk_fewer_pages_are_written_at_once() {
    let disk = SimDisk::new();
    let (first, _) = pool(&disk);
    (1..=3).for_each(|id| change(&first, id, 5));
    first.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    (1..=30).for_each(|id| change(&first, id, 7));
    disk.fill_after(0);
    first.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    assert_eq!((first.dirty_pages(), first.usage().writes), (vec![], 33));
    let (again, _) = pool_over(&disk, Lsn(7));
    assert!((1..=30).all(|id| again.read(PageId(id)).unwrap().lsn() == Lsn(7)));
}

/// It says so before anything was written.
#[test]
fn a_log_without_room_is_no_failure_of_pages() {
    let disk = SimDisk::new();
    let (pool, log) = pool(&disk);
    change(&pool, 2, 1);
    log.is_full.store(true, Ordering::Relaxed);
    let told = pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap_err();
    assert!(matches!(told, Error::Log(LogError::Full)), "{told}");
    assert_eq!((pool.dirty_pages(), pool.usage().writes), (vec![(PageId(2), Lsn(1))], 0));
    log.is_full.store(false, Ordering::Relaxed);
    pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    assert_eq!((pool.dirty_pages(), pool.usage().writes), (vec![], 1));
}

#[test]
fn a_page_that_was_in_use_and_is_blank_is_told() {
    let disk = SimDisk::new();
    let (pool, _) = pool(&disk);
    pool.set_used(3);
    let told = pool.read(PageId(2)).map(drop).unwrap_err();
    assert!(matches!(told, Error::Damaged { fault: PageFault::Blank, .. }), "{told}");
    assert!(pool.read(PageId(3)).unwrap().is_blank());
}

/// However far the log has gone on since.
#[test]
fn a_page_with_changes_that_the_log_has_lost_is_told() {
    let disk = SimDisk::new();
    let (first, _) = pool(&disk);
    change(&first, 1, 5);
    first.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    let (second, log) = pool_over(&disk, Lsn(4));
    log.force(Lsn(9)).unwrap();
    let told = second.read(PageId(1)).map(drop).unwrap_err();
    let why = "pages is damaged at offset 8192 (page1): it has changes up to record 5, and the log ended with 4; records 5 up to 5 are lost";
    assert_eq!(told.to_string(), why);
}

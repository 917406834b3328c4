//! Disks that rot, lose and misdirect: what is wrong is told, and never shown as right.

use std::io::ErrorKind;

use ombak_sim::{Rng, SyncFault};

use super::*;
use crate::error::Error;
use crate::page::PageId;
use crate::seeds::seeds;
use crate::tree::Tree;

/// A stopped world with pages on the disk and a log that a restart reads.
pub fn stopped(seed: u64) -> World {
    let mut world = World::new(seed);
    assert!(world.live(150));
    world.engine.as_ref().unwrap().sync().unwrap();
    world.stop();
    world
}

/// A whole read of everything: what was there, or a typed error. Anything else panics in `start`.
fn is_told(world: &mut World) -> bool {
    match world.start() {
        Ok(()) => false,
        Err(
            error @ (Error::Damaged { .. }
            | Error::LogDamaged { .. }
            | Error::Foreign { .. }
            | Error::Corrupt { .. }),
        ) => {
            says_where(&error);
            true
        }
        Err(error) => panic!("another error: {error}"),
    }
}

/// An error of damage names file and offset, and what is lost.
pub fn says_where(error: &Error) {
    let text = error.to_string();
    assert!(text.contains("db/"), "no file: {text}");
    assert!(text.contains("at offset "), "no offset: {text}");
    let lost = ["is lost", "are lost", "can't be relied on", "nothing was changed"];
    assert!(lost.iter().any(|lost| text.contains(lost)), "not what is lost: {text}");
}

#[test]
fn a_flipped_bit_in_a_page_is_told_or_repaired_or_nobodys() {
    let mut told = 0;
    for seed in seeds(200) {
        let mut world = stopped(seed % 5);
        let mut rng = Rng::new(seed);
        let len = world.disk.contents("db/pages").unwrap().len() as u64;
        let used = len.min(8 * 8192);
        assert!(world.disk.flip_bit("db/pages", rng.below(used), rng.below(8) as u8));
        told += u64::from(is_told(&mut world));
    }
    assert!(told > 20, "{told} of 200");
}

#[test]
fn a_bit_that_flips_in_the_log_is_told_unless_it_is_in_the_last_batch() {
    for seed in seeds(200) {
        let mut world = stopped(seed % 5);
        let mut rng = Rng::new(seed);
        let logs: Vec<_> =
            world.disk.files().into_iter().filter(|(path, _)| path.contains("wal")).collect();
        let (path, len) = &logs[rng.below(logs.len() as u64) as usize];
        world.disk.flip_bit(path, rng.below(*len), rng.below(8) as u8);
        // The last batch looks torn: what was committed by it is lost, and nothing else is wrong.
        world.forget_what_was_durable();
        is_told(&mut world);
    }
}

#[test]
fn a_failed_sync_is_final_until_it_is_opened_anew() {
    for drops in [SyncFault::Keeps, SyncFault::Drops] {
        let disk = SimDisk::new();
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        let tree = engine.tree("rows").unwrap();
        let mut one = engine.begin();
        tree.put(&mut one, b"a", b"1").unwrap();
        one.commit().unwrap();
        let mut two = engine.begin();
        tree.put(&mut two, b"a", b"2").unwrap();
        disk.fail_sync(1, ErrorKind::Other, drops);
        assert!(matches!(two.commit(), Err(Error::Log(_))));
        assert_eq!(
            tree.get_latest(&engine, b"a").unwrap().as_deref(),
            Some(&b"1"[..]),
            "not shown"
        );
        let mut three = engine.begin();
        let refused = tree.put(&mut three, b"b", b"3").and_then(|()| three.commit());
        assert!(matches!(refused, Err(Error::Log(crate::LogError::Poisoned))));
        drop(engine);
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        let value = engine.tree("rows").unwrap().get_latest(&engine, b"a").unwrap().unwrap();
        assert!([&b"1"[..], b"2"].contains(&&value[..]), "{value:?}");
        let again = |disk: &SimDisk| {
            disk.crash_with(|_| false);
            let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
            engine.tree("rows").unwrap().get_latest(&engine, b"a").unwrap().unwrap()
        };
        assert_eq!(again(&disk), value, "what was found once stays");
    }
}

#[test]
fn a_log_that_is_full_of_one_transaction_refuses_it_and_can_take_it_back() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let mut txn = engine.begin();
    let id = txn.id();
    let full =
        (0u32..).find_map(|i| tree.put(&mut txn, &i.to_be_bytes(), &[1; 1000]).err()).unwrap();
    assert!(matches!(full, Error::LogFull { oldest: Some(oldest) } if oldest == id), "{full}");
    txn.rollback().unwrap();
    assert!(rows(&engine, "rows").is_empty());
    // And it goes on.
    for i in 0u32..2000 {
        let mut txn = engine.begin();
        tree.put(&mut txn, &i.to_be_bytes(), &[2; 1000]).unwrap();
        txn.commit_lazily().unwrap();
    }
    tree.check(&engine).unwrap();
    assert_eq!(rows(&engine, "rows").len(), 2000);
}

#[test]
fn a_full_disk_refuses_what_needs_room_and_loses_nothing() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    disk.set_capacity(Some(disk.used_bytes() + 6_000_000));
    let mut count = 0u32;
    let refused = loop {
        let mut txn = engine.begin();
        if let Err(error) = tree.put(&mut txn, &count.to_be_bytes(), &[3; 1500]) {
            break error;
        }
        txn.commit().unwrap();
        count += 1;
    };
    assert!(matches!(refused, Error::PagesFull { .. }), "{refused}");
    assert_eq!(rows(&engine, "rows").len(), count as usize);
    disk.set_capacity(None);
    let mut txn = engine.begin();
    tree.put(&mut txn, &count.to_be_bytes(), &[3; 1500]).unwrap();
    txn.commit().unwrap();
    drop(engine);
    disk.crash_with(|_| false);
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert_eq!(rows(&engine, "rows").len(), count as usize + 1);
}

/// The kernel may have thrown away what it could not write, and call the next sync a success.
#[test]
fn a_checkpoint_after_a_failed_sync_of_pages_gives_no_log_back() {
    for n in 1..12 {
        let disk = SimDisk::new();
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        let tree = engine.tree("t").unwrap();
        for number in 0..40u32 {
            tree.put_now(&engine, &number.to_le_bytes(), &[7; 1500]).unwrap();
        }
        engine.sync().unwrap();
        disk.fail_sync(n, ErrorKind::Other, SyncFault::Drops);
        if engine.checkpoint().is_err() {
            assert!(engine.checkpoint().is_err(), "sync {n} failed, and the next checkpoint not");
        }
        disk.crash_with(|_| false);
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        assert_eq!(rows(&engine, "t").len(), 40, "sync {n}");
    }
}

/// What a lost write leaves is an old page with a sound checksum. It is found where the copies know better: in the last batch.
#[test]
fn a_lost_page_write_is_found_if_it_was_in_the_last_batch() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let put = |value: &[u8]| {
        tree.put_now(&engine, b"a", value).unwrap();
        engine.checkpoint().unwrap();
    };
    put(b"old");
    let old = disk.contents("db/pages").unwrap();
    put(b"new");
    let new = disk.contents("db/pages").unwrap();
    assert_ne!(old, new);
    drop(engine);
    let file = disk.open("db/pages", ombak_base::OpenMode::Cached).unwrap();
    ombak_base::DiskFile::write_at(&file, &[std::io::IoSlice::new(&old)], 0).unwrap();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert_eq!(tree.get_latest(&engine, b"a").unwrap().as_deref(), Some(&b"new"[..]));
}

/// A page that was written to another's place: both are told, for neither is what it should be.
#[test]
fn a_page_in_the_wrong_place_is_told() {
    let mut told = 0;
    for seed in seeds(30) {
        let mut world = stopped(seed);
        let mut pages = world.disk.contents("db/pages").unwrap();
        let mut rng = Rng::new(seed);
        let (from, to) = (1 + rng.below(6) as usize, 1 + rng.below(6) as usize);
        let stray = pages[from * 8192..(from + 1) * 8192].to_vec();
        pages[to * 8192..(to + 1) * 8192].copy_from_slice(&stray);
        let file = world.disk.open("db/pages", ombak_base::OpenMode::Cached).unwrap();
        ombak_base::DiskFile::write_at(&file, &[std::io::IoSlice::new(&pages)], 0).unwrap();
        told += u64::from(is_told(&mut world));
    }
    assert!(told > 2, "{told} of 30");
}

/// Three trees of which one has lost most of its rows, so that pages are free; closed, and without copies.
fn with_free_pages() -> (SimDisk, [Tree; 2]) {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let trees = ["rows", "gone"].map(|name| engine.tree(name).unwrap());
    for key in 0..60u8 {
        for tree in trees {
            tree.put_now(&engine, &[key], &[key; 1500]).unwrap();
        }
    }
    for key in 0..60u8 {
        trees[1].delete_now(&engine, &[key]).unwrap();
    }
    engine.checkpoint().unwrap();
    drop(engine);
    let double = disk.open("db/pages.double", ombak_base::OpenMode::Cached).unwrap();
    ombak_base::DiskFile::set_len(&double, 0).unwrap();
    (disk, trees)
}

fn pages_of_kind(disk: &SimDisk, manager: u8, kind: u8) -> Vec<u64> {
    let pages = disk.contents("db/pages").unwrap();
    let is_wanted = |page: &&[u8]| page[16] == manager && page[17] == kind;
    (0..).zip(pages.chunks(8192)).filter(|(_, page)| is_wanted(page)).map(|(id, _)| id).collect()
}

#[test]
fn a_free_page_that_is_damaged_is_never_used_and_stops_nobody() {
    let (disk, [rows, _]) = with_free_pages();
    let free = pages_of_kind(&disk, 0, 2);
    assert!(free.len() > 5, "{free:?}");
    for page in &free {
        disk.flip_bit("db/pages", page * 8192 + 100, 1);
    }
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    for key in 0..200u8 {
        rows.put_now(&engine, &[key], &[7; 1500]).unwrap();
    }
    rows.check(&engine).unwrap();
    for page in free {
        assert!(matches!(engine.0.pool.read(PageId(page as u32)), Err(Error::Damaged { .. })));
    }
}

/// Its leaf would be made one with a neighbour that can't be read.
#[test]
fn a_row_is_deleted_beside_a_leaf_that_is_damaged() {
    let (disk, [rows, _]) = with_free_pages();
    let image = disk.snapshot();
    let mut told = 0;
    for page in pages_of_kind(&disk, 1, 1).into_iter().filter(|page| *page > 2) {
        disk.restore(&image);
        disk.flip_bit("db/pages", page * 8192 + 5000, 1);
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        for key in 0..60u8 {
            match rows.delete_now(&engine, &[key]) {
                Ok(lsn) => {
                    assert!(lsn.is_some());
                    assert_eq!(rows.get_latest(&engine, &[key]).unwrap(), None);
                }
                Err(Error::Damaged { page: it, .. }) => {
                    assert_eq!(u64::from(it.0), page);
                    told += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(told > 30, "{told}");
}

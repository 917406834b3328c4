//! Logs and pages that do not go together. What is refused is left as it was, to the last byte.

use std::collections::BTreeMap;
use std::io::IoSlice;

use ombak_base::{Disk, DiskFile, OpenMode};

use super::damage::stopped;
use super::*;
use crate::error::Error;
use crate::page::PAGE_BYTES;
use crate::seeds::seeds;

type Files = BTreeMap<String, Vec<u8>>;

const PAGES: &str = "db/pages";
const DOUBLE: &str = "db/pages.double";

fn all(disk: &SimDisk) -> Files {
    let files = disk.files().into_iter();
    files
        .map(|(path, _)| (disk.contents(&path).unwrap(), path))
        .map(|(bytes, path)| (path, bytes))
        .collect()
}

fn write(disk: &SimDisk, path: &str, bytes: &[u8], at: u64) {
    let file = disk.open(path, OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(bytes)], at).unwrap();
}

fn cut(disk: &SimDisk, path: &str, len: u64) {
    disk.open(path, OpenMode::Cached).unwrap().set_len(len).unwrap();
}

fn is_log(path: &str) -> bool {
    path.starts_with("db/wal/")
}

/// The log as it was at another time.
fn put_log(disk: &SimDisk, log: &Files) {
    for (path, _) in disk.files().into_iter().filter(|(path, _)| is_log(path)) {
        disk.remove(&path).unwrap();
    }
    for (path, bytes) in log.iter().filter(|(path, _)| is_log(path)) {
        write(disk, path, bytes, 0);
    }
}

/// A stopped world with nothing to do again.
fn flushed(seed: u64) -> World {
    let mut world = stopped(seed);
    world.start().unwrap();
    world.engine.as_ref().unwrap().checkpoint().unwrap();
    world.stop();
    world
}

pub fn refused_as(disk: &SimDisk, options: EngineOptions) -> Error {
    let before = all(disk);
    let error = Engine::open(disk.mount(), "db", options).map(drop).unwrap_err();
    assert!(all(disk) == before, "it was refused ({error}), and something was changed");
    error
}

pub fn refused(disk: &SimDisk) -> String {
    refused_as(disk, small()).to_string()
}

#[test]
fn a_page_file_of_another_database_is_refused() {
    let world = stopped(1);
    let other = EngineOptions { identity: 8, ..small() };
    let error = refused_as(&world.disk, other).to_string();
    assert_eq!(error, "db/pages at offset 40: it is of database 7, not 8; nothing was changed");
}

#[test]
fn copies_of_another_database_are_refused() {
    let other = SimDisk::new();
    let options = EngineOptions { identity: 9, ..small() };
    let (engine, _) = Engine::open(other.mount(), "db", options).unwrap();
    engine.tree("rows").unwrap();
    engine.checkpoint().unwrap();
    let world = stopped(1);
    write(&world.disk, DOUBLE, &other.contents(DOUBLE).unwrap(), 0);
    let why = "db/pages.double at offset 16: it is of database 9, not 7; nothing was changed";
    assert_eq!(refused(&world.disk), why);
}

#[test]
fn a_newer_page_file_is_refused() {
    let world = stopped(3);
    write(&world.disk, PAGES, &[2, 0, 0, 0], 24 + 8);
    let why = "db/pages at offset 32: it is of version 2, newer than this software knows; nothing was changed";
    assert_eq!(refused(&world.disk), why);
}

#[test]
fn newer_copies_are_refused() {
    let world = stopped(3);
    let mut header = world.disk.contents(DOUBLE).unwrap()[..4096].to_vec();
    header[8] = 2;
    let mut hasher = crc32fast::Hasher::new();
    [&header[..12], &header[16..]].iter().for_each(|part| hasher.update(part));
    let crc = hasher.finalize();
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    write(&world.disk, DOUBLE, &header, 0);
    let why = "db/pages.double at offset 8: it is of version 2, newer than this software knows; nothing was changed";
    assert_eq!(refused(&world.disk), why);
}

#[test]
fn a_log_without_its_pages_is_refused() {
    let world = stopped(2);
    world.disk.remove(PAGES).unwrap();
    let why = "db/pages at offset 0: it is empty, and the log is not of an empty database; nothing was changed";
    assert_eq!(refused(&world.disk), why);
}

/// Whether or not any page has been written.
#[test]
fn pages_without_their_log_are_refused() {
    let fresh = SimDisk::new();
    let (engine, _) = Engine::open(fresh.mount(), "db", small()).unwrap();
    engine.tree("rows").unwrap().put_now(&engine, b"a", b"1").unwrap();
    engine.sync().unwrap();
    drop(engine);
    for disk in [fresh, stopped(2).disk.clone()] {
        put_log(&disk, &Files::new());
        let why = "db/wal at offset 0: there is no log, and there are the pages of a database; nothing was changed";
        assert_eq!(refused(&disk), why);
    }
}

/// A log that ends before the pages do would give the same LSNs to other changes, and the next redo would take these for done: what
/// was committed then would be lost, and nobody told.
#[test]
fn a_log_that_ends_before_the_pages_is_refused() {
    let mut told_without = 0;
    for seed in seeds(20) {
        let mut world = World::new(seed);
        assert!(world.live(60));
        let engine = world.engine.clone().unwrap();
        engine.sync().unwrap();
        let log = all(&world.disk);
        (0..60).for_each(|_| world.step().unwrap());
        engine.checkpoint().unwrap();
        drop(engine);
        world.stop();
        let whole = world.disk.snapshot();
        put_log(&world.disk, &log);
        let error = refused_as(&world.disk, small());
        assert!(matches!(&error, Error::LogDamaged { file, .. } if is_log(file)), "{error}");
        // Without the copies nobody says how far the log was. What says so then is each page that is read.
        world.disk.remove(DOUBLE).unwrap();
        let told = Engine::open(world.disk.mount(), "db", small()).and_then(|(engine, _)| {
            let tree = engine.tree("rows")?;
            tree.check(&engine)
        });
        told_without +=
            u64::from(matches!(told, Err(Error::LogDamaged { .. } | Error::Damaged { .. })));
        world.disk.restore(&whole);
        world.start().unwrap();
    }
    assert!(told_without > 15, "{told_without} of 20");
}

#[test]
fn a_page_file_that_was_cut_short_is_refused() {
    let world = flushed(4);
    let whole = world.disk.snapshot();
    let used = world.disk.contents(PAGES).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    let pages = (used / PAGE_BYTES) as u64;
    assert!(pages > 5, "{pages}");
    for page in 1..pages {
        for bytes in [0, 100] {
            let at = page * PAGE_BYTES as u64;
            cut(&world.disk, PAGES, at + bytes);
            let why = format!(
                "db/pages is damaged at offset {at} (page{page}): the file ends before it: it was cut short; all pages from it up to page{pages} are lost"
            );
            assert_eq!(refused(&world.disk), why);
            world.disk.restore(&whole);
        }
    }
    cut(&world.disk, PAGES, 100);
    // Page 0 itself: its copy may say what it was.
    let told = refused(&world.disk);
    assert!(told.contains("cut short") || told.contains("no page file"), "{told}");
}

/// A page that the disk has lost: zeros where there were rows.
#[test]
fn a_page_that_has_become_blank_is_told() {
    let world = flushed(4);
    let pages = world.disk.contents(PAGES).unwrap();
    let in_use = pages.chunks(PAGE_BYTES).take_while(|page| page.iter().any(|byte| *byte != 0));
    let in_use = in_use.count() as u64;
    cut(&world.disk, DOUBLE, 0);
    let whole = world.disk.snapshot();
    for page in 1..in_use {
        write(&world.disk, PAGES, &[0; PAGE_BYTES], page * PAGE_BYTES as u64);
        let told = Engine::open(world.disk.mount(), "db", small())
            .and_then(|(engine, _)| engine.0.pool.read(crate::PageId(page as u32)).map(drop));
        let is_told = matches!(
            told,
            Err(Error::Damaged { fault: crate::PageFault::Blank, page: it, .. }) if u64::from(it.0) == page
        );
        assert!(is_told, "page {page}: {told:?}");
        world.disk.restore(&whole);
    }
}

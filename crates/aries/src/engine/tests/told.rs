//! What is printed of records and pages that can't be used: file, offset, and what is lost.

use std::num::NonZeroU32;

use super::damage::{says_where, stopped};
use super::pairs::{refused, refused_as};
use super::world::forge;
use super::*;
use crate::CommitLog;
use crate::error::Error;
use crate::inspect::{Inspection, Severity};
use crate::log::{Options, Place};
use crate::page::PageId;
use crate::tree::TREE;
use crate::txn::record::{Head, Link};
use crate::wal::STREAM;

/// A stopped database to whose log records were appended, as other software might have. Answers where the first one stands.
fn with_records(seed: u64, records: &[&[u8]]) -> (SimDisk, Lsn, Place) {
    let world = stopped(seed);
    let options = Options { segment_bytes: 64 * 1024, segments_max: 16 };
    let (mut log, _) =
        CommitLog::open(world.disk.mount(), "db/wal", options, |_, _, _| {}).unwrap();
    let first = log.next_lsn();
    for record in records {
        log.append(STREAM, &[record]).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let inspection = Inspection::open(world.disk.mount(), "db", Vec::new()).unwrap();
    let mut places = Vec::new();
    let scanned = inspection.log().scan(first, |entry| {
        places.push(entry.place());
        Ok::<(), Error>(())
    });
    scanned.unwrap();
    (world.disk.clone(), first, places.swap_remove(0))
}

/// A commit of a transaction that nobody knows: sound, and harmless.
fn sound() -> Vec<u8> {
    Head::commit(Link { txn: TxnId(1 << 40), prev: Lsn(0) }).as_bytes().to_vec()
}

#[test]
fn a_record_of_newer_software_is_refused_wherever_it_stands() {
    let newer = [12, 1, 2, 3];
    // At the end of the log, in the middle, and before a checkpoint that a restart would begin with.
    for records in [vec![&newer[..]], vec![&newer, &sound()], vec![&newer, &[9; 9], &sound()]] {
        let (disk, lsn, Place { file, offset }) = with_records(1, &records);
        let why = format!(
            "record {} was written by newer software: kind 12 at {file}:{offset}; nothing was changed",
            lsn.0
        );
        for redo_threads in [1, 3].map(|threads| NonZeroU32::new(threads).unwrap()) {
            let error = refused_as(&disk, EngineOptions { redo_threads, ..small() });
            assert!(
                matches!(error, Error::Newer { kind: 12, lsn: it, .. } if it == lsn),
                "{error}"
            );
            assert_eq!(error.to_string(), why);
        }
        let bytes = disk.contents(&file).unwrap();
        assert_eq!(bytes[offset as usize + 12..][..4], newer, "the place is that of the record");
    }
}

#[test]
fn a_record_of_newer_software_is_seen_by_an_inspection() {
    let (disk, lsn, place) = with_records(2, &[&[200]]);
    let inspection = Inspection::open(disk.mount(), "db", Vec::new()).unwrap();
    let report = inspection.verify_files().unwrap();
    let damage = |finding: &&crate::inspect::Finding| finding.severity == Severity::Damage;
    let found: Vec<_> = report.findings.iter().filter(damage).collect();
    let [found] = found[..] else { panic!("{found:?}") };
    assert_eq!((&found.file, found.offset), (&place.file, place.offset));
    assert_eq!(found.what, format!("record {} was written by newer software: kind 200", lsn.0));
    let told = inspection.dry_run(9, |_| Ok(())).unwrap_err();
    assert!(matches!(told, Error::Newer { kind: 200, .. }), "{told}");
}

#[test]
fn a_record_that_is_not_what_its_kind_is_is_refused() {
    for record in [&[4u8, 1][..], &[], &[0, 0, 0], &[10, 0, 0]] {
        let (disk, lsn, Place { file, offset }) = with_records(3, &[record, &sound()]);
        let why = format!(
            "{file} at offset {offset}: record {} can't be used: it is not what a record of its kind is; what it did is lost",
            lsn.0
        );
        assert_eq!(refused(&disk), why);
    }
}

/// Found by redo, so that a start has written to the log by then.
#[test]
fn a_change_that_does_not_fit_its_page_is_told() {
    let record = [Head::single(TREE, PageId(1)).as_bytes(), &[77, 1, 2]].concat();
    let (disk, lsn, Place { file, offset }) = with_records(4, &[&record]);
    let told = Engine::open(disk.mount(), "db", small()).map(drop).unwrap_err();
    let why = format!(
        "{file} at offset {offset}: record {} can't be used: it is no change of a leaf; what it did is lost",
        lsn.0
    );
    assert_eq!(told.to_string(), why);
}

#[test]
fn a_change_of_an_unknown_manager_is_told() {
    let record = [Head::single(ManagerId(99), PageId(1)).as_bytes(), &[1]].concat();
    let (disk, lsn, Place { file, offset }) = with_records(5, &[&record]);
    let told = refused_as(&disk, small());
    let why = format!(
        "{file} at offset {offset}: record {} is of manager99, which this program does not have; nothing was changed",
        lsn.0
    );
    assert_eq!(told.to_string(), why);
}

/// Its checksum is right, and what is on it is not.
#[test]
fn a_page_that_contradicts_itself_is_told() {
    let mut world = stopped(6);
    world.start().unwrap();
    let engine = world.engine.as_ref().unwrap();
    let root = engine.tree("rows").unwrap().root();
    engine.checkpoint().unwrap();
    world.stop();
    let double = world.disk.open("db/pages.double", ombak_base::OpenMode::Cached).unwrap();
    ombak_base::DiskFile::set_len(&double, 0).unwrap();
    forge(&world.disk, root, |page| page.set_kind(TREE, 9));
    let (engine, _) = Engine::open(world.disk.mount(), "db", small()).unwrap();
    let told = engine.find_tree("rows").unwrap_err();
    let why = format!(
        "db/pages at offset {}: {root} contradicts itself: no tree has such pages; what is on it can't be relied on",
        u64::from(root.0) * 8192
    );
    assert_eq!(told.to_string(), why);
    says_where(&told);
}

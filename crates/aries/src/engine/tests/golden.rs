//! A whole database of version 1, as bytes: it must open for ever. And this version still writes it.

use std::io::IoSlice;

use ombak_base::{Disk, DiskFile, OpenMode};

use super::*;
use crate::log::Options;
use crate::txn::locks::Waits;

/// The places that are not zero: path, offset, sixteen bytes.
const GOLDEN: &str = include_str!("golden/version-1-durable.txt");
/// As it was written before the copies of pages said how far the log was durable.
const FIRST: &str = include_str!("golden/version-1.txt");

fn options() -> EngineOptions {
    let log = Options { segment_bytes: 32 * 1024, segments_max: 4 };
    EngineOptions {
        identity: 0x006f_6d62_616b,
        log,
        waits: Waits::Refuse,
        redo_threads: small().redo_threads,
        ..EngineOptions::default()
    }
}

/// A tree, a queue, a checkpoint; after it a commit, a prepared transaction, and one that was cut short.
fn write_golden() -> SimDisk {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "", options()).unwrap();
    let (tree, queue) = (engine.tree("accounts").unwrap(), engine.queue("mail").unwrap());
    let mut txn = engine.begin();
    tree.put(&mut txn, b"alice", b"100").unwrap();
    tree.put(&mut txn, b"bob", b"20").unwrap();
    queue.enqueue(&mut txn, b"welcome").unwrap();
    txn.commit().unwrap();
    engine.checkpoint().unwrap();
    let mut txn = engine.begin();
    tree.put(&mut txn, b"alice", b"90").unwrap();
    tree.delete(&mut txn, b"bob").unwrap();
    assert!(queue.dequeue(&mut txn).unwrap().is_some());
    txn.commit().unwrap();
    let mut prepared = engine.begin();
    tree.put(&mut prepared, b"carol", b"1").unwrap();
    std::mem::forget(prepared.prepare(b"p").unwrap());
    let mut loser = engine.begin();
    tree.put(&mut loser, b"dave", b"2").unwrap();
    queue.enqueue(&mut loser, b"never").unwrap();
    engine.sync().unwrap();
    std::mem::forget(loser);
    drop(engine);
    disk.crash_with(|_| false);
    disk
}

fn dump(disk: &SimDisk) -> String {
    disk.files().into_iter().map(|(path, _)| shown(disk, &path)).collect()
}

/// A file in lines of sixteen bytes, without those that are all zeros.
pub fn shown(disk: &SimDisk, path: &str) -> String {
    let bytes = disk.contents(path).unwrap();
    let lines = bytes.chunks(16).enumerate();
    let lines = lines.filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    let line = |(at, line): (usize, &[u8])| format!("{path} {} {}\n", at * 16, hex(line));
    lines.map(line).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

pub fn check(dump: &str, golden: &str) {
    let differs = dump.lines().zip(golden.lines()).find(|(one, other)| one != other);
    let lines = (dump.lines().count(), golden.lines().count());
    assert!(dump == golden, "first difference: {differs:?}; {lines:?} lines");
}

fn undump(text: &str) -> SimDisk {
    let disk = SimDisk::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (path, at) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        let bytes = unhex(words.next().unwrap());
        let file = disk.open(path, OpenMode::Cached).unwrap();
        file.write_at(&[IoSlice::new(&bytes)], at).unwrap();
        // Files end where blocks do.
        let len = file.len().unwrap().next_multiple_of(4096);
        file.set_len(len).unwrap();
        file.sync().unwrap();
    }
    // The page file ends where it was told to, which is no place that is not zero.
    let pages = disk.open("pages", OpenMode::Cached).unwrap();
    pages.set_len(4 * 1024 * 1024).and_then(|()| pages.sync()).unwrap();
    ["", "wal"].iter().for_each(|dir| disk.sync_dir(dir).unwrap());
    disk
}

#[test]
fn this_version_writes_these_bytes() {
    check(&dump(&write_golden()), GOLDEN);
}

#[test]
fn version_1_opens_for_ever() {
    for golden in [FIRST, GOLDEN] {
        opens(&undump(golden));
    }
}

fn opens(disk: &SimDisk) {
    let (engine, mut restart) = Engine::open(disk.mount(), "", options()).unwrap();
    assert_eq!(restart.losers.len(), 1);
    let prepared = restart.prepared.pop().unwrap();
    assert_eq!((prepared.name(), restart.prepared.len()), (&b"p"[..], 0));
    let row = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    assert_eq!(rows(&engine, "accounts"), [row(b"alice", b"90")]);
    prepared.commit().unwrap();
    assert_eq!(rows(&engine, "accounts"), [row(b"alice", b"90"), row(b"carol", b"1")]);
    assert!(engine.queue("mail").unwrap().is_empty(&engine).unwrap());
    assert_eq!(engine.names().unwrap(), ["accounts", "mail"]);
    engine.tree("accounts").unwrap().check(&engine).unwrap();
}

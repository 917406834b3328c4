//! A backup, an archive, and a database that was restored and not opened yet, of version 1, as bytes: they must be of use for
//! ever. And this version still writes them.

use std::io::IoSlice;

use crc32fast::Hasher;
use ombak_base::{Disk, DiskFile, OpenMode};

use super::damage::says_where;
use super::golden::{check, shown, unhex};
use super::*;
use crate::error::Error;
use crate::log::archive::{Archive, ArchiveError};
use crate::log::{LogError, Options};
use crate::tree::Tree;
use crate::txn::locks::Waits;

/// Of each file its length, and the places that are not zero: path, offset, sixteen bytes.
const GOLDEN: &str = include_str!("golden/backup-1.txt");

/// So small that each write fills a segment, and an archive has several.
fn options() -> EngineOptions {
    let log = Options { segment_bytes: 8192, segments_max: 60 };
    EngineOptions {
        identity: 0x006f_6d62_616b,
        log,
        archived: true,
        waits: Waits::Refuse,
        redo_threads: small().redo_threads,
        ..EngineOptions::default()
    }
}

fn archive(disk: &SimDisk) -> Archive {
    Archive::new(disk.mount(), "db/archive")
}

fn put(engine: &Engine, tree: Tree, key: &[u8], value: &[u8]) {
    let mut txn = engine.begin();
    tree.put(&mut txn, key, value).unwrap();
    txn.commit().unwrap();
}

/// A backup that was taken while a transaction ran; an archive with two commits since, of which the last is in a segment that is
/// not full; and what comes of both.
fn write_golden() -> SimDisk {
    let source = SimDisk::new();
    let (engine, _) = Engine::open(source.mount(), "", options()).unwrap();
    let tree = engine.tree("accounts").unwrap();
    put(&engine, tree, b"alice", b"100");
    let mut running = engine.begin();
    tree.put(&mut running, b"bob", b"20").unwrap();
    let disk = SimDisk::new();
    engine.backup(&disk, "db/backup").unwrap();
    running.commit().unwrap();
    put(&engine, tree, b"carol", b"3");
    let last = engine.archive_durable(&archive(&disk)).unwrap();
    assert_eq!(last, engine.durable());
    restore(&disk, &disk, "db/restored", None).unwrap();
    disk
}

fn restore(from: &SimDisk, to: &SimDisk, dir: &str, until: Option<Lsn>) -> Result<Lsn, Error> {
    Engine::restore(from, "db/backup", &[&archive(from)], to, dir, until)
}

fn dump(disk: &SimDisk) -> String {
    let file = |(path, len): (String, u64)| format!("{path} = {len}\n") + &shown(disk, &path);
    disk.files().into_iter().map(file).collect()
}

fn undump(text: &str) -> SimDisk {
    let disk = SimDisk::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (path, second, third) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let file = disk.open(path, OpenMode::Cached).unwrap();
        if second == "=" {
            file.set_len(third.parse().unwrap()).unwrap();
            continue;
        }
        file.write_at(&[IoSlice::new(&unhex(third))], second.parse().unwrap()).unwrap();
    }
    disk
}

#[test]
fn this_version_writes_these_bytes() {
    check(&dump(&write_golden()), GOLDEN);
}

type Row = (Vec<u8>, Vec<u8>);

fn accounts(disk: &SimDisk, dir: &str) -> Result<Vec<Row>, Error> {
    let (engine, _) = Engine::open(disk.mount(), dir, options())?;
    engine.tree("accounts")?.check(&engine)?;
    Ok(rows(&engine, "accounts"))
}

fn rows_of(rows: &[(&str, &str)]) -> Vec<Row> {
    rows.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn all() -> Vec<Row> {
    rows_of(&[("alice", "100"), ("bob", "20"), ("carol", "3")])
}

#[test]
fn version_1_is_restored_for_ever() {
    let golden = undump(GOLDEN);
    let backup = Backup::read(&golden, "db/backup").unwrap();
    for (until, rows) in [
        (None, all()),
        (Some(backup.end), rows_of(&[("alice", "100")])),
        (Some(Lsn(backup.end.0 + 1)), rows_of(&[("alice", "100"), ("bob", "20")])),
    ] {
        let target = SimDisk::new();
        restore(&golden, &target, "db", until).unwrap();
        assert_eq!(accounts(&target, "db").unwrap(), rows, "{until:?}");
    }
}

#[test]
fn what_version_1_restored_opens_for_ever() {
    let golden = undump(GOLDEN);
    assert_eq!(accounts(&golden, "db/restored").unwrap(), all());
    assert_eq!(golden.contents("db/restored/restore"), None, "and that is over then");
    assert_eq!(accounts(&golden, "db/restored").unwrap(), all());
}

/// Gives a header another version, and the right checksum: version and checksum stand at 8 and 12 of all of them.
fn age(disk: &SimDisk, path: &str, bytes: usize) {
    let mut header = disk.contents(path).unwrap()[..bytes].to_vec();
    header[8] = 2;
    seal(&mut header);
    let file = disk.open(path, OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(&header)], 0).unwrap();
}

fn seal(header: &mut [u8]) {
    let mut hasher = Hasher::new();
    [&header[..12], &header[16..]].iter().for_each(|part| hasher.update(part));
    header[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
}

/// They ended in front of the number of pages.
#[test]
fn the_first_notes_are_read_for_ever() {
    let golden = undump(GOLDEN);
    for path in ["db/backup/backup", "db/restored/restore"] {
        let mut note = golden.contents(path).unwrap()[..40].to_vec();
        seal(&mut note);
        let file = golden.open(path, OpenMode::Cached).unwrap();
        file.write_at(&[IoSlice::new(&note)], 0).and_then(|()| file.set_len(40)).unwrap();
    }
    assert_eq!(Backup::read(&golden, "db/backup").unwrap().pages, 0);
    let target = SimDisk::new();
    restore(&golden, &target, "db", None).unwrap();
    assert_eq!(accounts(&target, "db").unwrap(), all());
    assert_eq!(accounts(&golden, "db/restored").unwrap(), all());
}

#[test]
fn newer_copies_of_segments_are_refused() {
    let golden = undump(GOLDEN);
    let image = golden.snapshot();
    let mut refused = 0;
    for (path, _) in golden.files().into_iter().filter(|(path, _)| path.contains("/log-")) {
        golden.restore(&image);
        age(&golden, &path, 512);
        let target = SimDisk::new();
        let error = restore(&golden, &target, "db", None).unwrap_err();
        let Error::Archive(ArchiveError::Log(LogError::Version { file, version: 2 })) = &error
        else {
            panic!("{path}: {error}");
        };
        assert_eq!(*file, path);
        says_where(&error);
        let opened = Engine::open(target.mount(), "db", options()).map(drop);
        assert!(matches!(opened, Err(Error::Foreign { .. })), "{opened:?}");
        refused += 1;
    }
    assert!(refused > 3, "only {refused} copies");
    // Nor is one taken for a copy of the segment that it has the name of.
    golden.restore(&image);
    let (engine, _) = Engine::open(SimDisk::new().mount(), "", options()).unwrap();
    age(&golden, "db/archive/log-0000000000000001", 512);
    put(&engine, engine.tree("accounts").unwrap(), b"alice", b"1");
    let error = engine.archive(&archive(&golden)).unwrap_err();
    assert!(error.to_string().contains("log format version 2"), "{error}");
}

#[test]
fn newer_notes_and_pages_are_refused() {
    let golden = undump(GOLDEN);
    age(&golden, "db/backup/backup", 48);
    age(&golden, "db/restored/restore", 48);
    let target = SimDisk::new();
    let refused = [
        ("db/backup/backup", restore(&golden, &target, "db", None).map(drop)),
        ("db/restored/restore", accounts(&golden, "db/restored").map(drop)),
    ];
    for (path, refused) in refused {
        let why = format!(
            "{path} at offset 8: it is of version 2, newer than this software knows; nothing was changed"
        );
        assert_eq!(refused.unwrap_err().to_string(), why);
    }
    assert_eq!(target.files(), []);
    let golden = undump(GOLDEN);
    let pages = golden.open("db/backup/pages", OpenMode::Cached).unwrap();
    pages.write_at(&[IoSlice::new(&[2])], 24 + 8).unwrap();
    let refused = restore(&golden, &target, "db", None).unwrap_err();
    assert!(matches!(refused, Error::Foreign { offset: 32, .. }), "{refused}");
}

#[test]
fn a_backup_that_was_cut_short_is_refused() {
    for (len, page) in [(8192, 1), (3 * 8192 - 1, 2), (0, 0)] {
        let golden = undump(GOLDEN);
        golden.open("db/backup/pages", OpenMode::Cached).unwrap().set_len(len).unwrap();
        let refused = restore(&golden, &SimDisk::new(), "db", None).unwrap_err();
        let why = format!(
            "db/backup/pages is damaged at offset {} (page{page}): the file ends before it: it was cut short; all pages from it up to page2 are lost",
            page * 8192
        );
        assert_eq!(refused.to_string(), why);
    }
}

/// A bit of every sixteen bytes that mean anything. It is asked for all that was archived: where the archive's last copy ends is
/// known by nothing else.
#[test]
fn a_flipped_bit_is_told_or_does_not_matter() {
    let golden = undump(GOLDEN);
    let last = restore(&golden, &SimDisk::new(), "db", None).unwrap();
    let image = golden.snapshot();
    let (mut told, mut tried) = (0, 0);
    let places = GOLDEN.lines().filter(|line| !line.contains('=') && !line.contains("restored"));
    for (i, line) in places.enumerate() {
        let mut words = line.split(' ');
        let path = words.next().unwrap();
        let at: u64 = words.next().unwrap().parse().unwrap();
        golden.restore(&image);
        golden.flip_bit(path, at + i as u64 % 16, i as u8 % 8);
        let target = SimDisk::new();
        tried += 1;
        match restore(&golden, &target, "db", Some(last)) {
            Ok(_) => assert_eq!(accounts(&target, "db").unwrap(), all(), "{line}"),
            Err(error) => {
                says_where(&error);
                told += 1;
                let opened = Engine::open(target.mount(), "db", options()).map(drop);
                let refused = matches!(opened, Err(Error::Foreign { .. }));
                assert!(refused || path == "db/backup/backup", "{line}: {opened:?}");
            }
        }
    }
    assert!(told > tried / 2, "{told} of {tried}");
}

//! `ombak wal`: what a log says, and what a restart would make of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ombak_aries::inspect::ENGINE_STREAM;
use ombak_aries::{CommitLog, Engine, EngineOptions, Options, OsDisk};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::alone::{start_alone, stop, wait_ready, wait_up};
use crate::support::ports::Ports;
use crate::support::process::{Finished, run};

fn wal(command: &str, dir: &Path, more: &[&str]) -> Finished {
    let dir = dir.display().to_string();
    run(["wal", command, &dir].into_iter().chain(more.iter().copied()))
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("{finished:?}"))
}

/// A database that a process left in the middle of a transaction.
fn database(dir: &Path) {
    let log = Options { segment_bytes: 64 * 1024, segments_max: 8 };
    let options = EngineOptions { log, ..EngineOptions::default() };
    let (engine, _) = Engine::open(OsDisk::open(dir).unwrap(), "", options).unwrap();
    let tree = engine.tree("accounts").unwrap();
    let mut one = engine.begin();
    tree.put(&mut one, b"alice", b"10").unwrap();
    tree.put(&mut one, b"bob", b"20").unwrap();
    one.commit().unwrap();
    engine.checkpoint().unwrap();
    engine.tree("archive").unwrap(); // Its pages take the place of the copies of the others.
    engine.checkpoint().unwrap();
    let mut two = engine.begin();
    tree.put(&mut two, b"alice", b"11").unwrap();
    engine.sync().unwrap();
    std::mem::forget(two);
}

/// Every file and its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_database_is_counted_dumped_verified_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let before = files(dir.path());

    let stat = json(&wal("stat", dir.path(), &["--json"]));
    assert_eq!((&stat["first_lsn"], &stat["is"]), (&1.into(), &"the log of a database".into()));
    let checkpoint = stat["checkpoint"]["begin"].as_u64().unwrap();
    let table = wal("stat", dir.path(), &[]);
    assert!(table.out.contains("wal/segment-000001"), "{table:?}");
    assert!(table.out.contains("a restart needs nothing below lsn"), "{table:?}");

    let from = checkpoint.to_string();
    let dump = wal("dump", dir.path(), &["--from", &from]);
    let last = dump.out.lines().last().unwrap();
    assert!(last.ends_with("tree 2: set \"alice\" = 2 bytes   (prev 0)"), "{dump:?}");
    assert_eq!(dump.out.lines().count(), 3, "{dump:?}");
    let commits = wal("dump", dir.path(), &["--kind", "commit,end", "--json"]);
    let kind = |line| serde_json::from_str::<Value>(line).unwrap()["kind"] == "commit";
    assert!(!commits.out.is_empty() && commits.out.lines().all(kind), "{commits:?}");
    let two = wal("dump", dir.path(), &["--kind", "bytes"]);
    assert_eq!(two.code, Some(2), "{two:?}");
    assert!(two.err.contains("nested-end"), "{two:?}");

    let sound = wal("verify", dir.path(), &[]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.out.contains("3 trees are whole"), "{sound:?}");
    assert_eq!(wal("stat", &dir.path().join("wal"), &[]).out, table.out, "the log is named");
    assert!(before == files(dir.path()), "nothing was written");
}

#[test]
fn a_restart_is_told_and_not_done() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    let before = files(dir.path());
    let told = wal("recover", dir.path(), &["--dry-run"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    for says in ["1. Analysis", "2. Redo", "3. Undo", "a loser: it never committed", "by a CLR"] {
        assert!(told.out.contains(says), "{says}: {told:?}");
    }
    let plan = json(&wal("recover", dir.path(), &["--dry-run", "--json"]));
    assert_eq!(plan["redo"]["totals"]["redone"], 1, "{plan}");
    assert_eq!(plan["undo"]["totals"]["taken_back"], 1, "{plan}");
    assert_eq!(wal("recover", dir.path(), &[]).code, Some(2));
    assert!(before == files(dir.path()), "nothing was written");
}

#[test]
fn damage_is_named_and_is_exit_code_1() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    flip(&dir.path().join("wal/segment-000001"), 4096 + 60);
    let log = wal("verify", dir.path(), &[]);
    assert_eq!(log.code, Some(1), "{log:?}");
    assert!(log.out.contains("damaged: wal/segment-000001, offset 4136"), "{log:?}");
    flip(&dir.path().join("pages"), 2 * 8192 + 5000);
    let report = json(&wal("verify", dir.path(), &["--json"]));
    assert_eq!(report["sound"], false);
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["offset"] == 2 * 8192), "{report}");
}

/// Appends a record of a kind that no software has written yet to the log of a database.
fn append_newer(wal: &Path) {
    let disk = OsDisk::open(wal).unwrap();
    let (mut log, _) = CommitLog::open(disk, "", Options::default(), |_, _, _| {}).unwrap();
    log.append(ENGINE_STREAM, &[&[99, 1, 2, 3]]).unwrap();
    log.sync().unwrap();
}

#[test]
fn a_record_of_newer_software_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    database(dir.path());
    append_newer(&dir.path().join("wal"));
    let verified = wal("verify", dir.path(), &[]);
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.out.contains("damaged: wal/segment-000001, offset "), "{verified:?}");
    assert!(verified.out.contains("was written by newer software: kind 99"), "{verified:?}");
    let dump = wal("dump", dir.path(), &[]);
    let last = dump.out.lines().last().unwrap();
    assert!(last.ends_with("of kind 99, by newer software, 4 bytes"), "{dump:?}");
    let told = wal("recover", dir.path(), &["--dry-run"]);
    assert!(told.err.contains("kind 99 at wal/segment-000001:"), "{told:?}");
}

#[test]
fn a_node_whose_log_is_newer_says_where_and_does_not_start() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let start = || start_alone(&ports, dir.path(), &["--backend", "btree"]);
    let mut node = start();
    wait_up(&mut node);
    stop(node, Signal::TERM);
    append_newer(&dir.path().join("btree/wal"));
    let mut refused = start();
    assert!(!refused.wait().success());
    let (said, place) = (refused.all_text(), "kind 99 at btree/wal/segment-000001:");
    assert!(said.contains(place), "{said}");
    assert!(said.contains(&dir.path().display().to_string()), "{said}");
}

#[test]
fn a_nodes_commit_log_is_read_while_the_node_is_stopped() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_ready(&mut node, &ports);
    let put = run(["put", "users", "alice", "hello", "--node", &ports.address(2).to_string()]);
    assert_eq!(put.code, Some(0), "{put:?}");
    for log in [dir.path().to_path_buf(), dir.path().join("commit-log")] {
        let held = wal("stat", &log, &[]);
        assert_eq!(held.code, Some(3), "{held:?}");
        assert!(held.err.contains("in use by another process"), "{held:?}");
    }
    stop(node, Signal::TERM);

    let stat = wal("stat", dir.path(), &[]);
    assert!(stat.out.contains("partition ") && stat.out.contains("bytes"), "{stat:?}");
    let dump = wal("dump", dir.path(), &["--kind", "bytes"]);
    assert!(dump.out.lines().count() > 0 && dump.out.contains("  offset "), "{dump:?}");
    let verified = wal("verify", dir.path(), &[]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let recover = wal("recover", dir.path(), &["--dry-run"]);
    assert_eq!(recover.code, Some(3), "{recover:?}");
    assert!(recover.err.contains("its own replay"), "{recover:?}");
}

#[test]
fn what_has_no_log_or_a_newer_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let none = wal("stat", dir.path(), &[]);
    assert_eq!(none.code, Some(3), "{none:?}");
    assert!(none.err.contains("has no log"), "{none:?}");
    let missing = wal("dump", &dir.path().join("missing"), &[]);
    assert!(missing.err.contains("No such file"), "{missing:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");

    database(dir.path());
    let segment = dir.path().join("wal/segment-000001");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] = 2;
    let mut sector = bytes[..12].to_vec();
    sector.extend_from_slice(&bytes[16..512]);
    bytes[12..16].copy_from_slice(&crc32(&sector).to_le_bytes());
    fs::write(&segment, bytes).unwrap();
    let newer = wal("verify", dir.path(), &[]);
    assert_eq!(newer.code, Some(3), "{newer:?}");
    assert!(newer.err.contains("log format version 2, newer"), "{newer:?}");
}

/// IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

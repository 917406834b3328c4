//! Prepared transactions: what they have they keep through crashes, until they are told.

use super::*;
use crate::error::Error;

#[test]
fn a_prepared_transaction_waits_to_be_told_through_crashes() {
    for commits in [true, false] {
        let disk = SimDisk::new();
        let (engine, _) = Engine::open(disk.mount(), "", small()).unwrap();
        let tree = engine.tree("rows").unwrap();
        tree.put_now(&engine, b"a", b"old").unwrap();
        tree.put_now(&engine, b"b", b"old").unwrap();
        let mut txn = engine.begin();
        tree.put(&mut txn, b"a", b"new").unwrap();
        tree.put(&mut txn, b"a", b"newer").unwrap();
        tree.delete(&mut txn, b"b").unwrap();
        tree.put(&mut txn, b"c", b"new").unwrap();
        drop(txn.prepare(b"order 66").unwrap());
        drop(engine);
        for _ in 0..3 {
            disk.crash_with(|_| false);
            let (engine, mut restart) = Engine::open(disk.mount(), "", small()).unwrap();
            let prepared = restart.prepared.pop().unwrap();
            assert_eq!((prepared.name(), restart.prepared.len()), (&b"order 66"[..], 0));
            let old = |key: &[u8]| (key.to_vec(), b"old".to_vec());
            assert_eq!(rows(&engine, "rows"), [old(b"a"), old(b"b")], "not visible yet");
            let mut other = engine.begin();
            for key in [b"a", b"b", b"c"] {
                assert!(matches!(tree.put(&mut other, key, b"x"), Err(Error::Locked { .. })));
            }
        }
        disk.crash_with(|_| false);
        let (engine, mut restart) = Engine::open(disk.mount(), "", small()).unwrap();
        let prepared = restart.prepared.pop().unwrap();
        let (a, c) = ((b"a".to_vec(), b"newer".to_vec()), (b"c".to_vec(), b"new".to_vec()));
        if commits {
            prepared.commit().unwrap();
            assert_eq!(rows(&engine, "rows"), [a, c]);
        } else {
            prepared.rollback().unwrap();
            assert_eq!(rows(&engine, "rows").len(), 2);
        }
        drop(engine);
        disk.crash_with(|_| false);
        let (engine, restart) = Engine::open(disk.mount(), "", small()).unwrap();
        assert!(restart.prepared.is_empty());
        assert_eq!(rows(&engine, "rows").len(), 2);
    }
}

/// A, which it has read and locked, is why it changes B. Nobody else may change A before it has committed.
#[test]
fn what_a_prepared_transaction_has_locked_and_not_changed_stays_locked() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let many: Vec<[u8; 2]> = (0..500u16).map(u16::to_be_bytes).collect();
    let mut txn = engine.begin();
    for key in &many {
        assert_eq!(tree.get_locked(&mut txn, key).unwrap(), None);
    }
    tree.put(&mut txn, b"b", b"1").unwrap();
    drop(txn.prepare(b"order 67").unwrap());
    drop(engine);
    for _ in 0..2 {
        disk.crash_with(|_| false);
        let (engine, restart) = Engine::open(disk.mount(), "", small()).unwrap();
        assert_eq!(restart.prepared.len(), 1);
        let mut other = engine.begin();
        for key in many.iter().map(|key| &key[..]).chain([&b"b"[..]]) {
            assert!(matches!(tree.put(&mut other, key, b"x"), Err(Error::Locked { .. })));
        }
        // What it has not changed can be read.
        assert_eq!(tree.get(&other, &many[7]).unwrap(), None);
    }
    disk.crash_with(|_| false);
    let (engine, mut restart) = Engine::open(disk.mount(), "", small()).unwrap();
    restart.prepared.pop().unwrap().rollback().unwrap();
    let mut other = engine.begin();
    tree.put(&mut other, &many[7], b"x").unwrap();
    other.commit().unwrap();
    assert_eq!(rows(&engine, "rows").len(), 1);
}

/// Others may fill the log, but for what it takes to take the prepared one back: here more than is left for want of knowing better.
#[test]
fn a_prepared_transaction_can_be_taken_back_after_a_crash_and_with_a_full_log() {
    let options = || EngineOptions {
        log: crate::Options { segment_bytes: 64 * 1024, segments_max: 256 },
        checkpoint_bytes: 1024 * 1024,
        ..small()
    };
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "", options()).unwrap();
    let tree = engine.tree("rows").unwrap();
    let keys = || (0..1450u16).map(u16::to_be_bytes);
    for key in keys() {
        tree.put_now(&engine, &key, &[6; 1500]).unwrap();
    }
    engine.checkpoint().unwrap();
    let mut txn = engine.begin();
    keys().for_each(|key| tree.put(&mut txn, &key, &[7; 1500]).unwrap());
    drop(txn.prepare(b"order 68").unwrap());
    drop(engine);
    disk.crash_with(|_| false);
    let (engine, mut restart) = Engine::open(disk.mount(), "", options()).unwrap();
    let full = (0..).find_map(|i: u32| tree.put_now(&engine, &i.to_be_bytes(), &[8; 700]).err());
    assert!(matches!(full, Some(Error::LogFull { .. })), "{full:?}");
    restart.prepared.pop().unwrap().rollback().unwrap();
    for key in keys() {
        assert_eq!(tree.get_latest(&engine, &key).unwrap().unwrap()[..], [6; 1500]);
    }
}

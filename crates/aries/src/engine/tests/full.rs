//! Logs that are so small that a batch is a large part of them.

use ombak_sim::Rng;

use super::world::abandon;
use super::*;
use crate::error::Error;
use crate::log::{LogError, Options};
use crate::page::PAGE_BYTES;
use crate::seeds::seeds;
use crate::tree::Tree;

const LOGS: [(u64, u32); 4] = [(256 * 1024, 4), (64 * 1024, 16), (1024 * 1024, 4), (256 * 1024, 8)];

fn options((segment_bytes, segments_max): (u64, u32)) -> EngineOptions {
    EngineOptions {
        pool_bytes: 64 * PAGE_BYTES as u64,
        log: Options { segment_bytes, segments_max },
        checkpoint_bytes: 64 << 20,
        ..small()
    }
}

fn open(disk: &SimDisk, log: (u64, u32)) -> (Engine, Tree) {
    let (engine, _) = Engine::open(disk.mount(), "db", options(log)).unwrap();
    let tree = engine.tree("rows").unwrap();
    (engine, tree)
}

/// Whether it was refused for want of room in the log.
fn is_full(error: &Error) -> bool {
    matches!(error, Error::LogFull { .. } | Error::Log(LogError::Full))
}

/// One small row, and a sync, and again: what a sync takes besides its records is most of the log.
#[test]
fn a_small_log_takes_any_number_of_single_changes() {
    for log in LOGS {
        let disk = SimDisk::new();
        let (engine, tree) = open(&disk, log);
        for i in 0..3000u32 {
            let key = (i % 500).to_be_bytes();
            let lsn = tree.put_now(&engine, &key, &i.to_be_bytes());
            engine.force(lsn.unwrap_or_else(|error| panic!("{log:?}, {i}: {error}"))).unwrap();
        }
    }
}

/// Large rows that nobody syncs: batches are as large as they get.
#[test]
fn a_small_log_takes_any_number_of_lazy_changes() {
    for log in LOGS {
        let disk = SimDisk::new();
        let (engine, tree) = open(&disk, log);
        for i in 0..4000u32 {
            let mut txn = engine.begin();
            let put = tree.put(&mut txn, &(i % 700).to_be_bytes(), &[i as u8; 1800]);
            put.and_then(|()| txn.commit_lazily().map(drop))
                .unwrap_or_else(|error| panic!("{log:?}, {i}: {error}"));
        }
        engine.sync().unwrap();
    }
}

/// Whatever fills the log, and wherever it stops: a start finds room to take back what has to be, and then there is room.
#[test]
fn a_small_log_that_is_full_opens() {
    for (seed, log) in seeds(10).flat_map(|seed| LOGS.map(|log| (seed, log))) {
        let disk = SimDisk::new();
        let mut rng = Rng::new(seed);
        for life in 0..6 {
            let (engine, tree) = open(&disk, log);
            let mut running: Vec<_> = (0..3).map(|_| engine.begin()).collect();
            let lazy = rng.chance(1, 2);
            for i in 0..rng.between(200, 3000) as u32 {
                let who = rng.below(3) as usize;
                let key = [&[who as u8][..], &rng.below(400).to_be_bytes()].concat();
                let len = [20, 1900][rng.below(2) as usize];
                match tree.put(&mut running[who], &key, &vec![i as u8; len]) {
                    Ok(()) => {}
                    Err(error) if is_full(&error) => break,
                    Err(error) => panic!("{log:?}, {seed}, {life}: {error}"),
                }
                if rng.chance(1, 20) {
                    let txn = running.remove(who);
                    let done = if lazy { txn.commit_lazily().map(drop) } else { txn.commit() };
                    done.unwrap_or_else(|error| panic!("{log:?}, {seed}, {life}: {error}"));
                    running.insert(who, engine.begin());
                }
            }
            running.into_iter().for_each(abandon);
            if rng.chance(1, 2) {
                let _full = engine.sync();
            }
            drop(engine);
            disk.crash_with(|_| rng.chance(3, 4));
            let opened = Engine::open(disk.mount(), "db", options(log)).map(drop);
            opened.unwrap_or_else(|error| panic!("{log:?}, {seed}, {life}: {error}"));
            disk.crash_with(|_| rng.chance(3, 4));
        }
        let (engine, tree) = open(&disk, log);
        let lsn = tree.put_now(&engine, b"on", b"it goes").unwrap();
        engine.force(lsn).unwrap();
    }
}

/// What held the log back has gone: that alone makes room, without anything more being logged.
#[test]
fn a_log_that_was_full_of_a_transaction_takes_changes_once_it_has_ended() {
    for log in LOGS {
        let (engine, tree) = open(&SimDisk::new(), log);
        let mut oldest = engine.begin();
        tree.put(&mut oldest, b"oldest", b"1").unwrap();
        let put = |i: u32| tree.put_now(&engine, &(i % 500).to_be_bytes(), &[i as u8; 1500]);
        let full = (0..).find_map(|i| put(i).err()).unwrap();
        assert!(matches!(full, Error::LogFull { oldest: Some(it) } if it == oldest.id()), "{full}");
        assert!(is_full(&put(0).unwrap_err()), "and it stays full");
        oldest.commit_lazily().unwrap();
        for i in 0..1000 {
            put(i).unwrap_or_else(|error| panic!("{log:?}, {i}: {error}"));
        }
    }
}

/// What a segment says it needs is what was known when it was begun. A start that has to begin one knows what the log's last
/// checkpoint says: else, where each life ends with its segment full, none would ever be used again.
#[test]
fn lives_that_end_with_a_full_segment_do_not_fill_the_log() {
    let disk = SimDisk::new();
    let segment = small().log.segment_bytes;
    for life in 0..3 * u64::from(small().log.segments_max) {
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        let tree = engine.tree("rows").unwrap();
        engine.checkpoint().unwrap();
        let is_full = || engine.usage().log_used_bytes.is_multiple_of(segment);
        for key in (0..100u8).take_while(|_| !is_full()) {
            tree.put_now(&engine, &[key], &life.to_le_bytes()).unwrap();
            engine.sync().unwrap();
        }
        assert!(is_full());
        drop(engine);
        disk.crash_with(|_| true);
    }
}

//! Each contender decides what was asked for, on all three replicas: a run fails if it did not.

use clap::ValueEnum;
use tempfile::TempDir;

use super::Kind;
use crate::job::Job;

fn run_all(bytes: usize, window: usize, is_synced: bool) {
    for &contender in Kind::value_variants() {
        let dir = TempDir::new().unwrap();
        let kept = is_synced.then(|| dir.path().to_path_buf());
        let job = Job { contender, bytes, window, batch: window, seconds: 0.05, dir: kept };
        let measured = job.run().unwrap();
        assert!(measured.commands > 0, "{contender:?}");
        assert_eq!(measured.syncs > 0, is_synced, "{contender:?}");
    }
}

#[test]
fn in_memory_one_after_the_other() {
    run_all(16, 1, false);
}

#[test]
fn in_memory_many_at_a_time() {
    run_all(1024, 3_000, false);
}

#[test]
fn synced_one_after_the_other() {
    run_all(16, 1, true);
}

#[test]
fn synced_many_at_a_time() {
    run_all(1024, 100, true);
}

//! `ombak store`: what a data directory holds, while its node does not run.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::alone::{start_alone, stop, wait_ready};
use crate::support::ports::Ports;
use crate::support::process::{Finished, run};

const KEYS: usize = 20;

fn store(command: &str, dir: &Path, more: &[&str]) -> Finished {
    let dir = dir.display().to_string();
    run(["store", command, &dir].into_iter().chain(more.iter().copied()))
}

fn json(command: &str, dir: &Path) -> Value {
    let finished = store(command, dir, &["--json"]);
    serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("{finished:?}"))
}

/// Keys that clients know, in all partitions; a node has some small records of its own.
fn keys(report: &Value) -> u64 {
    let partitions = report["partitions"].as_array().unwrap();
    partitions.iter().map(|partition| partition["keys"].as_u64().unwrap()).sum()
}

/// Turns one bit of a value in the partition's file, and in the commit log, which would put the file right.
fn damage(dir: &Path) -> PathBuf {
    let list = |dir: PathBuf| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let logs = list(dir.join("commit-log"));
    let files: Vec<PathBuf> = list(dir.join("vnodes")).flat_map(list).chain(logs).collect();
    let value = b"the value of 7";
    let turned = files.into_iter().filter(|file| {
        let mut bytes = fs::read(file).unwrap();
        let at = bytes.windows(value.len()).position(|text| text == value);
        if let Some(at) = at {
            bytes[at] ^= 1;
            fs::write(file, bytes).unwrap();
        }
        at.is_some()
    });
    let turned: Vec<PathBuf> = turned.collect();
    assert_eq!(turned.len(), 2, "{turned:?}");
    turned[0].clone()
}

#[test]
fn a_directory_is_counted_and_verified_while_its_node_is_stopped() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_ready(&mut node, &ports);
    let http = ports.address(2).to_string();
    for key in 0..KEYS {
        let (key, value) = (key.to_string(), format!("the value of {key}"));
        let put = run(["put", "users", &key, &value, "--node", &http]);
        assert_eq!(put.code, Some(0), "{put:?}");
    }
    let held = store("stat", dir.path(), &[]);
    assert_eq!(held.code, Some(3), "{held:?}");
    assert!(held.err.contains("in use by another process"), "{held:?}");
    stop(node, Signal::TERM);

    let stat = json("stat", dir.path());
    assert!(keys(&stat) >= KEYS as u64, "{stat}");
    assert_eq!((&stat["node"], &stat["ring_size"]), (&"riak@127.0.0.1".into(), &8.into()));
    let verified = json("verify", dir.path());
    assert_eq!(verified["verified"]["entries"], keys(&stat), "{verified}");
    let table = store("verify", dir.path(), &[]);
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.out.contains("partition") && table.out.contains("match their checksums"));

    let file = damage(dir.path());
    let found = store("verify", dir.path(), &[]);
    assert_eq!(found.code, Some(3), "{found:?}");
    let file = file.strip_prefix(dir.path()).unwrap().display().to_string();
    assert!(found.out.contains(&file) && found.out.contains("bucket \"users\""), "{found:?}");
    assert!(found.err.contains("ombak repair"), "{found:?}");
    assert_eq!(json("verify", dir.path())["verified"]["damaged"], 1);
}

#[test]
fn what_is_no_data_directory_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("missing")] {
        let finished = store("verify", &path, &[]);
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.err.contains("is no data directory"), "{finished:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

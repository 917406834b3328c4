//! `ombak snapshot`: a copy of a running node's data that another node starts on.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::alone::{start_alone, stop, wait_ready};
use crate::support::ports::Ports;
use crate::support::process::{Finished, run};

fn put(http: &str, key: &str, value: &str) {
    let put = run(["put", "users", key, value, "--node", http]);
    assert_eq!(put.code, Some(0), "{put:?}");
}

fn get(http: &str, key: &str) -> Finished {
    run(["get", "users", key, "--node", http])
}

#[test]
fn a_node_starts_on_a_snapshot_of_another() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_ready(&mut node, &ports);
    let http = ports.address(2).to_string();
    put(&http, "before", "x");
    let made = run(["snapshot", "monday", "--node", &http, "--json"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let copy = Path::new(made["dir"].as_str().unwrap()).to_path_buf();
    assert_eq!(copy, dir.path().join("snapshots/monday"));
    put(&http, "after", "y");

    let again = run(["snapshot", "monday", "--node", &http]);
    assert_eq!(again.code, Some(3), "{again:?}");
    assert!(again.err.contains("choose another name"), "{again:?}");
    let outside = run(["snapshot", "../monday", "--node", &http]);
    assert!(outside.err.contains("no name for a snapshot"), "{outside:?}");

    let verified = run(["store", "verify", &copy.display().to_string()]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    stop(node, Signal::TERM);
    let mut node = start_alone(&ports, &copy, &[]);
    wait_ready(&mut node, &ports);
    assert_eq!(get(&http, "before").out, "x\n");
    assert_eq!(get(&http, "after").code, Some(1), "it came after the snapshot");
    put(&http, "more", "z");
    stop(node, Signal::TERM);
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_ready(&mut node, &ports);
    assert_eq!((get(&http, "after").out.as_str(), get(&http, "more").code), ("y\n", Some(1)));
    stop(node, Signal::TERM);
}

#[test]
fn a_node_in_memory_has_nothing_to_copy() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, dir.path(), &["--backend", "memory"]);
    wait_ready(&mut node, &ports);
    let made = run(["snapshot", "--node", &ports.address(2).to_string()]);
    assert_eq!(made.code, Some(3), "{made:?}");
    assert!(made.err.contains("in memory"), "{made:?}");
    stop(node, Signal::TERM);
}

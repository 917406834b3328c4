//! `ombak record` and `ombak sim --conform`: what a node did, played by the same program.

use std::fs;

use rustix::process::Signal;

use crate::support::alone::{start_alone, stop, wait_ready};
use crate::support::ports::Ports;
use crate::support::process::run;

#[test]
fn what_a_node_recorded_is_what_the_program_does() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, &dir.path().join("data"), &["--record-mib", "16"]);
    wait_ready(&mut node, &ports);
    let http = ports.address(2).to_string();
    for n in 0..5 {
        let put = run(["put", "users", &format!("k{n}"), "v", "--w", "1", "--node", &http]);
        assert_eq!(put.code, Some(0), "{put:?}");
        assert_eq!(run(["get", "users", &format!("k{n}"), "--node", &http]).out, "v\n");
    }
    let tape = dir.path().join("n.tape").display().to_string();
    let recorded = run(["record", &tape, "--node", &http]);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    assert!(recorded.out.contains("steps of 1 shards of riak@127.0.0.1"), "{recorded:?}");
    stop(node, Signal::TERM);

    let played = run(["sim", "--conform", &tape, "--trace", "3"]);
    assert_eq!(played.code, Some(0), "{played:?}");
    assert!(played.out.contains("each as it was recorded"), "{played:?}");
    assert!(played.out.contains("writes are where they were said to be"), "{played:?}");
    assert!(played.out.contains("n0.s0 #"), "the last steps: {played:?}");

    let mut bytes = fs::read(&tape).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tape, bytes).unwrap();
    let damaged = run(["sim", "--conform", &tape]);
    assert_eq!(damaged.code, Some(3), "{damaged:?}");
    assert!(damaged.err.contains("does not fit its checksum"), "{damaged:?}");
}

#[test]
fn a_node_that_records_nothing_says_how_it_would() {
    let (ports, dir) = (Ports::take(), tempfile::tempdir().unwrap());
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_ready(&mut node, &ports);
    let tape = dir.path().join("n.tape").display().to_string();
    let recorded = run(["record", &tape, "--node", &ports.address(2).to_string()]);
    assert_eq!(recorded.code, Some(3), "{recorded:?}");
    assert!(recorded.err.contains("--record-mib"), "{recorded:?}");
    stop(node, Signal::TERM);
}

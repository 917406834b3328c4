//! One node that is a cluster of its own.

use std::path::Path;

use rustix::process::Signal;

use super::cluster::{is_ready, wait_status};
use super::ports::Ports;
use super::process::Process;

pub fn start_alone(ports: &Ports, dir: &Path, more: &[&str]) -> Process {
    let mut arguments = vec!["start".to_string(), "--dir".into(), dir.display().to_string()];
    for (option, port) in [("--pb", 1), ("--http", 2), ("--peer", 3)] {
        arguments.extend([option.into(), ports.address(port).to_string()]);
    }
    arguments.extend(["--ring-size".to_string(), "8".into(), "--shards".into(), "1".into()]);
    arguments.extend(more.iter().map(|text| text.to_string()));
    Process::ombak(arguments)
}

pub fn wait_up(node: &mut Process) {
    node.wait_line("word that the node is up", |_, line| line.contains("the node is up"));
}

/// Waits until it can name writes.
pub fn wait_ready(node: &mut Process, ports: &Ports) {
    wait_status(node, ports.address(2), "a node to be ready", is_ready);
}

pub fn stop(mut process: Process, signal: Signal) {
    process.signal(signal);
    let status = process.wait();
    assert!(status.success(), "{status}: {}", process.all_text());
}

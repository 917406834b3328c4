//! What `ombak register` promises when nodes are killed, and lose their disks.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod support;

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use ombak_server::report::RootReport;
use support::cluster::Cluster;
use support::process::{PATIENCE, ombak};

fn register(cluster: &Cluster, args: &[&str]) -> Output {
    let nodes: Vec<String> = (0..3).map(|node| cluster.http_address(node).to_string()).collect();
    ombak().arg("register").args(args).args(["--node", &nodes.join(",")]).output().unwrap()
}

fn text(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Until it is so.
fn sure(cluster: &Cluster, args: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = register(cluster, args);
        if let (Some(0), said) = text(&output) {
            return said;
        }
        assert!(Instant::now() < deadline, "{args:?}: {output:?}");
    }
}

#[test]
fn what_is_set_stays_when_nodes_die_and_disks_are_lost() {
    let mut cluster = Cluster::start();
    assert_eq!(sure(&cluster, &["set", "leader", "db1"]), "1");
    let taken = register(&cluster, &["set", "leader", "db2", "--if-absent"]);
    assert_eq!(taken.status.code(), Some(1), "{taken:?}");
    for lost in 0..3 {
        cluster.kill(lost);
        let version = (1 + lost).to_string();
        let next = format!("db{}", lost + 2);
        let set = ["set", "leader", &next, "--if-version", &version];
        assert_eq!(sure(&cluster, &set), (2 + lost).to_string());
        fs::remove_dir_all(cluster.dir_of(lost)).unwrap();
        cluster.start_node(lost);
        cluster.wait_serving();
        await_keeping(&cluster, lost);
    }
    assert_eq!(sure(&cluster, &["get", "leader"]), "db4");
    let json = sure(&cluster, &["get", "leader", "--json"]);
    assert!(json.contains("\"version\": 4"), "{json}");
    assert_eq!(sure(&cluster, &["remove", "leader"]), "5");
    assert_eq!(register(&cluster, &["get", "leader"]).status.code(), Some(1));
    (0..3).for_each(|node| cluster.stop(node));
}

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);

/// Until the node has copied what its seat is to know, and votes again in the group that says who sits where: before that, its disk
/// counts as lost.
fn await_keeping(cluster: &Cluster, node: usize) {
    let deadline = Instant::now() + PATIENCE;
    let keeps = |root: RootReport| root.keeps_registers && root.voters.len() == 3;
    while !cluster.status(node).and_then(|status| status.root).is_some_and(keeps) {
        assert!(Instant::now() < deadline, "node {node} does not keep registers again");
        std::thread::sleep(PACE);
    }
}

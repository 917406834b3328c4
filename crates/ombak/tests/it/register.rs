//! What `ombak register` promises when nodes are killed, and lose their disks.

use std::fs;
use std::time::Instant;

use crate::support::cluster::Cluster;
use crate::support::process::{Finished, PATIENCE, run};

fn register(cluster: &Cluster, args: &[&str]) -> Finished {
    let nodes: Vec<String> = (0..3).map(|node| cluster.http_address(node).to_string()).collect();
    run([&["register"], args, &["--node", &nodes.join(",")]].concat())
}

/// What any node says of which there are.
fn list(cluster: &Cluster, args: &[&str]) -> String {
    let nodes: Vec<String> = (0..3).map(|node| cluster.http_address(node).to_string()).collect();
    let finished = run([&["registers"], args, &["--node", &nodes.join(",")]].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out.trim().to_string()
}

/// Until it is so.
fn sure(cluster: &Cluster, args: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let finished = register(cluster, args);
        if finished.code == Some(0) {
            return finished.out.trim().to_string();
        }
        assert!(Instant::now() < deadline, "{args:?}: {finished:?}");
    }
}

#[test]
fn what_is_set_stays_when_nodes_die_and_disks_are_lost() {
    let mut cluster = Cluster::start();
    assert_eq!(sure(&cluster, &["set", "leader", "db1"]), "1");
    let taken = register(&cluster, &["set", "leader", "db2", "--if-absent"]);
    assert_eq!(taken.code, Some(1), "{taken:?}");
    for lost in 0..3 {
        cluster.kill(lost);
        let version = (1 + lost).to_string();
        let next = format!("db{}", lost + 2);
        let set = ["set", "leader", &next, "--if-version", &version];
        assert_eq!(sure(&cluster, &set), (2 + lost).to_string());
        fs::remove_dir_all(cluster.dir_of(lost)).unwrap();
        cluster.start_node(lost);
        cluster.wait_serving();
        cluster.wait_keeping_registers();
    }
    assert_eq!(sure(&cluster, &["get", "leader"]), "db4");
    let json = sure(&cluster, &["get", "leader", "--json"]);
    assert!(json.contains("\"version\": 4"), "{json}");
    let listed = |args: &[&str]| list(&cluster, args);
    assert_eq!(listed(&["--json"]), "{\"name\":\"leader\",\"version\":4,\"value_bytes\":3}");
    assert_eq!(sure(&cluster, &["remove", "leader"]), "5");
    assert_eq!(listed(&[]), "there are no registers");
    let row = listed(&["--removed"]);
    assert!(["leader", "5", "removed"].iter().all(|what| row.contains(what)), "{row}");
    assert_eq!(register(&cluster, &["get", "leader"]).code, Some(1));
    (0..3).for_each(|node| cluster.stop(node));
}

//! What `ombak register` promises when nodes are killed, and lose their disks.

use std::fs;
use std::process::Output;
use std::time::Instant;

use crate::support::cluster::Cluster;
use crate::support::process::{PATIENCE, ombak, output};

fn register(cluster: &Cluster, args: &[&str]) -> Output {
    let nodes: Vec<String> = (0..3).map(|node| cluster.http_address(node).to_string()).collect();
    output(ombak().arg("register").args(args).args(["--node", &nodes.join(",")]))
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
        cluster.wait_keeping_registers();
    }
    assert_eq!(sure(&cluster, &["get", "leader"]), "db4");
    let json = sure(&cluster, &["get", "leader", "--json"]);
    assert!(json.contains("\"version\": 4"), "{json}");
    assert_eq!(sure(&cluster, &["remove", "leader"]), "5");
    assert_eq!(register(&cluster, &["get", "leader"]).status.code(), Some(1));
    (0..3).for_each(|node| cluster.stop(node));
}

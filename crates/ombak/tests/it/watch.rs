//! What operators see of nodes that work: rates, and one request in the logs of all nodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::cluster::Cluster;
use crate::support::demo::Demo;
use crate::support::pb::{Pb, put_req};
use crate::support::process::{PATIENCE, run};

#[test]
fn one_put_can_be_followed_through_the_logs_of_all_nodes() {
    let mut cluster = Cluster::start_with(&["--log", "info,ombak::request=debug"]);
    let url = |cluster: &Cluster, node, path: &str| {
        format!("http://{}{path}", cluster.http_address(node))
    };
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build();
    let agent = ureq::Agent::from(config);
    let props = url(&cluster, 0, "/buckets/two/props");
    let two = agent.put(&props).content_type("application/json").send(r#"{"props":{"n_val":2}}"#);
    assert_eq!(two.unwrap().status(), 204);
    let preflist = agent.get(url(&cluster, 0, "/buckets/two/keys/k/preflist")).call().unwrap();
    let preflist = preflist.into_body().read_to_string().unwrap();
    let is_owner = |node: usize| preflist.contains(&format!("\"{}\"", cluster.name(node)));
    let entry = (0..3).find(|node| !is_owner(*node)).expect("a node that has no replica");

    let put = agent.put(url(&cluster, entry, "/buckets/two/keys/k")).content_type("text/plain");
    let put = put.send("v").unwrap();
    assert_eq!(put.status(), 204);
    let id = put.headers()["x-ombak-request-id"].to_str().unwrap().to_string();

    let mut says = |node: usize, words: &str| {
        let process = cluster.process(node);
        process.wait_line(words, |_, line| line.contains(&id) && line.contains(words))
    };
    says(entry, "entered: put");
    let forwarded = says(entry, "forwarded: put");
    says(entry, "answered");
    // The log calls nodes by their place among the members, from n0.
    let peer = forwarded.split("peer=n").nth(1).unwrap();
    let coordinator: usize = peer[..1].parse().unwrap();
    let replica = 3 - entry - coordinator;
    says(coordinator, "coordinates: put");
    says(coordinator, "asks: merge");
    says(coordinator, "heard: durable");
    says(replica, "was asked: merge");
}

#[test]
fn top_measures_what_clients_do() {
    let demo = Demo::start(&["--nodes", "2"]);
    let (done, address) = (AtomicBool::new(false), demo.pb(0));
    let puts = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut pb = Pb::connect(address).unwrap();
            let mut puts = 0;
            while !done.load(Ordering::Relaxed) {
                pb.put(put_req("b", &format!("k{}", puts % 100), "value")).unwrap();
                puts += 1;
            }
            puts
        });
        let nodes = [demo.http(0).to_string(), demo.http(1).to_string()];
        let both = ["top", "--once", "--node", &nodes[0], "--node", &nodes[1]];
        let json = run(both.iter().copied().chain(["--json", "--interval", "0.5"]));
        let table = run(both);
        done.store(true, Ordering::Relaxed);
        let measured: Value =
            serde_json::from_str(&json.out).unwrap_or_else(|_| panic!("{json:?}"));
        let rates = |node: usize| &measured["nodes"][node]["rates"];
        let put = &rates(0)["operations"]["put"];
        assert!(put["per_second"].as_f64().unwrap() > 0.0, "{put}");
        assert!(put["p50_us"].as_u64() <= put["max_us"].as_u64());
        assert_eq!(rates(1)["operations"]["put"]["per_second"], 0.0, "its clients do nothing");
        assert!(rates(1)["log"]["syncs_per_second"].as_f64().unwrap() > 0.0, "its replicas do");
        assert_eq!((&rates(0)["peers_up"], &rates(0)["connections"]), (&1.into(), &1.into()));
        assert!(rates(0)["store"]["keys"].as_u64().is_some());
        for word in ["dev1@127.0.0.1", "dev2@127.0.0.1", "sync p99", "1 of 1"] {
            assert!(table.out.contains(word), "{word}: {}", table.out);
        }
        assert!(!table.out.contains('\x1b'), "no terminal, no escapes");
        load.join().unwrap()
    });
    assert!(puts > 0);
}

#[test]
fn top_of_nobody_says_what_to_start() {
    let finished = run(["top", "--node", "127.0.0.1:1", "--once"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.err.contains("ombak demo") && finished.err.lines().count() == 1);
}

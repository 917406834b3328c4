//! What a cluster of real processes promises when nodes are killed, hang, and come back.
//!
//! These are the failures that broke another young Riak work-alike whose own checks ran on mocks, and those that were
//! counted in a real Riak.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ombak_wire::{Request, RpbGetReq, RpbPutReq, quorum};
use rustix::process::Signal;

use crate::support::cluster::Cluster;
use crate::support::load::{Load, missing};
use crate::support::many::{
    alone_it_has_all, count_values, damage_a_value, get_many, put_many, repair,
};
use crate::support::pb::{Pb, PbError, del_req, found, get_req, put_req, values};
use crate::support::process::run;

/// No request waits longer for a replica that is dead or hangs.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn of_two_puts_without_a_context_the_second_is_there() {
    let cluster = Cluster::start();
    cluster.pb(0).allow_mult("siblings", true).unwrap();
    cluster.pb(0).allow_mult("single", false).unwrap();
    for at in 0..20 {
        let key = format!("k{at}");
        for bucket in ["siblings", "single"] {
            cluster.pb(at % 3).put(put_req(bucket, &key, "first")).unwrap();
            cluster.pb((at + 1) % 3).put(put_req(bucket, &key, "second")).unwrap();
        }
        let read = |bucket| values(&cluster.pb((at + 2) % 3).get(get_req(bucket, &key)).unwrap());
        assert_eq!(read("siblings"), ["first", "second"], "{key}");
        assert_eq!(read("single"), ["second"], "{key}");
    }
}

#[test]
fn of_two_concurrent_puts_right_after_allow_mult_both_are_there() {
    const PAIRS: usize = 120;
    let cluster = Cluster::start();
    let mut nodes: Vec<Pb> = (0..3).map(|node| cluster.pb(node)).collect();
    let mut wrong = Vec::new();
    for at in 0..PAIRS {
        // A bucket that nobody has heard of, each time.
        let bucket = format!("b{at}");
        nodes[at % 3].allow_mult(&bucket, true).unwrap();
        let writers = [((at + 1) % 3, "left"), ((at + 2) % 3, "right")];
        for (node, value) in writers {
            nodes[node].send(&[Request::Put(put_req(&bucket, "k", value))]).unwrap();
        }
        for (node, _) in writers {
            nodes[node].receive().unwrap();
        }
        let found = values(&nodes[at % 3].get(get_req(&bucket, "k")).unwrap());
        if found != ["left", "right"] {
            wrong.push((at, found));
        }
    }
    println!("{} of {PAIRS} pairs have both values", PAIRS - wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn more_writes_than_live_nodes_are_refused() {
    let mut cluster = Cluster::start();
    let mut pb = cluster.pb(0);
    let put = |w: u32| RpbPutReq { w: Some(w), ..put_req("b", "k", "v") };
    pb.put(put(3)).unwrap();
    cluster.kill(2);
    refused_at_once(&mut pb, put(3), "w_val_unsatisfied");
    refused_at_once(&mut pb, put(quorum::ALL), "w_val_unsatisfied");
    let durable = RpbPutReq { dw: Some(3), ..put_req("b", "k", "v") };
    refused_at_once(&mut pb, durable, "dw_val_unsatisfied");
    pb.put(put(2)).unwrap();
    cluster.kill(1);
    refused_at_once(&mut pb, put(2), "w_val_unsatisfied");
    let read = |r: u32| RpbGetReq { r: Some(r), ..get_req("b", "k") };
    let error = pb.get(read(2)).unwrap_err();
    assert!(error.text().contains("r_val_unsatisfied"), "{error:?}");
    assert_eq!(values(&pb.get(read(1)).unwrap()).len(), 1);
}

fn refused_at_once(pb: &mut Pb, put: RpbPutReq, why: &str) {
    let begin = Instant::now();
    let error = pb.put(put).unwrap_err();
    assert!(error.text().contains(why), "{error:?}");
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

#[test]
fn node_confirms_are_met_by_nodes_that_are_up() {
    let mut cluster = Cluster::start();
    let mut pb = cluster.pb(0);
    let put = |confirms: u32| RpbPutReq {
        w: Some(1),
        node_confirms: Some(confirms),
        ..put_req("b", "k", "v")
    };
    let get = |confirms: u32| RpbGetReq {
        r: Some(1),
        node_confirms: Some(confirms),
        ..get_req("b", "k")
    };
    pb.put(put(3)).unwrap();
    assert_eq!(values(&pb.get(get(3)).unwrap()), ["v"]);
    cluster.kill(2);
    // How many had confirmed when the death was noticed differs.
    refused_at_once(&mut pb, put(3), "{node_confirms_val_unsatisfied,3,");
    let error = pb.get(get(3)).unwrap_err();
    assert!(error.text().contains("{node_confirms_val_unsatisfied,3,"), "{error:?}");
    pb.put(put(2)).unwrap();
    assert_eq!(values(&pb.get(get(2)).unwrap()), ["v"]);
}

#[test]
fn a_read_through_another_node_right_after_a_write_sees_it() {
    let cluster = Cluster::start();
    let mut nodes: Vec<Pb> = (0..3).map(|node| cluster.pb(node)).collect();
    let mut seen = 0;
    for at in 0..500 {
        let (key, value) = (format!("k{}", at % 250), format!("v{at}"));
        let put = RpbPutReq { w: Some(2), ..put_req("b", &key, &value) };
        nodes[at % 3].put(put).unwrap();
        let get = RpbGetReq { r: Some(2), ..get_req("b", &key) };
        seen += usize::from(values(&nodes[(at + 1) % 3].get(get).unwrap()) == [value]);
    }
    assert_eq!(seen, 500);
}

#[test]
fn what_was_written_and_deleted_while_a_node_was_down_is_so_through_it() {
    let mut cluster = Cluster::start();
    let key = |at: usize| format!("k{at}");
    let mut pb = cluster.pb(0);
    for at in 0..100 {
        pb.put(put_req("b", &key(at), "old")).unwrap();
    }
    cluster.kill(2);
    for at in 0..100 {
        match at % 2 {
            0 => pb.put(put_req("b", &key(at), "new")).map(drop).unwrap(),
            _ => pb.del(del_req("b", &key(at))).unwrap(),
        }
        pb.put(put_req("b", &key(100 + at), "new")).unwrap();
    }
    cluster.start_node(2);
    // From the first moment on, not only once all is well.
    cluster.wait_serving();
    let mut pb = cluster.pb(2);
    let mut wrong = Vec::new();
    for at in 0..200 {
        let deleted = at < 100 && at % 2 == 1;
        let expected: &[&str] = if deleted { &[] } else { &["new"] };
        match patiently(|| pb.get(get_req("b", &key(at)))) {
            Ok(answer) if values(&answer) == expected => {}
            other => wrong.push((at, other.map(|answer| values(&answer)))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A node that has just come back may refuse for a while, but it may not lie.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, PbError>) -> Result<T, PbError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match ask() {
            Err(PbError::Refused(_)) if Instant::now() < deadline => {}
            answer => return answer,
        }
    }
}

#[test]
fn a_killed_node_starts_again_on_its_ports() {
    let mut cluster = Cluster::start();
    let idle: Vec<Pb> = (0..3).map(|_| cluster.pb(1)).collect();
    cluster.pb(1).put(put_req("b", "k", "v")).unwrap();
    cluster.kill(1);
    let mut other = cluster.pb(0);
    let mut read_some = || {
        for _ in 0..500 {
            assert_eq!(values(&other.get(get_req("b", "k")).unwrap()), ["v"]);
        }
    };
    read_some();
    cluster.wait_known_down(1);
    read_some();
    cluster.start_node(1);
    cluster.wait_ready();
    assert_eq!(values(&cluster.pb(1).get(get_req("b", "k")).unwrap()), ["v"]);
    drop(idle);
}

#[test]
fn what_was_durable_survives_the_death_of_all_nodes_at_once() {
    let mut cluster = Cluster::start();
    let puts: Vec<Request> = (0..300)
        .map(|at| {
            let put = put_req("b", &format!("k{at}"), &format!("v{at}"));
            Request::Put(RpbPutReq { dw: Some(2), ..put })
        })
        .collect();
    for answer in cluster.pb(0).pipeline(&puts, 16).unwrap() {
        answer.unwrap();
    }
    (0..3).for_each(|node| cluster.kill(node));
    (0..3).for_each(|node| cluster.start_node(node));
    cluster.wait_ready();
    let gets: Vec<Request> =
        (0..300).map(|at| Request::Get(get_req("b", &format!("k{at}")))).collect();
    let answers = cluster.pb(2).pipeline(&gets, 16).unwrap();
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(values(&found(answer.unwrap())), [format!("v{at}")]);
    }
}

#[test]
fn a_kill_in_the_middle_of_a_load_costs_no_acknowledged_write() {
    let mut cluster = Cluster::start();
    let addresses: Vec<_> = (0..3).map(|node| cluster.pb_address(node)).collect();
    let load = Load::start(6, &addresses);
    load.work(200);
    cluster.kill(1);
    load.work(500);
    cluster.wait_known_down(1);
    load.work(500);
    cluster.start_node(1);
    cluster.wait_ready();
    load.work(200);
    let seen = load.finish();
    println!("{}", seen.summary());
    assert!(seen.acknowledged.len() > 100, "the load did nothing: {seen:?}");
    assert_eq!(seen.false_answers, [""; 0]);
    assert_eq!(seen.unanswered, [""; 0]);
    assert!(seen.slowest.0 < PATIENCE, "{:?}", seen.slowest);
    assert_eq!(seen.refused, [""; 0], "quorums go on with two of three nodes");
    for node in 0..3 {
        assert_eq!(
            missing(&mut cluster.pb(node), &seen.acknowledged),
            [""; 0],
            "through node {node}"
        );
    }
}

#[test]
fn a_node_that_hangs_holds_nobody_up() {
    let mut cluster = Cluster::start();
    let addresses = [cluster.pb_address(0), cluster.pb_address(2)];
    let load = Load::start(4, &addresses);
    load.work(200);
    cluster.process(1).signal(Signal::STOP);
    cluster.wait_known_down(1);
    load.work(1000);
    cluster.process(1).signal(Signal::CONT);
    cluster.wait_ready();
    let seen = load.finish();
    println!("{}", seen.summary());
    assert!(seen.acknowledged.len() > 100, "the load did nothing: {seen:?}");
    assert_eq!(seen.false_answers, [""; 0]);
    assert_eq!(seen.broken, 0);
    assert_eq!(seen.refused, [""; 0], "quorums go on with two of three nodes");
    assert_eq!(seen.unanswered, [""; 0]);
    assert!(seen.slowest.0 < PATIENCE, "{:?}", seen.slowest);
    assert_eq!(missing(&mut cluster.pb(1), &seen.acknowledged), [""; 0]);
}

#[test]
fn peer_links_that_break_and_come_back_cost_nothing() {
    let mut cluster = Cluster::start();
    let addresses: Vec<_> = (0..3).map(|node| cluster.pb_address(node)).collect();
    let load = Load::start(6, &addresses);
    load.work(100);
    // What is sent to one node breaks, while what it sends itself goes on.
    for round in 0..15 {
        cluster.proxy(round % 3).cut();
        load.work(50);
    }
    cluster.wait_ready();
    let seen = load.finish();
    println!("{}", seen.summary());
    assert!(seen.acknowledged.len() > 100, "the load did nothing: {seen:?}");
    assert_eq!(seen.false_answers, [""; 0]);
    assert_eq!(seen.unanswered, [""; 0]);
    assert!(seen.slowest.0 < PATIENCE, "{:?}", seen.slowest);
    for node in 0..3 {
        assert_eq!(
            missing(&mut cluster.pb(node), &seen.acknowledged),
            [""; 0],
            "through node {node}"
        );
    }
}

#[test]
fn a_replica_whose_queue_is_full_is_an_error_and_no_silence() {
    const VALUE_BYTES: usize = 1 << 20;
    let mut cluster = Cluster::start_with(&["--backend", "memory"]);
    let value = "x".repeat(VALUE_BYTES);
    let key = |at: usize| format!("k{at}");
    let puts = |w: u32, count: usize| -> Vec<Request> {
        let put = |at| Request::Put(RpbPutReq { w: Some(w), ..put_req("b", &key(at), &value) });
        (0..count).map(put).collect()
    };
    let mut pb = cluster.pb(0);
    // Nothing reaches the last node any more. It still says that it is there, so nobody takes it for dead, and
    // whatever is refused is refused for the full queue.
    cluster.proxy(2).hold();
    // More than the queues of both shards and the sockets hold.
    let taken = pb.pipeline(&puts(2, 200), 20).unwrap();
    assert!(taken.iter().all(Result::is_ok), "quorums go on");
    let begin = Instant::now();
    let refused = pb.pipeline(&puts(3, 40), 20).unwrap();
    let took = begin.elapsed();
    for answer in refused {
        assert!(answer.unwrap_err().text().contains("w_val_unsatisfied"));
    }
    let status = cluster.status(0).unwrap();
    assert!(status.members.iter().all(|member| member.up && member.connected), "{status:?}");
    assert!(took < PATIENCE, "{took:?}");
    cluster.proxy(2).release();
    cluster.wait_ready();
    let gets: Vec<Request> = (0..200).map(|at| Request::Get(get_req("b", &key(at)))).collect();
    for answer in cluster.pb(2).pipeline(&gets, 4).unwrap() {
        assert_eq!(values(&found(answer.unwrap()))[0].len(), VALUE_BYTES);
    }
}

#[test]
fn the_last_node_refuses_nothing_that_one_replica_can_do() {
    let mut cluster = Cluster::start_with(&["--backend", "memory"]);
    cluster.kill(1);
    cluster.kill(2);
    let put = |at| {
        let put = put_req("b", &format!("k{at}"), "v");
        Request::Put(RpbPutReq { w: Some(1), dw: Some(1), ..put })
    };
    let puts: Vec<Request> = (0..5000).map(put).collect();
    let client = |mut pb: Pb| {
        let puts = puts.clone();
        thread::spawn(move || pb.pipeline(&puts, 4).unwrap().into_iter().filter_map(Result::err))
    };
    // Enough of them that both shards are at work at the same time.
    let clients: Vec<_> = (0..8).map(|_| client(cluster.pb(0))).collect();
    let refused = clients.into_iter().flat_map(|client| client.join().unwrap());
    let refused: Vec<PbError> = refused.collect();
    assert!(refused.is_empty(), "{} of 40,000: {:?}", refused.len(), refused.first());
}

#[test]
fn a_wiped_node_knows_that_it_knows_nothing_and_is_repaired() {
    let mut cluster = Cluster::start();
    put_many(&mut cluster.pb(0));
    cluster.kill(2);
    fs::remove_dir_all(cluster.dir_of(2)).unwrap();
    cluster.start_node(2);
    cluster.wait_serving();
    // Whatever it answers meanwhile: an existing key is never "not found".
    count_values(cluster.pb(2).pipeline(&get_many(1), 8).unwrap());
    assert!(cluster.status(2).unwrap().vnodes.iter().all(|vnode| !vnode.complete));
    repair(&mut cluster, 2);
    alone_it_has_all(cluster, 2);
}

/// Each was small enough to be taken; together they are larger than what a client may write. They were acknowledged, and
/// then no node could send them to another.
#[test]
fn concurrent_writes_that_are_too_large_together_can_be_read_and_repaired() {
    const VALUE_BYTES: usize = 30 << 20;
    let mut cluster = Cluster::start();
    cluster.pb(0).allow_mult("big", true).unwrap();
    let put = |node: usize, cluster: &Cluster| {
        let mut pb = cluster.pb(node);
        let value = node.to_string().repeat(VALUE_BYTES);
        thread::spawn(move || pb.put(put_req("big", "k", &value)).map(drop))
    };
    let puts = [put(0, &cluster), put(1, &cluster)];
    let taken = puts.into_iter().map(|put| put.join().unwrap()).filter(Result::is_ok).count();
    assert!(taken > 0, "none was taken");
    cluster.kill(2);
    fs::remove_dir_all(cluster.dir_of(2)).unwrap();
    cluster.start_node(2);
    cluster.wait_serving();
    let read = patiently(|| cluster.pb(2).get(get_req("big", "k"))).unwrap();
    assert!(values(&read).len() >= taken, "{} of {taken}", values(&read).len());
    repair(&mut cluster, 2);
}

#[test]
fn a_damaged_value_is_reported_and_its_vnode_repaired() {
    let mut cluster = Cluster::start();
    put_many(&mut cluster.pb(0));
    cluster.stop(1);
    let damaged = damage_a_value(&cluster.dir_of(1));
    cluster.start_node(1);
    cluster.wait_serving();
    let status = cluster.status(1).unwrap();
    let reported = &status.storage.damage;
    let is_known = |file: &str| damaged.iter().any(|path| path.ends_with(file));
    assert!(reported.iter().any(|damage| is_known(&damage.file)), "{reported:?}, not {damaged:?}");
    let shown = run(["status", "--node", &cluster.http_address(1).to_string()]);
    assert!(shown.out.contains(&reported[0].text), "{}", shown.out);
    assert!(status.vnodes.iter().any(|vnode| !vnode.complete), "{status:?}");
    repair(&mut cluster, 1);
    alone_it_has_all(cluster, 1);
}

#[test]
fn keys_deleted_while_a_node_was_down_stay_deleted() {
    let mut cluster = Cluster::start();
    let keys: Vec<String> = (0..1000).map(|at| format!("k{at}")).collect();
    let put = |key: &String| Request::Put(RpbPutReq { w: Some(3), ..put_req("b", key, "v") });
    let get = |key: &String| Request::Get(get_req("b", key));
    let puts: Vec<Request> = keys.iter().map(put).collect();
    let gets: Vec<Request> = keys.iter().map(get).collect();
    let dels: Vec<Request> = keys.iter().map(|key| Request::Del(del_req("b", key))).collect();
    let all = |pb: &mut Pb, requests: &[Request]| {
        let answers = pb.pipeline(requests, 32).unwrap();
        answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    all(&mut cluster.pb(0), &puts);
    cluster.kill(2);
    all(&mut cluster.pb(0), &dels);
    cluster.start_node(2);
    cluster.wait_ready();
    // The first reads repair, the second show what came of it.
    for round in 0..2 {
        for node in [2, 0, 1] {
            let answers = all(&mut cluster.pb(node), &gets);
            let back =
                answers.into_iter().filter(|answer| !values(&found(answer.clone())).is_empty());
            assert_eq!(back.count(), 0, "resurrections through node {node}, round {round}");
        }
    }
    let listed: BTreeSet<String> = cluster.pb(2).keys("b").unwrap().into_iter().collect();
    assert_eq!(listed, BTreeSet::new());
}

//! Starting: what is refused, what survives, and three nodes as one.

use std::net::TcpListener;
use std::path::Path;

use ombak_server::{Backend, Listeners, Node, Options, StartError};
use ombak_wire::{Request, Response};

use crate::world::{Client, Http, PATIENCE, get, options, put, values};

fn on(dir: &Path) -> Options {
    Options { dir: Some(dir.into()), backend: Backend::Log, ..options() }
}

fn refusal(options: Options) -> StartError {
    match Node::start(options) {
        Ok(_) => panic!("it has started"),
        Err(error) => {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            error
        }
    }
}

#[test]
fn a_port_in_use_is_named_with_its_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    for (options, option) in [
        (Options { pb_addr: addr, ..options() }, "--pb "),
        (Options { http_addr: addr, ..options() }, "--http "),
        (
            Options { peer_addr: addr, members: vec![("other".into(), addr)], ..options() },
            "--peer ",
        ),
    ] {
        let text = refusal(options).to_string();
        assert!(text.contains(&addr.to_string()) && text.contains(option), "{text}");
    }
}

#[test]
fn impossible_options_are_refused() {
    let named = |name: &str| Options { name: name.into(), ..options() };
    for name in ["", "a b", "a\"b", "a\nb"] {
        assert!(matches!(refusal(named(name)), StartError::Name(_)), "{name:?}");
    }
    assert!(matches!(refusal(Options { ring_size: 12, ..options() }), StartError::Ring(_)));
    let log = Options { backend: Backend::Log, ..options() };
    assert!(matches!(refusal(log), StartError::NoDirectory));
    let twice = ("a".to_string(), options().peer_addr);
    let twice = Options { members: vec![twice.clone(), twice], ..options() };
    assert!(matches!(refusal(twice), StartError::Twice(_)));
}

#[test]
fn a_directory_has_one_process_one_node_and_one_ring() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(on(dir.path())).unwrap();
    assert!(matches!(refusal(on(dir.path())), StartError::Locked(_)));
    node.stop().unwrap();

    let other = Options { name: "other".into(), ..on(dir.path()) };
    assert!(matches!(refusal(other), StartError::OtherNode { .. }));
    let other = Options { ring_size: 64, ..on(dir.path()) };
    assert!(matches!(refusal(other), StartError::OtherRingSize { found: 16, .. }));
    let member = ("other".to_string(), options().peer_addr);
    let other = Options { members: vec![member], ..on(dir.path()) };
    assert!(matches!(refusal(other), StartError::OtherMembers { .. }));
    let other = Options { cluster: "other".into(), ..on(dir.path()) };
    assert!(matches!(refusal(other), StartError::OtherMembers { .. }));

    let file = dir.path().join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("format = 1", "format = 2")).unwrap();
    assert!(matches!(refusal(on(dir.path())), StartError::NewerFormat { found: 2, .. }));
    std::fs::write(&file, "nonsense").unwrap();
    assert!(matches!(refusal(on(dir.path())), StartError::Identity { .. }));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(refusal(on(dir.path())), StartError::NoIdentity(_)));
    std::fs::write(&file, text).unwrap();
    Node::start(on(dir.path())).unwrap().stop().unwrap();
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_with_other_shards() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(on(dir.path())).unwrap();
    let mut client = Client::of(&node);
    for n in 0..100 {
        let answer = client.ask(put("b", &n.to_string(), "v"));
        assert!(matches!(answer, Response::Put(_)), "{answer:?}");
    }
    let props = br#"{"props":{"allow_mult":true}}"#;
    assert_eq!(Http::of(&node).ask("PUT", "/buckets/b/props", &[], props).status, 204);
    node.stop().unwrap();

    let node = Node::start(Options { shards: Some(3), ..on(dir.path()) }).unwrap();
    let mut client = Client::of(&node);
    for n in 0..100 {
        assert_eq!(values(&client.ask(get("b", &n.to_string()))), ["v"], "{n}");
    }
    let props = Http::of(&node).get("/buckets/b/props").json();
    assert_eq!(props["props"]["allow_mult"], true);
    node.stop().unwrap();
}

#[test]
fn stopping_ends_open_connections() {
    let node = crate::world::node();
    let (mut client, mut http) = (Client::of(&node), Http::of(&node));
    // Open is what was accepted: one that still waits for that is reset.
    assert_eq!(client.ask(Request::Ping), Response::Ping);
    assert_eq!(http.get("/ping").text(), "OK");
    let stopper = node.stopper();
    stopper.stop();
    node.wait().unwrap();
    assert!(client.is_closed());
    assert!(http.is_closed());
}

#[test]
fn three_nodes_are_one_database() {
    let names = ["n1@test", "n2@test", "n3@test"];
    let alone = |name: &str| Options { name: name.into(), ..options() };
    // Two members make it bind its peer port; which ones does not matter for that.
    let other = ("other".to_string(), options().peer_addr);
    let bind = |name: &&str| {
        Listeners::bind(&Options { members: vec![other.clone()], ..alone(name) }).unwrap()
    };
    let listeners: Vec<Listeners> = names.iter().map(bind).collect();
    let address = |listeners: &Listeners| listeners.peer.as_ref().unwrap().local_addr().unwrap();
    let members: Vec<_> =
        names.iter().zip(&listeners).map(|(name, l)| (name.to_string(), address(l))).collect();
    let start = |(name, listeners): (&&str, Listeners)| {
        Node::start_on(Options { members: members.clone(), ..alone(name) }, listeners).unwrap()
    };
    let nodes: Vec<Node> = names.iter().zip(listeners).map(start).collect();
    nodes.iter().for_each(|node| assert!(node.wait_ready(PATIENCE)));
    nodes.iter().for_each(wait_complete);

    for (at, node) in nodes.iter().enumerate() {
        let answer = Client::of(node).ask(put("b", &at.to_string(), "v"));
        assert!(matches!(answer, Response::Put(_)), "{answer:?}");
    }
    for node in &nodes {
        let mut client = Client::of(node);
        for at in 0..nodes.len() {
            assert_eq!(values(&client.ask(get("b", &at.to_string()))), ["v"]);
        }
        let keys = Http::of(node).get("/buckets/b/keys?keys=true").json();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
    }
    nodes.into_iter().for_each(|node| node.stop().unwrap());
}

/// A cluster that has just been formed lacks nothing, and comes to know it.
fn wait_complete(node: &Node) {
    let (mut http, deadline) = (Http::of(node), std::time::Instant::now() + PATIENCE);
    loop {
        let status = http.get("/ombak/status");
        let status: ombak_server::report::Status = serde_json::from_slice(&status.body).unwrap();
        if status.vnodes.iter().all(|vnode| vnode.complete) {
            return assert!(status.members.iter().all(|member| member.up), "{status:?}");
        }
        assert!(std::time::Instant::now() < deadline, "{status:?}");
    }
}

/// A reserve that no disk has stands for a full disk.
#[test]
fn a_full_disk_refuses_writes_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut full = on(dir.path());
    full.shards = Some(1);
    full.log.reserve_bytes = u64::MAX / 4;
    let node = Node::start(full).unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut http = Http::of(&node);
    let mut ask = |method: &str, path: &str| {
        let answer = http.ask(method, path, &[("content-type", "text/plain")], b"v");
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    };
    // The shards hear of it a moment after the start.
    while !ask("GET", "/ombak/status").1.contains("\"disk_full\":true") {
        assert!(std::time::Instant::now() < deadline);
    }
    let (status, text) = ask("PUT", "/buckets/b/keys/k");
    assert_eq!(status, 503);
    assert!(text.starts_with("the disk of ") && text.contains(" is full: "), "{text}");
    assert_eq!(ask("GET", "/buckets/b/keys/k").0, 404, "reads go on");
    node.stop().unwrap();
}

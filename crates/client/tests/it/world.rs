//! Nodes to test against, in this process, on ports that the system chooses.

use std::net::SocketAddr;
use std::time::Duration;

use ombak_client::{Client, Options as ClientOptions};
use ombak_server::{Backend, Listeners, Node, Options};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const RING_SIZE: u32 = 16;

fn options(name: &str) -> Options {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Options {
        name: name.into(),
        backend: Backend::Memory,
        peer_addr: any,
        pb_addr: any,
        http_addr: any,
        ring_size: RING_SIZE,
        shards: Some(2),
        ..Options::default()
    }
}

/// A node alone.
pub fn one() -> Node {
    Node::start(options("n1@test")).unwrap()
}

pub const NAMES: [&str; 3] = ["n1@test", "n2@test", "n3@test"];

/// Three nodes that can serve.
pub fn three() -> Vec<Node> {
    // Two members make a node bind its peer port; which ones does not matter for that.
    let other = ("other".to_string(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let bind = |name: &&str| {
        Listeners::bind(&Options { members: vec![other.clone()], ..options(name) }).unwrap()
    };
    let listeners: Vec<Listeners> = NAMES.iter().map(bind).collect();
    let peer = |listeners: &Listeners| listeners.peer.as_ref().unwrap().local_addr().unwrap();
    let members = NAMES.iter().zip(&listeners);
    let members: Vec<_> = members.map(|(name, l)| (name.to_string(), peer(l))).collect();
    let start = |(name, listeners): (&&str, Listeners)| {
        Node::start_on(Options { members: members.clone(), ..options(name) }, listeners).unwrap()
    };
    let nodes: Vec<Node> = NAMES.iter().zip(listeners).map(start).collect();
    nodes.iter().for_each(|node| assert!(node.wait_ready(PATIENCE)));
    nodes
}

pub fn addrs(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.addresses().pb.to_string()).collect()
}

pub async fn client(nodes: &[Node]) -> Client {
    client_with(nodes, |_| {}).await
}

pub async fn client_with(nodes: &[Node], change: impl FnOnce(&mut ClientOptions)) -> Client {
    let mut options = ClientOptions::default();
    change(&mut options);
    Client::connect_with(addrs(nodes), options).await.unwrap()
}

/// Requests of clients that a node's shards have taken.
pub fn requests(node: &Node) -> u64 {
    node.counters().shards.iter().map(|shard| shard.requests).sum()
}

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;

use ombak_base::{NodeId, ShardId, Wire};

use crate::toy::{Ask, Hello, Say};
use crate::world::{
    CLUSTER, DEADLINE, MAGIC, Plan, RawPeer, address, cluster, listener, peers, text,
};

fn far(node: u32, shard: u16) -> Ask {
    Ask::Far { to: address(node, shard), text: "hello".into() }
}

#[test]
fn three_nodes_replicate() {
    let nodes = cluster(&[1, 1, 1], |_| {});
    for i in 0..100 {
        let put = Ask::Put { key: format!("key{i}"), value: "v".into(), peers: 2 };
        assert_eq!(nodes[i % 3].call(put), text("replicated"));
    }
    assert_eq!(nodes[1].call(Ask::Get("key0".into())), text("key0"));
    nodes.into_iter().for_each(|node| node.running.stop().unwrap());
}

#[test]
fn every_shard_reaches_every_shard() {
    let nodes = cluster(&[1, 3, 2], |_| {});
    for (from, shards) in [1, 3, 2].into_iter().enumerate() {
        for shard in 0..shards {
            for (to, to_shards) in [1, 3, 2].into_iter().enumerate() {
                for to_shard in 0..to_shards {
                    let told = nodes[from].call_shard(shard, far(to as u32, to_shard));
                    assert_eq!(told, text(&format!("hello from n{from}/s{shard}")));
                }
            }
        }
    }
}

#[test]
fn there_is_no_way_to_what_does_not_exist() {
    let nodes = cluster(&[1, 1], |_| {});
    assert_eq!(nodes[0].call(far(1, 5)), text("Down"));
    assert_eq!(nodes[0].call(far(0, 5)), text("Down"));
    assert_eq!(nodes[0].call(far(9, 0)), text("Down"));
    nodes[0].wait_for("the count", |c| c.shards[0].refused_down == 3);
}

#[test]
fn large_messages_get_through() {
    let nodes = cluster(&[1, 2], |_| {});
    let flood = |to, bytes| Ask::Flood { to, count: 4, bytes };
    for (shard, bytes) in [(0, 5_000_000), (1, 300_000)] {
        assert_eq!(nodes[0].call(flood(address(1, shard), bytes)), text("None"));
        assert_eq!(nodes[1].call_shard(shard, Ask::Flooded(4)), text("in order"));
    }
    let too_long = flood(address(1, 0), ombak_base::limits::PEER_FRAME_BYTES_MAX);
    assert_eq!(nodes[0].call(too_long), text("Some(Full)"));
    assert_eq!(nodes[0].call(far(1, 0)), text("hello from n0/s0"), "the link is unharmed");
}

#[test]
fn a_peer_that_stops_is_down_and_comes_back() {
    let listeners = [listener(), listener()];
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let plan = |node: usize| {
        let mut plan = Plan::new(node as u32);
        plan.peers = peers(&addresses, node);
        plan
    };
    let [first, second] = listeners;
    let stays = plan(0).start(first);
    let leaves = plan(1).start(second);
    let watch = stays.watch();
    stays.wait_for("the peer", |c| c.shards[0].peers_up == 1);
    leaves.wait_for("the peer", |c| c.shards[0].peers_up == 1);
    assert_eq!(stays.call(far(1, 0)), text("hello from n0/s0"));
    leaves.running.stop().unwrap();
    watch.until("n1 down");
    assert_eq!(stays.call(far(1, 0)), text("Down"));

    let mut returning = plan(1);
    returning.shards = 2;
    let returned = returning.start(TcpListener::bind(addresses[1]).unwrap());
    assert_eq!(watch.until("n1 up"), "n1 up with 2");
    returned.wait_for("the way back", |c| c.shards.iter().all(|shard| shard.peers_up == 1));
    assert_eq!(stays.call(far(1, 1)), text("hello from n0/s0"));
}

#[test]
fn a_peer_of_another_cluster_is_refused_with_the_reason() {
    let port = listener();
    let to = port.local_addr().unwrap();
    let node = Plan::new(0).start(port);
    let mut stranger = RawPeer::connect(to);
    let hello = Hello { cluster: 8, node: NodeId(1), shards: 1 };
    stranger.greet(&hello.bytes(ShardId(0)));
    assert_eq!(stranger.verdict(), (2, b"cluster 8 is not cluster 7".to_vec()));
    stranger.closed();
    assert_eq!(node.running.counters().shards[0].peers_in, 0);
    node.wait_for("the count", |c| c.shards[0].peers_refused == 1);
}

#[test]
fn garbage_on_the_peer_port_is_refused_and_harms_nobody_else() {
    let port = listener();
    let to = port.local_addr().unwrap();
    let node = Plan::new(0).start(port);
    let mut good = RawPeer::admitted(to, 1, 0);
    let mut lost = RawPeer::connect(to);
    lost.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let (verdict, reason) = lost.verdict();
    assert_eq!((verdict, &reason[..21]), (2, &b"this is the peer port"[..]));
    lost.closed();
    let mut boaster = RawPeer::connect(to);
    boaster.0.write_all(&[MAGIC, &[0xff; 4]].concat()).unwrap();
    assert_eq!(boaster.verdict().0, 2);

    let flood = |n| {
        let mut body = Vec::new();
        Say::Flood(n, Vec::new().into()).encode(&mut body);
        body
    };
    for (from, to_shard, body) in [(9, 0, flood(0)), (0, 9, flood(0)), (0, 0, b"junk".to_vec())] {
        let mut bad = RawPeer::admitted(to, 2, 0);
        bad.frame(from, to_shard, &body);
        bad.closed();
    }
    let mut endless = RawPeer::admitted(to, 2, 0);
    endless.0.write_all(&[0xff; 8]).unwrap();
    endless.closed();
    node.wait_for("the count", |c| c.shards[0].peers_broken == 4 && c.shards[0].peers_refused == 2);

    good.frame(0, 0, &flood(0));
    good.frame(0, 0, &flood(1));
    assert_eq!(node.call(Ask::Flooded(2)), text("in order"));
}

#[test]
fn a_new_connection_replaces_the_old_one_from_the_same_shard() {
    let port = listener();
    let to = port.local_addr().unwrap();
    let node = Plan::new(0).start(port);
    let mut first = RawPeer::admitted(to, 1, 0);
    let _other_shard = RawPeer::admitted(to, 1, 1);
    let _other_node = RawPeer::admitted(to, 2, 0);
    let _second = RawPeer::admitted(to, 1, 0);
    first.closed();
    node.wait_for("the others", |c| c.shards[0].peers_in == 3);
}

/// Answers the handshake as node 1 and gives the connection to the test.
fn accept_as_node_1(port: &TcpListener) -> RawPeer {
    let mut peer = RawPeer(port.accept().unwrap().0);
    peer.0.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut hello = [0; 8 + 4 + 9];
    std::io::Read::read_exact(&mut peer.0, &mut hello).unwrap();
    let answer = Hello { cluster: CLUSTER, node: NodeId(1), shards: 1 }.bytes(ShardId(0));
    let len = (answer.len() as u32).to_le_bytes();
    peer.0.write_all(&[MAGIC, &[1], &len, &answer].concat()).unwrap();
    peer
}

#[test]
fn a_peer_that_does_not_read_fills_its_queue_and_no_other() {
    let port = listener();
    let mut plan = Plan::new(0);
    plan.peers = vec![(1, port.local_addr().unwrap())];
    plan.limits.peer_output_bytes_max = 1_000_000;
    let node = plan.alone();
    let watch = node.watch();
    let peer = accept_as_node_1(&port);
    node.wait_for("the peer", |c| c.shards[0].peers_up == 1);
    let flood = |count| Ask::Flood { to: address(1, 0), count, bytes: 100_000 };
    assert_eq!(node.call(flood(5)), text("None"));
    assert_eq!(node.call(flood(1_000)), text("Some(Full)"));
    assert_eq!(node.call(Ask::Echo("alive".into())), text("alive"));
    node.wait_for("the count", |c| c.shards[0].refused_full == 1);
    drop(peer);
    watch.until("n1 down");
    let _peer = accept_as_node_1(&port);
    watch.until("n1 up");
    assert_eq!(node.call(flood(5)), text("None"), "a new connection begins with an empty queue");
}

#[test]
fn a_peer_that_talks_out_of_turn_or_is_another_is_not_up() {
    let port = listener();
    let mut plan = Plan::new(0);
    plan.peers = vec![(1, port.local_addr().unwrap())];
    let node = plan.alone();
    let watch = node.watch();
    let mut peer = accept_as_node_1(&port);
    watch.until("n1 up");
    peer.0.write_all(b"psst").unwrap();
    watch.until("n1 down");
    node.wait_for("the count", |c| c.shards[0].peers_up == 0);

    let mut plan = Plan::new(0);
    let port = listener();
    plan.peers = vec![(5, port.local_addr().unwrap())];
    let node = plan.alone();
    accept_as_node_1(&port).closed();
    assert_eq!(node.running.counters().shards[0].peers_up, 0);
}

/// Far more messages than the queue between two shards holds: none is lost, none overtakes another.
#[test]
fn forwarding_to_a_slow_shard_holds_the_peer_back() {
    const COUNT: u64 = 20_000;
    let nodes = cluster(&[1, 2], |plan| plan.limits.local_messages_max = 64);
    let flood = Ask::Flood { to: address(1, 1), count: COUNT, bytes: 10 };
    assert_eq!(nodes[0].call(flood), text("None"));
    assert_eq!(nodes[1].call_shard(1, Ask::Flooded(COUNT)), text("in order"));
}

#[test]
fn a_full_queue_to_another_shard_refuses() {
    let nodes = cluster(&[2], |plan| plan.limits.local_messages_max = 64);
    let flood = Ask::Flood { to: address(0, 1), count: 65, bytes: 0 };
    assert_eq!(nodes[0].call(flood), text("Some(Full)"));
    assert_eq!(nodes[0].call_shard(1, Ask::Flooded(64)), text("in order"));
    let (sender, answers) = mpsc::channel();
    nodes[0].ask_into(far(0, 1), "far", &sender);
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap().1, text("hello from n0/s0"));
}

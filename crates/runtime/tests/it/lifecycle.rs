use std::sync::Arc;
use std::sync::mpsc;

use ombak_base::{NodeId, Partition, ShardId};
use ombak_runtime::{AskError, Boot, Config, Limits, NoFace, RuntimeError, errands, start};

use crate::toy::{Ask, Hello, Toy, ToyDevice, ToyWriter};
use crate::world::{DEADLINE, Plan, cluster, listener, text};

#[test]
fn a_panic_brings_the_whole_node_down_and_says_why() {
    let mut plan = Plan::new(0);
    plan.shards = 2;
    let node = plan.alone();
    let (sender, answers) = mpsc::channel();
    node.ask_into(Ask::Panic, "panic", &sender);
    match node.running.join() {
        Err(RuntimeError::Panicked { thread, message }) => {
            assert_eq!((&thread[..], &message[..]), ("ombak-shard-0", "as it was asked to"));
        }
        other => panic!("{other:?}"),
    }
    drop(sender);
    assert!(answers.recv().is_err(), "sinks are dropped with their shard");
    let after = node.handle.call(ShardId(1), Ask::Never, DEADLINE);
    assert_eq!(after, Err(AskError::Stopped));
}

#[test]
fn a_broken_property_is_counted_and_told_and_the_node_goes_on() {
    let node = Plan::new(0).alone();
    let (sender, answers) = mpsc::channel();
    node.ask_into(Ask::Watch, "watch", &sender);
    let mut told = answers.iter().map(|(_, told)| told).skip(1);
    node.ask_into(Ask::Break(Some(Partition(3))), "break", &sender);
    assert_eq!(told.next(), Some(text("Some(p3) is broken")));
    node.ask_into(Ask::Break(None), "break", &sender);
    assert_eq!(told.next(), Some(text("None is broken")));
    node.ask_into(Ask::BreakCheck, "break", &sender);
    assert_eq!(told.next(), Some(text("None is broken")));
    assert_eq!(node.call(Ask::Echo("alive".into())), text("alive"));
    node.wait_for("the count", |counters| counters.shards[0].broken == 3);
}

#[test]
fn a_machine_that_cannot_be_told_what_broke_ends_the_node() {
    let node = Plan::new(0).alone();
    let (sender, _answers) = mpsc::channel();
    node.ask_into(Ask::BreakTwice, "break", &sender);
    match node.running.join() {
        Err(RuntimeError::Panicked { message, .. }) => {
            assert!(message.contains("toys break once"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_can_do_without_peers_and_faces() {
    let boot = || Boot {
        shards: vec![(Toy::default(), ToyDevice::default())],
        writer: ToyWriter::default(),
        errands: None,
        recorders: Vec::new(),
    };
    let handshake = Arc::new(Hello { cluster: 1, node: NodeId(0), shards: 1 });
    let config = |peers| Config::<NoFace> {
        node: NodeId(0),
        peers,
        peer_listener: None,
        face_listeners: Vec::new(),
        handshake: handshake.clone(),
        limits: Limits::default(),
    };
    let running = start(config(Vec::new()), boot()).unwrap();
    let told = running.handle().call(ShardId(0), Ask::Echo("x".into()), DEADLINE).unwrap();
    assert_eq!(told, text("x"));
    drop(running);

    let (errands, list) = errands();
    let running = start(config(Vec::new()), Boot { errands: Some(list), ..boot() }).unwrap();
    let (tell, told) = mpsc::channel();
    errands.send(move |_: &mut ToyWriter| tell.send("done").unwrap());
    assert_eq!(told.recv_timeout(DEADLINE), Ok("done"), "a sleeping log thread is woken");
    drop(running);
    let (tell, told) = mpsc::channel::<()>();
    errands.send(move |_: &mut ToyWriter| drop(tell));
    assert_eq!(told.recv(), Err(mpsc::RecvError), "an errand to a node that has ended is dropped");

    let somewhere = listener().local_addr().unwrap();
    let own = start(config(vec![(NodeId(0), somewhere)]), boot());
    assert!(matches!(own, Err(RuntimeError::Config(_))));
    let twice = start(config(vec![(NodeId(1), somewhere), (NodeId(1), somewhere)]), boot());
    assert!(matches!(twice, Err(RuntimeError::Config(_))));
    let none = Boot::<Toy, ToyDevice, ToyWriter> { shards: Vec::new(), ..boot() };
    assert!(matches!(start(config(Vec::new()), none), Err(RuntimeError::Config(_))));
}

#[test]
fn an_idle_node_takes_no_turns() {
    let nodes = cluster(&[2, 2, 2], |_| {});
    let turns = || -> u64 {
        let counters = nodes.iter().map(|node| node.running.counters());
        counters.map(|c| c.shards.iter().map(|shard| shard.turns).sum::<u64>()).sum()
    };
    // Turns still end that began with the connections; then there is nothing that could start one. The only wait of
    // this suite that is about time: a timer of 200 ms on one shard, and whoever else took a turn meanwhile.
    nodes[0].call(Ask::After(20));
    let before = turns();
    nodes[0].call(Ask::After(200));
    assert!(turns() - before <= 12, "{} turns", turns() - before);
}

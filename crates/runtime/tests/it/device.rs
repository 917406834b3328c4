use std::sync::atomic::Ordering;
use std::sync::mpsc;

use crate::toy::{Ask, ToyWriter};
use crate::world::{DEADLINE, Plan, cluster, text};

fn put(peers: usize) -> Ask {
    Ask::Put { key: "key".into(), value: "value".into(), peers }
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    let gate = plan.writer.gate.clone();
    let node = plan.alone();
    let watch = node.watch();
    let (sender, answers) = mpsc::channel();
    node.ask_into(put(0), "put", &sender);
    node.ask_into(Ask::Get("key".into()), "get", &sender);
    node.ask_into(Ask::Echo("x".into()), "echo", &sender);
    let two: Vec<_> = (0..2).map(|_| answers.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(two, [("get", text("value")), ("echo", text("x"))]);
    node.wait_for("the reply to be held", |c| c.shards[0].held == 1);
    gate.open();
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), ("put", text("stored")));
    assert_eq!(watch.until("durable"), "durable 1");
}

#[test]
fn messages_wait_for_their_stamps_too() {
    let held = ToyWriter::default();
    let nodes = cluster(&[1, 1], |plan| {
        if plan.node == 1 {
            plan.writer = held.clone();
        }
    });
    let (sender, answers) = mpsc::channel();
    nodes[0].ask_into(put(1), "put", &sender);
    nodes[1].wait_for("the acknowledgement to be held", |c| c.shards[0].held == 1);
    assert_eq!(nodes[1].call(Ask::Get("key".into())), text("key"));
    assert!(answers.try_recv().is_err());
    held.gate.open();
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), ("put", text("replicated")));
}

#[test]
fn a_failed_writer_is_told_to_the_machine_and_acknowledges_nothing() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter { fails: true, ..ToyWriter::default() };
    let gate = plan.writer.gate.clone();
    let node = plan.alone();
    let watch = node.watch();
    let (sender, answers) = mpsc::channel();
    node.ask_into(put(0), "before", &sender);
    node.wait_for("the reply to be held", |c| c.shards[0].held == 1);
    gate.open();
    watch.until("device failed");
    node.ask_into(put(0), "after", &sender);
    assert_eq!(node.call(Ask::Get("key".into())), text("value"), "reads go on");
    node.wait_for("the held reply to be forgotten", |c| c.shards[0].held == 0);
    node.running.stop().unwrap();
    drop(sender);
    assert!(answers.recv().is_err(), "neither put was acknowledged");
}

/// Nobody writes, and nothing is rung: the log thread looks for room by itself.
#[test]
fn a_full_disk_and_room_on_it_are_heard_and_what_waits_is_written() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    plan.limits.pending_bytes_clients = 1;
    let (gate, full) = (plan.writer.gate.clone(), plan.writer.full.clone());
    gate.open();
    let node = plan.alone();
    let watch = node.watch();
    assert_eq!(node.call(put(0)), text("stored"));
    full.store(true, Ordering::SeqCst);
    let (sender, answers) = mpsc::channel();
    node.ask_into(put(0), "put", &sender);
    watch.until("device full");
    assert_eq!(node.call(Ask::Get("key".into())), text("value"), "reads go on");
    assert!(answers.try_recv().is_err());
    full.store(false, Ordering::SeqCst);
    watch.until("device has room");
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), ("put", text("stored")));
    node.running.stop().unwrap();
}

#[test]
fn a_node_with_a_full_disk_stops() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    plan.writer.gate.open();
    plan.writer.full.store(true, Ordering::SeqCst);
    plan.limits.stop_ms = 100;
    let node = plan.alone();
    let (sender, answers) = mpsc::channel();
    node.ask_into(put(0), "put", &sender);
    node.wait_for("the reply to be held", |c| c.shards[0].held == 1);
    node.running.stop().unwrap();
    drop(sender);
    assert!(answers.recv().is_err(), "what waited for room was not acknowledged");
}

#[test]
fn a_device_that_is_durable_at_once_needs_no_writer() {
    let mut plan = Plan::new(0);
    plan.immediate = true;
    plan.writer = ToyWriter::default();
    let node = plan.alone();
    assert_eq!(node.call(put(0)), text("stored"));
    node.running.stop().unwrap();
}

#[test]
fn commits_that_find_the_log_busy_wait_their_turn() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    plan.limits.commits_max = 1;
    let gate = plan.writer.gate.clone();
    let node = plan.alone();
    let (sender, answers) = mpsc::channel();
    // One is in the writer's hands, one in the queue, one waits on the shard, and then the shard takes no more.
    for taken in 1..=3 {
        node.ask_into(put(0), "put", &sender);
        node.wait_for("the put", |c| c.shards[0].held == taken);
    }
    node.wait_for("the log to be busy", |c| c.shards[0].commits_waiting == 1);
    for _ in 0..20 {
        node.ask_into(put(0), "put", &sender);
    }
    assert_eq!(node.running.counters().shards[0].requests, 3);
    gate.open();
    (0..23).for_each(|_| drop(answers.recv_timeout(DEADLINE).unwrap()));
    assert!(node.running.counters().log.writes <= 23);
}

#[test]
fn what_is_answered_stored_and_synced_is_measured() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    let gate = plan.writer.gate.clone();
    let node = plan.alone();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| node.call(put(0)));
        node.wait_for("the put", |c| c.shards[0].held == 1);
        let during = node.running.counters().meters;
        assert_eq!((during.operations[0].active, during.operations[0].time.count()), (1, 0));
        assert_eq!(during.stores.count(), 0, "not durable, so not measured yet");
        gate.open();
        assert_eq!(answer.join().unwrap(), text("stored"));
    });
    node.wait_for("the sync", |c| c.log.writes == 1 && c.syncs.count() == 1);
    // Whoever asked hears before it is measured.
    node.wait_for("the measurement", |c| c.meters.operations[0].time.count() == 1);
    let after = node.running.counters().meters;
    assert_eq!(after.operations[0].active, 0);
    assert_eq!(after.stores.count(), 1);
    assert!(after.operations[0].time.sum() >= after.stores.sum(), "the answer waited for it");
}

#[test]
fn what_is_not_durable_yet_keeps_clients_waiting() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    plan.limits.pending_bytes_clients = 1;
    let gate = plan.writer.gate.clone();
    let node = plan.alone();
    let (sender, answers) = mpsc::channel();
    node.ask_into(put(0), "put", &sender);
    node.wait_for("the put", |c| c.shards[0].held == 1);
    node.ask_into(Ask::Echo("x".into()), "echo", &sender);
    gate.open();
    let names: Vec<_> = (0..2).map(|_| answers.recv_timeout(DEADLINE).unwrap().0).collect();
    assert_eq!(names, ["put", "echo"]);
}

#[test]
fn blocked_reads_come_back_from_their_thread() {
    for reads_max in [1, 100] {
        let mut plan = Plan::new(0);
        plan.limits.reads_max = reads_max;
        let node = plan.alone();
        assert_eq!(node.call(Ask::Get("cold".into())), text("nothing"));
        let cold = Ask::Put { key: "cold".into(), value: "warm".into(), peers: 0 };
        assert_eq!(node.call(cold), text("stored"));
        let (sender, answers) = mpsc::channel();
        (0..100).for_each(|_| node.ask_into(Ask::Get("cold".into()), "get", &sender));
        for _ in 0..100 {
            assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), ("get", text("warm")));
        }
        node.wait_for("the count", |c| c.shards[0].loads_blocked == 101);
    }
}

#[test]
fn scans_and_timers_answer() {
    let node = Plan::new(0).alone();
    assert_eq!(node.call(put(0)), text("stored"));
    assert_eq!(node.call(Ask::Scan), text("1 entries"));
    assert_eq!(node.call(Ask::After(2)), text("time"));
}

#[test]
fn stopping_waits_for_what_is_being_written() {
    let mut plan = Plan::new(0);
    plan.writer = ToyWriter::default();
    let gate = plan.writer.gate.clone();
    let node = plan.alone();
    let (sender, answers) = mpsc::channel();
    node.ask_into(put(0), "put", &sender);
    node.wait_for("the reply to be held", |c| c.shards[0].held == 1);
    node.running.stopper().stop();
    assert!(answers.try_recv().is_err());
    gate.open();
    node.running.join().unwrap();
    assert_eq!(answers.try_recv().unwrap(), ("put", text("stored")));
}

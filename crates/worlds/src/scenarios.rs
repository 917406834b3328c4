//! Scenarios that once lost or brought back data, kept as they were found.

use std::io::ErrorKind;

use bytes::Bytes;
use ombak_base::{NodeId, ShardId, Tick};
use ombak_kv::props::{PropChange, PropValue};
use ombak_kv::{
    Answer, BucketId, Content, DeleteOp, GetOp, Listing, Operation, PutOp, Quorum, Quorums,
    Request, RequestError, Return,
};
use ombak_node::{Reply, Shard};
use ombak_sim::{Faults, Heard, World};

use crate::cluster::{Cluster, Shape};

mod broken;
mod damaged;
mod deletes;
pub(crate) mod found;
mod full;
mod locks;
pub(crate) mod registers;
mod written;

const A: NodeId = NodeId(0);
const S: ShardId = ShardId(0);
const SECOND: u64 = 1_000_000;

fn world(seed: u64) -> World<Cluster> {
    let shape = Shape { nodes: 3, shards: 1, ring_size: 8 };
    let mut w = World::new(Cluster::new(shape).unwrap(), 3, seed).unwrap();
    w.run_for(5 * SECOND);
    w
}

fn bucket() -> BucketId {
    BucketId::default_type("b")
}

fn key(n: u64) -> Bytes {
    Bytes::from(format!("k{n}"))
}

fn ask(w: &mut World<Cluster>, node: NodeId, operation: Operation) -> Option<Answer> {
    let request = ombak_node::Request::Kv(Request::Key(operation));
    match w.ask(node, S, request, 5 * SECOND) {
        Some(Heard::Reply(Reply::Kv(answer))) => Some(answer),
        _ => None,
    }
}

fn get_op(key: Bytes, quorums: Quorums) -> Operation {
    Operation::Get(GetOp {
        bucket: bucket(),
        key,
        quorums,
        basic_quorum: None,
        notfound_ok: None,
        timeout_ms: None,
    })
}

fn put_op(key: Bytes, quorums: Quorums) -> Operation {
    Operation::Put(PutOp {
        bucket: bucket(),
        key: Some(key),
        context: Bytes::new(),
        content: Content { value: Bytes::from_static(b"v"), ..Content::default() },
        quorums,
        returns: Return::Nothing,
        if_none_match: false,
        if_not_modified: false,
        timeout_ms: None,
    })
}

fn get(w: &mut World<Cluster>, node: NodeId, key: Bytes) -> Option<Answer> {
    ask(w, node, get_op(key, Quorums::default()))
}

fn put(w: &mut World<Cluster>, node: NodeId, key: Bytes) -> bool {
    let put = put_op(key, Quorums::default());
    matches!(ask(w, node, put), Some(Answer::Written(_)))
}

/// What a request is answered with while `meanwhile` happens.
fn heard(
    w: &mut World<Cluster>,
    node: NodeId,
    request: Request,
    meanwhile: impl FnOnce(&mut World<Cluster>),
) -> Vec<Answer> {
    let client = w.request(node, S, ombak_node::Request::Kv(request));
    meanwhile(w);
    let replies = w.take_replies().into_iter().filter(|reply| reply.client == client);
    let answers = replies.filter_map(|reply| match reply.heard {
        Heard::Reply(Reply::Kv(answer)) => Some(answer),
        _ => None,
    });
    answers.collect()
}

/// Bad weather, and then time enough for everything but patience.
fn full_queues(w: &mut World<Cluster>) {
    w.set_faults(Faults { full_per_mille: 300, ..Faults::calm() });
    w.run_for(SECOND / 2);
    w.set_faults(Faults::calm());
    w.run_for(SECOND);
}

fn delete_op(key: Bytes) -> Operation {
    let quorums = Quorums::default();
    Operation::Delete(DeleteOp { bucket: bucket(), key, context: None, quorums, timeout_ms: None })
}

fn delete(w: &mut World<Cluster>, node: NodeId, key: Bytes) -> bool {
    matches!(ask(w, node, delete_op(key)), Some(Answer::Written(_)))
}

/// A read saw the tombstone on all three and had it reaped, though one had not synced it: that one crashed, came back
/// with the old value, and the others had forgotten. It came back in 51 of 300 seeds.
#[test]
fn a_tombstone_is_reaped_only_when_all_have_synced_it() {
    for seed in 0..100 {
        let mut w = world(seed);
        assert!(put(&mut w, A, key(0)));
        w.run_for(2 * SECOND);
        w.set_faults(Faults { write_us: (1_000, 800_000), ..Faults::calm() });
        if !delete(&mut w, A, key(0)) {
            continue;
        }
        get(&mut w, A, key(0));
        w.run_for(20_000);
        let victim = NodeId((seed % 3) as u32);
        let other = NodeId(((seed + 1) % 3) as u32);
        w.crash(victim);
        w.set_faults(Faults::calm());
        w.run_for(SECOND / 2);
        w.restart(victim).unwrap();
        w.run_for(5 * SECOND);
        get(&mut w, other, key(0));
        w.run_for(SECOND);
        let found = get(&mut w, other, key(0));
        assert!(matches!(found, Some(Answer::NotFound(_))), "seed {seed}: {found:?}");
    }
}

/// Deletions that a dead node could not take part in were kept waiting for it, until there was room for nothing else.
#[test]
fn deletions_with_a_node_down_do_not_pile_up() {
    let mut w = world(1);
    w.crash(NodeId(2));
    w.run_for(3 * SECOND);
    for n in 0..50 {
        assert!(put(&mut w, A, key(n)) && delete(&mut w, A, key(n)), "key {n}");
    }
    w.run_for(SECOND);
    assert!(w.machine(A, S).unwrap().is_idle());
}

/// Turns a bit in the last value of each of a node's files.
fn rot(w: &mut World<Cluster>, node: NodeId) {
    let files = w.disk(node).files();
    for (file, bytes) in files.iter().filter(|(file, _)| file.starts_with("vnodes/")) {
        w.disk(node).flip_bit(file, bytes - 1, 0);
    }
}

/// A value that rots is noticed by the read that loads it, makes its vnode incomplete, and is put right by a repair,
/// although the tag of what rotted still says that it is what the others have.
#[test]
fn a_rotten_value_is_repaired() {
    let mut w = world(2);
    assert!(put(&mut w, A, key(0)));
    w.run_for(30 * SECOND);
    // Before, it is in memory and in the commit log alone.
    w.crash(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    rot(&mut w, A);
    let all_complete = |w: &World<Cluster>| {
        w.machine(A, S).is_some_and(|shard| shard.vnodes().all(|vnode| vnode.is_complete()))
    };
    assert!(all_complete(&w));
    for _ in 0..2 {
        let found = get(&mut w, A, key(0));
        assert!(matches!(found, Some(Answer::Object(_))), "two sound replicas answer: {found:?}");
    }
    assert!(!all_complete(&w), "it was noticed");
    w.ask(A, S, ombak_node::Request::Repair, 30 * SECOND);
    assert!(all_complete(&w));
    get(&mut w, A, key(0));
    w.run_for(SECOND);
    assert!(all_complete(&w), "it was put right");
}

/// What rots where nobody else has it is lost. Each read of it found the damage anew, and made the vnode that had just
/// been repaired incomplete again, for ever (seed 1365).
#[test]
fn a_rotten_value_that_nobody_else_has_is_given_up() {
    let mut w = world(2);
    [NodeId(1), NodeId(2)].into_iter().for_each(|node| w.crash(node));
    w.run_for(3 * SECOND);
    let one = Quorums { w: Quorum::One, dw: Quorum::One, ..Quorums::default() };
    let written = ask(&mut w, A, put_op(key(0), one));
    assert!(matches!(written, Some(Answer::Written(_))), "{written:?}");
    w.run_for(30 * SECOND);
    w.restart(A).unwrap();
    rot(&mut w, A);
    [NodeId(1), NodeId(2)].into_iter().for_each(|node| w.restart(node).unwrap());
    w.run_for(5 * SECOND);
    for is_damaged in [true, false] {
        let found = get(&mut w, A, key(0));
        assert!(matches!(found, Some(Answer::NotFound(_))), "two have never had it: {found:?}");
        w.run_for(SECOND);
        let complete =
            w.machine(A, S).is_some_and(|shard| shard.vnodes().all(|vnode| vnode.is_complete()));
        assert_eq!(complete, !is_damaged);
        w.ask(A, S, ombak_node::Request::Repair, 30 * SECOND);
    }
}

/// The own replica had synced the tombstone long ago; its word was kept back until something else was stored.
#[test]
fn a_read_reaps_a_tombstone_that_was_synced_long_ago() {
    let mut w = world(3);
    assert!(put(&mut w, A, key(0)));
    w.crash(NodeId(2));
    w.run_for(3 * SECOND);
    assert!(delete(&mut w, A, key(0)));
    w.restart(NodeId(2)).unwrap();
    w.run_for(5 * SECOND);
    for _ in 0..3 {
        get(&mut w, A, key(0));
        w.run_for(SECOND);
    }
    assert!(w.machine(A, S).unwrap().is_idle());
    assert_eq!(w.probes().get("a tombstone was reaped"), Some(&1));
}

/// What A answers to a write that all three must take and `dw` must sync, when `then` happens before they have.
fn a_write_that_is_not_synced(dw: u32, then: impl Fn(&mut World<Cluster>)) -> Vec<Answer> {
    let mut w = world(4);
    w.set_faults(Faults { write_us: (400_000, 500_000), ..Faults::calm() });
    let quorums = Quorums { w: Quorum::All, dw: Quorum::Count(dw), ..Quorums::default() };
    heard(&mut w, A, Request::Key(put_op(key(0), quorums)), |w| {
        w.run_for(100_000);
        then(w);
        w.run_for(2 * SECOND);
    })
}

/// They had said that they took the write; the coordinator waited for the rest until the client's time was up.
#[test]
fn replicas_that_die_between_taking_and_syncing_are_not_waited_for() {
    let answers = a_write_that_is_not_synced(2, |w| {
        w.crash(NodeId(1));
        w.crash(NodeId(2));
    });
    assert!(
        matches!(answers[..], [Answer::Failed(RequestError::DwUnsatisfied { need: 2, .. })]),
        "{answers:?}"
    );
}

/// The answers that had waited for its disk were never sent, and nobody was told.
#[test]
fn a_replica_whose_disk_fails_says_so() {
    for failing in [A, NodeId(2)] {
        let answers = a_write_that_is_not_synced(3, |w| {
            w.disk(failing).set_broken(Some(ErrorKind::Other));
        });
        let refused = matches!(
            answers[..],
            [Answer::Failed(
                RequestError::WUnsatisfied { need: 3, .. }
                    | RequestError::DwUnsatisfied { need: 3, .. }
            )]
        );
        assert!(refused, "{failing}: {answers:?}");
    }
}

/// An answer that found the queue full was dropped: a coordinator waited for ten seconds, and a client of another shard
/// until its time was up.
#[test]
fn an_answer_that_finds_the_queue_full_is_told_later() {
    let all = Quorums { r: Quorum::All, ..Quorums::default() };
    for seed in 0..20 {
        let mut w = world(seed);
        for n in 0..20 {
            let node = NodeId(n as u32 % 3);
            for operation in [get_op(key(n), all), put_op(key(n), Quorums::default())] {
                let answers = heard(&mut w, node, Request::Key(operation), full_queues);
                assert_eq!(answers.len(), 1, "seed {seed}, key {n}");
            }
        }
    }
}

/// A listing waited for a piece whose answer had been dropped, until its time was up.
#[test]
fn a_listing_goes_on_when_an_answer_finds_the_queue_full() {
    for seed in 0..50 {
        let mut w = world(seed);
        let listing =
            Request::List { listing: Listing::Keys { bucket: bucket() }, timeout_ms: None };
        let answers = heard(&mut w, A, listing, full_queues);
        let ended = |answer: &Answer| matches!(answer, Answer::Listed(_, true) | Answer::Failed(_));
        assert!(answers.last().is_some_and(ended), "seed {seed}: {answers:?}");
    }
}

/// Replies to these were held back for a disk that failed, and so was the news of it.
#[test]
fn a_repair_and_a_change_of_properties_end_when_the_disk_fails() {
    for request in [set_allow_mult(true), ombak_node::Request::Repair] {
        let mut w = world(6);
        w.set_faults(Faults { write_us: (400_000, 500_000), ..Faults::calm() });
        // So that there is something to be synced.
        heard(&mut w, A, Request::Key(put_op(key(0), Quorums::default())), |_| ());
        let client = w.request(A, S, request.clone());
        w.run_for(50_000);
        w.disk(A).set_broken(Some(ErrorKind::Other));
        w.run_for(2 * SECOND);
        let replies = w.take_replies();
        let ended = replies.iter().any(|reply| reply.client == client);
        assert!(ended, "{request:?}: {replies:?}");
        let refused = w.ask(A, S, request, SECOND);
        let refused = format!("{refused:?}");
        assert!(refused.contains("sync failed"), "{refused}");
    }
}

fn set_allow_mult(value: bool) -> ombak_node::Request {
    let change = PropChange { name: "allow_mult".into(), value: Some(PropValue::Bool(value)) };
    ombak_node::Request::Kv(Request::SetProps(bucket(), vec![change]))
}

/// A node that was cut off while its bucket came to keep siblings takes a write before it has learned that. It used to
/// replace what was there.
#[test]
fn a_coordinator_that_missed_allow_mult_loses_no_sibling() {
    let mut missed = 0;
    for seed in 0..20 {
        let mut w = world(seed);
        let (b, c) = (NodeId(1), NodeId(2));
        assert!(put(&mut w, b, key(0)));
        w.partition(&[A], &[b, c]);
        w.run_for(3 * SECOND);
        let set = w.ask(b, S, set_allow_mult(true), 5 * SECOND);
        assert_eq!(set, Some(Heard::Reply(Reply::Kv(Answer::PropsSet))));
        // What A and B have to say to each other is on its way for a while.
        w.set_faults(Faults { delay_us: (90_000, 100_000), ..Faults::calm() });
        w.heal();
        let sees_peer = |w: &World<Cluster>| w.machine(A, S).is_some_and(Shard::has_live_peer);
        assert!(w.run_until_true(5 * SECOND, sees_peer));
        assert!(put(&mut w, A, key(0)), "seed {seed}");
        w.run_for(3 * SECOND);
        for node in [A, b, c] {
            let found = get(&mut w, node, key(0));
            let Some(Answer::Object(object)) = found else { panic!("seed {seed}: {found:?}") };
            assert_eq!(object.siblings.len(), 2, "seed {seed}, through {node}");
        }
        let probe = "what was replaced before its bucket was known is written again";
        missed += w.probes().get(probe).copied().unwrap_or(0);
    }
    assert!(missed > 0, "it never had to be put right");
}

/// A coordinator crashed before it had synced a write that the others had synced and acknowledged. Its next write claimed
/// to have seen everything up to its own number, and the others dropped the first.
#[test]
fn what_a_coordinator_lost_in_a_crash_is_not_replaced_by_its_next_write() {
    for seed in 0..60 {
        let mut w = world(seed);
        w.ask(A, S, set_allow_mult(true), 5 * SECOND);
        assert!(put(&mut w, A, key(0)));
        w.run_for(SECOND);
        w.set_faults(Faults { write_us: (100, 400_000), ..Faults::calm() });
        if !put(&mut w, A, key(0)) {
            continue;
        }
        w.crash(A);
        w.set_faults(Faults::calm());
        w.restart(A).unwrap();
        let again = |w: &mut World<Cluster>| {
            (0..50).any(|_| {
                w.run_for(SECOND / 10);
                put(w, A, key(0))
            })
        };
        assert!(again(&mut w), "seed {seed}");
        w.run_for(SECOND);
        let Some(Answer::Object(object)) = get(&mut w, NodeId(1), key(0)) else { panic!() };
        assert_eq!(object.siblings.len(), 3, "seed {seed}");
    }
}

/// A node whose disk was lost, alone with writes that one replica is enough for: it did not know that the bucket keeps
/// siblings, and replaced one acknowledged write by the next (seed 595).
#[test]
fn a_node_that_has_heard_of_nobody_replaces_nothing_unseen() {
    let mut w = world(8);
    let (b, c) = (NodeId(1), NodeId(2));
    w.ask(A, S, set_allow_mult(true), 5 * SECOND);
    [A, b, c].into_iter().for_each(|node| w.crash(node));
    w.wipe(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    let one = Quorums { w: Quorum::One, dw: Quorum::One, ..Quorums::default() };
    for _ in 0..2 {
        let written = ask(&mut w, A, put_op(key(0), one));
        assert!(matches!(written, Some(Answer::Written(_))), "{written:?}");
    }
    [b, c].into_iter().for_each(|node| w.restart(node).unwrap());
    w.run_for(5 * SECOND);
    // One replica has it: only a read of all must see that.
    let all = get_op(key(0), Quorums { r: Quorum::All, ..Quorums::default() });
    let Some(Answer::Object(object)) = ask(&mut w, b, all) else { panic!("it is there") };
    assert_eq!(object.siblings.len(), 2);
}

//! More scenarios that lost data or brought it back, found by asking what the rules of a run allow.

use ombak_cluster::{CLOCK_SLACK_MS, FENCE_WINDOW_MS, hash};

use super::*;

const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

/// A bucket that keeps siblings.
fn keep_siblings(w: &mut World<Cluster>) -> bool {
    w.ask(A, S, set_allow_mult(true), 5 * SECOND) == Some(Heard::Reply(Reply::Kv(Answer::PropsSet)))
}

/// How many values a read at all replicas finds, or at so many as it can.
fn values(w: &mut World<Cluster>, node: NodeId, r: Quorum) -> Result<usize, Option<Answer>> {
    let quorums = Quorums { r, ..Quorums::default() };
    match ask(w, node, get_op(key(0), quorums)) {
        Some(Answer::Object(object)) => Ok(object.siblings.len()),
        Some(Answer::NotFound(_)) => Ok(0),
        other => Err(other),
    }
}

fn put_with(w: &mut World<Cluster>, node: NodeId, quorums: Quorums) -> bool {
    matches!(ask(w, node, put_op(key(0), quorums)), Some(Answer::Written(_)))
}

/// A names a write, the others sync it, and it is acknowledged; A dies before it has synced its own copy. It comes back
/// under the same actor, without the value, and names the next write of that key: a version vector has no gaps, so
/// "A up to here" covers the value, which A does not have any more. The merge drops it on the others.
#[test]
fn a_write_that_its_coordinator_lost_is_kept() {
    let lost = lost_by_their_coordinator();
    assert!(lost.is_empty(), "the acknowledged value is gone with seeds {lost:?}");
}

/// The seeds with which it is not.
pub(crate) fn lost_by_their_coordinator() -> Vec<u64> {
    let mut lost = Vec::new();
    for seed in 0..60 {
        let mut w = world(seed);
        assert!(keep_siblings(&mut w));
        w.set_faults(Faults { write_us: (10_000, 800_000), ..Faults::calm() });
        if !put(&mut w, A, key(0)) {
            continue;
        }
        w.crash(A);
        w.set_faults(Faults::calm());
        w.run_for(SECOND / 10);
        w.restart(A).unwrap();
        w.run_for(5 * SECOND);
        assert!(put(&mut w, A, key(0)));
        w.run_for(SECOND);
        if values(&mut w, B, Quorum::All) != Ok(2) {
            lost.push(seed);
        }
    }
    lost
}

/// The same with a failed sync in place of the crash, as in the seeds.
#[test]
fn a_write_whose_coordinator_could_not_sync_it_is_kept() {
    let mut w = world(1);
    assert!(keep_siblings(&mut w));
    w.run_for(SECOND);
    w.disk(A).set_broken(Some(ErrorKind::Other));
    assert!(put(&mut w, A, key(0)), "B and C have it");
    w.run_for(SECOND);
    w.disk(A).set_broken(None);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    assert!(put(&mut w, A, key(0)));
    w.run_for(SECOND);
    assert_eq!(values(&mut w, B, Quorum::All), Ok(2));
}

fn all_complete(w: &World<Cluster>, node: NodeId) -> bool {
    let complete = |shard: &Shard| shard.vnodes().all(|vnode| vnode.is_complete());
    w.machine(node, S).is_some_and(complete)
}

/// A gets back a copy of its disk that was made before its last start. Its claim came out as the one that the others
/// remembered, so nobody noticed; and it named its writes as the start before it had: one dot for two writes, of which one
/// vanished.
#[test]
fn a_copy_of_before_the_last_start_is_noticed_and_reuses_no_dot() {
    let mut w = world(1);
    assert!(keep_siblings(&mut w));
    w.run_for(SECOND);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    assert!(put(&mut w, A, key(0)));
    w.put_older_disk(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    assert!(put(&mut w, A, key(0)));
    w.run_for(SECOND);
    assert_eq!(values(&mut w, B, Quorum::All), Ok(2));
    assert!(!all_complete(&w, A), "what it lacks is not taken for absent");
    w.ask(A, S, ombak_node::Request::Repair, 30 * SECOND);
    assert!(all_complete(&w, A));
}

/// The same while nobody can tell it so, twice: each start took a name of its own, to be safe, and that fitted when the
/// others came (seed 434).
#[test]
fn a_copy_that_is_started_alone_is_noticed_later() {
    for starts in 1..=3 {
        let mut w = world(1);
        w.restart(A).unwrap();
        w.run_for(5 * SECOND);
        assert!(put(&mut w, A, key(0)));
        [B, C].into_iter().for_each(|node| w.crash(node));
        w.put_older_disk(A);
        for _ in 0..starts {
            w.restart(A).unwrap();
            w.run_for(5 * SECOND);
        }
        [B, C].into_iter().for_each(|node| w.restart(node).unwrap());
        w.run_for(5 * SECOND);
        assert!(!all_complete(&w, A), "after {starts} starts");
    }
}

/// The same with rot: commands on a key whose value cannot be read run as if nothing were there, under the same actor.
#[test]
fn a_write_onto_a_rotten_value_keeps_what_others_have() {
    let mut w = world(2);
    assert!(keep_siblings(&mut w));
    assert!(put(&mut w, A, key(0)));
    w.run_for(30 * SECOND);
    w.crash(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    rot(&mut w, A);
    assert!(put(&mut w, A, key(0)));
    w.run_for(SECOND);
    assert_eq!(values(&mut w, B, Quorum::All), Ok(2));
}

/// A loses its disk, and with it the properties. Alone, it names writes by the defaults, under which one replaces the
/// other. (It happens at W=2 as well, when the second node has come up just before.)
#[test]
fn a_node_that_lost_its_disk_does_not_name_by_the_default_properties() {
    let mut w = world(3);
    assert!(keep_siblings(&mut w));
    w.run_for(SECOND);
    w.crash(B);
    w.crash(C);
    w.wipe(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    let one = Quorums { w: Quorum::One, dw: Quorum::One, ..Quorums::default() };
    let acknowledged = (0..2).filter(|_| put_with(&mut w, A, one)).count();
    let shown = values(&mut w, A, Quorum::One);
    assert_eq!(shown, Ok(acknowledged), "a write with this context replaces them all (seed 595)");
    w.restart(B).unwrap();
    w.restart(C).unwrap();
    w.run_for(5 * SECOND);
    w.ask(A, S, ombak_node::Request::Repair, 30 * SECOND);
    w.run_for(5 * SECOND);
    assert_eq!(values(&mut w, B, Quorum::All), Ok(acknowledged));
}

/// A node asks for a key and dies. When it is back, its questions have the same numbers as before, and the answer to the
/// old one is taken for an answer about another key. A read repair would then store it there.
#[test]
fn an_answer_to_an_earlier_life_is_not_taken_for_another_key() {
    let mut wrong = Vec::new();
    for seed in 0..20 {
        let (mut w, _, reader) = four_nodes(seed);
        let others = |key: &Bytes| !primaries(&w, key).contains(&reader);
        let keys: Vec<Bytes> = (0..50).map(key).filter(others).take(2).collect();
        for key in &keys {
            assert!(put_value(&mut w, key, key));
        }
        w.restart(reader).unwrap();
        w.run_for(5 * SECOND);
        let late = (50_000, 400_000);
        w.set_faults(Faults { late_load_per_mille: 1000, load_us: late, ..Faults::calm() });
        let get_first = get_op(keys[0].clone(), Quorums::default());
        w.request(reader, S, ombak_node::Request::Kv(Request::Key(get_first)));
        w.run_for(5_000);
        w.restart(reader).unwrap();
        w.run_for(40_000);
        w.take_replies();
        if let Some(Answer::Object(found)) = get(&mut w, reader, keys[1].clone())
            && found.siblings[0].1.value != keys[1]
        {
            wrong.push(seed);
        }
    }
    assert!(wrong.is_empty(), "the value of another key is returned with seeds {wrong:?}");
}

fn put_value(w: &mut World<Cluster>, key: &Bytes, value: &Bytes) -> bool {
    let Operation::Put(mut put) = put_op(key.clone(), Quorums::default()) else { return false };
    put.content.value = value.clone();
    matches!(ask(w, A, Operation::Put(put)), Some(Answer::Written(_)))
}

/// A read takes its own replica's old value first. While that is loaded, a deletion that was acknowledged before the read
/// began reaches this replica, is on all disks, and is reaped. The first of the others to answer has nothing: the deleted
/// value would stand alone, and be returned.
#[test]
fn a_read_does_not_return_what_is_reaped_meanwhile() {
    let mut back = Vec::new();
    for seed in 0..100 {
        let mut w = world(seed);
        assert!(put(&mut w, A, key(0)));
        w.run_for(SECOND);
        w.one_way(A, B);
        assert!(delete(&mut w, A, key(0)), "A and C have it");
        let late = (50_000, 60_000);
        w.set_faults(Faults { late_load_per_mille: 1000, load_us: late, ..Faults::calm() });
        let get = Request::Key(get_op(key(0), Quorums::default()));
        let answers = heard(&mut w, B, get, |w| {
            w.run_for(1);
            w.set_faults(Faults { delay_us: (50, 50_000), ..Faults::calm() });
            w.heal();
            w.run_for(SECOND);
        });
        if matches!(answers[..], [Answer::Object(_)]) {
            back.push(seed);
        }
    }
    assert!(back.is_empty(), "a deleted value is returned with seeds {back:?}");
}

/// B holds a tombstone that C never had; then A and C take a new value, and A loses its disk. B's tombstone beside A's
/// empty place makes two answers of three, and no value: "not found", though the value is acknowledged and on C.
#[test]
fn an_old_tombstone_beside_an_empty_replica_is_no_not_found() {
    let mut w = world(4);
    assert!(put(&mut w, A, key(0)));
    w.run_for(SECOND);
    w.crash(C);
    w.run_for(2 * SECOND);
    assert!(delete(&mut w, A, key(0)));
    w.restart(C).unwrap();
    w.run_for(5 * SECOND);
    w.crash(B);
    w.run_for(2 * SECOND);
    assert!(put(&mut w, A, key(0)), "A and C have it");
    w.crash(C);
    w.wipe(A);
    w.restart(A).unwrap();
    w.restart(B).unwrap();
    w.run_for(5 * SECOND);
    let found = values(&mut w, A, Quorum::Default);
    assert_ne!(found, Ok(0), "the value is on C, and A has lost its disk");
}

/// A node that is no primary sends a request to the first primary, which it cannot reach, and after a second to the next,
/// where it is done and acknowledged. `later` happens. Then the network heals, and the first attempt arrives, well within
/// its minute. Returns how many values there are in the end, when nobody remembers any more what was reaped.
fn with_a_first_attempt_that_arrives_late(
    before: impl FnOnce(&mut World<Cluster>, NodeId),
    attempt: impl FnOnce(&mut World<Cluster>, NodeId),
    later: impl FnOnce(&mut World<Cluster>, NodeId),
) -> Result<usize, Option<Answer>> {
    let (mut w, primaries, entry) = four_nodes(6);
    before(&mut w, primaries[1]);
    w.run_for(SECOND);
    w.partition(&[entry], &[primaries[0]]);
    w.run_for(SECOND / 10);
    attempt(&mut w, entry);
    w.run_for(SECOND);
    later(&mut w, primaries[1]);
    w.run_for(SECOND);
    w.heal();
    w.run_for((FENCE_WINDOW_MS + CLOCK_SLACK_MS) * 1_000 + 5 * SECOND);
    values(&mut w, primaries[1], Quorum::All)
}

fn does_put(w: &mut World<Cluster>, node: NodeId) {
    assert!(put(w, node, key(0)));
}

fn does_delete(w: &mut World<Cluster>, node: NodeId) {
    assert!(delete(w, node, key(0)));
}

/// Done once, a deletion was reaped everywhere. It would read the new value, and remove it.
#[test]
fn the_first_attempt_of_a_delete_that_arrives_late_removes_nothing() {
    let found = with_a_first_attempt_that_arrives_late(does_put, does_delete, does_put);
    assert_eq!(found, Ok(1), "written after the deletion");
}

/// There is nothing to delete, so that no trace of the deletion is left anywhere.
#[test]
fn the_first_attempt_of_a_delete_of_nothing_removes_nothing_later() {
    let deletes_nothing = |w: &mut World<Cluster>, node| {
        let gone = ask(w, node, delete_op(key(0)));
        assert!(matches!(gone, Some(Answer::NotFound(_))), "{gone:?}");
    };
    let found = with_a_first_attempt_that_arrives_late(|_, _| {}, deletes_nothing, does_put);
    assert_eq!(found, Ok(1), "written after the deletion");
}

/// A put would come back after it was deleted.
#[test]
fn the_first_attempt_of_a_put_that_arrives_late_does_not_come_back() {
    let found = with_a_first_attempt_that_arrives_late(|_, _| {}, does_put, does_delete);
    assert_eq!(found, Ok(0), "deleted");
}

/// The first attempt of a conditional put is done, and its answer is lost. The retry finds a value: its own.
#[test]
fn the_retry_of_a_conditional_put_finds_its_own_value_and_is_done() {
    let (mut w, primaries, entry) = four_nodes(9);
    w.one_way(primaries[0], entry);
    let Operation::Put(put) = put_op(key(0), Quorums::default()) else { unreachable!() };
    let put = Operation::Put(PutOp { if_none_match: true, ..put });
    let first = ask(&mut w, entry, put.clone());
    assert!(matches!(first, Some(Answer::Written(_))), "{first:?}");
    assert_eq!(values(&mut w, primaries[1], Quorum::All), Ok(1));
    let refused = Some(Answer::Failed(RequestError::MatchFound));
    assert_eq!(ask(&mut w, entry, put), refused, "another one finds it");
}

/// Four nodes, the primaries of key 0, and the node that is none.
fn four_nodes(seed: u64) -> (World<Cluster>, Vec<NodeId>, NodeId) {
    let shape = Shape { nodes: 4, shards: 1, ring_size: 8 };
    let mut w = World::new(Cluster::new(shape).unwrap(), 4, seed).unwrap();
    w.run_for(5 * SECOND);
    let primaries = primaries(&w, &key(0));
    let entry = w.node_ids().find(|node| !primaries.contains(node)).unwrap();
    (w, primaries, entry)
}

fn primaries(w: &World<Cluster>, key: &Bytes) -> Vec<NodeId> {
    let point = hash::key_point(b"", &bucket().name, key);
    w.system().primaries(hash::partition_of(&point, w.system().shape().ring_size)).to_vec()
}

/// `allow_mult=true` is acknowledged while C is cut off. When C is back, and before it has heard of the change, two
/// writes come to it, which it names by the old rule. One replaced the other, and both were acknowledged; later, when they
/// were put right, one of the two stood there twice.
#[test]
fn writes_through_a_node_that_missed_the_change_of_properties_are_siblings() {
    let mut w = world(5);
    w.partition(&[A, B], &[C]);
    w.run_for(3 * SECOND);
    assert!(keep_siblings(&mut w), "A and B have it");
    w.heal();
    let put = || ombak_node::Request::Kv(Request::Key(put_op(key(0), Quorums::default())));
    let mut acknowledged = 0;
    for _ in 0..1_000 {
        // Refused at once as long as C believes that it is alone.
        w.request(C, S, put());
        w.request(C, S, put());
        w.run_for(2_000);
        let written = |reply: &ombak_sim::Reply<Reply>| {
            matches!(reply.heard, Heard::Reply(Reply::Kv(Answer::Written(_))))
        };
        acknowledged += w.take_replies().iter().filter(|reply| written(reply)).count();
        if acknowledged > 0 {
            break;
        }
    }
    w.run_for(SECOND);
    assert_eq!((acknowledged, values(&mut w, A, Quorum::All)), (2, Ok(2)));
}

/// Two writes, which replace the first value and one another, are under way while their bucket comes to keep siblings. Put
/// right, the first of the two stood there twice: for itself, and as what the second had replaced (seeds 34, 148 and 519).
#[test]
fn writes_that_replaced_one_another_are_written_again_once() {
    let mut put_right = 0;
    for seed in 0..20 {
        let mut w = world(seed);
        assert!(put(&mut w, A, key(0)));
        w.run_for(SECOND);
        // What the others answer is on its way for a while.
        w.set_faults(Faults { delay_us: (90_000, 100_000), ..Faults::calm() });
        let all = Quorums { w: Quorum::All, dw: Quorum::All, ..Quorums::default() };
        for _ in 0..2 {
            w.request(C, S, ombak_node::Request::Kv(Request::Key(put_op(key(0), all))));
            w.run_for(1_000);
        }
        w.set_faults(Faults::calm());
        assert!(keep_siblings(&mut w));
        w.run_for(3 * SECOND);
        for node in [A, B, C] {
            assert_eq!(values(&mut w, node, Quorum::All), Ok(3), "seed {seed}, through {node}");
        }
        let probe = "what was replaced before its bucket was known is written again";
        put_right += w.probes().get(probe).copied().unwrap_or(0);
    }
    assert!(put_right > 20, "both had to be put right");
}

/// A starts without C, so it takes a new name; then B hears a late copy of what A had claimed before. To B that is a disk
/// that was given back an older state, and A took B's verdict for one on what it claims by then: its vnodes were incomplete,
/// and with all three of them none could be repaired any more (seed 30,942).
#[test]
fn a_late_copy_of_an_old_claim_costs_nobody_its_data() {
    for seed in 0..10 {
        let mut w = world(seed);
        w.set_faults(Faults {
            duplicate_per_mille: 1_000,
            astray_us: (SECOND, 4 * SECOND),
            ..Faults::calm()
        });
        w.partition(&[A], &[C]);
        w.crash(A);
        w.restart(A).unwrap();
        w.run_for(8 * SECOND);
        w.set_faults(Faults::calm());
        w.heal();
        w.run_for(5 * SECOND);
        let is_complete = |shard: &Shard| shard.vnodes().all(|vnode| vnode.is_complete());
        assert!(w.machine(A, S).is_some_and(is_complete), "seed {seed}");
    }
}

//! What becomes of tombstones, by delete mode.

use ombak_cluster::hash;
use ombak_node::DeleteMode;

use super::*;
use ombak_base::{Device, Load};

const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

fn world_of(mode: DeleteMode) -> World<Cluster> {
    let mut cluster = Cluster::new(Shape { nodes: 3, shards: 1, ring_size: 8 }).unwrap();
    cluster.set_delete_mode(mode);
    let mut w = World::new(cluster, 3, 1).unwrap();
    w.run_for(5 * SECOND);
    w
}

/// On how many nodes something is stored under key 0.
fn stored(w: &mut World<Cluster>) -> usize {
    let point = hash::key_point(b"", &bucket().name, &key(0));
    let partition = hash::partition_of(&point, 8);
    let key = ombak_kv::storage_key(&bucket(), &key(0));
    let mut is_stored = |node: &NodeId| match w.device_mut(*node, S).unwrap().load(partition, &key)
    {
        Load::Ready(entry) => entry.unwrap().is_some(),
        Load::Blocked(read) => read().unwrap().is_some(),
    };
    [A, B, C].iter().filter(|node| is_stored(node)).count()
}

/// The context of a deleted key, if there is one still.
fn context(w: &mut World<Cluster>) -> Option<Bytes> {
    match get(w, A, key(0)) {
        Some(Answer::NotFound(context)) => context,
        other => panic!("{other:?}"),
    }
}

fn put_and_delete(w: &mut World<Cluster>) {
    assert!(put(w, A, key(0)));
    assert!(delete(w, A, key(0)));
    w.run_for(SECOND);
}

#[test]
fn at_once_leaves_nothing() {
    let mut w = world_of(DeleteMode::Immediate);
    put_and_delete(&mut w);
    assert_eq!((stored(&mut w), context(&mut w)), (0, None));
}

#[test]
fn after_a_time_leaves_a_tombstone_until_then() {
    let mut w = world_of(DeleteMode::AfterMs(3_000));
    put_and_delete(&mut w);
    assert!(context(&mut w).is_some(), "a second after the deletion, and a read does not reap it");
    w.run_for(SECOND / 2);
    assert_eq!(stored(&mut w), 3);
    w.run_for(2 * SECOND);
    assert_eq!((stored(&mut w), context(&mut w)), (0, None));
}

#[test]
fn what_is_written_meanwhile_stays() {
    let mut w = world_of(DeleteMode::AfterMs(3_000));
    put_and_delete(&mut w);
    assert!(put(&mut w, B, key(0)));
    w.run_for(5 * SECOND);
    assert!(matches!(get(&mut w, C, key(0)), Some(Answer::Object(_))));
    assert_eq!(stored(&mut w), 3);
}

/// The node that was to reap it is gone when it is time: the next read does.
#[test]
fn a_tombstone_whose_coordinator_is_gone_is_reaped_by_a_read() {
    let mut w = world_of(DeleteMode::AfterMs(3_000));
    put_and_delete(&mut w);
    w.crash(A);
    w.restart(A).unwrap();
    w.run_for(5 * SECOND);
    assert_eq!(stored(&mut w), 3);
    assert!(context(&mut w).is_some());
    w.run_for(SECOND);
    assert_eq!(stored(&mut w), 0);
}

#[test]
fn keep_keeps_it() {
    let mut w = world_of(DeleteMode::Keep);
    put_and_delete(&mut w);
    w.run_for(100 * SECOND);
    assert!(context(&mut w).is_some());
    w.run_for(SECOND);
    assert_eq!(stored(&mut w), 3);
    assert!(put(&mut w, A, key(0)));
    assert!(matches!(get(&mut w, C, key(0)), Some(Answer::Object(_))));
}

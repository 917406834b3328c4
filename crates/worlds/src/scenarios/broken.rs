//! Properties that break in production: the vnode stops, and the cluster goes on.

use ombak_base::property::contain;
use ombak_base::{Device, Entry, Partition};
use ombak_node::ShardStatus;

use super::*;
use crate::keys::place_of;

const B: NodeId = NodeId(1);

/// Contains what breaks, as production does, until it goes out of scope.
struct AsInProduction;

impl AsInProduction {
    fn begin() -> AsInProduction {
        contain(true);
        AsInProduction
    }
}

impl Drop for AsInProduction {
    fn drop(&mut self) {
        contain(false);
    }
}

fn status(w: &mut World<Cluster>, node: NodeId) -> ShardStatus {
    match w.ask(node, S, ombak_node::Request::Status, SECOND) {
        Some(Heard::Reply(Reply::Status(status))) => *status,
        other => panic!("{other:?}"),
    }
}

fn stopped(w: &mut World<Cluster>, node: NodeId) -> Vec<Partition> {
    let vnodes = status(w, node).vnodes.into_iter();
    vnodes.filter(|vnode| vnode.stopped).map(|vnode| vnode.partition).collect()
}

/// What is stored under the key gets a tag that is not its own: a write that meets it breaks "a tag names what is stored".
fn spoil(w: &mut World<Cluster>, node: NodeId) -> Partition {
    let (partition, stored_as) = place_of(&bucket(), &key(0), 8);
    let entry = Entry { tag: 7, bytes: ombak_kv::Object::default().encode() };
    w.device_mut(node, S).unwrap().store(partition, &stored_as, Some(&entry));
    partition
}

#[test]
fn a_vnode_in_which_a_property_breaks_stops_and_the_rest_goes_on() {
    let _contained = AsInProduction::begin();
    let mut w = world(1);
    assert!(put(&mut w, A, key(0)));
    let partition = spoil(&mut w, A);
    assert!(put(&mut w, A, key(0)), "another primary names it");
    assert_eq!(stopped(&mut w, A), [partition]);
    assert_eq!(w.probes().get("a tag names what is stored"), Some(&1), "the host has heard of it");
    assert!(matches!(get(&mut w, A, key(0)), Some(Answer::Object(_))), "by the word of the others");
    assert!(put(&mut w, B, key(0)), "two of three replicas are enough");
    for n in 1..40 {
        assert!(put(&mut w, A, key(n)), "all but this partition is as before: k{n}");
    }
    assert_eq!(stopped(&mut w, A), [partition]);
    w.check_at_rest();
}

/// In tests and in the simulator the same is a failure.
#[test]
#[should_panic(expected = "a tag names what is stored")]
fn a_property_that_breaks_is_a_failure_elsewhere() {
    let mut w = world(1);
    assert!(put(&mut w, A, key(0)));
    spoil(&mut w, A);
    put(&mut w, A, key(0));
}

#[test]
fn who_waits_for_what_stopped_is_told_and_a_restart_brings_it_back() {
    let mut w = world(2);
    let all = Quorums { w: Quorum::All, dw: Quorum::All, ..Quorums::default() };
    for of in [Some(place_of(&bucket(), &key(0), 8).0), None] {
        w.slow(A, B, SECOND);
        let operation = put_op(key(0), all);
        let heard = heard(&mut w, A, Request::Key(operation), |w| {
            w.run_for(SECOND / 100);
            w.break_property(A, S, of);
        });
        assert!(
            matches!(&heard[..], [Answer::Failed(RequestError::Storage(_))]),
            "at once, not when the time is up: {heard:?}"
        );
        w.heal();
        w.run_for(SECOND);
        assert_eq!(stopped(&mut w, A).len(), of.map_or(8, |_| 1));
        assert!(put(&mut w, A, key(0)), "through the others");
        w.restart(A).unwrap();
        w.run_for(5 * SECOND);
        assert_eq!(stopped(&mut w, A), []);
        assert!(put_is_taken_by_all(&mut w, all));
    }
    w.check_at_rest();
}

fn put_is_taken_by_all(w: &mut World<Cluster>, all: Quorums) -> bool {
    matches!(ask(w, A, put_op(key(0), all)), Some(Answer::Written(_)))
}

/// A replica that has stopped does not leave a coordinator on another node waiting.
#[test]
fn a_coordinator_hears_at_once_that_a_replica_has_stopped() {
    let mut w = world(3);
    w.break_property(B, S, None);
    let all = Quorums { w: Quorum::All, dw: Quorum::All, ..Quorums::default() };
    let heard = heard(&mut w, A, Request::Key(put_op(key(0), all)), |w| w.run_for(SECOND / 10));
    let unsatisfied = RequestError::WUnsatisfied { need: 3, got: 1 };
    assert_eq!(heard, [Answer::Failed(unsatisfied)], "at B's word, before C has answered");
}

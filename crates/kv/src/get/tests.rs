use bytes::Bytes;
use ombak_base::{ActorId, RequestId};
use ombak_crdt::{Context, Dot};
use proptest::prelude::*;

use super::Heard::{Absent, Failed, Same};
use super::*;
use crate::{Content, Version};

fn value(n: u64) -> Heard {
    let mut object = Object::default();
    let content = Content { value: Bytes::from_static(b"v"), ..Content::default() };
    let version = Version { request: RequestId(u128::from(n)), retried: false, content };
    object.write(&Context::default(), Dot { actor: ActorId(n), n: 1 }, version);
    Heard::Value(object)
}

fn tombstone(n: u64) -> Heard {
    let Heard::Value(value) = value(n) else { unreachable!() };
    let mut object = value.clone();
    let content = Content { deleted: true, ..Content::default() };
    let version = Version { request: RequestId(u128::from(n) + 100), retried: false, content };
    object.write(&value.context(), Dot { actor: ActorId(n), n: 2 }, version);
    Heard::Value(object)
}

/// What a complete replica says.
fn whole(heard: Heard) -> (Heard, bool) {
    (heard, true)
}

/// What one says that has lost something.
fn lossy(heard: Heard) -> (Heard, bool) {
    (heard, false)
}

fn after(core: &GetCore, answers: &[(Heard, bool)]) -> GetCore {
    let mut core = core.clone();
    for (node, (heard, complete)) in answers.iter().enumerate() {
        core.hear(NodeId(node as u32), heard.clone(), *complete);
    }
    core
}

fn heard(core: &GetCore, answers: &[(Heard, bool)]) -> Option<GetDecision> {
    after(core, answers).decide()
}

fn default() -> GetCore {
    GetCore::new(2, 0, 3, true, false)
}

fn is_found(decision: &Option<GetDecision>) -> bool {
    matches!(decision, Some(GetDecision::Found(_)))
}

#[test]
fn the_table_of_n3_r2() {
    let core = default();
    let (value, absent) = (whole(value(1)), whole(Absent));
    let (unknown, failed) = (lossy(Absent), whole(Failed));
    let heard = |said: &[&(Heard, bool)]| {
        heard(&core, &said.iter().map(|said| (*said).clone()).collect::<Vec<_>>())
    };
    assert_eq!(heard(&[&value]), None);
    assert!(is_found(&heard(&[&value, &absent])));
    assert!(is_found(&heard(&[&value, &unknown])), "unknown may stand beside a value");
    assert_eq!(heard(&[&value, &failed]), None);
    assert_eq!(heard(&[&absent, &absent]), Some(GetDecision::NotFound));
    assert_eq!(heard(&[&absent, &unknown]), None, "unknown is no evidence");
    let unsatisfied = |got| Some(GetDecision::Failed(RequestError::RUnsatisfied { need: 2, got }));
    assert_eq!(heard(&[&absent, &unknown, &failed]), unsatisfied(1));
    assert_eq!(heard(&[&value, &failed, &failed]), unsatisfied(1));
    assert_eq!(heard(&[&unknown, &unknown, &unknown]), unsatisfied(0));
}

#[test]
fn a_tombstone_is_a_not_found_and_needs_complete_replicas() {
    let core = default();
    let dead = |complete| (tombstone(1), complete);
    assert!(is_found(&heard(&core, &[dead(true), whole(Absent)])));
    assert!(is_found(&heard(&core, &[dead(true), whole(Same)])));
    assert_eq!(heard(&core, &[dead(true), lossy(Absent)]), None, "what came after it may be lost");
    assert_eq!(heard(&core, &[dead(true), lossy(Same)]), None);
    assert_eq!(heard(&core, &[dead(false), whole(Absent)]), None);
    let unsatisfied = GetDecision::Failed(RequestError::RUnsatisfied { need: 2, got: 1 });
    let said = [dead(true), lossy(Absent), whole(Failed)];
    assert_eq!(heard(&core, &said), Some(unsatisfied));
    let said = [dead(true), lossy(Absent), whole(value(2))];
    assert!(is_found(&heard(&core, &said)), "a value beside it is enough");
}

#[test]
fn notfound_ok_off_wants_the_whole_row_or_with_basic_quorum_its_half() {
    let absent = whole(Absent);
    let row = GetCore::new(2, 0, 3, false, false);
    let heard = |core: &GetCore, n: usize| heard(core, &vec![absent.clone(); n]);
    assert_eq!(heard(&row, 2), None);
    assert_eq!(heard(&row, 3), Some(GetDecision::NotFound));
    let failed = after(&row, &[absent.clone(), absent.clone(), whole(Failed)]).decide();
    assert!(matches!(failed, Some(GetDecision::Failed(_))));
    let half = GetCore::new(1, 0, 3, false, true);
    assert_eq!(heard(&half, 1), None);
    assert_eq!(heard(&half, 2), Some(GetDecision::NotFound));
}

#[test]
fn pr_counts_values_and_absents_of_primaries() {
    let core = GetCore::new(1, 2, 3, true, false);
    let value = whole(value(1));
    assert_eq!(heard(&core, &[value.clone(), lossy(Absent)]), None);
    assert!(is_found(&heard(&core, &[value.clone(), whole(Absent)])));
    let failed = heard(&core, &[value, whole(Failed), whole(Failed)]);
    assert_eq!(failed, Some(GetDecision::Failed(RequestError::PrUnsatisfied { need: 2, got: 1 })));
}

#[test]
fn the_same_is_a_value_and_nothing_to_repair() {
    let Heard::Value(own) = value(1) else { unreachable!() };
    let core = |answers: &[Heard]| {
        after(&default(), &answers.iter().cloned().map(whole).collect::<Vec<_>>())
    };
    assert_eq!(core(&[value(1), Same]).decide(), Some(GetDecision::Found(own.clone())));
    assert!(core(&[value(1), Same, Same]).agrees());
    assert!(!core(&[value(1), Same]).agrees(), "one is still to be heard");
    assert!(!core(&[value(1), Same, Failed]).agrees());
    assert!(!core(&[value(1), value(2), Same]).agrees());
    let merged = core(&[value(1), value(2), Same]).merged();
    assert!(!core(&[value(1), value(2), Same]).is(&Same, &merged));
    assert!(core(&[value(1), Same, Absent]).is(&Same, &own));
    // After a failure the own replica may still be the first value; without a value, "the same" is nothing.
    assert!(is_found(&core(&[Failed, value(1), Same]).decide()));
    assert_eq!(core(&[Absent, Same]).said()[1].heard, Failed);
}

#[test]
fn a_node_counts_once() {
    let mut core = default();
    core.hear(NodeId(0), Absent, true);
    core.hear(NodeId(0), Absent, true);
    assert_eq!(core.decide(), None);
}

#[test]
fn siblings_of_all_values_are_merged() {
    match heard(&default(), &[whole(value(1)), whole(value(2))]) {
        Some(GetDecision::Found(object)) => assert_eq!(object.siblings().len(), 2),
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// The promise: whatever is heard in whatever order, a write that W complete primaries hold is never "not found"
    /// at R when R + W > N, though others hold a tombstone from before, or have lost something.
    #[test]
    fn an_acknowledged_write_is_never_not_found(
        n in 1..=5usize, r in 1..=5usize, w in 1..=5usize,
        others in proptest::collection::vec((0..3u8, any::<bool>()), 5),
        order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        prop_assume!(r <= n && w <= n && r + w > n);
        let mut core = GetCore::new(r, 0, n, true, false);
        for node in order.into_iter().filter(|node| *node < n) {
            let (kind, complete) = others[node];
            let (heard, complete) = match kind {
                0 => (Failed, complete),
                _ if node < w => (value(2), true),
                1 => (tombstone(1), complete),
                _ => (Absent, complete),
            };
            core.hear(NodeId(node as u32), heard, complete);
            let not_found = match core.decide() {
                Some(GetDecision::NotFound) => true,
                Some(GetDecision::Found(object)) => object.is_tombstone(),
                _ => false,
            };
            prop_assert!(!not_found, "{:?}", core);
        }
    }

    /// No answer comes with fewer nodes than node_confirms, however few there are; and below what is needed
    /// anyway it changes nothing.
    #[test]
    fn node_confirms_are_nodes_that_answered(
        n in 1..=5usize, r in 1..=5usize, confirms in 0..=6usize,
        said in proptest::collection::vec((0..6u32, 0..4u8, any::<bool>()), 0..9),
        notfound_ok: bool, basic_quorum: bool,
    ) {
        prop_assume!(r <= n);
        let plain = GetCore::new(r, 0, n, notfound_ok, basic_quorum);
        let mut core = plain.clone().confirmed_by(confirms);
        let mut plain = plain;
        for (node, kind, complete) in said.into_iter().filter(|(node, ..)| (*node as usize) < n) {
            let heard = [Failed, value(2), tombstone(1), Absent][usize::from(kind)].clone();
            core.hear(NodeId(node), heard.clone(), complete);
            plain.hear(NodeId(node), heard, complete);
            let answered = core.said().iter().filter(|said| said.heard != Failed).count();
            match core.decide() {
                Some(GetDecision::Found(_) | GetDecision::NotFound) => {
                    prop_assert!(answered >= confirms, "{:?}", core);
                    prop_assert!(confirms <= n);
                }
                Some(GetDecision::Failed(error)) => {
                    let same = plain.decide() == Some(GetDecision::Failed(error.clone()));
                    let nodes = matches!(error, RequestError::NodesUnsatisfied { need, got }
                        if need == confirms && got < need);
                    prop_assert!(same || nodes || plain.decide().is_some(), "{:?}", core);
                }
                None => {}
            }
            // With basic_quorum, half of the row is enough for an absence, whatever R is.
            let least = if basic_quorum && !notfound_ok { r.min(n / 2 + 1) } else { r };
            if confirms <= least {
                prop_assert_eq!(core.decide(), plain.decide());
            }
        }
    }
}

#[test]
fn node_confirms_are_not_cut_to_a_short_row() {
    let alone = GetCore::new(1, 0, 1, true, false);
    let (there, missing) = ([whole(value(1))], [whole(Absent)]);
    assert!(is_found(&heard(&alone, &there)));
    let unsatisfied = RequestError::NodesUnsatisfied { need: 3, got: 1 };
    let unsatisfied = Some(GetDecision::Failed(unsatisfied));
    for said in [&there, &missing] {
        assert_eq!(heard(&alone.clone().confirmed_by(3), said), unsatisfied);
    }
    let row = GetCore::new(1, 0, 3, true, false).confirmed_by(2);
    assert_eq!(heard(&row, &there), None, "one node is not two");
    assert!(is_found(&heard(&row, &[whole(value(1)), lossy(Absent)])));
    assert_eq!(heard(&row, &[whole(Absent), lossy(Absent)]), None, "unknown is no evidence");
    assert_eq!(heard(&row, &[whole(Absent), whole(Absent)]), Some(GetDecision::NotFound));
}

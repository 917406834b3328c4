use bytes::Bytes;
use ombak_base::{ActorId, RequestId};
use ombak_crdt::{Context, Dot};
use proptest::prelude::*;

use super::*;
use crate::{Content, Version};

fn value(n: u64) -> Heard {
    let mut object = Object::default();
    let content = Content { value: Bytes::from_static(b"v"), ..Content::default() };
    let version = Version { request: RequestId(u128::from(n)), retried: false, content };
    object.write(&Context::default(), Dot { actor: ActorId(n), n: 1 }, version);
    Heard::Value(object)
}

fn heard(core: &GetCore, answers: &[Heard]) -> Option<GetDecision> {
    let mut core = core.clone();
    answers
        .iter()
        .enumerate()
        .for_each(|(node, answer)| core.hear(NodeId(node as u32), answer.clone()));
    core.decide()
}

fn default() -> GetCore {
    GetCore::new(2, 0, 3, true, false)
}

fn is_found(decision: &Option<GetDecision>) -> bool {
    matches!(decision, Some(GetDecision::Found(_)))
}

#[test]
fn the_table_of_n3_r2() {
    use Heard::{Absent, Failed, Unknown};
    let core = default();
    assert_eq!(heard(&core, &[value(1)]), None);
    assert!(is_found(&heard(&core, &[value(1), Absent])));
    assert!(is_found(&heard(&core, &[value(1), Unknown])), "unknown may stand beside a value");
    assert_eq!(heard(&core, &[value(1), Failed]), None);
    assert_eq!(heard(&core, &[Absent, Absent]), Some(GetDecision::NotFound));
    assert_eq!(heard(&core, &[Absent, Unknown]), None, "unknown is no evidence");
    let unsatisfied = |got| Some(GetDecision::Failed(RequestError::RUnsatisfied { need: 2, got }));
    assert_eq!(heard(&core, &[Absent, Unknown, Failed]), unsatisfied(1));
    assert_eq!(heard(&core, &[value(1), Failed, Failed]), unsatisfied(1));
    assert_eq!(heard(&core, &[Unknown, Unknown, Unknown]), unsatisfied(0));
}

#[test]
fn notfound_ok_off_wants_the_whole_row_or_with_basic_quorum_its_half() {
    use Heard::{Absent, Failed};
    let whole = GetCore::new(2, 0, 3, false, false);
    assert_eq!(heard(&whole, &[Absent, Absent]), None);
    assert_eq!(heard(&whole, &[Absent, Absent, Absent]), Some(GetDecision::NotFound));
    assert!(matches!(heard(&whole, &[Absent, Absent, Failed]), Some(GetDecision::Failed(_))));
    let half = GetCore::new(1, 0, 3, false, true);
    assert_eq!(heard(&half, &[Absent]), None);
    assert_eq!(heard(&half, &[Absent, Absent]), Some(GetDecision::NotFound));
}

#[test]
fn pr_counts_values_and_absents_of_primaries() {
    let core = GetCore::new(1, 2, 3, true, false);
    assert_eq!(heard(&core, &[value(1), Heard::Unknown]), None);
    assert!(is_found(&heard(&core, &[value(1), Heard::Absent])));
    let failed = heard(&core, &[value(1), Heard::Failed, Heard::Failed]);
    assert_eq!(failed, Some(GetDecision::Failed(RequestError::PrUnsatisfied { need: 2, got: 1 })));
}

#[test]
fn the_same_is_a_value_and_nothing_to_repair() {
    use Heard::{Absent, Failed, Same};
    let Heard::Value(own) = value(1) else { unreachable!() };
    assert_eq!(heard(&default(), &[value(1), Same]), Some(GetDecision::Found(own.clone())));
    let core = |answers: &[Heard]| {
        let mut core = default();
        answers
            .iter()
            .enumerate()
            .for_each(|(node, answer)| core.hear(NodeId(node as u32), answer.clone()));
        core
    };
    assert!(core(&[value(1), Same, Same]).agrees());
    assert!(!core(&[value(1), Same]).agrees(), "one is still to be heard");
    assert!(!core(&[value(1), Same, Failed]).agrees());
    assert!(!core(&[value(1), value(2), Same]).agrees());
    let merged = core(&[value(1), value(2), Same]).merged();
    assert!(!core(&[value(1), value(2), Same]).is(&Same, &merged));
    assert!(core(&[value(1), Same, Absent]).is(&Same, &own));
    // After a failure the own replica may still be the first value; without a value, "the same" is nothing.
    assert!(is_found(&heard(&default(), &[Failed, value(1), Same])));
    assert_eq!(core(&[Absent, Same]).heard()[1].1, Failed);
}

#[test]
fn a_node_counts_once() {
    let mut core = default();
    core.hear(NodeId(0), Heard::Absent);
    core.hear(NodeId(0), Heard::Absent);
    assert_eq!(core.decide(), None);
}

#[test]
fn siblings_of_all_values_are_merged() {
    match heard(&default(), &[value(1), value(2)]) {
        Some(GetDecision::Found(object)) => assert_eq!(object.siblings().len(), 2),
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// The promise: whatever is heard in whatever order, a write that W complete primaries hold is never "not found"
    /// at R when R + W > N.
    #[test]
    fn an_acknowledged_write_is_never_not_found(
        n in 1..=5usize, r in 1..=5usize, w in 1..=5usize, others in proptest::collection::vec(0..3u8, 5),
        order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        prop_assume!(r <= n && w <= n && r + w > n);
        let mut core = GetCore::new(r, 0, n, true, false);
        for node in order.into_iter().filter(|node| *node < n) {
            let answer = match others[node] {
                _ if node < w && others[node] == 0 => Heard::Failed,
                _ if node < w => value(1),
                0 => Heard::Failed,
                1 => Heard::Unknown,
                _ => Heard::Absent,
            };
            core.hear(NodeId(node as u32), answer);
            prop_assert_ne!(core.decide(), Some(GetDecision::NotFound));
        }
    }
}

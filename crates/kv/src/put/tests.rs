use proptest::prelude::*;

use super::*;

fn core() -> PutCore {
    PutCore::new(2, 2, 0, 3)
}

fn heard(core: &PutCore, acks: &[(u32, Ack)]) -> Option<Result<(), RequestError>> {
    let mut core = core.clone();
    acks.iter().for_each(|(node, ack)| core.hear(NodeId(*node), *ack));
    core.decide()
}

#[test]
fn taken_is_not_durable() {
    assert_eq!(heard(&core(), &[(0, Ack::Taken), (1, Ack::Taken), (2, Ack::Taken)]), None);
    assert_eq!(heard(&core(), &[(0, Ack::Durable(1)), (1, Ack::Durable(1))]), Some(Ok(())));
    assert_eq!(heard(&PutCore::new(2, 0, 0, 3), &[(0, Ack::Taken), (1, Ack::Taken)]), Some(Ok(())));
    assert_eq!(
        heard(&PutCore::new(2, 1, 0, 3), &[(0, Ack::Taken), (1, Ack::Durable(1))]),
        Some(Ok(()))
    );
}

#[test]
fn a_node_counts_once_with_the_most_it_said() {
    let acks = [(0, Ack::Durable(1)), (0, Ack::Durable(1)), (0, Ack::Taken)];
    assert_eq!(heard(&core(), &acks), None);
    let acks = [(0, Ack::Taken), (0, Ack::Durable(1)), (1, Ack::Durable(1))];
    assert_eq!(heard(&core(), &acks), Some(Ok(())));
}

#[test]
fn what_cannot_be_satisfied_any_more_fails_at_once() {
    let failed = heard(&core(), &[(0, Ack::Failed), (1, Ack::Taken), (2, Ack::Failed)]);
    assert_eq!(failed, Some(Err(RequestError::WUnsatisfied { need: 2, got: 1 })));
    assert_eq!(heard(&core(), &[(0, Ack::Failed)]), None);
    assert_eq!(
        PutCore::new(3, 0, 0, 3).possible(2),
        Err(RequestError::WUnsatisfied { need: 3, got: 2 })
    );
    assert_eq!(
        PutCore::new(1, 0, 3, 3).possible(2),
        Err(RequestError::PwUnsatisfied { need: 3, got: 2 })
    );
}

/// The coordinator went on waiting for a replica that had said "taken" and died: until the client's timeout.
#[test]
fn a_replica_that_is_lost_between_taking_and_syncing_is_not_waited_for() {
    let all = PutCore::new(3, 3, 0, 3);
    let acks = [(0, Ack::Durable(1)), (1, Ack::Durable(1)), (2, Ack::Taken)];
    assert_eq!(heard(&all, &acks), None);
    let unsatisfied = Some(Err(RequestError::DwUnsatisfied { need: 3, got: 2 }));
    assert_eq!(heard(&all, &[&acks[..], &[(2, Ack::Failed)]].concat()), unsatisfied);
    let taken_by_all = PutCore::new(3, 2, 0, 3);
    assert_eq!(
        heard(&taken_by_all, &[&[(2, Ack::Taken), (2, Ack::Failed)], &acks[..2]].concat()),
        Some(Ok(()))
    );
    // What was durable stays so, whatever breaks later.
    assert_eq!(
        heard(&all, &[&acks[..2], &[(2, Ack::Durable(1)), (2, Ack::Failed)]].concat()),
        Some(Ok(()))
    );
}

#[test]
fn all_durable_means_every_replica_holds_the_same() {
    let with = |acks: &[(u32, u64)]| {
        let mut core = core();
        acks.iter().for_each(|(node, digest)| core.hear(NodeId(*node), Ack::Durable(*digest)));
        core.all_durable()
    };
    assert_eq!(with(&[(0, 7), (1, 7)]), None);
    assert_eq!(with(&[(0, 7), (1, 7), (2, 8)]), None);
    assert_eq!(with(&[(0, 7), (1, 7), (2, 7)]), Some(7));
}

#[test]
fn node_confirms_are_not_cut_to_a_short_row() {
    let alone = PutCore::new(1, 1, 0, 1).confirmed_by(3);
    let unsatisfied = RequestError::NodesUnsatisfied { need: 3, got: 1 };
    assert_eq!(alone.possible(1), Err(unsatisfied));
    let row = PutCore::new(1, 1, 0, 3).confirmed_by(2);
    assert_eq!(row.possible(2), Ok(()));
    assert!(!row.durable_only(), "one more has to say that it took it");
    assert_eq!(heard(&row, &[(0, Ack::Durable(1))]), None);
    assert_eq!(heard(&row, &[(0, Ack::Durable(1)), (0, Ack::Taken)]), None, "once");
    assert_eq!(heard(&row, &[(0, Ack::Durable(1)), (1, Ack::Taken)]), Some(Ok(())));
    let failed = heard(&row, &[(0, Ack::Durable(1)), (1, Ack::Failed), (2, Ack::Failed)]);
    assert_eq!(failed, Some(Err(RequestError::NodesUnsatisfied { need: 2, got: 1 })));
}

proptest! {
    /// No write is acknowledged by fewer nodes than node_confirms; up to W it changes nothing.
    #[test]
    fn node_confirms_are_nodes_that_took_it(
        n in 1..=5usize, w in 1..=5usize, dw in 0..=5usize, confirms in 0..=6usize,
        acks in proptest::collection::vec((0..5u32, 0..3u8), 0..12),
    ) {
        prop_assume!(w <= n && dw <= n);
        let mut plain = PutCore::new(w, dw, 0, n);
        let mut core = plain.clone().confirmed_by(confirms);
        let mut took = std::collections::BTreeSet::new();
        for (node, kind) in acks.into_iter().filter(|(node, _)| (*node as usize) < n) {
            let ack = [Ack::Failed, Ack::Taken, Ack::Durable(1)][usize::from(kind)];
            core.hear(NodeId(node), ack);
            plain.hear(NodeId(node), ack);
            if ack != Ack::Failed {
                took.insert(node);
            }
            if core.decide() == Some(Ok(())) {
                prop_assert!(took.len() >= confirms && confirms <= n, "{:?}", core);
            }
            if confirms <= w {
                prop_assert_eq!(core.decide(), plain.decide());
            }
        }
    }
}

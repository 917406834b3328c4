//! A status as C sees it.

use std::collections::BTreeSet;

use ombak_embed::{NodeId, VOTERS_MAX};

/// No member.
pub(crate) const NOBODY: u32 = u32::MAX;

/// `ombak_status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Status {
    pub(crate) slot: u64,
    pub(crate) id: u32,
    pub(crate) leader: u32,
    pub(crate) is_ready: u32,
    pub(crate) has_failed: u32,
    pub(crate) voters_length: u32,
    pub(crate) voters: [u32; VOTERS_MAX],
    pub(crate) witnesses_length: u32,
    pub(crate) witnesses: [u32; VOTERS_MAX],
    pub(crate) learners_length: u32,
    pub(crate) is_changing: u32,
    pub(crate) votes: u32,
}

impl Status {
    /// Whether more than the slot differs.
    pub(crate) fn differs(&self, other: &Status) -> bool {
        Status { slot: 0, ..*self } != Status { slot: 0, ..*other }
    }
}

impl From<&ombak_embed::Status> for Status {
    fn from(status: &ombak_embed::Status) -> Status {
        let (voters_length, voters) = listed(&status.voters);
        let (witnesses_length, witnesses) = listed(&status.witnesses);
        Status {
            slot: status.slot,
            id: status.id.0,
            leader: status.leader.map_or(NOBODY, |leader| leader.0),
            is_ready: status.is_ready.into(),
            has_failed: status.failure.is_some().into(),
            voters_length,
            voters,
            witnesses_length,
            witnesses,
            learners_length: u32::try_from(status.learners.len()).unwrap_or(u32::MAX),
            is_changing: status.next_voters.is_some().into(),
            votes: status.votes.into(),
        }
    }
}

/// How many they are, and who.
fn listed(nodes: &BTreeSet<NodeId>) -> (u32, [u32; VOTERS_MAX]) {
    let mut places = [0; VOTERS_MAX];
    for (place, NodeId(node)) in places.iter_mut().zip(nodes) {
        *place = *node;
    }
    (nodes.len().min(VOTERS_MAX) as u32, places)
}

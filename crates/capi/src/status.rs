//! A status as C sees it.

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
}

impl Status {
    /// Whether more than the slot differs.
    pub(crate) fn differs(&self, other: &Status) -> bool {
        Status { slot: 0, ..*self } != Status { slot: 0, ..*other }
    }
}

impl From<&ombak_embed::Status> for Status {
    fn from(status: &ombak_embed::Status) -> Status {
        let mut voters = [0; VOTERS_MAX];
        for (place, NodeId(voter)) in voters.iter_mut().zip(&status.voters) {
            *place = *voter;
        }
        Status {
            slot: status.slot,
            id: status.id.0,
            leader: status.leader.map_or(NOBODY, |leader| leader.0),
            is_ready: status.is_ready.into(),
            has_failed: status.failure.is_some().into(),
            voters_length: status.voters.len().min(VOTERS_MAX) as u32,
            voters,
        }
    }
}

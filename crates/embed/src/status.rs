//! How a member is doing.

use std::collections::BTreeSet;

use ombak_base::NodeId;

/// How a member is doing, as far as it knows. Others may know better: only what is proposed or read is certain.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Status {
    /// Who says this.
    pub id: NodeId,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// Everything up to this place in the log is applied here.
    pub slot: u64,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Whether this member is one of them, with the disk that it has: on another one than before it is not, until it was taken in again.
    pub votes: bool,
    /// While the voters change: who will vote. Both have to agree.
    pub next_voters: Option<BTreeSet<NodeId>>,
    /// Who is told, and does not vote.
    pub learners: BTreeSet<NodeId>,
    /// Who keeps the log and no state, among these.
    pub witnesses: BTreeSet<NodeId>,
    /// Whether what is on the disk was read. Before that it takes no part.
    pub is_ready: bool,
    /// Why it takes no part any more.
    pub failure: Option<String>,
}

impl Status {
    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.leader == Some(self.id)
    }

    /// Whether more than the slot differs.
    pub(crate) fn differs(&self, other: &Status) -> bool {
        let is_same = self.leader == other.leader
            && (self.votes, self.is_ready) == (other.votes, other.is_ready)
            && self.failure == other.failure
            && (&self.voters, &self.next_voters) == (&other.voters, &other.next_voters)
            && (&self.learners, &self.witnesses) == (&other.learners, &other.witnesses);
        !is_same
    }
}

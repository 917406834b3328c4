//! Ballots, and who must have answered before one counts.

use std::collections::BTreeSet;

use ombak_base::{DecodeError, NodeId, Reader, put_varint};
use serde::{Deserialize, Serialize};

/// The number of a proposal. Two proposers never use the same one, and each of its own only goes up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Ballot {
    /// Compared first.
    pub round: u64,
    /// Whose it is.
    pub proposer: NodeId,
}

impl Ballot {
    /// Below every ballot that anybody uses.
    pub const NONE: Ballot = Ballot { round: 0, proposer: NodeId(0) };

    /// The lowest ballot of `proposer` above this one.
    pub fn next(self, proposer: NodeId) -> Ballot {
        Ballot { round: self.round.saturating_add(1), proposer }
    }

    /// Appends the encoding: two varints.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.round);
        put_varint(out, self.proposer.0.into());
    }

    /// Reads what [`encode`](Ballot::encode) wrote.
    pub(crate) fn decode(reader: &mut Reader) -> Result<Ballot, DecodeError> {
        let round = reader.varint()?;
        let node = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("proposer"))?;
        Ok(Ballot { round, proposer: NodeId(node) })
    }
}

impl std::fmt::Debug for Ballot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b{}.{}", self.round, self.proposer.0)
    }
}

/// Who votes, and how many of them are enough.
///
/// Paxos needs each quorum that prepares to have a member in common with each quorum that accepts, and no more than that
/// (Howard, Malkhi, Spiegelman, *Flexible Paxos*, 2016): whoever prepares a ballot must hear of everything that may have
/// been chosen below it. So the two may have different sizes, and a group that accepts with fewer prepares with more.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Voters {
    pub(crate) members: BTreeSet<NodeId>,
    /// Members that must have promised.
    pub(crate) prepare: usize,
    /// Members that must have accepted.
    pub(crate) accept: usize,
}

/// Quorums that have no member in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disjoint {
    /// Voters.
    pub members: usize,
    /// Promises that would have been enough.
    pub prepare: usize,
    /// Acceptances that would have been enough.
    pub accept: usize,
}

impl std::fmt::Display for Disjoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Disjoint { members, prepare, accept } = self;
        write!(
            f,
            "with {members} voters, {prepare} promises and {accept} acceptances can be of different ones: \
             the two must be at most {members} each, and more than {members} together"
        )
    }
}

impl std::error::Error for Disjoint {}

impl Voters {
    /// Majorities for both.
    pub fn majority(members: impl IntoIterator<Item = NodeId>) -> Voters {
        let members = BTreeSet::from_iter(members);
        let most = members.len() / 2 + 1;
        Voters { members, prepare: most, accept: most }
    }

    /// `accept` acceptances are enough, and as many promises as that takes. For 5 voters, 2 acceptances take 4 promises: a
    /// leader decides with one other, and its successor needs all but one.
    pub fn flexible(
        members: impl IntoIterator<Item = NodeId>,
        accept: usize,
    ) -> Result<Voters, Disjoint> {
        let members = BTreeSet::from_iter(members);
        let prepare = (members.len() + 1).saturating_sub(accept);
        Voters::with(members, prepare, accept)
    }

    /// Quorums of any size that have a member in common.
    pub fn with(
        members: BTreeSet<NodeId>,
        prepare: usize,
        accept: usize,
    ) -> Result<Voters, Disjoint> {
        let voters = Voters { members, prepare, accept };
        voters.intersect().then_some(()).ok_or(voters.disjoint()).map(|()| voters)
    }

    /// Others, of whom as many decide as of these, or a majority if that is what decides here.
    pub(crate) fn among(&self, members: BTreeSet<NodeId>) -> Voters {
        let majority = Voters::majority(members);
        if *self == Voters::majority(self.members.iter().copied()) {
            return majority;
        }
        let accept = self.accept.min(majority.members.len());
        Voters::flexible(majority.members.clone(), accept).unwrap_or(majority)
    }

    /// Whether each two quorums have a member in common.
    fn intersect(&self) -> bool {
        if self.members.is_empty() {
            return self.prepare > 0 && self.accept > 0; // Nobody: who is not known decides nothing.
        }
        let all = 1..=self.members.len();
        all.contains(&self.prepare)
            && all.contains(&self.accept)
            && self.prepare + self.accept > self.members.len()
    }

    fn disjoint(&self) -> Disjoint {
        Disjoint { members: self.members.len(), prepare: self.prepare, accept: self.accept }
    }

    /// Who votes.
    pub fn members(&self) -> &BTreeSet<NodeId> {
        &self.members
    }

    /// Whether these are enough to have heard of everything that may be chosen.
    pub fn can_propose(&self, promised: &BTreeSet<NodeId>) -> bool {
        promised.intersection(&self.members).count() >= self.prepare
    }

    /// Whether what these accepted is chosen.
    pub fn have_chosen(&self, accepted: &BTreeSet<NodeId>) -> bool {
        self.have_chosen_if(|node| accepted.contains(&node))
    }

    /// The same, of those of whom it is true.
    pub fn have_chosen_if(&self, accepted: impl Fn(NodeId) -> bool) -> bool {
        self.members.iter().filter(|node| accepted(**node)).count() >= self.accept
    }
}

//! Who belongs to a group, and what a quorum of it is while it changes.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{DecodeError, DirectoryId, NodeId, Reader, planted, put_varint};
use serde::{Deserialize, Serialize};

use crate::ballot::{Disjoint, Voters};

/// Voters of a group. A sane bound: each of them has to answer.
pub const VOTERS_MAX: usize = 31;
/// Members of a group that do not vote.
pub const LEARNERS_MAX: usize = 1024;

/// Nodes that a group has had as witnesses.
pub const WITNESSES_MAX: usize = 1024;

/// On which disk each member keeps what it has promised.
pub type Disks = BTreeMap<NodeId, DirectoryId>;

/// The members of a group.
///
/// A change of voters goes through a state in which *both* the old and the new ones have to agree (`next` is there). It
/// begins and ends with an entry of the log, and each entry counts from the slot after its own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Members {
    /// Who votes.
    pub voters: Voters,
    /// Who votes as well, until they vote alone.
    pub next: Option<Voters>,
    /// Who is told, and does not vote.
    pub learners: BTreeSet<NodeId>,
    /// Who keeps the log alone, and no state, whenever it is a member: see [`crate::log`]. Nobody ever leaves them. A state that has
    /// missed something is never used again.
    pub witnesses: BTreeSet<NodeId>,
    /// On which disk each of them is a member: on another it is somebody else. Who is not in it may have any.
    pub disks: Disks,
    /// Who has voted on a disk that is lost, and on which it is now: a learner as soon as it does not vote, and a voter again when it
    /// has everything.
    pub returning: Disks,
}

impl Members {
    /// These voters, and no others.
    pub fn new(voters: Voters) -> Members {
        let (learners, witnesses, disks, returning) = Default::default();
        Members { voters, next: None, learners, witnesses, disks, returning }
    }

    /// Of a group that nobody here knows anything of.
    pub fn nobody() -> Members {
        Members::new(Voters::majority([]))
    }

    /// Whether the node, if it is a member, is one with this disk.
    pub fn is_on(&self, node: NodeId, disk: DirectoryId) -> bool {
        let known = self.disks.get(&node).copied();
        known.is_none_or(|known| known == disk) || planted!("a lost disk votes")
    }

    /// Whether the node is to be taken in again: it is a member, and not on the disk that it was one on, or not yet what it was.
    pub fn is_lost(&self, node: NodeId, disk: DirectoryId) -> bool {
        let is_other = self.disks.get(&node).is_some_and(|known| *known != disk);
        is_other || self.returning.contains_key(&node)
    }

    /// Whether these are enough to have heard of everything that may be chosen.
    pub fn can_propose(&self, promised: &BTreeSet<NodeId>) -> bool {
        self.all_voters().all(|voters| voters.can_propose(promised))
    }

    /// Whether what these accepted is chosen.
    pub fn have_chosen(&self, accepted: &BTreeSet<NodeId>) -> bool {
        self.have_chosen_if(|node| accepted.contains(&node))
    }

    /// The same, of those of whom it is true.
    pub fn have_chosen_if(&self, accepted: impl Fn(NodeId) -> bool) -> bool {
        self.all_voters().all(|voters| voters.have_chosen_if(&accepted))
    }

    /// Whether the node votes.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.all_voters().any(|voters| voters.members().contains(&node))
    }

    /// Whether the node votes, and goes on to when the change that is under way is over. Who is about to vote again on another disk does
    /// not yet: until then its disk counts as lost.
    pub fn is_lasting_voter(&self, node: NodeId) -> bool {
        self.all_voters().all(|voters| voters.members().contains(&node))
    }

    /// Whether it is true of everybody who votes.
    pub(crate) fn all_voters_are(&self, is: impl Fn(NodeId) -> bool) -> bool {
        self.all_voters().flat_map(|voters| voters.members()).all(|node| is(*node))
    }

    /// Everybody who votes.
    pub fn voters(&self) -> BTreeSet<NodeId> {
        self.all_voters().flat_map(|voters| voters.members()).copied().collect()
    }

    /// Whether the node votes, is told, or is on its way back to that.
    pub fn is_member(&self, node: NodeId) -> bool {
        let is_told = self.learners.contains(&node) || self.returning.contains_key(&node);
        is_told || self.is_voter(node)
    }

    /// Everybody.
    pub fn everybody(&self) -> BTreeSet<NodeId> {
        self.voters().union(&self.learners).copied().collect()
    }

    /// Whether the node keeps no state.
    pub fn is_witness(&self, node: NodeId) -> bool {
        self.witnesses.contains(&node)
    }

    /// Whether somebody with the state is among any voters that decide: else what is decided might be in no state when one of them
    /// is lost.
    pub fn have_state(&self) -> bool {
        self.all_voters()
            .all(|voters| voters.members().intersection(&self.witnesses).count() < voters.accept)
    }

    fn all_voters(&self) -> impl Iterator<Item = &Voters> {
        std::iter::once(&self.voters).chain(self.next.as_ref())
    }

    /// On the way to these voters: both agree. Who no longer votes is no learner by that.
    pub(crate) fn towards(&self, next: Voters) -> Members {
        let learners = self.learners.difference(next.members()).copied().collect();
        Members { next: Some(next), learners, ..self.clone() }
    }

    /// The change is over: the new ones vote alone.
    pub(crate) fn settled(&self) -> Option<Members> {
        let voters = self.next.clone()?;
        let mut members = Members { voters, next: None, ..self.clone() };
        for (node, disk) in &self.returning {
            members.learners.insert(*node);
            members.disks.insert(*node, *disk);
        }
        Some(members.without_others())
    }

    /// Who is no member has no disk.
    pub(crate) fn without_others(mut self) -> Members {
        let everybody = self.everybody();
        self.disks.retain(|node, _| everybody.contains(node));
        self
    }

    /// Appends the encoding.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode_voters(&self.voters, out);
        let has_witnesses = !self.witnesses.is_empty();
        out.push(u8::from(self.next.is_some()) | u8::from(has_witnesses) << 1);
        if let Some(next) = &self.next {
            encode_voters(next, out);
        }
        encode_nodes(&self.learners, out);
        encode_disks(&self.disks, out);
        encode_disks(&self.returning, out);
        if has_witnesses {
            encode_nodes(&self.witnesses, out);
        }
    }

    /// Reads what [`encode`](Members::encode) wrote.
    pub(crate) fn decode(reader: &mut Reader) -> Result<Members, DecodeError> {
        let voters = decode_voters(reader)?;
        let parts = reader.u8()?;
        if parts > 0b11 {
            return Err(DecodeError::Invalid("members"));
        }
        let next = (parts & 0b01 != 0).then(|| decode_voters(reader)).transpose()?;
        let learners = decode_nodes(reader, LEARNERS_MAX)?;
        let (disks, returning) = (decode_disks(reader)?, decode_disks(reader)?);
        let mut witnesses = BTreeSet::new();
        if parts & 0b10 != 0 {
            witnesses = decode_nodes(reader, WITNESSES_MAX)?;
            if witnesses.is_empty() {
                return Err(DecodeError::Invalid("witnesses"));
            }
        }
        Ok(Members { voters, next, learners, witnesses, disks, returning })
    }
}

fn encode_voters(voters: &Voters, out: &mut Vec<u8>) {
    put_varint(out, voters.prepare as u64);
    put_varint(out, voters.accept as u64);
    encode_nodes(&voters.members, out);
}

fn decode_voters(reader: &mut Reader) -> Result<Voters, DecodeError> {
    let (prepare, accept) = (reader.varint()? as usize, reader.varint()? as usize);
    let members = decode_nodes(reader, VOTERS_MAX)?;
    Voters::with(members, prepare, accept)
        .map_err(|Disjoint { .. }| DecodeError::Invalid("quorums"))
}

pub(crate) fn encode_disks(disks: &Disks, out: &mut Vec<u8>) {
    put_varint(out, disks.len() as u64);
    for (node, disk) in disks {
        put_varint(out, node.0.into());
        out.extend_from_slice(&disk.0.to_le_bytes());
    }
}

pub(crate) fn decode_disks(reader: &mut Reader) -> Result<Disks, DecodeError> {
    let count = reader.varint()? as usize;
    if count > 2 * VOTERS_MAX + LEARNERS_MAX {
        return Err(DecodeError::Invalid("number of disks"));
    }
    let mut disks = Disks::new();
    for _ in 0..count {
        let node = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("node"))?;
        if disks.last_key_value().is_some_and(|(last, _)| *last >= NodeId(node)) {
            return Err(DecodeError::Invalid("order of disks"));
        }
        disks.insert(NodeId(node), DirectoryId(reader.u64()?));
    }
    Ok(disks)
}

pub(crate) fn encode_nodes(nodes: &BTreeSet<NodeId>, out: &mut Vec<u8>) {
    put_varint(out, nodes.len() as u64);
    nodes.iter().for_each(|node| put_varint(out, node.0.into()));
}

pub(crate) fn decode_nodes(
    reader: &mut Reader,
    max: usize,
) -> Result<BTreeSet<NodeId>, DecodeError> {
    let count = reader.varint()? as usize;
    if count > max {
        return Err(DecodeError::Invalid("number of members"));
    }
    let mut nodes = BTreeSet::new();
    for _ in 0..count {
        let node = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("node"))?;
        if nodes.last().is_some_and(|last| *last >= NodeId(node)) {
            return Err(DecodeError::Invalid("order of members"));
        }
        nodes.insert(NodeId(node));
    }
    Ok(nodes)
}

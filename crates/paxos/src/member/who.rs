//! Who a member is, and for whom it takes the others.
//!
//! A member is a node *on a disk*. What it has promised is on that disk, so that a node that comes with another one, or with an
//! older copy of its own, has promised nothing, and must not pass for the one that has.
//!
//! - **Another disk** has another name ([`DirectoryId`]). The members of a group stand in its log with their disks, so nobody
//!   takes the vote of another disk for a member's.
//! - **An older copy** has the same name. Therefore each start is a *life* with a number that grows and is on the disk before
//!   anybody hears of it, and others keep what they hear. Who hears of itself, from another, that it had a later life, or
//!   another life of the same number, is a copy.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{ClusterId, DecodeError, DirectoryId, NodeId, Reader, Stamp, planted, put_varint};
use serde::{Deserialize, Serialize};

use super::telling::Greeting;

const VERSION: u8 = 1;

/// Of one node, so many disks are remembered, besides those that a group has in its log.
pub(super) const LIVES_MAX: usize = 8;

/// From one start of a member to the next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Life {
    /// On which disk.
    pub disk: DirectoryId,
    /// It has been started so often on this disk.
    pub boot: u64,
    /// Random. Two copies of a disk are started equally often.
    pub name: u64,
}

/// What a member keeps of itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub life: Life,
}

/// Who a member is, and for whom it takes the others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Who {
    pub me: Identity,
    /// Nobody is told who this is before that is durable.
    pub me_at: Stamp,
    /// The last life of each disk that was heard of, and when that is durable.
    heard: BTreeMap<(NodeId, DirectoryId), (Life, Stamp)>,
    /// With which disk each node has greeted since it was connected.
    present: BTreeMap<NodeId, DirectoryId>,
    /// Who has greeted with an older life than was heard of.
    stale: BTreeSet<NodeId>,
    /// Who has said that it knows of this life.
    pub known_to: BTreeSet<NodeId>,
}

/// What to think of who greets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Met {
    /// A life that was not heard of before: to be kept.
    New,
    /// It was heard of; whether it has greeted since it was connected.
    Known { before: bool },
    /// It had a later life: this is a copy of its disk.
    Stale,
}

impl Life {
    /// Whether another life of the same disk shows that this one is of a copy.
    pub(super) fn is_undone_by(&self, other: &Life) -> bool {
        let is_later = other.boot > self.boot;
        let is_twin = other.boot == self.boot && other.name != self.name;
        other.disk == self.disk && (is_later || is_twin) && !planted!("an older copy votes")
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.disk.0.to_le_bytes());
        put_varint(out, self.boot);
        out.extend_from_slice(&self.name.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Life, DecodeError> {
        let disk = DirectoryId(reader.u64()?);
        Ok(Life { disk, boot: reader.varint()?, name: reader.u64()? })
    }

    /// How a life that was heard of is kept.
    pub(super) fn stored(&self) -> Bytes {
        let mut out = vec![VERSION];
        self.encode(&mut out);
        Bytes::from(out)
    }

    pub(super) fn read(bytes: Bytes) -> Result<Life, DecodeError> {
        let mut reader = versioned(bytes)?;
        let life = Life::decode(&mut reader)?;
        reader.finish().map(|()| life)
    }
}

impl Identity {
    /// `version:u8 cluster node life`
    pub fn stored(&self) -> Bytes {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.cluster.0.to_le_bytes());
        put_varint(&mut out, self.node.0.into());
        self.life.encode(&mut out);
        Bytes::from(out)
    }

    pub fn read(bytes: Bytes) -> Result<Identity, DecodeError> {
        let mut reader = versioned(bytes)?;
        let cluster = ClusterId(reader.u64()?);
        let node = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("node"))?;
        let life = Life::decode(&mut reader)?;
        reader.finish()?;
        Ok(Identity { cluster, node: NodeId(node), life })
    }
}

fn versioned(bytes: Bytes) -> Result<Reader, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        VERSION => Ok(reader),
        other => Err(DecodeError::Version(other.into())),
    }
}

impl Who {
    pub fn new(me: Identity) -> Who {
        Who {
            me,
            me_at: Stamp::NONE,
            heard: BTreeMap::new(),
            present: BTreeMap::new(),
            stale: BTreeSet::new(),
            known_to: BTreeSet::new(),
        }
    }

    /// What a node says of itself. Nothing is kept here yet: see [`note`](Who::note).
    pub fn meet(&mut self, node: NodeId, life: Life) -> Met {
        let before = self.present.insert(node, life.disk) == Some(life.disk);
        self.stale.remove(&node);
        match self.heard.get(&(node, life.disk)) {
            Some((known, _)) if life.is_undone_by(known) => {
                self.stale.insert(node);
                Met::Stale
            }
            Some((known, _)) if *known == life => Met::Known { before },
            _ => Met::New,
        }
    }

    /// The last life of a node's disk, which is durable with this stamp.
    pub fn note(&mut self, node: NodeId, life: Life, at: Stamp) {
        self.heard.insert((node, life.disk), (life, at));
    }

    /// Forgets disks of a node, if there are many: it is there with another one, and they are no member's any more, so that a copy of
    /// them has nothing to pass for. Those that were forgotten.
    pub fn forget_lives(
        &mut self,
        node: NodeId,
        is_members: impl Fn(DirectoryId) -> bool,
    ) -> Vec<DirectoryId> {
        let of_node = (node, DirectoryId(0))..=(node, DirectoryId(u64::MAX));
        let disks: Vec<_> = self.heard.range(of_node).map(|((_, disk), _)| *disk).collect();
        if disks.len() < LIVES_MAX {
            return Vec::new();
        }
        let present = self.present.get(&node).copied();
        let is_idle = |disk: &DirectoryId| Some(*disk) != present && !is_members(*disk);
        let idle: Vec<_> = disks.into_iter().filter(is_idle).collect();
        self.heard.retain(|(of, disk), _| *of != node || !idle.contains(disk));
        idle
    }

    /// The connection ended, or another began: whoever is there has to say anew who it is.
    pub fn forget(&mut self, node: NodeId) {
        self.present.remove(&node);
        self.stale.remove(&node);
    }

    /// What a node is to be told, and after what is durable.
    pub fn greeting(&self, to: NodeId) -> (Greeting, Stamp) {
        let disk = self.present.get(&to).copied().unwrap_or_default();
        let heard = self.heard.get(&(to, disk)).filter(|_| self.present.contains_key(&to));
        let Identity { cluster, life, .. } = self.me;
        let (asks, yours) = (!self.known_to.contains(&to), heard.map(|(life, _)| *life));
        let greeting = Greeting { cluster, life, asks, yours };
        (greeting, heard.map_or(self.me_at, |(_, at)| self.me_at.max(*at)))
    }

    /// The disk of a node that has said who it is.
    pub fn disk(&self, node: NodeId) -> Option<DirectoryId> {
        match node == self.me.node {
            true => Some(self.me.life.disk),
            false => self.present.get(&node).copied().filter(|_| !self.stale.contains(&node)),
        }
    }

    /// Those who can vote together with this one: they know of its life.
    pub fn company(&self) -> BTreeSet<NodeId> {
        self.known_to.iter().copied().chain([self.me.node]).collect()
    }

    pub fn durable(&mut self, stamp: Stamp) {
        let mine = std::iter::once(&mut self.me_at);
        let all = mine.chain(self.heard.values_mut().map(|(_, at)| at));
        all.filter(|at| **at <= stamp).for_each(|at| *at = Stamp::NONE);
    }
}

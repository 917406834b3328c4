//! Who is in the cluster. Fixed at start until membership is decided by consensus; the epoch is there already.

use ombak_base::{ClusterId, Epoch, FNV_START, NodeId, fnv1a};
use serde::{Deserialize, Serialize};

use crate::{Ring, RingError};

/// One member.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its name, for example `dev1@127.0.0.1`.
    pub name: String,
}

/// The members, the rows, and the version of both.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Topology {
    /// The cluster, from its name, its members' names and its ring size: nodes that were told different ones never mix.
    pub cluster: ClusterId,
    /// Version; a replica refuses requests made under an older one.
    pub epoch: Epoch,
    /// Members sorted by name; a [`NodeId`] is a place in this list.
    pub members: Vec<Member>,
    /// The rows.
    pub ring: Ring,
}

impl Topology {
    /// The topology of a fixed list of distinct names, of a cluster that has no name itself. The order of the list does
    /// not matter.
    pub fn fixed(names: &[String], ring_size: u32) -> Result<Topology, RingError> {
        let mut members: Vec<Member> =
            names.iter().map(|name| Member { name: name.clone() }).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members.dedup();
        let ring = Ring::claim(members.len(), ring_size)?;
        Ok(Topology { cluster: cluster_id(&members, ring_size), epoch: Epoch(1), members, ring })
    }

    /// The same, of a cluster with a name. An empty one is none.
    pub fn named(mut self, cluster: &str) -> Topology {
        if !cluster.is_empty() {
            self.cluster = ClusterId(fnv1a(self.cluster.0, cluster.as_bytes()));
        }
        self
    }

    /// The id of the member with that name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.members.iter().position(|member| member.name == name).map(|at| NodeId(at as u32))
    }

    /// The name of a member; `?` for an id that is none.
    pub fn name(&self, node: NodeId) -> &str {
        self.members.get(node.0 as usize).map_or("?", |member| member.name.as_str())
    }

    /// All ids.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.members.len() as u32).map(NodeId)
    }
}

/// A hash of names and ring size: stable across versions and machines.
fn cluster_id(members: &[Member], ring_size: u32) -> ClusterId {
    let start = fnv1a(FNV_START, &ring_size.to_le_bytes());
    let add = |hash, member: &Member| fnv1a(fnv1a(hash, member.name.as_bytes()), &[0]);
    ClusterId(members.iter().fold(start, add))
}

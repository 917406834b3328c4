//! How a shard is, for operators.

use ombak_base::{ActorId, Epoch, NodeId, Partition};
use serde::{Deserialize, Serialize};

use crate::root::RootStatus;
use crate::shard::Shard;

/// One vnode.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VnodeStatus {
    /// Its partition.
    pub partition: Partition,
    /// Whether an absence here means anything.
    pub complete: bool,
    /// Whether it can name writes.
    pub ready: bool,
    /// Whether a property of the code broke in it, so that it does nothing until the node is started again.
    pub stopped: bool,
    /// Who it is in the names of writes.
    pub actor: ActorId,
    /// Reaped keys that are remembered.
    pub graves: usize,
}

/// One peer, as a shard sees it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer.
    pub node: NodeId,
    /// Whether a connection stands.
    pub connected: bool,
    /// Whether requests go to it.
    pub up: bool,
}

/// One shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ShardStatus {
    /// The version of the topology.
    pub epoch: Epoch,
    /// Its vnodes.
    pub vnodes: Vec<VnodeStatus>,
    /// Its peers.
    pub peers: Vec<PeerStatus>,
    /// Operations that it coordinates.
    pub operations: usize,
    /// Operations that others coordinate for its clients.
    pub forwarded: usize,
    /// Commands that wait for a load.
    pub loading: usize,
    /// Stores that are not synced yet.
    pub unsynced: u64,
    /// Whether storage has failed, so that no writes are taken.
    pub failed: bool,
    /// Whether the disk is full, so that writes are refused until there is room.
    pub full: bool,
    /// The root group, on shard 0.
    pub root: Option<RootStatus>,
}

/// What a repair came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct RepairReport {
    /// Why nothing was begun.
    pub refused: Option<String>,
    /// Vnodes that are complete now.
    pub completed: Vec<Partition>,
    /// Vnodes that are not, and why.
    pub incomplete: Vec<(Partition, String)>,
    /// Entries that were read from other owners.
    pub entries: u64,
}

impl Shard {
    pub(crate) fn status(&self) -> ShardStatus {
        let vnodes = self.vnodes.vnodes().map(|vnode| VnodeStatus {
            partition: vnode.partition(),
            complete: vnode.is_complete(),
            ready: vnode.can_mint(),
            stopped: vnode.is_stopped(),
            actor: vnode.claim().actor,
            graves: vnode.graves(),
        });
        let peer = |(node, peer): (NodeId, &ombak_cluster::Peer)| PeerStatus {
            node,
            connected: peer.connected,
            up: peer.up,
        };
        ShardStatus {
            epoch: self.config.topology.epoch,
            vnodes: vnodes.collect(),
            peers: self.peers.iter().map(peer).collect(),
            operations: self.ops.len(),
            forwarded: self.forwards.len(),
            loading: self.vnodes.waiting(),
            unsynced: self.stored.0.saturating_sub(self.durable.0),
            failed: self.failed,
            full: self.full,
            root: self.root_status(),
        }
    }
}

//! What `/ombak/status`, `/ombak/ring` and `/ombak/repair` answer: JSON of these types, for the command line and for
//! whoever watches a node. Fields are only ever added.

use std::collections::BTreeMap;

pub use ombak_runtime::Histogram;
use ombak_store::log::Damage;
use serde::{Deserialize, Serialize};

pub use crate::metrics::numbers::{
    HistogramReport, LogNumbers, Numbers, OperationNumbers, StoreNumbers,
};

/// A node, as it sees itself and the others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub node: String,
    /// The version of Ombak.
    pub version: String,
    /// `memory` or `log`.
    pub backend: String,
    /// The version of the topology.
    pub epoch: u64,
    /// Partitions of the ring.
    pub ring_size: u32,
    /// Whether storage has failed, so that no writes are taken until the node is started again.
    pub storage_failed: bool,
    /// Whether the disk is full, so that writes are refused until there is room.
    #[serde(default)]
    pub disk_full: bool,
    /// Bytes that are free on the disk; none where nothing is kept on one.
    #[serde(default)]
    pub disk_free_bytes: Option<u64>,
    /// All members, this node among them.
    pub members: Vec<MemberReport>,
    /// This node's event loops.
    pub shards: Vec<ShardReport>,
    /// This node's vnodes, by partition.
    pub vnodes: Vec<VnodeReport>,
    /// The group that manages the cluster's locks.
    #[serde(default)]
    pub root: Option<RootReport>,
    /// What the start found in storage.
    pub storage: StorageReport,
}

/// The root group, as one node sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RootReport {
    /// Who leads, if the node knows.
    pub leader: Option<String>,
    /// Who votes. A majority of them is needed for any decision.
    pub voters: Vec<String>,
    /// Entries of the log that are decided, as far as the node knows.
    pub decided: u64,
    /// Clients of the node that wait for an answer about locks.
    pub clients: u64,
    /// Why the node takes no part, if so.
    pub failure: Option<String>,
    /// Whether the node keeps registers, and answers for them.
    #[serde(default)]
    pub keeps_registers: bool,
    /// Operations on registers that the node has under way.
    #[serde(default)]
    pub register_clients: u64,
    /// What the node has refused since its start, and how often.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// Whether it is the node that answers.
    pub me: bool,
    /// Whether every shard has a connection to it.
    pub connected: bool,
    /// Whether every shard sends requests to it.
    pub up: bool,
}

/// One event loop.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShardReport {
    /// Its number.
    pub shard: u16,
    /// Operations that it coordinates now.
    pub operations: u64,
    /// Operations of its clients that other shards coordinate now.
    pub forwarded: u64,
    /// Commands that wait for storage to be read.
    pub loading: u64,
    /// Stores that are not synced yet.
    pub unsynced: u64,
    /// Whether its storage has failed.
    pub failed: bool,
}

/// One vnode.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VnodeReport {
    /// Its partition.
    pub partition: u32,
    /// The shard that runs it.
    pub shard: u16,
    /// Whether nothing that was here has been lost: only then does the absence of a key mean anything. `repair` copies
    /// what was lost from the other owners.
    pub complete: bool,
    /// Whether it can name writes.
    pub ready: bool,
    /// Whether a property of the code broke in it, so that it does nothing until the node is started again.
    #[serde(default)]
    pub stopped: bool,
    /// Who it is in the names of writes.
    pub actor: String,
    /// Deleted keys that it remembers.
    pub graves: u64,
}

/// What the start found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StorageReport {
    /// Keys of all vnodes at the start.
    pub keys_at_start: u64,
    /// Records of the commit log that were replayed.
    pub replayed_records: u64,
    /// Their bytes.
    pub replayed_bytes: u64,
    /// Damaged places.
    pub damage: Vec<DamageReport>,
}

/// One damaged place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DamageReport {
    /// Whose data it is, if that is known.
    pub partition: Option<u32>,
    /// The file, in the data directory.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes; 0 where that cannot be said.
    pub bytes: u64,
    /// What is wrong, and with what.
    pub text: String,
}

impl From<&Damage> for DamageReport {
    fn from(damage: &Damage) -> DamageReport {
        DamageReport {
            partition: damage.partition.map(|partition| partition.0),
            file: damage.file.clone(),
            offset: damage.offset,
            bytes: damage.bytes,
            text: damage.to_string(),
        }
    }
}

/// Who holds what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RingReport {
    /// The version of the topology.
    pub epoch: u64,
    /// Partitions.
    pub ring_size: u32,
    /// All members, by name.
    pub members: Vec<String>,
    /// For each partition, in order, the names of its owners, the first choice first.
    pub rows: Vec<Vec<String>>,
}

/// A copy of a node's data that was made while it ran.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SnapshotReport {
    /// Where it is, on the node's machine.
    pub dir: String,
    /// Files that it shares with the node: they take no space until the node gives them up.
    pub linked_files: u64,
    /// Their bytes.
    pub linked_bytes: u64,
    /// Files that were copied.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// What a repair of this node came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RepairReport {
    /// Why shards have not begun.
    pub refused: Vec<String>,
    /// Vnodes that are complete now.
    pub completed: Vec<u32>,
    /// Vnodes that are not, and why.
    pub incomplete: Vec<(u32, String)>,
    /// Entries that were read from other members.
    pub entries: u64,
}

//! What a shard finds on disk when it starts.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{Device, NodeId, Partition, Reader, Scan, ShardId};
use ombak_cluster::{Claim, META_KEY, PEER_KEY, VnodeRecord};
use ombak_kv::BucketId;
use serde::{Deserialize, Serialize};

use crate::Config;
use crate::registers::REGISTER_PARTITION;
use crate::root::ROOT_PARTITION;

/// Where a node keeps what belongs to no partition. It lies on shard 0.
pub const NODE_PARTITION: Partition = Partition(u32::MAX);

const PROPS_KEY: &[u8] = b"\0props";

/// What was found of one vnode.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct VnodeState {
    /// Its record; `None` if it was never here.
    pub record: Option<VnodeRecord>,
    /// What other owners had claimed.
    pub claims: Vec<(NodeId, Claim)>,
    /// Something of it is damaged, so that what it lacks is unknown: a fingerprint of what; 0 for nothing.
    pub damage: u64,
}

/// Everything that a shard starts from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Boot {
    /// The vnodes of this shard.
    pub vnodes: BTreeMap<Partition, VnodeState>,
    /// Bucket properties, as exported.
    pub props: Vec<Bytes>,
    /// Something of the root group's data is damaged, so that what it lacks is unknown.
    pub root_damaged: bool,
    /// The same of the registers.
    pub registers_damaged: bool,
}

impl Boot {
    /// Reads the vnodes of a shard from its device. `damaged` are the partitions of which recovery lost
    /// something, each with a fingerprint of what.
    pub fn read(
        device: &mut impl Device,
        config: &Config,
        damaged: &BTreeMap<Partition, u64>,
    ) -> Boot {
        let ours = |partition: &Partition| shard_of(*partition, config.shards) == config.me.shard;
        let partitions = config.topology.ring.partitions_of(config.me.node).filter(ours);
        let state = |partition| {
            let mut state = read_vnode(device, partition);
            let damage = damaged.get(&partition).copied().unwrap_or(0);
            state.damage = state.damage.max(damage);
            (partition, state)
        };
        Boot {
            vnodes: partitions.map(state).collect(),
            props: Vec::new(),
            root_damaged: damaged.contains_key(&ROOT_PARTITION),
            registers_damaged: damaged.contains_key(&REGISTER_PARTITION),
        }
    }

    /// Reads the bucket properties from shard 0's device; they go into the boot of every shard.
    pub fn read_props(device: &mut impl Device) -> Vec<Bytes> {
        small_state(device, NODE_PARTITION)
            .0
            .into_iter()
            .filter(|(key, _)| key.starts_with(PROPS_KEY))
            .map(|(_, bytes)| bytes)
            .collect()
    }
}

/// The shard that runs a partition on a node with `shards` shards.
pub(crate) fn shard_of(partition: Partition, shards: u16) -> ShardId {
    ShardId((partition.0 % u32::from(shards)) as u16)
}

/// Where a bucket's properties lie in the node's partition.
pub(crate) fn props_key(bucket: &BucketId) -> Bytes {
    let mut key = PROPS_KEY.to_vec();
    key.extend_from_slice(&ombak_kv::storage_key(bucket, b""));
    Bytes::from(key)
}

fn read_vnode(device: &mut impl Device, partition: Partition) -> VnodeState {
    let (entries, whole) = small_state(device, partition);
    let mut state = VnodeState { damage: u64::from(!whole), ..VnodeState::default() };
    for (key, bytes) in entries {
        if key == META_KEY {
            match VnodeRecord::decode(&bytes) {
                Ok(record) => state.record = Some(record),
                Err(_) => state.damage = 1,
            }
        } else if let Some(node) = key.strip_prefix(PEER_KEY)
            && let Ok(node) = <[u8; 4]>::try_from(node)
            && let Ok(claim) = Claim::decode(&mut Reader::new(bytes))
        {
            state.claims.push((NodeId(u32::from_be_bytes(node)), claim));
        }
    }
    state
}

/// All entries under keys that begin with a zero byte, and whether all of them could be read.
fn small_state(device: &mut impl Device, partition: Partition) -> (Vec<(Bytes, Bytes)>, bool) {
    let mut entries = Vec::new();
    let mut from = Some(Bytes::new());
    while let Some(start) = from {
        let to = Bytes::from_static(&[1]);
        let scan = Scan {
            partition,
            from: start,
            to,
            entries_max: 1024,
            bytes_max: 1 << 20,
            values: true,
        };
        let Ok(chunk) = device.scan(&scan) else { return (entries, false) };
        entries
            .extend(chunk.entries.into_iter().filter_map(|entry| Some((entry.key, entry.bytes?))));
        from = chunk.next;
    }
    (entries, true)
}

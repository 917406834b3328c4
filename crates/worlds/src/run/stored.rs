//! What lies on the disks when everything has been read and repaired. Reads merge what they hear, so they agree even
//! where one replica is wrong for ever; the disks tell.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{Device, DeviceError, Entry, Load, NodeId, Partition, ShardId};
use ombak_kv::Object;
use ombak_node::DeleteMode;

use super::{Failure, Run};
use crate::keys::{keys, place};

const REAPED: &str = "what is deleted is reaped";

/// What one primary holds under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Held {
    Absent,
    /// Absent, since it was reaped a little while ago: a merge of what was reaped is dropped here.
    Buried,
    Stored(Object),
    Unreadable(String),
}

/// What the primaries of a key hold together.
enum Together {
    Nothing,
    /// All the same values.
    Values,
    /// All the same tombstone.
    Tombstone,
    Different,
}

impl Run {
    /// All primaries of every key hold the same, and no tombstone is left unless all are kept: what all of them held has been reaped, and where
    /// a reaping was lost, a read has done it again. The keys that have values.
    pub(super) fn check_stored(&mut self) -> Result<BTreeSet<usize>, Failure> {
        let keeps = self.world.system().delete_mode() == DeleteMode::Keep;
        let mut live = BTreeSet::new();
        for key in keys() {
            let copies = self.copies(key);
            match together(copies.iter().map(|(_, copy)| copy)) {
                Together::Nothing => {}
                Together::Values => drop(live.insert(key)),
                Together::Tombstone if keeps => {}
                Together::Tombstone => {
                    return Err(self.failure(REAPED, format!("k{key}: {copies:?}")));
                }
                Together::Different => {
                    let rule = "what is stored converges";
                    return Err(self.failure(rule, format!("k{key}: {copies:?}")));
                }
            }
        }
        Ok(live)
    }

    fn copies(&mut self, key: usize) -> Vec<(NodeId, Held)> {
        let (partition, stored_as) = place(key, self.world.system().shape().ring_size);
        let primaries = self.world.system().primaries(partition).to_vec();
        let copy = |node| (node, self.copy(node, partition, &stored_as));
        primaries.into_iter().map(copy).collect()
    }

    fn copy(&mut self, node: NodeId, partition: Partition, stored_as: &Bytes) -> Held {
        let shard = ShardId((partition.0 % u32::from(self.world.system().shape().shards)) as u16);
        let device = self.world.device_mut(node, shard);
        let entry = match device.map(|device| device.load(partition, stored_as)) {
            Some(Load::Ready(entry)) => entry,
            Some(Load::Blocked(read)) => read(),
            None => Err(DeviceError::Io("the node is down".into())),
        };
        let vnodes = self.world.machine(node, shard).into_iter().flat_map(|shard| shard.vnodes());
        let vnode = vnodes.into_iter().find(|vnode| vnode.partition() == partition);
        match entry {
            Ok(None) if vnode.is_some_and(|vnode| vnode.grave(stored_as).is_some()) => Held::Buried,
            Ok(None) => Held::Absent,
            Ok(Some(entry)) => decoded(&entry),
            Err(error) => Held::Unreadable(error.to_string()),
        }
    }
}

fn together<'a>(copies: impl Iterator<Item = &'a Held> + Clone) -> Together {
    let absent = |copy: &&Held| matches!(copy, Held::Absent | Held::Buried);
    let Some(first) = copies.clone().find(|copy| !absent(copy)) else { return Together::Nothing };
    let all = copies.clone().all(|copy| copy == first);
    match first {
        Held::Stored(object) if all && object.is_tombstone() => Together::Tombstone,
        Held::Stored(_) if all => Together::Values,
        _ => Together::Different,
    }
}

fn decoded(entry: &Entry) -> Held {
    match Object::decode(&entry.bytes) {
        Ok(object) if object.tag() == entry.tag => Held::Stored(object),
        Ok(_) => Held::Unreadable("the tag is of another object".into()),
        Err(error) => Held::Unreadable(format!("{error}")),
    }
}

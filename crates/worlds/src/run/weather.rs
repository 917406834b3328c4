//! What goes wrong in a run, beside the weather of the network: crashes, partitions, pauses, lost and failing disks.

use std::io::ErrorKind;

use ombak_base::{Epoch, NodeId};
use ombak_sim::SyncFault;

use super::{Run, SKEW_US};
use crate::cluster::SMALL_STORE;
use crate::keys::{keys, place};

impl Run {
    pub(super) fn nemesis(&mut self) {
        self.workload.set_calm(false);
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        let Some(node) = self.rng.pick(&nodes).copied() else { return };
        let Some(other) = self.rng.pick(&nodes).copied() else { return };
        match self.rng.below(17) {
            0 | 1 => self.world.crash(node),
            2..=4 => self.restart_one(&nodes),
            5 => nodes.iter().for_each(|node| self.world.crash(*node)),
            6 => self.cut(&nodes),
            7 if node != other => self.world.one_way(node, other),
            8 => self.world.heal(),
            9 if node != other => self.world.reset(node, other),
            10 if self.world.is_up(node) && !self.paused.contains(&node) => {
                self.world.pause(node);
                self.paused.push(node);
            }
            11 => self.resume_all(),
            12 if self.may_wipe => self.wipe(node),
            13 => self.fail_disk(node),
            14 | 15 => self.fill_disk(node),
            16 => nodes.iter().for_each(|node| self.world.disk(*node).set_capacity(None)),
            _ => {}
        }
    }

    fn wipe(&mut self, node: NodeId) {
        self.may_wipe = false;
        self.has_wiped = true;
        self.paused.retain(|paused| *paused != node);
        self.world.wipe(node);
        let (cluster, at) = (self.world.system(), self.world.now());
        let lies_there = |key: &usize| {
            let (partition, _) = place(*key, cluster.shape().ring_size);
            cluster.primaries(partition).contains(&node)
        };
        self.workload.history_mut().disk_lost(keys().filter(lies_there), at);
        // It comes back at once, so that the cluster lives with an incomplete replica for as long as possible.
        self.boot(node);
    }

    /// A sync fails some time later: the node answers reads, and refuses writes until it is started again.
    fn fail_disk(&mut self, node: NodeId) {
        let fault = if self.rng.chance(1, 2) { SyncFault::Keeps } else { SyncFault::Drops };
        let at = self.rng.between(1, 20);
        self.world.disk(node).fail_sync(at, ErrorKind::Other, fault);
    }

    /// Others fill the disk, down into the reserve or to the end: the node answers reads, and refuses writes until there
    /// is room.
    fn fill_disk(&mut self, node: NodeId) {
        let left = [0, SMALL_STORE.reserve_bytes / 2, 2 * SMALL_STORE.reserve_bytes];
        let left = self.rng.pick(&left).copied().unwrap_or_default();
        self.world.disk(node).fill_after(left);
    }

    fn cut(&mut self, nodes: &[NodeId]) {
        let mut side = nodes.to_vec();
        self.rng.shuffle(&mut side);
        let at = self.rng.between(1, nodes.len() as u64 - 1) as usize;
        let (left, right) = side.split_at(at);
        self.world.partition(left, right);
    }

    fn restart_one(&mut self, nodes: &[NodeId]) {
        let useless = |node: &NodeId| !self.world.is_up(*node) || self.world.is_failed(*node);
        let down: Vec<NodeId> = nodes.iter().copied().filter(useless).collect();
        if let Some(node) = self.rng.pick(&down).copied() {
            self.boot(node);
        }
    }

    /// Boots a node. In some runs the topology has moved on meanwhile, in some its clock has.
    pub(super) fn boot(&mut self, node: NodeId) {
        if self.new_epoch {
            self.world.system_mut().set_epoch(node, Epoch(2));
        }
        if self.wrong_clocks {
            let skew = self.rng.between(0, 2 * SKEW_US) as i64 - SKEW_US as i64;
            self.world.set_skew(node, skew);
        }
        // A boot can fail when the power is cut during it; the next attempt finds the disk as it is.
        let _ = self.world.restart(node);
    }

    pub(super) fn resume_all(&mut self) {
        self.last_resume = self.world.now();
        for node in std::mem::take(&mut self.paused) {
            self.world.resume(node);
        }
    }
}

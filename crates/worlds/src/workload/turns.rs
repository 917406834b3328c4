//! Buckets that are turned, in the middle of the run, from the last write wins to siblings; and the crowd that writes as
//! soon as that is acknowledged.
//!
//! The change is acknowledged when everyone holds it who can be reached. As long as every node can be, siblings are
//! therefore promised from the acknowledgement on. A node that cannot be reached, and does not know that yet, may name
//! writes by the old rule for a while (decision 16). In the storm siblings are promised from when every node is up and
//! has the change on its disk.

use ombak_base::{NodeId, ShardId, Tick};
use ombak_kv::props::BucketMap;
use ombak_kv::{Answer, Request};
use ombak_node::Boot;
use ombak_sim::World;

use super::{CROWD, Waiting, Workload};
use crate::cluster::Cluster;
use crate::keys::{BUCKETS, Keeps, bucket_id, keep_siblings, keys_of};

/// One bucket is turned in calm weather, when all is healed.
const LAST: usize = BUCKETS.len() - 1;

impl Workload {
    /// From now on, or no longer, every node is up, connected, and known to be by all others.
    pub fn set_calm(&mut self, is_calm: bool) {
        self.is_calm = is_calm;
    }

    /// Turns some bucket that has not been turned yet, through some node.
    pub fn turn(&mut self, world: &mut World<Cluster>) {
        let is_left = |bucket: &usize| {
            BUCKETS[*bucket].keeps == Keeps::Turned && !self.turned.contains_key(bucket)
        };
        let left: Vec<usize> = (0..LAST).filter(is_left).collect();
        if let Some(bucket) = self.rng.pick(&left).copied() {
            self.turn_one(world, bucket);
        }
    }

    /// Turns the bucket that has been kept for the end.
    pub fn turn_last(&mut self, world: &mut World<Cluster>) {
        self.turn_one(world, LAST);
    }

    fn turn_one(&mut self, world: &mut World<Cluster>, bucket: usize) {
        let Some(node) = self.any_node(world) else { return };
        keys_of(bucket).for_each(|key| self.history.turning_from(key, world.now()));
        let request = Request::SetProps(bucket_id(bucket), keep_siblings());
        let waiting = Waiting::Turn { bucket, began: world.now() };
        self.ask(world, CROWD, node, request, waiting);
    }

    /// Whether the answer to a turn is there: the crowd is not to wait.
    pub fn is_turn_heard(&self, world: &World<Cluster>) -> bool {
        let turns = |waiting: &Waiting| matches!(waiting, Waiting::Turn { .. });
        world.replies().iter().any(|reply| self.open.get(&reply.client).is_some_and(turns))
    }

    /// Whether a bucket keeps siblings in the end. A change that was acknowledged without some nodes may be on a single
    /// disk, and lost with it.
    pub fn must_keep_siblings(&self, bucket: usize, disk_lost: bool) -> bool {
        match BUCKETS[bucket].keeps {
            Keeps::Siblings => true,
            Keeps::Latest => false,
            Keeps::Turned => self.turned.get(&bucket).is_some_and(|known| *known || !disk_lost),
        }
    }

    pub(super) fn heard_turn(
        &mut self,
        world: &mut World<Cluster>,
        bucket: usize,
        at: Tick,
        answer: Option<Answer>,
    ) -> usize {
        if answer == Some(Answer::PropsSet) && !self.turned.contains_key(&bucket) {
            self.turned.insert(bucket, false);
            self.crowds.push(bucket);
            if self.is_calm || everyone_knows(world, bucket) {
                self.promise(bucket, at);
            }
        }
        CROWD
    }

    /// Where a bucket has just been turned, everyone writes, knowing nothing of the others, through every node.
    pub(super) fn crowd_all(&mut self, world: &mut World<Cluster>) {
        for bucket in std::mem::take(&mut self.crowds) {
            let nodes: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
            keys_of(bucket).for_each(|key| self.put_through(world, CROWD, key, &nodes));
        }
    }

    /// Looks whether those who were not reached know it by now. The disk tells of the first shard, which keeps the
    /// properties for its node; so only nodes of one shard are looked at.
    pub(super) fn promise_all(&mut self, world: &mut World<Cluster>) {
        if world.system().shape().shards > 1 {
            return;
        }
        let open: Vec<usize> =
            self.turned.iter().filter(|(_, known)| !**known).map(|(bucket, _)| *bucket).collect();
        for bucket in open {
            if everyone_knows(world, bucket) {
                self.promise(bucket, world.now());
            }
        }
    }

    fn promise(&mut self, bucket: usize, at: Tick) {
        self.turned.insert(bucket, true);
        keys_of(bucket).for_each(|key| self.history.siblings_from(key, at));
    }
}

/// Whether every node is up and has on its disk that the bucket keeps siblings.
fn everyone_knows(world: &mut World<Cluster>, bucket: usize) -> bool {
    let nodes: Vec<NodeId> = world.node_ids().collect();
    nodes.into_iter().all(|node| {
        let Some(device) = world.device_mut(node, ShardId(0)) else { return false };
        let mut stored = BucketMap::default();
        let exports = Boot::read_props(device);
        exports.iter().all(|export| stored.import(export).is_ok())
            && stored.props(&bucket_id(bucket)).allow_mult()
    })
}

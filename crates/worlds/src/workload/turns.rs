//! Buckets that are turned, in the middle of the run, from the last write wins to siblings; and the crowd that writes as
//! soon as that is acknowledged.
//!
//! The change is acknowledged when everyone holds it who can be reached. As long as every node can be, siblings are
//! therefore promised from the acknowledgement on. A node that cannot be reached, and does not know that yet, may name
//! writes by the old rule for a while (decision 16). In the storm siblings are promised from when every node is up and
//! has the change on its disk.

use ombak_base::{Device, NodeId, ShardId, Tick};
use ombak_kv::props::BucketMap;
use ombak_kv::{Answer, Request};
use ombak_node::{Boot, Shard};
use ombak_sim::{Rng, World};

use super::{Asking, CROWD, Waiting, Workload};
use crate::cluster::Cluster;
use crate::keys::{BUCKETS, Keeps, bucket_id, keep_siblings, keys_of};
use crate::script::Action;

/// One bucket is turned in calm weather, when all is healed.
const LAST: usize = BUCKETS.len() - 1;

impl Workload {
    /// Until then every node is up, connected, and known to be by all others.
    pub fn calm_until(&mut self, at: Tick) {
        self.calm_until = at;
    }

    /// It is not, from now on.
    pub fn not_calm(&mut self, now: Tick) {
        self.calm_until = self.calm_until.min(now);
    }

    /// Some bucket that has not been turned yet, and where to turn it.
    pub fn draw_turn(&mut self, world: &World<Cluster>) -> Option<Action> {
        let is_left = |bucket: &usize| {
            BUCKETS[*bucket].keeps == Keeps::Turned && !self.turned.contains_key(bucket)
        };
        let left: Vec<usize> = (0..LAST).filter(is_left).collect();
        let bucket = self.rng.pick(&left).copied()?;
        let node = self.any_node(world)?;
        Some(Action::Turn(bucket, node, self.any_shard(world)))
    }

    /// Turns the bucket that has been kept for the end.
    pub fn turn_last(&mut self, world: &mut World<Cluster>) {
        let Some(node) = self.any_node(world) else { return };
        let shard = self.any_shard(world);
        self.turn(world, LAST, node, shard);
    }

    /// Turns a bucket.
    pub fn turn(
        &mut self,
        world: &mut World<Cluster>,
        bucket: usize,
        node: NodeId,
        shard: ShardId,
    ) {
        keys_of(bucket).for_each(|key| self.history.turning_from(key, world.now()));
        let request = Request::SetProps(bucket_id(bucket), keep_siblings());
        let waiting = Waiting::Turn { bucket, began: world.now() };
        self.send(world, Asking { client: CROWD, node, shard }, request, waiting);
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
            if at <= self.calm_until || everyone_knows(world, bucket) {
                self.promise(bucket, at);
            }
        }
        CROWD
    }

    /// Where a bucket has just been turned, everyone writes, knowing nothing of the others, through every node.
    pub(super) fn crowd_all(&mut self, world: &mut World<Cluster>) {
        for bucket in std::mem::take(&mut self.crowds) {
            let nodes: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
            // Alike in every run of this seed, whatever was drawn before.
            let crowd = Rng::new(world.seed() ^ (bucket as u64 + 1));
            let rng = std::mem::replace(&mut self.rng, crowd);
            keys_of(bucket).for_each(|key| self.put_through(world, CROWD, key, &nodes));
            self.rng = rng;
        }
    }

    /// Looks whether those who were not reached know it by now.
    pub(super) fn promise_all(&mut self, world: &mut World<Cluster>) {
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

/// Whether every node is up, knows that the bucket keeps siblings, and will know it after a crash.
fn everyone_knows(world: &mut World<Cluster>, bucket: usize) -> bool {
    let nodes: Vec<NodeId> = world.node_ids().collect();
    nodes
        .into_iter()
        .all(|node| every_shard_knows(world, node, bucket) && is_on_its_disk(world, node, bucket))
}

/// The first shard keeps it for its node, and it alone may have heard of it (seed 35,620).
fn every_shard_knows(world: &World<Cluster>, node: NodeId, bucket: usize) -> bool {
    let shards = world.system().shape().shards;
    let knows = |shard: &Shard| shard.props(&bucket_id(bucket)).allow_mult();
    (0..shards).all(|shard| world.machine(node, ShardId(shard)).is_some_and(knows))
}

/// What is not durable is not there, though the device shows it (seed 67,541).
fn is_on_its_disk(world: &mut World<Cluster>, node: NodeId, bucket: usize) -> bool {
    let has_failed = world.is_failed(node);
    let Some(device) = world.device_mut(node, ShardId(0)) else { return false };
    if has_failed || device.pending_bytes() > 0 {
        return false;
    }
    let mut stored = BucketMap::default();
    let exports = Boot::read_props(device);
    exports.iter().all(|export| stored.import(export).is_ok())
        && stored.props(&bucket_id(bucket)).allow_mult()
}

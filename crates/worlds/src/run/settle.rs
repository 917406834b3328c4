//! After the storm: everything is healed, repaired and read, and then all replicas and all answers must be the same.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{Address, Epoch, NodeId, ShardId, Tick};
use ombak_cluster::{CLOCK_SLACK_MS, FENCE_WINDOW_MS};
use ombak_kv::props::BucketProps;
use ombak_kv::{Answer, Listing, Quorum, Request};
use ombak_node::{Bounds, Reply};
use ombak_sim::{Faults, Heard, Rng};

use super::{Failure, Run, all_complete};
use crate::history::Outcome;
use crate::keys::{BUCKETS, Bucket, bucket_id, bucket_of, is_deleted, keys_of, name};
use crate::storage::Backend;

/// How long the cluster has to come to rest.
const REST_US: u64 = 8_000_000;
/// Rounds of reads through every node after which all replicas must agree.
const ROUNDS: usize = 4;

impl Run {
    /// Calm weather, everyone up under one topology, every vnode complete.
    pub(super) fn heal(&mut self) -> Result<(), Failure> {
        // What is drawn from here on is the same whatever happened in the storm.
        self.rng = Rng::new(!self.seed);
        self.workload.draw_from(self.rng.next_u64());
        self.world.set_faults(Faults::calm());
        self.world.heal();
        self.workload.leave_locks(&mut self.world);
        self.resume_all();
        // What is checked asks for much at once.
        let is_cramped = self.script.bounds != Bounds::default();
        self.world.system_mut().set_bounds(Bounds::default());
        for node in self.world.node_ids().collect::<Vec<_>>() {
            self.world.disk(node).call_off();
            self.world.disk(node).set_capacity(None);
            let old = self.new_epoch
                && self
                    .world
                    .machine(node, ShardId(0))
                    .is_none_or(|shard| shard.config().topology.epoch < Epoch(2));
            if old || is_cramped || !self.world.is_up(node) || self.world.is_failed(node) {
                let boot = self.draw_boot();
                self.start(node, boot);
            }
        }
        self.rest();
        for _ in 0..3 {
            self.repair_all();
            self.find_rot();
            if all_complete(&self.world) {
                self.workload.history_mut().disk_repaired(self.world.now());
                return Ok(());
            }
            if self.script.backend == Backend::Btree {
                self.replace_rotten();
            }
        }
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        let open = nodes.into_iter().flat_map(|node| self.useless_vnodes(node));
        let detail = open.collect::<Vec<_>>().join("; ");
        Err(self.failure("every vnode becomes complete", detail))
    }

    /// What keeps each vnode of a node from being complete and naming writes.
    fn useless_vnodes(&self, node: NodeId) -> Vec<String> {
        let shards = (0..self.world.system().shape().shards).map(ShardId);
        let machines = shards.filter_map(|shard| self.world.machine(node, shard));
        let useless = machines
            .flat_map(|machine| machine.vnodes())
            .filter(|vnode| !vnode.is_complete() || !vnode.can_mint());
        let failed = self.world.is_failed(node);
        useless.map(|vnode| format!("{node}, failed {failed}: {vnode:?}")).collect()
    }

    fn repair_all(&mut self) {
        for node in self.world.node_ids().collect::<Vec<_>>() {
            for shard in 0..self.world.system().shape().shards {
                let request = ombak_node::Request::Repair;
                self.world.ask(node, ShardId(shard), request, 10_000_000);
            }
        }
        self.rest();
    }

    /// What has rotten is found by who reads it, and a node that is asked for a key reads its own replica.
    fn find_rot(&mut self) {
        if let Some(node) = self.rotten {
            self.workload.read_all(&mut self.world, node, Quorum::Default);
            self.rest();
        }
    }

    pub(super) fn rest(&mut self) {
        self.world.run_for(REST_US);
        self.workload.hear(&mut self.world);
    }

    /// Reads everything until the replicas agree; then every request must have been answered, and everyone must say
    /// the same: readers, disks, listings, properties.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        self.turn_in_calm();
        self.forget_deletions();
        self.read_rounds();
        self.check_quiet()?;
        self.world.check_at_rest();
        self.check_agreement()?;
        self.check_props()?;
        self.check_locks()?;
        let live = self.check_stored()?;
        self.check_listings(&live)?;
        self.check_listings_of_tombstones(live)
    }

    /// Every node can be reached: a change of properties that is acknowledged now binds all of them.
    fn turn_in_calm(&mut self) {
        self.workload.calm_until(Tick(u64::MAX));
        self.workload.turn_last(&mut self.world);
        self.run_until(self.world.now().plus_ms(REST_US / 1_000));
    }

    /// An older disk may hold what was deleted since and reaped. While the others remember that, they drop it, and it keeps
    /// it (seed 14,663); afterwards it comes back to all.
    fn forget_deletions(&mut self) {
        if self.has_older_disk {
            self.world.run_for((FENCE_WINDOW_MS + 2 * CLOCK_SLACK_MS) * 1_000);
        }
    }

    /// Rounds of reads through every node, the last of them on the word of all replicas.
    fn read_rounds(&mut self) {
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        for round in 1..=ROUNDS {
            let r = if round == ROUNDS { Quorum::All } else { Quorum::Default };
            for node in &nodes {
                self.workload.read_all(&mut self.world, *node, r);
                self.world.run_for(300_000);
                self.workload.hear(&mut self.world);
            }
        }
        self.rest();
    }

    fn check_quiet(&self) -> Result<(), Failure> {
        match self.workload.any_open() {
            Some(open) => Err(self.failure("every request is answered", open)),
            None => Ok(()),
        }
    }

    /// The last reads of each key, one through every node, must all have succeeded and found the same.
    fn check_agreement(&self) -> Result<(), Failure> {
        let mut last: BTreeMap<(usize, NodeId), Outcome> = BTreeMap::new();
        for op in self.workload.history().ops() {
            last.insert((op.key, op.node), sorted(&op.outcome));
        }
        let keys: BTreeSet<usize> = last.keys().map(|(key, _)| *key).collect();
        for key in keys {
            let first = last.get(&(key, NodeId(0)));
            for node in self.world.node_ids() {
                let found = last.get(&(key, node));
                let answered = matches!(found, Some(Outcome::Found(_) | Outcome::NotFound));
                if found != first || !answered {
                    let detail = format!("k{key}: {first:?} through n0, {found:?} through {node}");
                    return Err(self.failure("replicas converge", detail));
                }
            }
        }
        Ok(())
    }

    /// With a node down, deletions leave tombstones on the others, and listings do not show them.
    fn check_listings_of_tombstones(&mut self, mut live: BTreeSet<usize>) -> Result<(), Failure> {
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        let Some(down) = self.rng.pick(&nodes).copied() else { return Ok(()) };
        self.world.crash(down);
        self.rest();
        let gone: BTreeSet<usize> = live.iter().copied().filter(|key| is_deleted(*key)).collect();
        self.workload.delete_all(&mut self.world, &gone);
        self.rest();
        self.check_quiet()?;
        live.retain(|key| !gone.contains(key));
        self.check_listings(&live)
    }

    /// Listings through every node that is up end well, and have exactly what is there.
    fn check_listings(&mut self, live: &BTreeSet<usize>) -> Result<(), Failure> {
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        for node in nodes.into_iter().filter(|node| self.world.is_up(*node)).collect::<Vec<_>>() {
            let (asked, listed) = self.list_all(node);
            if listed.len() != asked {
                let detail = format!("{} of {asked} did, through {node}", listed.len());
                return Err(self.failure("a listing ends", detail));
            }
            for (listing, names) in listed {
                let names: BTreeSet<Bytes> = names.into_iter().collect();
                let there = names_of(&listing, live);
                if names != there {
                    let rule = "a listing has everything, and nothing deleted";
                    let detail = format!("{listing:?} through {node}: {names:?}, not {there:?}");
                    return Err(self.failure(rule, detail));
                }
            }
        }
        Ok(())
    }

    /// Lists everything through one node: how much was asked for, and what ended well within a second.
    fn list_all(&mut self, node: NodeId) -> (usize, Vec<(Listing, Vec<Bytes>)>) {
        self.workload.take_listed();
        let asked = self.workload.list_all(&mut self.world, node);
        for _ in 0..20 {
            self.world.run_for(50_000);
            self.workload.hear(&mut self.world);
        }
        (asked, self.workload.take_listed())
    }

    /// All shards know the same properties, and a change that was acknowledged is among them.
    fn check_props(&mut self) -> Result<(), Failure> {
        for (bucket, Bucket { name, .. }) in BUCKETS.iter().enumerate() {
            let known = self.props(bucket)?;
            let Some((_, props)) = known.first() else { continue };
            if let Some((at, other)) = known.iter().find(|(_, other)| other != props) {
                let detail = format!("{name}: {props:?}, and {other:?} on {at:?}");
                return Err(self.failure("properties converge", detail));
            }
            if self.workload.must_keep_siblings(bucket, self.has_spoilt) && !props.allow_mult() {
                let detail = format!("{name} was to keep siblings: {props:?}");
                return Err(self.failure("a change of properties lasts", detail));
            }
        }
        Ok(())
    }

    /// What every shard knows of a bucket.
    fn props(&mut self, bucket: usize) -> Result<Vec<(Address, Box<BucketProps>)>, Failure> {
        let mut known = Vec::new();
        for node in self.world.node_ids().collect::<Vec<_>>() {
            for shard in (0..self.world.system().shape().shards).map(ShardId) {
                let request = ombak_node::Request::Kv(Request::GetProps(bucket_id(bucket)));
                match self.world.ask(node, shard, request, 1_000_000) {
                    Some(Heard::Reply(Reply::Kv(Answer::Props(props)))) => {
                        known.push((Address { node, shard }, props));
                    }
                    other => {
                        return Err(self.failure("every request is answered", format!("{other:?}")));
                    }
                }
            }
        }
        Ok(known)
    }
}

/// What a listing must say when these keys have values.
fn names_of(listing: &Listing, live: &BTreeSet<usize>) -> BTreeSet<Bytes> {
    match listing {
        Listing::Keys { bucket } => {
            let of = (0..BUCKETS.len()).filter(|at| bucket_id(*at) == *bucket);
            of.flat_map(keys_of).filter(|key| live.contains(key)).map(name).collect()
        }
        Listing::Buckets { .. } => live.iter().map(|key| bucket_id(bucket_of(*key)).name).collect(),
    }
}

fn sorted(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Found(found) = &mut outcome {
        found.values.sort_unstable();
    }
    outcome
}

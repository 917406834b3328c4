//! One run: a cluster, clients, a swarm of faults; then healing, and the checks.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ombak_base::{Epoch, NodeId, ShardId, Tick};
use ombak_kv::{Answer, Request};
use ombak_node::Reply;
use ombak_sim::{Faults, Heard, Rng, SyncFault, World};

use crate::cluster::{Cluster, Shape};
use crate::history::Outcome;
use crate::keys::{BUCKETS, Keeps, bucket_id, keep_siblings, keys, partition};
use crate::workload::{SILENCE, Workload};

/// How long clients work under faults, and how long the cluster then has to come to rest.
const FAULTY_US: u64 = 12_000_000;
const REST_US: u64 = 8_000_000;
/// Rounds of reads through every node after which all replicas must agree.
const ROUNDS: usize = 4;
/// In some runs clocks are wrong by up to this, in either direction.
const SKEW_US: u64 = 2_000_000;

/// A run that held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The fingerprint of everything that happened.
    pub trace_hash: u128,
    /// Virtual time, in microseconds.
    pub virtual_us: u64,
    /// Operations that clients began.
    pub operations: usize,
    /// Of those, the ones that were answered with success.
    pub succeeded: usize,
    /// Places in the code that were reached, and how often.
    pub probes: BTreeMap<&'static str, u64>,
}

/// A run that did not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed that gives it again.
    pub seed: u64,
    /// The rule or property.
    pub rule: String,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}: {}\n  again: ombak sim run --seed {}",
            self.seed, self.rule, self.detail, self.seed
        )
    }
}

/// Runs one seed. The last `trace_lines` events are printed if a property in the code breaks.
pub fn run_seed(seed: u64, trace_lines: usize) -> Result<Report, Failure> {
    let run = catch_unwind(AssertUnwindSafe(|| Run::new(seed, trace_lines)?.go()));
    run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Failure {
            seed,
            rule: "a property in the code".into(),
            detail: text.unwrap_or_default(),
        })
    })
}

struct Run {
    seed: u64,
    rng: Rng,
    world: World<Cluster>,
    workload: Workload,
    paused: Vec<NodeId>,
    last_resume: Tick,
    /// At most one disk is lost in a run: with two, acknowledged data may really be gone.
    may_wipe: bool,
    new_epoch: bool,
    wrong_clocks: bool,
}

impl Run {
    fn new(seed: u64, trace_lines: usize) -> Result<Run, Failure> {
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let failed = |detail| Failure { seed, rule: "the cluster starts".into(), detail };
        let system = Cluster::new(shape).map_err(failed)?;
        let mut world = World::new(system, shape.nodes, seed).map_err(failed)?;
        world.keep_lines(trace_lines);
        let mut workload = Workload::new(rng.fork());
        let may_wipe = rng.chance(1, 2);
        let new_epoch = rng.chance(1, 4);
        let wrong_clocks = rng.chance(1, 2);
        workload.history_mut().clocks_are_slow(if wrong_clocks { SKEW_US } else { 0 });
        Ok(Run {
            seed,
            rng,
            world,
            workload,
            paused: Vec::new(),
            last_resume: Tick(0),
            may_wipe,
            new_epoch,
            wrong_clocks,
        })
    }

    fn go(mut self) -> Result<Report, Failure> {
        self.form()?;
        let faults = Faults::random(&mut self.rng);
        self.world.set_faults(faults);
        let end = self.world.now() + FAULTY_US;
        while self.world.now() < end {
            self.workload.begin_all(&mut self.world);
            let pause = self.rng.between(100, 40_000);
            self.world.run_for(pause);
            self.workload.hear(&mut self.world);
            self.check_silence()?;
            if self.rng.chance(1, 20) {
                self.nemesis();
            }
        }
        self.heal()?;
        self.settle()?;
        self.workload
            .history()
            .check()
            .map_err(|broken| self.failure(broken.rule, broken.detail))?;
        Ok(self.report())
    }

    /// The cluster forms in calm weather, and is told which bucket keeps siblings.
    fn form(&mut self) -> Result<(), Failure> {
        let formed = self.world.run_until_true(20_000_000, all_complete);
        if !formed {
            return Err(self.failure("the cluster forms", String::new()));
        }
        let of_siblings = |bucket: &usize| BUCKETS[*bucket].keeps == Keeps::Siblings;
        for bucket in (0..BUCKETS.len()).filter(of_siblings) {
            let request = Request::SetProps(bucket_id(bucket), keep_siblings());
            let request = ombak_node::Request::Kv(request);
            let heard = self.world.ask(NodeId(0), ShardId(0), request, 10_000_000);
            if heard != Some(Heard::Reply(Reply::Kv(Answer::PropsSet))) {
                let rule = "a change of properties is acknowledged";
                return Err(self.failure(rule, format!("{heard:?}")));
            }
        }
        Ok(())
    }

    fn nemesis(&mut self) {
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        let Some(node) = self.rng.pick(&nodes).copied() else { return };
        let Some(other) = self.rng.pick(&nodes).copied() else { return };
        match self.rng.below(14) {
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
            _ => {}
        }
    }

    fn wipe(&mut self, node: NodeId) {
        self.may_wipe = false;
        self.paused.retain(|paused| *paused != node);
        self.world.wipe(node);
        let (cluster, at) = (self.world.system(), self.world.now());
        let lies_there = |key: &usize| {
            cluster.primaries(partition(*key, cluster.shape().ring_size)).contains(&node)
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
    fn boot(&mut self, node: NodeId) {
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

    fn resume_all(&mut self) {
        self.last_resume = self.world.now();
        for node in std::mem::take(&mut self.paused) {
            self.world.resume(node);
        }
    }

    /// Calm weather, everyone up under one topology, every vnode complete.
    fn heal(&mut self) -> Result<(), Failure> {
        self.world.set_faults(Faults::calm());
        self.world.heal();
        self.resume_all();
        for node in self.world.node_ids().collect::<Vec<_>>() {
            self.world.disk(node).call_off();
            let old = self.new_epoch
                && self
                    .world
                    .machine(node, ShardId(0))
                    .is_none_or(|shard| shard.config().topology.epoch < Epoch(2));
            if old || !self.world.is_up(node) || self.world.is_failed(node) {
                self.boot(node);
            }
        }
        self.rest();
        for _ in 0..3 {
            self.repair_all();
            if all_complete(&self.world) {
                self.workload.history_mut().disk_repaired(self.world.now());
                return Ok(());
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

    fn rest(&mut self) {
        self.world.run_for(REST_US);
        self.workload.hear(&mut self.world);
    }

    /// Reads everything through every node until replicas agree; then every request must have been answered.
    fn settle(&mut self) -> Result<(), Failure> {
        let nodes: Vec<NodeId> = self.world.node_ids().collect();
        for _ in 0..ROUNDS {
            for node in &nodes {
                self.workload.read_all(&mut self.world, *node);
                self.world.run_for(300_000);
                self.workload.hear(&mut self.world);
            }
        }
        self.rest();
        if !self.workload.is_quiet() {
            let open = format!("{:?}", self.workload.oldest_open());
            return Err(self.failure("every request is answered", open));
        }
        self.check_agreement(&nodes)
    }

    /// The last reads of each key, one through every node, must all have succeeded and found the same.
    fn check_agreement(&mut self, nodes: &[NodeId]) -> Result<(), Failure> {
        let mut last: BTreeMap<(usize, NodeId), Outcome> = BTreeMap::new();
        for op in self.workload.history().ops() {
            last.insert((op.key, op.node), sorted(&op.outcome));
        }
        let keys: Vec<usize> = last.keys().map(|(key, _)| *key).collect();
        for key in keys {
            let first = last.get(&(key, nodes[0])).cloned();
            for node in nodes {
                let found = last.get(&(key, *node)).cloned();
                let answered = matches!(found, Some(Outcome::Found(_) | Outcome::NotFound));
                if found != first || !answered {
                    let detail = format!("k{key}: {first:?} through n0, {found:?} through {node}");
                    return Err(self.failure("replicas converge", detail));
                }
            }
        }
        Ok(())
    }

    /// While a node lives and runs, every request to it is answered in time.
    fn check_silence(&mut self) -> Result<(), Failure> {
        let Some(op) = self.workload.oldest_open() else { return Ok(()) };
        let waited = self.world.now().since(op.began.max(self.last_resume));
        if waited > SILENCE.0 && self.paused.is_empty() {
            let detail = format!("{op:?}");
            return Err(self.failure("every request is answered", detail));
        }
        Ok(())
    }

    fn failure(&self, rule: &str, detail: String) -> Failure {
        Failure { seed: self.seed, rule: rule.to_owned(), detail }
    }

    fn report(&self) -> Report {
        let ops = self.workload.history().ops();
        let succeeded = |outcome: &Outcome| {
            matches!(outcome, Outcome::Done | Outcome::Found(_) | Outcome::NotFound)
        };
        Report {
            seed: self.seed,
            trace_hash: self.world.trace_hash(),
            virtual_us: self.world.now().0,
            operations: ops.len(),
            succeeded: ops.iter().filter(|op| succeeded(&op.outcome)).count(),
            probes: self.world.probes().clone(),
        }
    }
}

fn sorted(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Found(found) = &mut outcome {
        found.values.sort_unstable();
    }
    outcome
}

/// Whether every vnode of every node is complete and can name writes.
fn all_complete(world: &World<Cluster>) -> bool {
    let shards = world.system().shape().shards;
    world.node_ids().all(|node| {
        (0..shards).all(|shard| {
            world.machine(node, ShardId(shard)).is_some_and(|shard| {
                shard.vnodes().all(|vnode| vnode.is_complete() && vnode.can_mint())
            })
        })
    })
}

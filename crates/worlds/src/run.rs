//! One run: a cluster, clients, a swarm of faults; then healing, and the checks.

mod settle;
mod stored;
mod weather;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ombak_base::{NodeId, ShardId, Tick};
use ombak_kv::{Answer, Request};
use ombak_node::{DeleteMode, Reply};
use ombak_sim::{Faults, Heard, Rng, World};

use crate::cluster::{Cluster, Shape};
use crate::history::Outcome;
use crate::keys::{BUCKETS, Keeps, bucket_id, keep_siblings};
use crate::workload::Workload;

/// How long clients work under faults.
const FAULTY_US: u64 = 12_000_000;
/// Messages may be lost from the start, but for so long nobody can suspect anybody: that takes a second of silence.
const REACHED_US: u64 = 900_000;
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
    has_wiped: bool,
    new_epoch: bool,
    wrong_clocks: bool,
}

impl Run {
    fn new(seed: u64, trace_lines: usize) -> Result<Run, Failure> {
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let failed = |detail| Failure { seed, rule: "the cluster starts".into(), detail };
        let mut system = Cluster::new(shape).map_err(failed)?;
        system.set_delete_mode(match rng.between(0, 7) {
            0 => DeleteMode::Keep,
            1 => DeleteMode::AfterMs(3_000),
            _ => DeleteMode::Immediate,
        });
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
            has_wiped: false,
            new_epoch,
            wrong_clocks,
        })
    }

    fn go(mut self) -> Result<Report, Failure> {
        self.form()?;
        let faults = Faults::random(&mut self.rng);
        self.world.set_faults(faults);
        let start = self.world.now();
        if self.rng.chance(1, 2) {
            self.workload.turn(&mut self.world);
        }
        while self.world.now() < start + FAULTY_US {
            self.workload.begin_all(&mut self.world);
            let pause = self.rng.between(100, 40_000);
            let workload = &self.workload;
            self.world.run_until_true(pause, |world| workload.is_turn_heard(world));
            self.workload.hear(&mut self.world);
            self.check_silence()?;
            if self.rng.chance(1, 20) {
                self.nemesis();
            }
            if self.rng.chance(1, 100) {
                self.workload.turn(&mut self.world);
            }
            if self.world.now() > start + REACHED_US {
                self.workload.set_calm(false);
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

    /// While a node lives and runs, every request to it is answered in time.
    fn check_silence(&mut self) -> Result<(), Failure> {
        match self.workload.overdue(self.world.now(), self.last_resume) {
            Some(open) if self.paused.is_empty() => {
                Err(self.failure("every request is answered", open))
            }
            _ => Ok(()),
        }
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

//! One run: a cluster, clients, a swarm of faults; then healing, and the checks.

mod damage;
mod disasters;
mod locks;
mod settle;
mod stored;
mod weather;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ombak_base::{NodeId, ShardId, Tick};
use ombak_kv::{Answer, Request};
use ombak_node::{Bounds, DeleteMode, Reply};
use ombak_sim::{Decisions, Faults, Heard, Rng, World};

use crate::cluster::{Cluster, Shape};
use crate::families::Family;
use crate::history::Outcome;
use crate::keys::{BUCKETS, Keeps, bucket_id, keep_siblings};
use crate::plan::{Fork, Plan};
use crate::script::{Action, Decision, Script};
use crate::workload::{CLIENTS, LOCKER, Workload};
use disasters::Disasters;

/// How long clients work under faults.
pub(crate) const FAULTY_US: u64 = 12_000_000;
/// Messages may be lost from the start, but for so long nobody can suspect anybody: that takes a second of silence.
const REACHED_US: u64 = 900_000;
/// In some runs clocks are wrong by up to this, in either direction.
const SKEW_US: u64 = 2_000_000;
/// What is drawn of locks is drawn apart, so that all else of a seed is the same with them and without.
const LOCKS: u64 = 0x6c6f_636b_7300_0000;

/// The rule that is broken when the code's own check fails.
pub(crate) const PROPERTY: &str = "a property in the code";

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
    /// Locks that were granted.
    pub grants: usize,
    /// Places in the code that were reached, and how often.
    pub probes: BTreeMap<&'static str, u64>,
}

/// A run that did not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What gives it again.
    pub plan: Plan,
    /// The rule or property.
    pub rule: String,
    /// What was seen.
    pub detail: String,
}

impl Failure {
    /// The rule that is broken, or of properties in the code, that property.
    pub fn broken(&self) -> &str {
        match self.detail.split('"').nth(1) {
            Some(property) if self.rule == PROPERTY => property,
            _ => &self.rule,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { plan, rule, detail } = self;
        write!(f, "seed {}: {rule}: {detail}\n  again: ombak sim run {plan}", plan.seed)
    }
}

/// Runs one seed. The last `trace_lines` events are printed if a property in the code breaks.
pub fn run_seed(seed: u64, trace_lines: usize) -> Result<Report, Failure> {
    run_plan(&Plan::of_seed(seed), trace_lines)
}

/// Runs what is planned. The last `trace_lines` events are printed if a property in the code breaks.
pub fn run_plan(plan: &Plan, trace_lines: usize) -> Result<Report, Failure> {
    caught(plan, || {
        let mut run = Run::drawn(plan, trace_lines)?;
        run.draw_storm()?;
        Ok(run.report())
    })
}

/// A run as it was played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// How it ended.
    pub ended: Result<Report, Failure>,
    /// Its last events, as text.
    pub trace: Vec<String>,
    /// A page that draws the storm, if it was asked for.
    pub diagram: Option<String>,
    /// The decisions that nothing came to, as the lines that they stand in.
    pub left_over: Vec<String>,
}

/// What is kept of a run that is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// The last so many events of the whole run, as text.
    pub trace_lines: usize,
    /// The last so many events until everything is healed, for the page that draws them. 0: none.
    pub diagram_events: usize,
}

/// Plays a script.
pub fn play_script(script: &Script, kept: Kept) -> Played {
    let (mut trace, mut diagram, mut left_over) = (Vec::new(), None, Vec::new());
    let plan = Plan::of_seed(script.seed);
    let ended = caught(&plan, || {
        let mut run = Run::new(&plan, script.clone(), kept.trace_lines)?;
        run.world.keep_quiet();
        run.world.keep_diagram(kept.diagram_events);
        run.wants_picture = kept.diagram_events > 0;
        run.world.follow(&script.decisions);
        let ended = catch_unwind(AssertUnwindSafe(|| run.play()));
        run.take_picture();
        trace = run.world.trace().lines().map(str::to_owned).collect();
        diagram = run.diagram.take();
        let decisions = run.world.left_over().into_iter();
        left_over = decisions.map(|(point, value)| Decision(point, value).to_string()).collect();
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    });
    Played { ended, trace, diagram, left_over }
}

/// Plays a script to see whether it holds.
pub fn run_script(script: &Script) -> Result<Report, Failure> {
    play_script(script, Kept::default()).ended
}

/// Runs one seed once more and gives what it did as a script, which breaks what the seed breaks.
pub fn record_seed(seed: u64) -> Result<Script, Failure> {
    record_plan(&Plan::of_seed(seed))
}

/// Runs what is planned and gives what was done as a script.
pub fn record_plan(plan: &Plan) -> Result<Script, Failure> {
    let drawn = catch_unwind(|| Run::drawn(plan, 0));
    let mut run = drawn.unwrap_or_else(|_| {
        let detail = "a property in the code broke before anything was done".into();
        Err(Failure { plan: plan.clone(), rule: PROPERTY.into(), detail })
    })?;
    run.world.record();
    // How it ends is known.
    let _ = catch_unwind(AssertUnwindSafe(|| run.draw_storm()));
    run.script.decisions = run.world.decisions();
    Ok(run.script)
}

fn caught(plan: &Plan, run: impl FnOnce() -> Result<Report, Failure>) -> Result<Report, Failure> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Failure { plan: plan.clone(), rule: PROPERTY.into(), detail: text.unwrap_or_default() })
    })
}

struct Run {
    seed: u64,
    plan: Plan,
    /// How many forks have been taken.
    forked: usize,
    rng: Rng,
    world: World<Cluster>,
    workload: Workload,
    /// How many clients lock.
    lockers: usize,
    /// What is played, or what has been drawn so far.
    script: Script,
    /// The weather of the storm.
    faults: Faults,
    /// What is drawn beside it.
    disasters: Disasters,
    paused: Vec<NodeId>,
    last_resume: Tick,
    /// Whether a spoilt disk may still be drawn.
    may_spoil: bool,
    has_spoilt: bool,
    /// Whose disk may hold what cannot be read.
    rotten: Option<NodeId>,
    /// What starts have found damaged.
    damage_found: Vec<String>,
    /// Whether some disk may show what it held before.
    has_older_disk: bool,
    new_epoch: bool,
    wrong_clocks: bool,
    /// Whether a picture of the storm is wanted.
    wants_picture: bool,
    /// The page.
    diagram: Option<String>,
}

impl Run {
    /// A run whose storm is going to be drawn.
    fn drawn(plan: &Plan, trace_lines: usize) -> Result<Run, Failure> {
        let (seed, families) = (plan.seed, plan.faults);
        let mut rng = Rng::new(seed);
        let shape = Shape::random(&mut rng);
        let delete_mode = match rng.between(0, 7) {
            0 => DeleteMode::Keep,
            1 => DeleteMode::AfterMs(3_000),
            _ => DeleteMode::Immediate,
        };
        let faults = families.weather(Faults::random(&mut rng));
        let bounds = draw_bounds(&mut rng);
        let bounds = if families.has(Family::Overload) { bounds } else { Bounds::default() };
        let script = Script {
            seed,
            shape,
            delete_mode,
            bounds,
            backend: plan.backend,
            root: Rng::new(seed ^ LOCKS).chance(1, 3),
            partitions_lose: faults.partition_drops,
            new_epoch: rng.chance(1, 4) && families.has(Family::Crash),
            wrong_clocks: rng.chance(1, 2) && families.has(Family::Clock),
            until: Tick(0),
            actions: Vec::new(),
            decisions: Decisions::new(),
        };
        let may_spoil = rng.chance(3, 4);
        let disasters = Disasters::random(&mut rng);
        let mut run = Run::new(plan, script, trace_lines)?;
        (run.rng, run.may_spoil, run.faults, run.disasters) = (rng, may_spoil, faults, disasters);
        Ok(run)
    }

    fn new(plan: &Plan, script: Script, trace_lines: usize) -> Result<Run, Failure> {
        let Script { seed, shape, delete_mode, bounds, new_epoch, wrong_clocks, .. } = script;
        let failed =
            |detail| Failure { plan: plan.clone(), rule: "the cluster starts".into(), detail };
        let mut system = Cluster::new(shape).map_err(failed)?.with_backend(script.backend);
        system.set_delete_mode(delete_mode);
        system.set_bounds(bounds);
        let system = if script.root { system.with_root() } else { system };
        let mut world = World::new(system, shape.nodes, seed).map_err(failed)?;
        match trace_lines {
            0 => world.keep_quiet(),
            lines => world.keep_lines(lines),
        }
        let mut workload = Workload::new(Rng::new(seed).fork(), Rng::new(seed ^ LOCKS).fork());
        workload.history_mut().clocks_are_slow(if wrong_clocks { SKEW_US } else { 0 });
        let faults = Faults { partition_drops: script.partitions_lose, ..Faults::calm() };
        Ok(Run {
            seed,
            plan: plan.clone(),
            forked: 0,
            rng: Rng::new(seed),
            world,
            workload,
            lockers: 0,
            script,
            faults,
            disasters: Disasters::default(),
            paused: Vec::new(),
            last_resume: Tick(0),
            may_spoil: false,
            has_spoilt: false,
            rotten: None,
            damage_found: Vec::new(),
            has_older_disk: false,
            new_epoch,
            wrong_clocks,
            wants_picture: false,
            diagram: None,
        })
    }

    /// Makes a page of what was kept.
    fn take_picture(&mut self) {
        if self.wants_picture {
            self.diagram = Some(self.world.diagram(&format!("seed {}", self.seed)));
        }
    }

    /// Draws a storm and does it, then checks.
    fn draw_storm(&mut self) -> Result<(), Failure> {
        let start = self.begin()?;
        let end = start.plus_ms(FAULTY_US / 1_000);
        // If something breaks in the middle, it breaks before this.
        self.script.until = end;
        let mut turns = self.rng.chance(1, 2);
        self.lockers = if self.script.root { self.workload.draw_lockers() } else { 0 };
        let mut damage = self.draw_damage(start);
        while self.world.now() < end {
            self.fork();
            if turns && let Some(turn) = self.workload.draw_turn(&self.world) {
                self.act_drawn(turn);
            }
            for client in 0..CLIENTS {
                if let Some(asked) = self.workload.draw(&self.world, client) {
                    self.act_drawn(Action::Ask(asked));
                }
            }
            for client in LOCKER..LOCKER + self.lockers {
                if let Some(asked) = self.workload.draw_lock(&self.world, client) {
                    self.act_drawn(Action::Ask(asked));
                }
            }
            let pause = self.rng.between(100, 40_000);
            self.run_until(Tick(self.world.now().0 + pause));
            self.check_silence()?;
            if let Some(disaster) = self.draw_disaster()
                && self.plan.faults.allow(&disaster)
            {
                self.act_drawn(disaster);
            }
            if let Some((_, damage)) = damage.take_if(|(at, _)| *at <= self.world.now())
                && self.plan.faults.allow(&damage)
            {
                self.act_drawn(damage);
            }
            turns = self.rng.chance(1, 100);
        }
        self.script.until = self.world.now();
        self.end()
    }

    /// What is done from now on is drawn from another seed, if it is time.
    fn fork(&mut self) {
        let next = self.plan.forks.get(self.forked).copied();
        if let Some(Fork { seed, .. }) = next.filter(|fork| fork.at <= self.world.now()) {
            self.forked += 1;
            self.rng = Rng::new(seed);
            self.workload.draw_from(self.rng.next_u64());
        }
    }

    fn act_drawn(&mut self, action: Action) {
        self.script.actions.push((self.world.now(), action.clone()));
        self.act(&action);
    }

    /// Does what the script says, then checks.
    fn play(&mut self) -> Result<Report, Failure> {
        self.begin()?;
        for (at, action) in std::mem::take(&mut self.script.actions) {
            self.run_until(at);
            self.check_silence()?;
            self.act(&action);
        }
        self.run_until(self.script.until);
        self.check_silence()?;
        self.end()?;
        Ok(self.report())
    }

    /// The cluster forms, and the weather turns bad.
    fn begin(&mut self) -> Result<Tick, Failure> {
        self.form()?;
        self.world.set_faults(self.faults.clone());
        let start = self.world.now();
        self.workload.calm_until(Tick(start.0 + REACHED_US));
        Ok(start)
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.take_picture();
        self.heal()?;
        // What follows is calm: hundreds of reads, after which nobody would find the storm.
        self.wants_picture = false;
        self.world.keep_diagram(0);
        self.settle()?;
        let checked = self.workload.history().check();
        checked.map_err(|broken| self.failure(broken.rule, broken.detail))
    }

    /// Time passes. What clients hear they hear at once.
    fn run_until(&mut self, until: Tick) {
        while self.world.now() < until {
            let left = until.0 - self.world.now().0;
            self.world.run_until_true(left, |world| !world.replies().is_empty());
            self.workload.hear(&mut self.world);
        }
    }

    /// The cluster forms in calm weather, and is told which bucket keeps siblings.
    fn form(&mut self) -> Result<(), Failure> {
        let formed = self.world.run_until_true(20_000_000, all_complete);
        if !formed {
            return Err(self.failure("the cluster forms", String::new()));
        }
        self.form_root()?;
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
        Failure { plan: self.plan.clone(), rule: rule.to_owned(), detail }
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
            grants: self.workload.locked().grants(),
            succeeded: ops.iter().filter(|op| succeeded(&op.outcome)).count(),
            probes: self.world.probes().clone(),
        }
    }
}

/// In some runs there is so little room that five clients are too many.
fn draw_bounds(rng: &mut Rng) -> Bounds {
    if !rng.chance(1, 8) {
        return Bounds::default();
    }
    Bounds {
        ops_max: rng.between(2, 8) as usize,
        unsynced_max: rng.between(40, 120),
        waiting_max: rng.between(1, 8) as usize,
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

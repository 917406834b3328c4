//! Looks for a schedule that freezes a pool, and makes it short.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ombak_base::NodeId;
use ombak_sim::{Rng, shrink};

use crate::client::Client;
use crate::pool::Pool;
use crate::process::{Bug, CLIENT, Job, POOL, Process, SUPERVISOR, WORKERS};
use crate::schedule::{Late, Run, Schedule};
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// How many workers there are and what they are to do.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub workers: u32,
    /// Whether each job is deadly.
    pub jobs: Vec<bool>,
}

impl Scenario {
    pub fn new(workers: u32, jobs: &[bool]) -> Scenario {
        Scenario { workers, jobs: jobs.to_vec() }
    }

    fn processes(&self, bug: Bug) -> BTreeMap<NodeId, Process> {
        let jobs = (0..).zip(&self.jobs).map(|(number, deadly)| Job { number, deadly: *deadly });
        let deaths = self.jobs.iter().filter(|deadly| **deadly).count() as u32;
        let first = (WORKERS..WORKERS + self.workers).map(NodeId);
        let unborn = (WORKERS + self.workers..WORKERS + self.workers + deaths).map(NodeId);
        let mut processes = BTreeMap::from([
            (CLIENT, Process::Client(Client::new(jobs.collect()))),
            (POOL, Process::Pool(Pool::new(bug))),
            (
                SUPERVISOR,
                Process::Supervisor(Supervisor::new(
                    first.clone().collect(),
                    unborn.clone().collect(),
                )),
            ),
        ]);
        processes.extend(first.map(|id| (id, Process::Worker(Worker::new(bug, id, true)))));
        processes.extend(unborn.map(|id| (id, Process::Worker(Worker::new(bug, id, false)))));
        processes
    }
}

/// One to three workers and up to seven jobs, of which one in five is deadly.
pub fn random_scenario(rng: &mut Rng) -> Scenario {
    let workers = rng.between(1, 3) as u32;
    let jobs = (0..rng.between(1, 7)).map(|_| rng.chance(1, 5)).collect();
    Scenario { workers, jobs }
}

/// A pool that froze: nothing is on its way, and the client still waits.
#[derive(Clone, Debug)]
pub struct Freeze {
    pub scenario: Scenario,
    pub passed_over: Schedule,
}

impl Freeze {
    /// What somebody who wants to understand it has to read.
    pub fn steps(&self) -> usize {
        self.scenario.jobs.len() + self.passed_over.len()
    }
}

/// The first of `schedules_max` random schedules that freezes, and its number counted from 1.
pub fn find(
    bug: Bug,
    schedules_max: u64,
    mut scenario: impl FnMut(&mut Rng) -> Scenario,
) -> Option<(u64, Freeze)> {
    (1..=schedules_max).find_map(|seed| Some((seed, try_seed(bug, seed, &mut scenario)?)))
}

/// How many of the first `schedules` random schedules freeze.
pub fn freezes(bug: Bug, schedules: u64, mut scenario: impl FnMut(&mut Rng) -> Scenario) -> usize {
    (1..=schedules).filter_map(|seed| try_seed(bug, seed, &mut scenario)).count()
}

fn try_seed(
    bug: Bug,
    seed: u64,
    scenario: &mut impl FnMut(&mut Rng) -> Scenario,
) -> Option<Freeze> {
    let mut rng = Rng::new(seed);
    let scenario = scenario(&mut rng);
    let mut run = Run::new(scenario.processes(bug));
    let passed_over = run.at_random(&mut rng);
    is_frozen(&run).then_some(Freeze { scenario, passed_over })
}

/// Whether it freezes again.
pub fn replay(bug: Bug, freeze: &Freeze) -> bool {
    is_frozen(&run_again(bug, freeze))
}

/// What was delivered, a line each.
pub fn story(bug: Bug, freeze: &Freeze) -> String {
    run_again(bug, freeze).story().iter().map(|line| format!("    {line}\n")).collect()
}

fn run_again(bug: Bug, freeze: &Freeze) -> Run {
    let mut run = Run::new(freeze.scenario.processes(bug));
    run.along(&freeze.passed_over);
    run
}

/// What all schedules of a scenario lead to.
#[derive(PartialEq, Eq, Debug)]
pub struct Explored {
    /// Different states on the way.
    pub states: usize,
    /// Those among them that are frozen.
    pub frozen: usize,
}

/// Goes through every schedule; what leads to the same state is followed once.
pub fn explore(bug: Bug, scenario: &Scenario) -> Explored {
    let mut frozen = 0;
    let mut seen = BTreeSet::new();
    let mut open = vec![Run::new(scenario.processes(bug))];
    while let Some(run) = open.pop() {
        if !seen.insert(run.state()) {
            continue;
        }
        let line = run.line();
        frozen += usize::from(line.is_empty() && is_frozen(&run));
        for next in line {
            let mut after = run.clone();
            after.deliver(next);
            open.push(after);
        }
    }
    Explored { states: seen.len(), frozen }
}

fn is_frozen(run: &Run) -> bool {
    matches!(run.process(CLIENT), Process::Client(client) if client.is_waiting())
}

/// What can be left out.
#[derive(Clone)]
enum Item {
    Job(bool),
    PassOver(Late),
}

/// The same freeze with as few jobs and deviations from "oldest first" as can be had by leaving out.
pub fn shrink_freeze(bug: Bug, freeze: &Freeze) -> Freeze {
    let mut short = leave_out(bug, freeze);
    loop {
        let fewer = (0..short.scenario.jobs.len()).map(|job| without_job(&short, job));
        let Some(smaller) = fewer.into_iter().find(|fewer| replay(bug, fewer)) else {
            return short;
        };
        short = leave_out(bug, &smaller);
    }
}

fn leave_out(bug: Bug, freeze: &Freeze) -> Freeze {
    let jobs = freeze.scenario.jobs.iter().map(|deadly| Item::Job(*deadly));
    let passed_over = freeze.passed_over.iter().map(|late| Item::PassOver(*late));
    let items = jobs.chain(passed_over).collect();
    let build = |items: &[Item]| of_items(freeze.scenario.workers, items);
    build(&shrink(items, 10_000, |items| replay(bug, &build(items))))
}

fn of_items(workers: u32, items: &[Item]) -> Freeze {
    let mut freeze = Freeze { scenario: Scenario::new(workers, &[]), passed_over: Vec::new() };
    for item in items {
        match item {
            Item::Job(deadly) => freeze.scenario.jobs.push(*deadly),
            Item::PassOver(late) => freeze.passed_over.push(*late),
        }
    }
    freeze
}

/// One job fewer, so each pair's messages come one earlier.
fn without_job(freeze: &Freeze, job: usize) -> Freeze {
    let mut fewer = freeze.clone();
    fewer.scenario.jobs.remove(job);
    for late in &mut fewer.passed_over {
        late.number = (late.number - 1).max(1);
    }
    fewer
}

/// For what is printed; nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "it measures")]
pub fn clock() -> Instant {
    Instant::now()
}

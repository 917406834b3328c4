use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestCaseError, TestError, TestRunner};

use super::plan::{Plan, any_plan};
use super::planted::PLANTED;
use super::run::{Failure, run};

/// Plans of every build, drawn from these seeds. More: `PROPTEST_CASES=5000`, and other seeds: `PROPTEST_RNG_SEED=7`.
const SEEDS: u64 = 4;
const CASES: u32 = 500;

/// While a plan shrinks, each smaller one is tried in so many schedules: what is left out changes the order of all the
/// rest, and a smaller plan that fails in another order is as good.
const SCHEDULES: u64 = 200;

/// What can be run, in one order of things or in another.
pub trait Scheduled: Clone + Debug {
    fn run(&self) -> Result<(), Failure>;
    fn schedule(&mut self) -> &mut u64;
    /// The same without one caller or one fault, in all ways.
    fn smaller(&self) -> Vec<Self>;

    /// The first of the schedules from its own on that fails, if one does.
    fn fails(&self, schedules: u64) -> Option<(Self, Failure)> {
        (0..schedules).find_map(|more| {
            let mut plan = self.clone();
            *plan.schedule() = plan.schedule().wrapping_add(more);
            plan.run().err().map(|failure| (plan, failure))
        })
    }
}

impl Scheduled for Plan {
    fn run(&self) -> Result<(), Failure> {
        run(self).map(drop)
    }

    fn schedule(&mut self) -> &mut u64 {
        &mut self.schedule
    }

    fn smaller(&self) -> Vec<Plan> {
        let fewer = fewer(&self.callers, &self.faults);
        fewer.map(|(callers, faults)| Plan { callers, faults, ..self.clone() }).collect()
    }
}

/// The same callers and faults without one of them, in all ways.
pub fn fewer<C: Clone, F: Clone>(
    callers: &[C],
    faults: &[F],
) -> impl Iterator<Item = (Vec<C>, Vec<F>)> {
    let fewer_callers = without_one(callers).map(|callers| (callers, faults.to_vec()));
    let fewer_faults = without_one(faults).map(|faults| (callers.to_vec(), faults));
    fewer_callers.chain(fewer_faults)
}

fn without_one<T: Clone>(list: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..list.len()).map(|at| [&list[..at], &list[at + 1..]].concat())
}

/// The first failure of a seed's plans, as small as it can be made.
pub fn search<P: Scheduled>(
    seed: RngSeed,
    cases: u32,
    plans: &impl Strategy<Value = P>,
) -> Option<(P, Failure)> {
    let config =
        ProptestConfig { rng_seed: seed, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(ProptestConfig { cases, max_shrink_iters: 4_000, ..config });
    let schedules = Cell::new(1);
    let tried = runner.run(plans, |plan| {
        let Some((_, failure)) = plan.fails(schedules.get()) else { return Ok(()) };
        schedules.set(SCHEDULES);
        Err(TestCaseError::fail(failure.to_string()))
    });
    match tried {
        Ok(()) => None,
        Err(TestError::Fail(reason, plan)) => {
            let mut found = plan.fails(SCHEDULES);
            // Proptest tries to leave each out once. What had to stay then may go now.
            while let Some(smaller) = found.as_ref().and_then(|(plan, _)| {
                plan.smaller().iter().find_map(|smaller| smaller.fails(SCHEDULES))
            }) {
                found = Some(smaller);
            }
            Some(found.unwrap_or_else(|| panic!("{reason}, but not again: {plan:?}")))
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// The seeds of this build, or the one that the environment names.
pub fn seeds() -> Vec<RngSeed> {
    match ProptestConfig::default().rng_seed {
        RngSeed::Random => (0..SEEDS).map(RngSeed::Fixed).collect(),
        fixed => vec![fixed],
    }
}

/// As many as the environment says, if it does.
pub fn cases() -> u32 {
    let asked = ProptestConfig::default().cases;
    if asked == 256 { CASES } else { asked }
}

#[test]
fn the_pool_does_what_the_model_allows() {
    for seed in seeds() {
        if let Some((plan, failure)) = search(seed, cases(), &any_plan()) {
            panic!("seed {seed}: {failure}\nsmallest plan: {plan:#?}");
        }
    }
}

/// A model test that never waits, never fails and never cancels proves nothing.
#[test]
fn runs_do_what_they_are_there_for() {
    let mut runner = TestRunner::deterministic();
    let (mut answers, mut refusals, mut cuts) = (0, 0, 0);
    for _ in 0..200 {
        let plan = any_plan().new_tree(&mut runner).unwrap().current();
        let tally = run(&plan).unwrap();
        assert_eq!(run(&plan).unwrap(), tally, "the same plan gives the same run");
        answers += tally.answers;
        refusals += tally.refusals;
        cuts += tally.cuts;
    }
    println!("{answers} answers, {refusals} refusals, {cuts} broken exchanges in 200 plans");
    assert!(answers > 1_000 && refusals > 200 && cuts > 100);
}

/// The names that the production code of this crate plants, read from its text.
#[test]
fn every_planted_bug_is_listed() {
    let mut found = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split(concat!("planted", "!(\"")).skip(1);
            found.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    let listed: BTreeSet<String> = PLANTED.iter().map(|planted| planted.name.into()).collect();
    assert_eq!(found, listed);
    assert_eq!(listed.len(), PLANTED.len());
}

/// A plan that somebody can follow in their head has no more callers and faults.
#[cfg(debug_assertions)]
const STEPS_MAX: usize = 4;

/// Each planted bug is found within so many plans, by a rule that it is meant to break, and shrinks.
#[cfg(debug_assertions)]
#[test]
fn every_planted_bug_is_found() {
    use std::io::{Write, stdout};

    for planted in PLANTED {
        ombak_base::property::plant(planted.name);
        let found = (0..SEEDS).find_map(|seed| {
            search(RngSeed::Fixed(seed), CASES, &any_plan()).map(|found| (seed, found))
        });
        ombak_base::property::plant("");
        let (seed, (plan, failure)) =
            found.unwrap_or_else(|| panic!("{} was not found", planted.name));
        let (callers, faults) = (plan.callers.len(), plan.faults.len());
        println!(
            "{}: seed {seed}, shrunk to {callers} callers and {faults} faults: {failure}",
            planted.name
        );
        assert!(
            planted.breaks.contains(&failure.rule.as_str()),
            "{} broke something else: {failure}",
            planted.name
        );
        assert!(callers + faults <= STEPS_MAX, "{} is found, but not shrunk", planted.name);
    }
    // What `println!` prints is not shown of a test that passes.
    let of = PLANTED.len();
    writeln!(stdout(), "score: client: {of} of {of} planted bugs found").unwrap();
}

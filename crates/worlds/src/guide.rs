//! Batches that learn from what their runs came to.
//!
//! A run is worth more if it came to what few runs come to. So half of a batch are seeds as ever, and half are forks of
//! earlier runs: such a run is done as it was up to some moment, and then goes on in another way. What it came to are the
//! probes that it passed, and about how often.
//!
//! A batch goes on in rounds, and learns between them, in their order: what it runs depends on its first seed and on the code,
//! not on who is done first. Each run is a [`Plan`], which gives it again without the batch.

use std::collections::BTreeMap;

use ombak_base::Tick;
use ombak_sim::Rng;

use crate::families::Families;
use crate::plan::{Fork, Plan};
use crate::run::{FAULTY_US, Report};
use crate::storage::Backend;

/// So many runs, and the batch learns.
const ROUND: usize = 32;
/// Of so many drawn features the rarest is looked for again.
const DRAWN: usize = 4;
/// So many runs are kept for a feature.
const KEPT: usize = 8;

/// A place in the code, and about how often a run came to it: the logarithm of that.
type Feature = (&'static str, u32);

/// What a batch has learned.
#[derive(Clone, Debug)]
pub struct Guide {
    rng: Rng,
    faults: Families,
    backend: Backend,
    next_seed: u64,
    /// For each feature, how many runs had it, and the first of them.
    seen: BTreeMap<Feature, (u64, Vec<Plan>)>,
}

impl Guide {
    /// A batch that has run nothing yet.
    pub fn new(from: u64, faults: Families, backend: Backend) -> Guide {
        Guide { rng: Rng::new(from), faults, backend, next_seed: from, seen: BTreeMap::new() }
    }

    /// What is run next.
    pub fn round(&mut self) -> Vec<Plan> {
        (0..ROUND).map(|at| if at % 2 == 0 { self.fresh() } else { self.forked() }).collect()
    }

    /// A run of the last round has come to this. Runs are told in the order of their round.
    pub fn learn(&mut self, plan: &Plan, report: &Report) {
        for (name, count) in &report.probes {
            let (runs, first) = self.seen.entry((name, count.ilog2())).or_default();
            *runs += 1;
            if first.len() < KEPT {
                first.push(plan.clone());
            }
        }
    }

    /// How many different features were seen.
    pub fn features(&self) -> usize {
        self.seen.len()
    }

    fn fresh(&mut self) -> Plan {
        let (faults, backend) = (self.faults, self.backend);
        let plan = Plan { faults, backend, ..Plan::of_seed(self.next_seed) };
        self.next_seed = self.next_seed.wrapping_add(1);
        plan
    }

    fn forked(&mut self) -> Plan {
        let seen: Vec<&(u64, Vec<Plan>)> = self.seen.values().collect();
        let drawn: Vec<_> = (0..DRAWN).filter_map(|_| self.rng.pick(&seen).copied()).collect();
        let rarest = drawn.into_iter().min_by_key(|(runs, _)| *runs);
        let Some(mut plan) = rarest.and_then(|(_, first)| self.rng.pick(first).cloned()) else {
            return self.fresh();
        };
        let at = Tick(self.rng.between(0, FAULTY_US));
        plan.forks.retain(|fork| fork.at < at);
        plan.forks.push(Fork { at, seed: self.rng.next_u64() });
        plan
    }
}

#[cfg(test)]
mod tests;

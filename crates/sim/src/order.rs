//! In which order things that are under way come: where each message is delayed on its own, most orders are rare.

use crate::Rng;

/// How many priorities there are before any has changed.
const PRIORITIES: u64 = 16;
/// What is drawn for an order, apart from all else that is drawn of a seed.
const LANE: u64 = 0;
const CHANGE_AT: u64 = 1;
const KIND: u64 = 2;
const CHANGES: u64 = 3;

/// What delays a message, beside its own time. A link is from one shard to another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// Nothing.
    Random,
    /// Links are lanes, each as slow as it is for a while: up to `us`, for `period_us`.
    Lanes {
        /// How slow a lane is at most.
        us: u64,
        /// How long it is.
        period_us: u64,
    },
    /// Links have priorities, which a few times in a run change: some links then come after all others (Burckhardt et al.,
    /// *A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs*, 2010, with a link for a thread). A message
    /// takes `step_us` longer for each priority that is above its own.
    Priorities {
        /// How much later a message is for each priority.
        step_us: u64,
        /// How often priorities change.
        changes: u64,
        /// Within which time.
        within_us: u64,
    },
    /// Messages of some kinds come as late as they can, and hold up what is sent behind them. A kind is the first byte of
    /// a message's encoding; one kind of four is late.
    Procrastinate {
        /// How late.
        late_us: u64,
    },
}

impl Order {
    /// One of them, within `within_us` of a run.
    pub(crate) fn random(rng: &mut Rng, within_us: u64) -> Order {
        let lanes = Order::Lanes {
            us: rng.between(1_000, 100_000),
            period_us: rng.between(200_000, 4_000_000),
        };
        let step_us = rng.between(100, 10_000);
        let priorities = Order::Priorities { step_us, changes: rng.between(0, 4), within_us };
        let procrastinate = Order::Procrastinate { late_us: rng.between(20_000, 600_000) };
        let all = [Order::Random, Order::Random, Order::Random, lanes, priorities, procrastinate];
        rng.pick(&all).copied().unwrap_or(Order::Random)
    }

    /// How much later a message on `link` is, whose encoding begins with `kind`.
    pub(crate) fn delay(self, seed: u64, now: u64, link: u64, kind: u8) -> u64 {
        let drawn = |what: u64, n: u64| Rng::at(!seed ^ what << 56, link, n);
        match self {
            Order::Random => 0,
            Order::Lanes { us, period_us } => drawn(LANE, now / period_us.max(1)).between(0, us),
            Order::Priorities { step_us, changes, within_us } => {
                let changed = |n: &u64| {
                    let at = Rng::at(!seed ^ CHANGE_AT << 56, *n, 0).between(0, within_us);
                    at <= now && drawn(CHANGES, *n).chance(1, 4)
                };
                let last = (0..changes).rev().find(changed);
                let first = || drawn(LANE, 0).below(PRIORITIES);
                step_us * last.map_or_else(first, |n| PRIORITIES + n)
            }
            Order::Procrastinate { late_us } => {
                let mut of_kind = Rng::at(!seed ^ KIND << 56, kind.into(), 0);
                if of_kind.chance(1, 4) { late_us } else { 0 }
            }
        }
    }
}

#[cfg(test)]
mod tests;

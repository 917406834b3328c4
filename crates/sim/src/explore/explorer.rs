//! Goes level by level: all states that are n steps away, then all that are n + 1.

use std::panic::resume_unwind;
#[expect(
    clippy::disallowed_types,
    reason = "the explorer is a host: its threads share a level"
)]
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::report::{Limit, Outcome, Progress, Report, Sometimes, Violation};
use super::run::{Bounds, Found, Harvest, Run};
use super::waiting::Level;
use super::{Model, replay};

/// Below so many states, a level is not worth starting threads for.
const LEVEL_MIN: usize = 256;

/// Explores a [`Model`]. Without bounds it goes on until everything was visited or something is broken.
pub struct Explorer<'a, M: Model> {
    model: &'a M,
    threads: usize,
    bounds: Bounds,
    all_orders: bool,
    watch_states: u64,
    shown_at: u64,
    watch: Box<dyn FnMut(&Progress) + 'a>,
}

impl<'a, M: Model> Explorer<'a, M> {
    /// One thread, no bounds.
    pub fn new(model: &'a M) -> Explorer<'a, M> {
        let bounds = Bounds { states: usize::MAX, bytes: usize::MAX, depth: u32::MAX };
        let watch = Box::new(|_: &Progress| {});
        Explorer {
            model,
            threads: 1,
            bounds,
            all_orders: false,
            watch_states: u64::MAX,
            shown_at: 0,
            watch,
        }
    }

    /// So many threads, the calling one among them. Counts do not depend on it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Stops soon after so many distinct states.
    pub fn states_max(mut self, states: usize) -> Self {
        self.bounds.states = states;
        self
    }

    /// Stops soon after the table and the states that wait are estimated to take so many bytes:
    /// [`Model::state_bytes`] makes the estimate.
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// Visits what can be reached in so many steps.
    pub fn depth_max(mut self, depth: u32) -> Self {
        self.bounds.depth = depth;
        self
    }

    /// Leaves no step out that a model would: the same is found, and it takes longer.
    pub fn all_orders(mut self) -> Self {
        self.all_orders = true;
        self
    }

    /// Calls `watch` about every `states` new states, on the calling thread.
    pub fn watch(mut self, states: u64, watch: impl FnMut(&Progress) + 'a) -> Self {
        self.watch_states = states.max(1);
        self.watch = Box::new(watch);
        self
    }

    /// Explores.
    pub fn run(mut self) -> Report<M> {
        let run = Run::new(self.model, self.bounds, self.all_orders);
        let mut harvest = run.begin();
        let mut seen = std::mem::take(&mut harvest.seen);
        let (mut levels, mut unexpanded) = (0, 0);
        while !run.is_over() && !harvest.next.is_empty() {
            if levels == run.bounds.depth {
                run.stop(Limit::Depth);
                break;
            }
            let level = std::mem::replace(&mut harvest.next, Level::new());
            let len = level.len();
            harvest = self.expand(&run, level, levels);
            seen.append(&mut harvest.seen);
            unexpanded = len - harvest.expanded;
            levels += u32::from(unexpanded == 0);
        }
        unexpanded += harvest.next.len();
        report(&run, harvest, seen, levels, unexpanded)
    }

    fn expand(
        &mut self,
        run: &Run<'_, M>,
        level: Level<M::State>,
        depth: u32,
    ) -> Harvest<M::State> {
        let len = level.len();
        let helpers = if len < LEVEL_MIN { 0 } else { self.threads - 1 };
        #[expect(clippy::disallowed_types, reason = "see above")]
        let level = Mutex::new(level);
        let take = || level.lock().unwrap_or_else(PoisonError::into_inner).pop();
        thread::scope(|scope| {
            let work = || run.work(take, || {});
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut harvest = run.work(take, || self.show(run, depth, len));
            for helper in helpers {
                harvest.merge(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            harvest
        })
    }

    fn show(&mut self, run: &Run<'_, M>, depth: u32, level: usize) {
        let states = run.table.states() as u64;
        if states / self.watch_states > self.shown_at / self.watch_states {
            self.shown_at = states;
            (self.watch)(&run.progress(depth, level));
        }
    }
}

fn report<M: Model>(
    run: &Run<'_, M>,
    harvest: Harvest<M::State>,
    seen: Vec<(usize, Found)>,
    levels: u32,
    unexpanded: usize,
) -> Report<M> {
    let violation =
        harvest.broken.map(|(broken, found)| Violation { broken, path: replay::path(run, &found) });
    let outcome = match (&violation, run.stopped()) {
        (Some(_), _) => Outcome::Violated,
        (None, Some(limit)) => Outcome::Stopped(limit),
        (None, None) => Outcome::Complete,
    };
    // The last level of a complete run had no successors.
    let depth_complete =
        if outcome == Outcome::Complete { levels.saturating_sub(1) } else { levels };
    Report {
        outcome,
        states: run.table.states() as u64,
        steps: run.steps(),
        left_out: run.left_out(),
        depth_complete,
        unexpanded: unexpanded as u64,
        ends: run.ends(),
        table_bytes: run.table.bytes() as u64,
        bytes_peak: run.bytes_peak() as u64,
        violation,
        sometimes: sometimes(run, &seen),
    }
}

fn sometimes<M: Model>(run: &Run<'_, M>, seen: &[(usize, Found)]) -> Vec<Sometimes<M>> {
    run.sometimes()
        .map(|(number, property)| {
            let found = seen.iter().find(|(seen, _)| *seen == number);
            let example = found.map(|(_, found)| replay::path(run, found));
            Sometimes { name: property.name, example }
        })
        .collect()
}

//! A batch that learns: in rounds, each on all cores, so that what it runs does not depend on who is done first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use ombak_worlds::{Failure, Guide, Plan, Report, run_plan};

use super::planted::Plant;
use super::seeds::Range;
use crate::config::cores;

/// Its runs, in order.
pub(super) struct Guided {
    guide: Guide,
    range: Range,
    /// How many have been run.
    at: u64,
    done: VecDeque<Result<Report, Failure>>,
}

impl Guided {
    pub(super) fn new(range: Range) -> Guided {
        let guide = Guide::new(range.from, range.faults, range.backend);
        Guided { guide, range, at: 0, done: VecDeque::new() }
    }

    fn round(&mut self) {
        let plans = self.guide.round();
        let results = on_all_cores(&plans, self.range.plant);
        for (plan, result) in plans.iter().zip(&results) {
            if let Ok(report) = result {
                self.guide.learn(plan, report);
            }
        }
        self.done = results.into();
    }
}

impl Iterator for Guided {
    type Item = (u64, Result<Report, Failure>);

    fn next(&mut self) -> Option<(u64, Result<Report, Failure>)> {
        if !self.range.has(self.at) {
            return None;
        }
        if self.done.is_empty() {
            self.round();
        }
        self.at += 1;
        Some((self.at, self.done.pop_front()?))
    }
}

/// What each came to, in their order.
fn on_all_cores(plans: &[Plan], plant: Plant) -> Vec<Result<Report, Failure>> {
    let (sender, results) = mpsc::channel();
    let next = &AtomicUsize::new(0);
    thread::scope(|scope| {
        for sender in (0..cores()).map(|_| sender.clone()) {
            scope.spawn(move || {
                plant.in_this_thread();
                work(plans, next, &sender);
            });
        }
    });
    drop(sender);
    let mut done: Vec<_> = results.into_iter().collect();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn work(plans: &[Plan], next: &AtomicUsize, sender: &Sender<(usize, Result<Report, Failure>)>) {
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(plan) = plans.get(at) else { return };
        if sender.send((at, run_plan(plan, 0))).is_err() {
            return;
        }
    }
}

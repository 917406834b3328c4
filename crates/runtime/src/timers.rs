//! Timers, armed and moved far more often than they fire.
//!
//! A map says when each timer is due; a heap says which to look at next. Disarming and moving later touch the map
//! alone: the heap's entry is found stale when it comes up. A deadline per request, always disarmed in time, thus
//! costs a hash insert, a push at the heap's bottom and a hash remove.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use ombak_base::Tick;

struct Armed {
    due: Tick,
    /// Where the heap's live entry for this timer stands: at or before `due`.
    queued: Tick,
}

/// A set of timers, each armed at most once.
pub(crate) struct Timers<T> {
    armed: HashMap<T, Armed>,
    heap: BinaryHeap<Reverse<(Tick, T)>>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { armed: HashMap::new(), heap: BinaryHeap::new() }
    }
}

impl<T: Copy + Ord + Hash> Timers<T> {
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Sets when `timer` is due, wherever it stood before.
    pub fn arm(&mut self, timer: T, due: Tick) {
        match self.armed.get_mut(&timer) {
            Some(armed) if armed.queued <= due => armed.due = due,
            _ => {
                self.armed.insert(timer, Armed { due, queued: due });
                self.heap.push(Reverse((due, timer)));
                self.compact();
            }
        }
    }

    pub fn disarm(&mut self, timer: T) {
        self.armed.remove(&timer);
    }

    /// When to look again: no later than the next timer, perhaps earlier.
    pub fn next(&mut self) -> Option<Tick> {
        while let Some(&Reverse((tick, timer))) = self.heap.peek() {
            match self.armed.get(&timer) {
                Some(armed) if armed.queued == tick => return Some(tick),
                _ => self.heap.pop(),
            };
        }
        None
    }

    /// Takes one timer that is due by `now`, the earliest first, equal ones in their own order.
    pub fn pop(&mut self, now: Tick) -> Option<T> {
        loop {
            let tick = self.next().filter(|tick| *tick <= now)?;
            let Reverse((_, timer)) = self.heap.pop()?;
            let armed = self.armed.get_mut(&timer)?;
            if armed.due <= tick {
                self.armed.remove(&timer);
                return Some(timer);
            }
            armed.queued = armed.due;
            let due = armed.due;
            self.heap.push(Reverse((due, timer)));
        }
    }

    /// Throws stale entries away once they are the majority: constant work per arm, amortised.
    fn compact(&mut self) {
        if self.heap.len() > 64 + 2 * self.armed.len() {
            self.heap.clear();
            for (timer, armed) in &mut self.armed {
                armed.queued = armed.due;
                self.heap.push(Reverse((armed.due, *timer)));
            }
        }
    }
}

#[cfg(test)]
mod tests;

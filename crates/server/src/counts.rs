//! What the faces count. Each shard's face has counters of its own, so that counting costs no contention.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests by kind; deletions are writes.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub gets: AtomicU64,
    pub puts: AtomicU64,
    pub pb_connects: AtomicU64,
}

/// A sum over all faces.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Totals {
    pub gets: u64,
    pub puts: u64,
    pub pb_connects: u64,
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// All counters of a node.
#[derive(Clone, Default, Debug)]
pub(crate) struct AllCounts {
    all: Arc<Mutex<Vec<Arc<Counts>>>>,
}

impl AllCounts {
    /// Counters for one more face.
    pub fn add(&self) -> Arc<Counts> {
        let counts = Arc::new(Counts::default());
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(counts.clone());
        counts
    }

    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut totals = Totals::default();
        for counts in self.all.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            totals.gets += read(&counts.gets);
            totals.puts += read(&counts.puts);
            totals.pb_connects += read(&counts.pb_connects);
        }
        totals
    }
}

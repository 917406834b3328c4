//! Wakes threads without handing them a lock.

#![expect(
    clippy::disallowed_types,
    reason = "std's condition wakes all at once, parking_lot's one after the other, each for the lock of the one before"
)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Threads wait for it to be rung. All of them run at once, or one does: unlike waiters of a condition that is guarded by a lock
/// which they all need then, of which each wakes the next.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<u64>,
    heard: Condvar,
}

impl Bell {
    /// How often it was rung: to be asked while nobody can ring it for what the caller waits for.
    pub fn rung(&self) -> u64 {
        *self.lock()
    }

    /// Waits until it was rung more often than that.
    pub fn wait(&self, rung: u64) {
        let mut now = self.lock();
        while *now == rung {
            now = self.heard.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes one who waits.
    pub fn ring_for_one(&self) {
        *self.lock() += 1;
        self.heard.notify_one();
    }

    /// Wakes all who wait.
    pub fn ring(&self) {
        *self.lock() += 1;
        self.heard.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

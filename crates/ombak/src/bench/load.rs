//! What is asked next, and what becomes of the answers.

use std::time::{Duration, Instant};

use super::BenchError;
use super::frames::{Kind, Operation};

/// Preloading gives up after so many errors in a row.
const PRELOAD_ERRORS_MAX: u64 = 1000;

/// What came back for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A get found its key, or a put or delete was done.
    Done,
    /// A get did not find its key.
    NotFound,
    /// The server refused, in these words.
    Error(String),
    /// The connection was lost, for this reason; whether a write was done is unknown.
    Lost(String),
}

/// A source of operations, which also hears how they ended.
pub(super) trait Load {
    /// What to ask next, and since when its latency counts; `None` for nothing at present.
    fn next(&mut self, now: Instant) -> Option<(Operation, Instant)>;
    /// Called once for each operation, at its end.
    fn ended(&mut self, operation: Operation, latency: Duration, answer: Answer);
    /// Whether something waits for a connection to become free.
    fn waits(&self) -> bool {
        false
    }
}

/// Puts every key once. What fails is tried again.
pub(super) struct Preload {
    next_key: u32,
    keys: u32,
    again: Vec<u32>,
    stored: u64,
    errors_in_a_row: u64,
    last_error: String,
    stored_at: Instant,
}

impl Preload {
    /// Keys from 0 below `keys`.
    pub(super) fn new(keys: u32, now: Instant) -> Preload {
        Preload {
            next_key: 0,
            keys,
            again: Vec::new(),
            stored: 0,
            errors_in_a_row: 0,
            last_error: String::from("no answer"),
            stored_at: now,
        }
    }

    /// Keys stored so far.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// Whether all are.
    pub(super) fn is_complete(&self) -> bool {
        self.stored == u64::from(self.keys)
    }

    /// Refuses to go on when nothing but errors come, or nothing at all for `patience`.
    pub(super) fn check(&self, now: Instant, patience: Duration) -> Result<(), BenchError> {
        let silent = now.saturating_duration_since(self.stored_at) > patience;
        if silent || self.errors_in_a_row > PRELOAD_ERRORS_MAX {
            return Err(BenchError::Preload(self.stored, self.last_error.clone()));
        }
        Ok(())
    }

    fn stored_one(&mut self) {
        self.stored += 1;
        self.errors_in_a_row = 0;
        self.stored_at = Instant::now();
    }
}

impl Load for Preload {
    fn next(&mut self, now: Instant) -> Option<(Operation, Instant)> {
        let key = self.again.pop().or_else(|| {
            let key = self.next_key;
            (key < self.keys).then(|| {
                self.next_key += 1;
                key
            })
        })?;
        Some((Operation { kind: Kind::Put, key }, now))
    }

    fn ended(&mut self, operation: Operation, _latency: Duration, answer: Answer) {
        match answer {
            Answer::Done | Answer::NotFound => self.stored_one(),
            Answer::Error(reason) | Answer::Lost(reason) => {
                self.errors_in_a_row += 1;
                self.last_error = reason;
                self.again.push(operation.key);
            }
        }
    }
}

/// Asks nothing more, and hears what becomes of what was asked before.
#[derive(Default)]
pub(super) struct Rest {
    /// Requests that were not answered well.
    pub failed: usize,
}

impl Load for Rest {
    fn next(&mut self, _now: Instant) -> Option<(Operation, Instant)> {
        None
    }

    fn ended(&mut self, _operation: Operation, _latency: Duration, answer: Answer) {
        if let Answer::Error(_) | Answer::Lost(_) = answer {
            self.failed += 1;
        }
    }
}

#[cfg(test)]
mod tests;

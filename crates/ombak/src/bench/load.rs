//! What is asked next, and what becomes of the answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::BenchError;
use super::frames::{Kind, Operation};
use super::rng::Rng;

/// Latencies above this count as this.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Error texts may contain keys or times; only so many are told apart.
const ERROR_KINDS_MAX: usize = 32;
/// Preloading gives up after so many errors in a row.
const PRELOAD_ERRORS_MAX: u64 = 1000;

/// What came back for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A get found its key, or a put was stored.
    Done,
    /// A get did not find its key.
    NotFound,
    /// The server refused, in these words.
    Error(String),
    /// The connection was lost, for this reason; whether a put was stored is unknown.
    Lost(String),
}

/// A source of operations, which also hears how they ended.
pub(super) trait Load {
    /// What to ask next; `None` for nothing at present.
    fn next(&mut self) -> Option<Operation>;
    /// Called once for each operation, at its end.
    fn ended(&mut self, operation: Operation, latency: Duration, answer: Answer);
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
    fn next(&mut self) -> Option<Operation> {
        let key = self.again.pop().or_else(|| {
            let key = self.next_key;
            (key < self.keys).then(|| {
                self.next_key += 1;
                key
            })
        })?;
        Some(Operation { kind: Kind::Put, key })
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
    fn next(&mut self) -> Option<Operation> {
        None
    }

    fn ended(&mut self, _operation: Operation, _latency: Duration, answer: Answer) {
        if let Answer::Error(_) | Answer::Lost(_) = answer {
            self.failed += 1;
        }
    }
}

/// Gets and puts of uniform keys, counted and timed.
pub(super) struct Mix {
    rng: Rng,
    gets_percent: u32,
    keys: u32,
    tally: Tally,
}

impl Mix {
    /// A mix that `seed` repeats.
    pub(super) fn new(seed: u64, gets_percent: u8, keys: u32) -> Mix {
        Mix { rng: Rng::new(seed), gets_percent: gets_percent.into(), keys, tally: Tally::new() }
    }

    /// What has ended since the last [`Mix::take_tally`].
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins counting anew.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::replace(&mut self.tally, Tally::new())
    }
}

impl Load for Mix {
    fn next(&mut self) -> Option<Operation> {
        let kind = if self.rng.below(100) < self.gets_percent { Kind::Get } else { Kind::Put };
        Some(Operation { kind, key: self.rng.below(self.keys) })
    }

    fn ended(&mut self, operation: Operation, latency: Duration, answer: Answer) {
        match answer {
            Answer::Done => self.tally.time(operation.kind, latency),
            Answer::NotFound => {
                self.tally.not_found += 1;
                self.tally.time(operation.kind, latency);
            }
            Answer::Error(text) => self.tally.error(text),
            Answer::Lost(reason) => self.tally.lost(reason),
        }
    }
}

/// Counts and latencies of a window.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Latencies of answered gets, in microseconds.
    pub gets: Histogram<u64>,
    /// Latencies of answered puts, in microseconds.
    pub puts: Histogram<u64>,
    /// Gets that found nothing; they are in `gets` as well.
    pub not_found: u64,
    /// Refusals by their text.
    pub errors: BTreeMap<String, u64>,
    /// Requests whose connection was lost, by the reason.
    pub lost: BTreeMap<String, u64>,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Tally {
        Tally {
            gets: histogram(),
            puts: histogram(),
            not_found: 0,
            errors: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// Answered gets and puts.
    pub(super) fn operations(&self) -> u64 {
        self.gets.len() + self.puts.len()
    }

    /// Requests that failed, for any reason.
    pub(super) fn failures(&self) -> u64 {
        self.errors.values().chain(self.lost.values()).sum()
    }

    fn time(&mut self, kind: Kind, latency: Duration) {
        let histogram = match kind {
            Kind::Get => &mut self.gets,
            Kind::Put => &mut self.puts,
        };
        histogram.saturating_record(latency.as_micros() as u64);
    }

    fn error(&mut self, text: String) {
        count(&mut self.errors, text);
    }

    fn lost(&mut self, reason: String) {
        count(&mut self.lost, reason);
    }
}

fn count(kinds: &mut BTreeMap<String, u64>, text: String) {
    let known = kinds.len() < ERROR_KINDS_MAX || kinds.contains_key(&text);
    let text = if known { text } else { String::from("others") };
    *kinds.entry(text).or_insert(0) += 1;
}

/// Three significant digits, from a microsecond up.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX.as_micros() as u64, 3)
        .unwrap_or_else(|error| unreachable!("the bounds are constants: {error}"))
}

#[cfg(test)]
mod tests;

//! Counts and latencies of a window.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::frames::{Kind, Operation};
use super::load::Answer;
use super::timeline::Timeline;

/// Latencies above this count as this.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Error texts may contain keys or times; only so many are told apart.
const ERROR_KINDS_MAX: usize = 32;

/// What ended, and how.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Latencies of answered operations, in microseconds, in the order of [`Kind::ALL`].
    latencies: Vec<Histogram<u64>>,
    /// The answered ones through the window.
    pub timeline: Timeline,
    /// Gets that found nothing; they are among the answered ones as well.
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
            latencies: Kind::ALL.iter().map(|_| histogram()).collect(),
            timeline: Timeline::new(),
            not_found: 0,
            errors: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// Counts one operation.
    pub(super) fn ended(&mut self, operation: Operation, latency: Duration, answer: Answer) {
        match answer {
            Answer::Done => self.time(operation.kind, latency),
            Answer::NotFound => {
                self.not_found += 1;
                self.time(operation.kind, latency);
            }
            Answer::Error(text) => count(&mut self.errors, text),
            Answer::Lost(reason) => count(&mut self.lost, reason),
        }
    }

    /// Latencies of a kind.
    pub(super) fn of(&self, kind: Kind) -> &Histogram<u64> {
        &self.latencies[kind as usize]
    }

    /// Answered operations.
    pub(super) fn operations(&self) -> u64 {
        self.latencies.iter().map(Histogram::len).sum()
    }

    /// Requests that failed, for any reason.
    pub(super) fn failures(&self) -> u64 {
        self.errors.values().chain(self.lost.values()).sum()
    }

    fn time(&mut self, kind: Kind, latency: Duration) {
        let latency_us = latency.as_micros() as u64;
        self.latencies[kind as usize].saturating_record(latency_us);
        self.timeline.record(latency_us);
    }
}

fn count(kinds: &mut BTreeMap<String, u64>, text: String) {
    let known = kinds.len() < ERROR_KINDS_MAX || kinds.contains_key(&text);
    let text = if known { text } else { String::from("others") };
    *kinds.entry(text).or_insert(0) += 1;
}

/// Three significant digits, from a microsecond up.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX.as_micros() as u64, 3)
        .unwrap_or_else(|error| unreachable!("the bounds are constants: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_micros(5);

    fn get(tally: &mut Tally, latency: Duration, answer: Answer) {
        tally.ended(Operation { kind: Kind::Get, key: 1 }, latency, answer);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut tally = Tally::new();
        (0..1000).for_each(|i| get(&mut tally, SOON, Answer::Error(format!("key {i}"))));
        assert_eq!(tally.errors.len(), ERROR_KINDS_MAX + 1);
        assert_eq!(tally.errors["others"], 1000 - ERROR_KINDS_MAX as u64);
    }

    #[test]
    fn a_latency_beyond_all_bounds_is_still_counted() {
        let mut tally = Tally::new();
        get(&mut tally, LATENCY_MAX * 2, Answer::Done);
        get(&mut tally, Duration::ZERO, Answer::Done);
        assert_eq!(tally.of(Kind::Get).len(), 2);
    }

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}

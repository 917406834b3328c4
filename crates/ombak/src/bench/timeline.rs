//! How throughput and latencies went within the window.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::tally::histogram;

/// So many slices at most, but for one.
const SLICES_MAX: u32 = 200;

/// What was answered within a slice of the window, of all kinds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slice {
    /// Its middle, in seconds from the beginning of the window.
    pub at: f64,
    /// Operations a second.
    pub per_second: f64,
    /// Half are faster; `None` if nothing was answered.
    pub p50_us: Option<u64>,
    /// 99 % are faster.
    pub p99_us: Option<u64>,
}

/// The slices so far, and the one that is being filled.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    filling: Histogram<u64>,
    since: Duration,
    slices: Vec<Slice>,
}

impl Timeline {
    /// Nothing yet.
    pub(super) fn new() -> Timeline {
        Timeline { filling: histogram(), since: Duration::ZERO, slices: Vec::new() }
    }

    /// An answered operation.
    pub(super) fn record(&mut self, latency_us: u64) {
        self.filling.saturating_record(latency_us);
    }

    /// Call it every now and then; `now` is counted from the beginning of a window of `length`.
    pub(super) fn tick(&mut self, now: Duration, length: Duration) {
        let wanted = length / SLICES_MAX;
        // What is left at the end is a slice if it is long enough to tell something.
        let least = if now >= length { wanted / 2 } else { wanted };
        if now.saturating_sub(self.since) > least {
            self.close(now);
        }
    }

    /// From the first on.
    pub(super) fn slices(&self) -> &[Slice] {
        &self.slices
    }

    fn close(&mut self, now: Duration) {
        let seconds = (now - self.since).as_secs_f64();
        let at =
            |quantile| (!self.filling.is_empty()).then(|| self.filling.value_at_quantile(quantile));
        self.slices.push(Slice {
            at: self.since.as_secs_f64() + seconds / 2.0,
            per_second: self.filling.len() as f64 / seconds,
            p50_us: at(0.5),
            p99_us: at(0.99),
        });
        self.filling.reset();
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_bounded_and_cover_the_window() {
        let (mut timeline, length) = (Timeline::new(), Duration::from_secs(3600));
        for tick in 1..=36_000 {
            timeline.record(tick);
            timeline.tick(Duration::from_millis(tick * 100), length);
        }
        let slices = timeline.slices();
        assert!((150..=201).contains(&slices.len()), "{}", slices.len());
        assert!(slices.iter().all(|slice| (slice.per_second - 10.0).abs() < 0.1), "{slices:?}");
        assert!(slices.is_sorted_by_key(|slice| slice.at) && slices[0].p50_us < slices[1].p50_us);
    }

    #[test]
    fn a_slice_without_answers_has_no_latencies() {
        let mut timeline = Timeline::new();
        timeline.tick(Duration::from_secs(1), Duration::from_secs(2));
        let empty = Slice { at: 0.5, per_second: 0.0, p50_us: None, p99_us: None };
        assert_eq!(timeline.slices(), [empty]);
    }
}

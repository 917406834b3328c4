//! The last minute: a reading a second is kept for as long.

use std::collections::VecDeque;

use ombak_runtime::Counters;

use super::Minute;

const MINUTE_MS: u64 = 60_000;
/// Readings that come faster are not kept.
const STEP_MS: u64 = 1_000;

/// Readings of the last minute, and the one before it. Times are milliseconds since the start of the node.
#[derive(Default, Debug)]
pub(crate) struct Window {
    readings: VecDeque<(u64, Counters)>,
}

impl Window {
    /// Keeps a reading, if it is time for one.
    pub fn note(&mut self, now_ms: u64, counters: Counters) {
        if self.readings.back().is_none_or(|(at, _)| now_ms >= at + STEP_MS) {
            self.readings.push_back((now_ms, counters));
        }
        while self.readings.get(1).is_some_and(|(at, _)| now_ms >= at + MINUTE_MS) {
            self.readings.pop_front();
        }
    }

    /// What has happened between the youngest reading that is a minute old, or else the start, and now.
    pub fn minute(&self, now_ms: u64, now: &Counters) -> Minute {
        let old = self.readings.iter().rev().find(|(at, _)| now_ms >= at + MINUTE_MS);
        Minute::between(old.map(|(_, counters)| counters), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(places: u64) -> Counters {
        let mut counters = Counters::default();
        counters.meters.places[0] = places;
        counters
    }

    #[test]
    fn what_is_older_than_a_minute_does_not_count() {
        let mut window = Window::default();
        let seen = |window: &Window, at, now| window.minute(at, &counters(now)).meters.places[0];
        window.note(0, counters(0));
        assert_eq!(seen(&window, 500, 3), 3, "all since the start");
        window.note(1_000, counters(3));
        window.note(30_000, counters(10));
        assert_eq!(seen(&window, 59_000, 10), 10);
        assert_eq!(seen(&window, 60_999, 10), 10);
        assert_eq!(seen(&window, 61_000, 10), 7, "the first three are a minute old");
        assert_eq!(seen(&window, 89_999, 12), 9);
        assert_eq!(seen(&window, 90_000, 12), 2);
        assert_eq!(seen(&window, 200_000, 12), 2);
    }

    #[test]
    fn it_keeps_a_bounded_number_of_readings() {
        let mut window = Window::default();
        for at in 0..1_000 {
            window.note(at * 100, counters(at));
        }
        assert_eq!(window.readings.len(), 61);
        assert_eq!(window.minute(99_900, &counters(1_000)).meters.places[0], 1_000 - 390);
    }
}

//! What was stored and not yet handed to the log thread.
//!
//! Handing over costs both threads a wake-up and the disk a sync, so stores that nobody waits for are gathered for a
//! while. What somebody waits for goes at the end of the turn, with all that was stored before it.

use ombak_base::{Stamp, Tick};

#[derive(Default)]
pub(crate) struct Gathering {
    stored: Stamp,
    handed: Stamp,
    /// The last stamp that somebody waits for.
    awaited: Stamp,
    bytes: u64,
    /// When the first of it came.
    since: Option<Tick>,
}

impl Gathering {
    pub fn stored(&mut self, stamp: Stamp, bytes: usize, now: Tick) {
        self.stored = stamp;
        self.bytes += bytes as u64;
        self.begin(now);
    }

    /// The device may have something of its own to hand over.
    pub fn begin(&mut self, now: Tick) {
        self.since.get_or_insert(now);
    }

    pub fn awaited(&mut self, stamp: Stamp) {
        self.awaited = self.awaited.max(stamp);
    }

    /// When it is handed over at the latest.
    pub fn due(&self, gather_us: u64) -> Option<Tick> {
        self.since.map(|since| Tick(since.0.saturating_add(gather_us)))
    }

    pub fn is_due(&self, now: Tick, gather_us: u64, gather_bytes: u64) -> bool {
        self.awaited > self.handed
            || self.bytes >= gather_bytes
            || self.due(gather_us).is_some_and(|due| due <= now)
    }

    /// All of it went to the log thread.
    pub fn handed(&mut self) {
        *self = Gathering {
            stored: self.stored,
            handed: self.stored,
            awaited: self.awaited,
            ..Gathering::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATHER_US: u64 = 5_000;
    const GATHER_BYTES: u64 = 1_000;

    fn is_due(gathering: &Gathering, now: u64) -> bool {
        gathering.is_due(Tick(now), GATHER_US, GATHER_BYTES)
    }

    #[test]
    fn what_nobody_waits_for_is_gathered_for_a_while() {
        let mut gathering = Gathering::default();
        assert!(!is_due(&gathering, 0), "nothing is there");
        assert_eq!(gathering.due(GATHER_US), None);
        gathering.stored(Stamp(1), 100, Tick(10));
        gathering.stored(Stamp(2), 100, Tick(4_000));
        assert!(!is_due(&gathering, 5_009));
        assert_eq!(gathering.due(GATHER_US), Some(Tick(5_010)));
        assert!(is_due(&gathering, 5_010), "counted from the first");
        gathering.handed();
        assert!(!is_due(&gathering, 50_000));
    }

    #[test]
    fn what_somebody_waits_for_goes_at_once() {
        let mut gathering = Gathering::default();
        gathering.stored(Stamp(1), 100, Tick(0));
        gathering.awaited(Stamp(1));
        assert!(is_due(&gathering, 0));
        gathering.handed();
        gathering.awaited(Stamp(1));
        assert!(!is_due(&gathering, 0), "it is on its way");
        gathering.stored(Stamp(2), 100, Tick(0));
        assert!(!is_due(&gathering, 0));
    }

    #[test]
    fn much_of_it_goes_at_once() {
        let mut gathering = Gathering::default();
        gathering.stored(Stamp(1), 999, Tick(0));
        assert!(!is_due(&gathering, 0));
        gathering.stored(Stamp(2), 1, Tick(0));
        assert!(is_due(&gathering, 0));
    }
}

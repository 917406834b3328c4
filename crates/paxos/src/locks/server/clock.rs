//! The time that is written into commands.

use ombak_base::Tick;
use serde::{Deserialize, Serialize};

use crate::locks::LogTime;

/// Counts on from the last [`LogTime`] that was seen, by this host's monotonic clock. So all members agree on the time as well
/// as their clocks run alike, whatever they show; and while all are down, no time passes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Clock {
    seen: LogTime,
    at: Tick,
}

impl Clock {
    pub(super) fn read(&self, now: Tick) -> LogTime {
        self.seen.plus_us(now.since(self.at))
    }

    /// The log is at `time` by now, at least. Clocks never go back.
    pub(super) fn saw(&mut self, time: LogTime, now: Tick) {
        if time > self.read(now) {
            *self = Clock { seen: time, at: now };
        }
    }
}

//! Time, as a machine is told of it.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment on the host's monotonic clock, in microseconds since the host started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick `ms` milliseconds from the start.
    pub const fn from_ms(ms: u64) -> Tick {
        Tick(ms * 1_000)
    }

    /// Microseconds from `earlier` to `self`; 0 when `earlier` is later.
    pub const fn since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The tick `ms` milliseconds after `self`.
    pub const fn plus_ms(self, ms: u64) -> Tick {
        Tick(self.0.saturating_add(ms.saturating_mul(1_000)))
    }
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Add<u64> for Tick {
    type Output = Tick;
    fn add(self, us: u64) -> Tick {
        Tick(self.0.saturating_add(us))
    }
}

impl Sub<u64> for Tick {
    type Output = Tick;
    fn sub(self, us: u64) -> Tick {
        Tick(self.0.saturating_sub(us))
    }
}

/// What a machine knows of time in one step.
///
/// The wall clock serves `last_modified`, last-write-wins and expiry. Nothing that must be safe may rest on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Now {
    /// Monotonic time.
    pub tick: Tick,
    /// Wall-clock time: microseconds since 1970-01-01 UTC.
    pub wall_us: u64,
}

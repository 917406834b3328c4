//! What sessions, locks, moments and grants are called.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment, in microseconds, as the log has it: whoever leads writes it into each command. It is nobody's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LogTime(pub u64);

impl LogTime {
    /// So many microseconds later.
    pub const fn plus_us(self, us: u64) -> LogTime {
        LogTime(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to this; 0 when `earlier` is later.
    pub const fn since_us(self, earlier: LogTime) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Debug for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A client, for as long as it shows that it lives. Chosen by the client, at random, and never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SessionId(pub u128);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session-{:x}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A lock, by the number of the command that asked for it. A client thus knows what its lock is called before it is
/// answered, and may send the next command without having heard of the last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LockId {
    /// Whose it is.
    pub session: SessionId,
    /// The number of the command, from 1.
    pub number: u64,
}

impl fmt::Debug for LockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.session, self.number)
    }
}

impl fmt::Display for LockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A fencing token: of two grants, the later has the larger one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Token(pub u64);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {}", self.0)
    }
}

//! The six modes, and which of them go together.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a holder may do with a resource, and what it lets others do at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Mode {
    /// Null: nothing. Keeps a place, and keeps the resource and its value block alive.
    NL,
    /// Concurrent read: reads, and puts up with writers.
    CR,
    /// Concurrent write: writes, and puts up with other writers.
    CW,
    /// Protected read: reads, and nobody writes meanwhile. The shared lock of the textbook.
    PR,
    /// Protected write: the only one that writes; readers that put up with it may read.
    PW,
    /// Exclusive.
    EX,
}

use Mode::{CR, CW, EX, NL, PR, PW};

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 6] = [NL, CR, CW, PR, PW, EX];

    /// Whether one may be held while the other is. Symmetric.
    pub const fn compatible(self, other: Mode) -> bool {
        match (self, other) {
            (NL, _) | (_, NL) => true,
            (EX, _) | (_, EX) => false,
            (CR, _) | (_, CR) => true,
            (CW, CW) | (PR, PR) => true,
            (CW | PR | PW, CW | PR | PW) => false,
        }
    }

    /// Whether this is no stronger than `other`: whatever goes together with `other` goes together with this. A conversion
    /// to such a mode can never be in anybody's way. CW and PR are no stronger *and* no weaker than each other.
    pub fn at_most(self, other: Mode) -> bool {
        Mode::ALL.iter().all(|third| !third.compatible(other) || third.compatible(self))
    }

    /// Whether who holds it is the only writer, and so may write the value block.
    pub const fn writes(self) -> bool {
        matches!(self, PW | EX)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// How often each mode occurs: enough to know in six steps whether one more goes together with all of them, however many
/// they are.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Modes([u32; 6]);

impl Modes {
    pub(super) fn add(&mut self, mode: Mode) {
        self.0[mode as usize] += 1;
    }

    pub(super) fn remove(&mut self, mode: Mode) {
        self.0[mode as usize] = self.0[mode as usize].saturating_sub(1);
    }

    /// How many of them do not go together with `mode`.
    pub(super) fn conflicts(&self, mode: Mode) -> u32 {
        let conflicting = Mode::ALL.iter().filter(|each| !each.compatible(mode));
        conflicting.map(|each| self.0[*each as usize]).sum()
    }
}

//! What a resource keeps, to turn away whoever had a lock on it once.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Mode, Token};

/// A few numbers beside the data, changed together with it. Whatever accesses the data comes past here first, with the mode
/// and the token of its lock.
///
/// Who holds the lock always passes. Once it has passed, nobody does any more whose lock was granted before, in a mode that
/// does not go together with that one. Where locks are taken in EX only, this is the one number of the textbook; with shared
/// locks one would not do, for of two that hold PR neither is late.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Fence {
    /// The largest token that has passed in each mode, in the order of [`Mode::ALL`].
    pub passed: [Token; Mode::ALL.len()],
}

/// The lock is another's by now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Late {
    /// Of the lock that was shown.
    pub shown: Token,
    /// Of the one that has passed since.
    pub passed: Token,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Late { shown, passed } = self;
        write!(
            f,
            "{shown:?} is late, {passed:?} has been here: the lock is lost, so open a session and lock anew"
        )
    }
}

impl std::error::Error for Late {}

impl Fence {
    /// Lets an access pass, or says that it is late.
    pub fn pass(&mut self, mode: Mode, token: Token) -> Result<(), Late> {
        let mut passed = Mode::ALL.iter().zip(self.passed);
        let excluding = passed.find(|(other, passed)| !other.compatible(mode) && *passed > token);
        if let Some((_, passed)) = excluding {
            return Err(Late { shown: token, passed });
        }
        let last = &mut self.passed[mode as usize];
        *last = token.max(*last);
        Ok(())
    }
}

//! A state that lives in C, as a state machine: see the crate's documentation.

use std::fmt;
use std::hash::{Hash, Hasher};

use ombak_embed::{Bytes, DecodeError, Slot, StateMachine};

use crate::callbacks::Held;

/// The state of a group.
pub enum State {
    /// The one behind the context.
    Held(Held),
    /// What it was when a copy was made.
    Copy(Bytes),
}

impl StateMachine for State {
    fn apply(&mut self, slot: Slot, command: &Bytes) -> Bytes {
        match self {
            State::Held(held) => held.apply(slot.0, command),
            State::Copy(_) => unreachable!("a copy takes no command"),
        }
    }

    fn read(&self, query: &Bytes) -> Bytes {
        match self {
            State::Held(held) => held.read(query),
            State::Copy(_) => unreachable!("a copy answers no question"),
        }
    }

    fn snapshot(&self) -> Bytes {
        match self {
            State::Held(held) => held.snapshot(),
            State::Copy(snapshot) => snapshot.clone(),
        }
    }

    fn restore(snapshot: Bytes) -> Result<State, DecodeError> {
        Ok(State::Copy(snapshot))
    }

    fn install(&mut self, snapshot: Bytes) -> Result<(), DecodeError> {
        match self {
            State::Held(held) => {
                held.restore(&snapshot).then_some(()).ok_or(DecodeError::Invalid("snapshot"))
            }
            State::Copy(own) => {
                *own = snapshot;
                Ok(())
            }
        }
    }
}

impl Clone for State {
    fn clone(&self) -> State {
        State::Copy(self.snapshot())
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.snapshot() == other.snapshot()
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.snapshot().hash(hasher);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} bytes)", self.snapshot().len())
    }
}

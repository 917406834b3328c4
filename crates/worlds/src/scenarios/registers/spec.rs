//! What registers promise, as a sequential program: each is changed and read as if by one client after the other.

use bytes::Bytes;
use ombak_paxos::register::{Outcome, Wish};
use ombak_sim::linear::Spec;

pub struct Registers;

/// What a client was told.
#[derive(Clone, Debug)]
pub enum Told {
    Outcome(Outcome),
    /// That nothing was done.
    Nothing,
}

/// A version, and what it is; `None`: it was removed, or never written.
type State = (u64, Option<Bytes>);

impl Spec for Registers {
    type Key = Bytes;
    type Call = (Bytes, Wish);
    type Answer = Told;
    type State = State;

    fn key(&self, (key, _): &(Bytes, Wish)) -> Bytes {
        key.clone()
    }

    fn start(&self, _: &Bytes) -> State {
        (0, None)
    }

    fn step(&self, state: &State, (_, wish): &(Bytes, Wish), told: Option<&Told>) -> Option<State> {
        let (version, _) = state;
        let changed = |bytes: &Option<Bytes>| (version + 1, bytes.clone());
        let (next, is_done) = match wish {
            Wish::Read => (state.clone(), true),
            Wish::Set(bytes) => (changed(bytes), true),
            Wish::CompareAndSet { version: of, bytes } if of == version => (changed(bytes), true),
            Wish::CompareAndSet { .. } => (state.clone(), false),
        };
        let fits = match told {
            None => true,
            Some(Told::Nothing) => return Some(state.clone()),
            Some(Told::Outcome(Outcome::Done(value))) => {
                is_done && next == (value.version, value.bytes.clone())
            }
            Some(Told::Outcome(Outcome::Differs(value))) => {
                !is_done && next == (value.version, value.bytes.clone())
            }
            // Whoever records it makes two operations of it.
            Some(Told::Outcome(Outcome::Unknown(_))) => false,
        };
        fits.then_some(next)
    }

    fn only_looks(&self, (_, wish): &(Bytes, Wish), told: &Told) -> bool {
        let changed = matches!(told, Told::Outcome(Outcome::Done(_))) && *wish != Wish::Read;
        !changed
    }
}

//! Specifications that are needed often: registers, one for each key.

use std::fmt::Debug;
use std::marker::PhantomData;

use super::Spec;

/// Registers that are read and written.
#[derive(Clone, Debug)]
pub struct Register<K, V> {
    start: V,
    keys: PhantomData<K>,
}

impl<K, V> Register<K, V> {
    /// Every register holds `start` before its first write. For keys that may be absent, `V` is an `Option`.
    pub fn starting_with(start: V) -> Register<K, V> {
        Register { start, keys: PhantomData }
    }
}

/// What is asked of a [`Register`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call<K, V> {
    /// Answered with [`Answer::Value`].
    Read(K),
    /// Answered with [`Answer::Done`].
    Write(K, V),
}

/// What a [`Register`] answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<V> {
    /// What was read.
    Value(V),
    /// It was written.
    Done,
}

impl<K: Clone + Ord + Debug, V: Clone + Ord + Debug> Spec for Register<K, V> {
    type Key = K;
    type Call = Call<K, V>;
    type Answer = Answer<V>;
    type State = V;

    fn key(&self, call: &Call<K, V>) -> K {
        match call {
            Call::Read(key) | Call::Write(key, _) => key.clone(),
        }
    }

    fn start(&self, _: &K) -> V {
        self.start.clone()
    }

    fn step(&self, state: &V, call: &Call<K, V>, answer: Option<&Answer<V>>) -> Option<V> {
        match (call, answer) {
            (Call::Read(_), None) => Some(state.clone()),
            (Call::Read(_), Some(Answer::Value(seen))) => (seen == state).then(|| state.clone()),
            (Call::Write(_, value), None | Some(Answer::Done)) => Some(value.clone()),
            _ => None,
        }
    }

    fn only_looks(&self, call: &Call<K, V>, _: &Answer<V>) -> bool {
        matches!(call, Call::Read(_))
    }
}

/// Registers that are read, written, and swapped if they hold what was expected.
#[derive(Clone, Debug)]
pub struct CasRegister<K, V> {
    start: V,
    keys: PhantomData<K>,
}

impl<K, V> CasRegister<K, V> {
    /// Every register holds `start` before its first write. For keys that may be absent, `V` is an `Option`.
    pub fn starting_with(start: V) -> CasRegister<K, V> {
        CasRegister { start, keys: PhantomData }
    }
}

/// What is asked of a [`CasRegister`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CasCall<K, V> {
    /// Answered with [`CasAnswer::Value`].
    Read(K),
    /// Answered with [`CasAnswer::Done`].
    Write(K, V),
    /// Writes if the register holds `expected`. Answered with [`CasAnswer::Done`] if it did, else with
    /// [`CasAnswer::Differs`] and nothing is changed.
    Swap {
        /// The register.
        key: K,
        /// What it must hold.
        expected: V,
        /// What it holds afterwards.
        new: V,
    },
}

/// What a [`CasRegister`] answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CasAnswer<V> {
    /// What was read.
    Value(V),
    /// It was written, or swapped.
    Done,
    /// It was not swapped: the register did not hold what was expected.
    Differs,
}

impl<K: Clone + Ord + Debug, V: Clone + Ord + Debug> Spec for CasRegister<K, V> {
    type Key = K;
    type Call = CasCall<K, V>;
    type Answer = CasAnswer<V>;
    type State = V;

    fn key(&self, call: &CasCall<K, V>) -> K {
        match call {
            CasCall::Read(key) | CasCall::Write(key, _) | CasCall::Swap { key, .. } => key.clone(),
        }
    }

    fn start(&self, _: &K) -> V {
        self.start.clone()
    }

    fn step(&self, state: &V, call: &CasCall<K, V>, answer: Option<&CasAnswer<V>>) -> Option<V> {
        let (after, expected) = match call {
            CasCall::Read(_) => (state, CasAnswer::Value(state.clone())),
            CasCall::Write(_, value) => (value, CasAnswer::Done),
            CasCall::Swap { expected, new, .. } if expected == state => (new, CasAnswer::Done),
            CasCall::Swap { .. } => (state, CasAnswer::Differs),
        };
        answer.is_none_or(|answer| *answer == expected).then(|| after.clone())
    }
    fn only_looks(&self, call: &CasCall<K, V>, answer: &CasAnswer<V>) -> bool {
        matches!(call, CasCall::Read(_)) || *answer == CasAnswer::Differs
    }
}

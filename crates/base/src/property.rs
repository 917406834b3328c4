//! Properties that stand in the production code, and the bugs that are planted to see them broken.

use std::fmt;
use std::sync::OnceLock;

/// A property that did not hold.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The property's name, as the code has it.
    pub name: &'static str,
    /// File and line.
    pub place: &'static str,
    /// What was seen instead.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "always \"{}\" is broken at {}: {}", self.name, self.place, self.detail)
    }
}

static HANDLER: OnceLock<fn(&Broken)> = OnceLock::new();

/// Decides what a broken property does in this process. Without a handler it panics, as tests and the simulator
/// want. Returns `false` if one was set before.
pub fn on_broken(handler: fn(&Broken)) -> bool {
    HANDLER.set(handler).is_ok()
}

/// Called by [`always!`](crate::always).
#[cold]
pub fn broken(name: &'static str, place: &'static str, detail: String) {
    let broken = Broken { name, place, detail };
    match HANDLER.get() {
        Some(handler) => handler(&broken),
        None => panic!("{broken}"),
    }
}

/// Says that a condition holds whenever this place is reached.
///
/// ```
/// # use ombak_base::always;
/// let (acks, nodes) = (2, 3);
/// always!(acks <= nodes, "a node acknowledges once", "{acks} acks from {nodes} nodes");
/// ```
#[macro_export]
macro_rules! always {
    ($condition:expr, $name:literal $(,)?) => {
        $crate::always!($condition, $name, "")
    };
    ($condition:expr, $name:literal, $($detail:tt)+) => {
        if !$condition {
            $crate::property::broken($name, concat!(file!(), ":", line!()), format!($($detail)+));
        }
    };
}

/// Whether the named bug is planted in this run. `false`, and nothing in the binary, unless built with
/// `--cfg planted`; then [`plant`] selects one at a time.
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        $crate::property::is_planted($name)
    };
}

#[cfg(planted)]
mod selected {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<&'static str> = const { Cell::new("") };
    }

    /// Selects the bug that is planted in this thread from now on; `""` for none.
    pub fn plant(name: &'static str) {
        PLANTED.set(name);
    }

    /// See [`planted!`](crate::planted).
    pub fn is_planted(name: &'static str) -> bool {
        PLANTED.get() == name
    }
}

#[cfg(not(planted))]
mod selected {
    /// See [`planted!`](crate::planted).
    #[inline(always)]
    pub const fn is_planted(_name: &'static str) -> bool {
        false
    }
}

pub use selected::*;

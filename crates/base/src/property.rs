//! Properties that stand in the production code, and the bugs that are planted to see them broken.
//!
//! What a broken property does depends on who runs the code. In tests, in the simulator and in the explorer it panics,
//! which is a failure that is shown. In production it panics as well, for what comes after it must not run, but no
//! further than it has to: a thread that says [`contain`] catches it at the next [`contained`], where the part that is
//! wrong can be stopped, and the rest goes on.

mod contain;

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

use crate::Partition;

pub use contain::{about, contain, contained};

/// A property that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// `always` or `eventually`.
    pub kind: &'static str,
    /// The property's name, as the code has it.
    pub name: &'static str,
    /// File and line.
    pub place: &'static str,
    /// What was seen instead.
    pub detail: String,
    /// What it was [about](about()), if that is known.
    pub partition: Option<Partition>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { kind, name, place, detail, .. } = self;
        write!(f, "{kind} \"{name}\" is broken at {place}: {detail}")
    }
}

static HANDLER: OnceLock<fn(&Broken)> = OnceLock::new();

/// Decides what a broken property does in this process. Without a handler it panics, as tests and the simulator
/// want. Returns `false` if one was set before.
pub fn on_broken(handler: fn(&Broken)) -> bool {
    HANDLER.set(handler).is_ok()
}

/// Called by [`always!`](crate::always) and [`eventually!`](crate::eventually).
#[cold]
pub fn broken(kind: &'static str, name: &'static str, place: &'static str, detail: String) {
    let broken = Broken { kind, name, place, detail, partition: contain::partition() };
    match HANDLER.get() {
        Some(handler) => handler(&broken),
        None => {
            let text = broken.to_string();
            contain::note(broken);
            panic!("{text}");
        }
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
            $crate::property::broken("always", $name, concat!(file!(), ":", line!()), format!($($detail)+));
        }
    };
}

/// Says that this place is reached in some run: a simulator tells which never were, and so does an explorer.
///
/// ```
/// # use ombak_base::{Effects, Machine, sometimes};
/// fn suspect<M: Machine>(fx: &mut impl Effects<M>) {
///     sometimes!(fx, "a silent peer was suspected");
/// }
/// ```
#[macro_export]
macro_rules! sometimes {
    ($effects:expr, $name:literal) => {
        $effects.probe($name)
    };
}

/// Says that a condition has come to hold by now. Stands in [`Machine::check_at_rest`](crate::Machine::check_at_rest),
/// which is called when nothing is under way any more and nothing goes wrong: what was begun has then ended.
///
/// ```
/// # use ombak_base::eventually;
/// let (asked, answered) = (5, 5);
/// eventually!(answered == asked, "every request is answered", "{answered} of {asked}");
/// ```
#[macro_export]
macro_rules! eventually {
    ($condition:expr, $name:literal $(,)?) => {
        $crate::eventually!($condition, $name, "")
    };
    ($condition:expr, $name:literal, $($detail:tt)+) => {
        if !$condition {
            $crate::property::broken("eventually", $name, concat!(file!(), ":", line!()), format!($($detail)+));
        }
    };
}

/// Whether the named bug is planted in this thread: [`plant`] selects one at a time, as tests do. Where there are no debug
/// assertions, as in every release build, it is the constant `false`, and the bug is not in the binary.
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        $crate::property::is_planted($name)
    };
}

thread_local! {
    static PLANTED: Cell<&'static str> = const { Cell::new("") };
}

/// Selects the bug that is planted in this thread from now on; `""` for none.
pub fn plant(name: &'static str) {
    PLANTED.set(name);
}

/// See [`planted!`](crate::planted).
#[inline]
pub fn is_planted(name: &'static str) -> bool {
    cfg!(debug_assertions) && PLANTED.get() == name
}

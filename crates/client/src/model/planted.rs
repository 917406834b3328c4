//! The bugs that are planted in the pool, and the rules that must notice.

use super::rules::{BOUNDED, FRESH, IN_ORDER, NO_LEAK, ONE_HOLDER, SERVED};

/// One planted bug.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(debug_assertions), expect(dead_code, reason = "read where bugs are planted"))]
pub struct Planted {
    /// Its name in the code.
    pub name: &'static str,
    /// The rules of the model that it breaks, and the properties of the pool: the first that is broken must be one of
    /// these.
    pub breaks: &'static [&'static str],
}

/// Every one.
pub const PLANTED: &[Planted] = &[
    Planted { name: "lost wake-up", breaks: &[SERVED] },
    Planted { name: "leaked slot on cancellation", breaks: &[NO_LEAK, SERVED] },
    Planted { name: "over-admission", breaks: &[BOUNDED] },
    Planted { name: "stale connection handed out", breaks: &[FRESH] },
    Planted { name: "starvation", breaks: &[IN_ORDER] },
    Planted { name: "double check-in", breaks: &[ONE_HOLDER] },
];

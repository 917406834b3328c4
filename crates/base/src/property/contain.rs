//! How far a broken property reaches.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Broken;
use crate::Partition;

thread_local! {
    static CONTAINS: Cell<bool> = const { Cell::new(false) };
    static ABOUT: Cell<Option<Partition>> = const { Cell::new(None) };
    /// The property that broke last, on its way up to who contains it.
    static BROKEN: RefCell<Option<Broken>> = const { RefCell::new(None) };
}

/// Whether this thread contains what breaks, from now on. Threads do not, unless they say so.
pub fn contain(contains: bool) {
    CONTAINS.set(contains);
}

/// Runs a part whose broken properties need not end the rest: an `Err`, on a thread that [contains](contain), is a
/// property that broke in it, and what the part had half done is left as it was. Any other panic goes on, and so does
/// every panic on a thread that does not contain.
///
/// ```
/// use ombak_base::{always, property};
///
/// let divide = |a: u32, b: u32| {
///     always!(b != 0, "nobody divides by zero");
///     a / b
/// };
/// property::contain(true);
/// assert_eq!(property::contained(|| divide(6, 2)), Ok(3));
/// assert_eq!(property::contained(|| divide(6, 0)).unwrap_err().name, "nobody divides by zero");
/// ```
pub fn contained<R>(part: impl FnOnce() -> R) -> Result<R, Broken> {
    if !CONTAINS.get() {
        return Ok(part());
    }
    BROKEN.set(None);
    catch_unwind(AssertUnwindSafe(part))
        .map_err(|panic| BROKEN.take().unwrap_or_else(|| resume_unwind(panic)))
}

/// Runs what concerns one partition: a property that breaks in it is about that, and says so.
pub fn about<R>(partition: Partition, part: impl FnOnce() -> R) -> R {
    struct Before(Option<Partition>);

    impl Drop for Before {
        fn drop(&mut self) {
            ABOUT.set(self.0);
        }
    }

    let _before = Before(ABOUT.replace(Some(partition)));
    part()
}

/// What the present part is about.
pub(super) fn partition() -> Option<Partition> {
    ABOUT.get()
}

/// Leaves word of a property that is about to panic.
pub(super) fn note(broken: Broken) {
    BROKEN.set(Some(broken));
}

#[cfg(test)]
mod tests;

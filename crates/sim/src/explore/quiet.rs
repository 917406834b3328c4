//! Panics as answers: what breaks in a step is a finding, not the end of the program.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs `action`, and gives the message of its panic if it panics. Nothing is printed; panics elsewhere in the process
/// are reported as before.
pub fn quietly<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(hush);
    let before = IS_QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(action));
    IS_QUIET.set(before);
    result.map_err(|payload| message(&*payload))
}

/// The hook belongs to the whole process: this one asks the thread, and hands on to the one before.
fn hush() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_QUIET.get() {
            before(info);
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 5), Ok(5));
        assert_eq!(quietly(|| panic!("at {}", 7)), Err::<(), _>("at 7".to_owned()));
        assert!(!IS_QUIET.get());
    }
}

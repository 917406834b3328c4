use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::always;

const PARTITION: Partition = Partition(7);

fn hold(holds: bool) {
    always!(holds, "it holds", "{holds}");
}

#[test]
fn a_thread_that_does_not_contain_panics() {
    assert!(catch_unwind(|| contained(|| hold(false))).is_err());
    assert_eq!(contained(|| hold(true)), Ok(()));
}

#[test]
fn what_is_contained_says_what_broke_and_about_what() {
    contain(true);
    let broken = contained(|| about(PARTITION, || hold(false))).unwrap_err();
    assert_eq!((broken.name, broken.partition), ("it holds", Some(PARTITION)));
    assert!(broken.to_string().starts_with("always \"it holds\" is broken at "), "{broken}");
    let broken = contained(|| hold(false)).unwrap_err();
    assert_eq!(broken.partition, None, "what the last one was about is over");
}

#[test]
fn the_innermost_contains() {
    contain(true);
    let outer = contained(|| contained(|| hold(false)).is_err());
    assert_eq!(outer, Ok(true));
}

#[test]
fn any_other_panic_goes_on() {
    contain(true);
    let _ = contained(|| hold(false));
    let other = catch_unwind(AssertUnwindSafe(|| contained(|| panic!("something else"))));
    assert!(other.is_err(), "it was not a property");
}

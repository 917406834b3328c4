use super::*;

mod brute;
mod pictures;
mod queue;
mod random;

/// Enough for every history of these tests.
const STEPS: u64 = 1_000_000;

#[test]
fn no_operation_is_fine() {
    let history = History::<Register<(), u64>>::new();
    assert!(check(&Register::starting_with(0), &history, 0).is_linearisable());
}

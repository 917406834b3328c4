use proptest::prelude::*;

use super::*;

#[test]
fn a_tenth_of_the_load_once_the_savings_are_gone() {
    let mut budget = RetryBudget::new(3, 100);
    assert_eq!((0..5).filter(|_| budget.spend()).count(), 3);
    let mut retries = 0;
    for _ in 0..1_000 {
        budget.earn();
        retries += u32::from(budget.spend());
    }
    assert_eq!(retries, 100);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In any order of requests and failures: retries never exceed the savings and what the requests have earned, and
    /// one that is refused could not be paid.
    #[test]
    fn retries_are_paid(max in 0u32..5, each in 0u32..1_500, steps in proptest::collection::vec(any::<bool>(), 0..200)) {
        let mut budget = RetryBudget::new(max, each);
        let (mut saved, full) = (u64::from(max) * 1_000, u64::from(max) * 1_000);
        for is_request in steps {
            if is_request {
                budget.earn();
                saved = full.min(saved + u64::from(each));
            } else {
                let paid = budget.spend();
                prop_assert_eq!(paid, saved >= 1_000);
                saved -= if paid { 1_000 } else { 0 };
            }
        }
    }
}

use proptest::prelude::*;

use super::*;

fn of(values: &[u64]) -> Histogram {
    let cells = HistogramCells::default();
    values.iter().for_each(|value| cells.record(*value, 1));
    cells.read()
}

#[test]
fn small_values_are_exact() {
    let histogram = of(&[1, 2, 3, 4]);
    assert_eq!((histogram.count(), histogram.sum(), histogram.mean()), (4, 10, 2));
    assert_eq!((histogram.quantile(500), histogram.quantile(1000)), (2, 4));
    assert_eq!((of(&[]).quantile(500), of(&[]).mean()), (0, 0));
}

#[test]
fn what_is_between_two_readings_is_their_difference() {
    let cells = HistogramCells::default();
    cells.record(100, 3);
    let earlier = cells.read();
    cells.record(5_000, 2);
    let between = cells.read().since(&earlier);
    assert_eq!((between.count(), between.sum()), (2, 10_000));
    assert!((5_000..5_313).contains(&between.quantile(1)));
    let mut both = earlier.clone();
    both.add(&between);
    assert_eq!(both, cells.read());
}

proptest! {
    #[test]
    fn a_value_is_in_its_bucket_and_the_bucket_is_narrow(value in 0_u64..1 << 31) {
        let highest = of(&[value]).quantile(1000);
        prop_assert!(value <= highest && highest - value <= value / 16, "{value} {highest}");
    }

    #[test]
    fn any_value_has_a_bucket(value: u64) {
        prop_assert_eq!(of(&[value]).count(), 1);
    }

    #[test]
    fn powers_of_two_are_edges(values in prop::collection::vec(0_u64..1 << 31, 0..50), bit in 0_u32..31) {
        let below = values.iter().filter(|value| **value < 1 << bit).count() as u64;
        prop_assert_eq!(of(&values).below(1 << bit), below);
    }

    #[test]
    fn taken_apart_and_put_together(values in prop::collection::vec(any::<u32>(), 0..50)) {
        let values: Vec<u64> = values.into_iter().map(u64::from).collect();
        let (parts, sum) = of(&values).parts();
        prop_assert_eq!(Histogram::from_parts(&parts, sum), of(&values));
    }
}

use super::*;
use crate::workloads::measure;

fn found(engine: Kind, run: usize, value: f64) -> Found {
    Found { engine, threads: 1, run, load: 0.5, measures: vec![measure("gets/s", value)] }
}

#[test]
fn a_row_has_the_median_the_lowest_and_the_highest() {
    let runs = vec![
        found(Kind::Redb, 0, 30.0),
        found(Kind::Lmdb, 0, 12_345.6),
        found(Kind::Redb, 1, 10.0),
        found(Kind::Redb, 2, 1_000_000.0),
    ];
    let table = Report { spinner: true, load_before: 0.25, runs }.table();
    assert!(table.contains("| redb | 1 | 3 | 30.0 (10.0–1,000,000) |"), "{table}");
    assert!(table.contains("| lmdb | 1 | 1 | 12,346 |"), "{table}");
    assert!(table.contains("load of the machine 0.25 before, 0.5 at most"), "{table}");
}

#[test]
fn numbers_are_short() {
    assert_eq!(
        [0.0, 1.234, 12.34, 123.4, 1234.5, -1234.5].map(number),
        ["0.00", "1.23", "12.3", "123", "1,234", "-1,234"]
    );
}

#[test]
fn the_median_of_an_even_number_is_between() {
    assert_eq!(median(&[1.0, 2.0, 4.0, 8.0]), 3.0);
}

use super::*;

fn found(contender: Kind, run: usize, cpu_seconds: f64) -> Found {
    let measured = Measured { commands: 1_000_000, seconds: 2.0, cpu_seconds, syncs: 1_000 };
    let job = Job { contender, bytes: 16, window: 100, batch: 100, seconds: 2.0, dir: None };
    Found::new(&job, run, 0.5, measured)
}

fn report(synced: bool) -> Report {
    let (ombak, floor) = (Kind::Ombak, Kind::Floor);
    let runs = vec![found(ombak, 0, 3.0), found(floor, 0, 0.05), found(ombak, 1, 1.0)];
    Report { spinner: true, synced, load_before: 0.25, runs }
}

#[test]
fn a_row_has_the_median_the_lowest_and_the_highest() {
    let table = report(false).table();
    assert!(table.contains("| 16 | 100 | `floor` | 50.0 | 500,000 |\n"), "{table}");
    assert!(table.contains("| `ombak` | 2,000 (1,000–3,000) | 500,000 (500,000–"), "{table}");
    assert!(table.contains("load of the machine 0.25 before, 0.5 at most"), "{table}");
}

#[test]
fn what_a_sync_is_shared_by_is_shown_if_there_are_syncs() {
    let table = report(true).table();
    assert!(table.contains("| 16 | 100 | `floor` | 50.0 | 500,000 | 1,000 |\n"), "{table}");
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

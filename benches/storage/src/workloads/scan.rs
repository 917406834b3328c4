//! Scans in order of the keys, with one thread and all rows in memory. Every byte of every row is touched.

use anyhow::{Result, ensure};

use super::{Job, Measures, measure, tables};
use crate::engines::Session;
use crate::row::{self, Key, Numbers};

const ROWS_A_SCAN: usize = 1_000;

/// What a scan saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Seen {
    rows: u64,
    sum: u64,
}

pub fn run(job: &Job) -> Result<Measures> {
    let engine = job.open()?;
    tables::load(&*engine, job)?;
    engine.checkpoint()?;
    let mut session = engine.session()?;
    let expected = expected(job.rows);
    scan(&mut *session, &[0; 16], usize::MAX)?; // fills the caches
    let mut numbers = Numbers::new(1);
    let short = tables::phase(job, || {
        let from = row::key(numbers.below(job.rows));
        Ok(scan(&mut *session, &from, ROWS_A_SCAN)?.rows)
    })?;
    let whole = tables::phase(job, || {
        let seen = scan(&mut *session, &[0; 16], usize::MAX)?;
        ensure!(seen == expected, "the table is {seen:?}, not {expected:?}");
        Ok(seen.rows)
    })?;
    Ok(vec![
        measure("rows/s, 1,000 a scan", short.rows_per_second()),
        measure("rows/s, whole table", whole.rows_per_second()),
        measure("CPU us a row, whole table", whole.cpu_us_per_row()),
    ])
}

fn scan(session: &mut dyn Session, from: &Key, rows: usize) -> Result<Seen> {
    let mut seen = Seen::default();
    session.scan(from, rows, &mut |key, value| {
        seen.rows += 1;
        seen.sum = seen.sum.wrapping_add(row::sum(key, value));
    })?;
    Ok(seen)
}

fn expected(rows: u64) -> Seen {
    let sums = (0..rows).map(|number| row::sum(&row::key(number), &row::value(number, 0)));
    Seen { rows, sum: sums.fold(0, u64::wrapping_add) }
}

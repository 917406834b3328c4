//! Rows 0 to n in an engine: putting them there, reading and changing them at random, each answer checked.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Job;
use crate::engines::{Engine, Session};
use crate::os::{Meter, Used};
use crate::row::{self, Key, Numbers, Row};

/// How many rows in how long.
pub struct Pace {
    pub rows: u64,
    pub used: Used,
}

impl Pace {
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.used.seconds
    }

    pub fn cpu_us_per_row(&self) -> f64 {
        self.used.cpu_seconds * 1e6 / self.rows as f64
    }
}

/// Of so many rows, one comes after the others.
const LATE: u64 = 3;

/// Puts the job's rows in the order of their keys: first two of three, and then the third ones between them, so that a
/// tree's pages are about three quarters full, as they become when rows come in any order. Quick, and it leaves a
/// copy-on-write tree without a long list of free pages, which each later transaction would have to carry along. The
/// last transaction is durable.
pub fn load(engine: &dyn Engine, job: &Job) -> Result<()> {
    let mut numbers: Vec<u64> = (0..job.rows).collect();
    numbers.sort_by_key(|number| (number.is_multiple_of(LATE), row::key(*number)));
    let mut session = engine.session()?;
    let mut left = numbers.len();
    for part in numbers.chunks(job.put_rows) {
        let rows: Vec<Row> = part.iter().map(|number| Row::new(*number, 0)).collect();
        left -= rows.len();
        session.put_many(&rows, left == 0)?;
    }
    Ok(())
}

/// Reads rows at random, `job.read_rows` in a transaction, and compares every byte with what was put. `is_version` says
/// whether the row of a number can have a version.
pub fn get(
    session: &mut dyn Session,
    job: &Job,
    is_version: &dyn Fn(u64, u32) -> bool,
) -> Result<Pace> {
    let mut numbers = Numbers::new(1);
    phase(job, || {
        let wanted: Vec<u64> = (0..job.read_rows).map(|_| numbers.below(job.rows)).collect();
        let keys: Vec<Key> = wanted.iter().map(|number| row::key(*number)).collect();
        let (mut next, mut right) = (0, 0);
        session.read(&keys, &mut |value| {
            let found = value.and_then(row::decode);
            right += usize::from(found.is_some_and(|(number, version)| {
                wanted.get(next) == Some(&number) && is_version(number, version)
            }));
            next += 1;
        })?;
        ensure!(right == keys.len(), "of {} gets, {right} were answered rightly", keys.len());
        Ok(keys.len() as u64)
    })
}

/// Changes rows at random, `job.put_rows` in a transaction, none of them durable but for the last, which makes all
/// of them so and is part of the time. `note` is told of each row's new version.
pub fn put(session: &mut dyn Session, job: &Job, note: &mut dyn FnMut(u64, u32)) -> Result<Pace> {
    let mut numbers = Numbers::new(2);
    let mut version = 0;
    let mut change = |durable: bool| {
        version += 1;
        let changed: Vec<u64> = (0..job.put_rows).map(|_| numbers.below(job.rows)).collect();
        let rows: Vec<Row> = changed.iter().map(|number| Row::new(*number, version)).collect();
        session.put_many(&rows, durable)?;
        changed.iter().for_each(|number| note(*number, version));
        Ok(rows.len() as u64)
    };
    let meter = Meter::start(&job.dir)?;
    let lazy = phase(job, || change(false))?;
    let rows = lazy.rows + change(true)?;
    Ok(Pace { rows, used: meter.used()? })
}

/// Repeats a piece of work, which answers how many rows it was, for the job's seconds.
pub fn phase(job: &Job, mut work: impl FnMut() -> Result<u64>) -> Result<Pace> {
    let meter = Meter::start(&job.dir)?;
    let until = Instant::now() + Duration::from_secs_f64(job.seconds);
    let mut rows = 0;
    loop {
        rows += work()?;
        if Instant::now() >= until {
            return Ok(Pace { rows, used: meter.used()? });
        }
    }
}

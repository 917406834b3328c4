//! The child that is killed: it tells of every row that the engine said was durable. And the child that looks, after
//! that, whether they are all there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::thread;

use anyhow::{Result, anyhow, bail, ensure};

use super::threads::row_number;
use super::{Job, Measures, measure};
use crate::engines::{Engine, Session};
use crate::row::{self, Key, Row};

/// A thread's number and its row's index, little-endian: written at once, so that a kill cannot cut it.
pub const ACKNOWLEDGEMENT_BYTES: usize = 16;
/// Rows of different rounds differ in the bits above.
const ROUND_SHIFT: u32 = 32;
const READ_ROWS: u64 = 100;

/// Puts rows until it is killed.
pub fn run(job: &Job) -> Result<Measures> {
    let engine = job.open()?;
    let engine = &*engine;
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..job.threads).map(|thread| scope.spawn(move || put(engine, job, thread))).collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        bail!("nobody listens any more")
    })
}

fn put(engine: &dyn Engine, job: &Job, thread: usize) -> Result<()> {
    let mut session = engine.session()?;
    let mut output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut acknowledgement = [0; ACKNOWLEDGEMENT_BYTES];
    acknowledgement[..8].copy_from_slice(&(thread as u64).to_le_bytes());
    for index in 0.. {
        session.put_durable(&Row::new(number(job.round, thread, index), 0))?;
        acknowledgement[8..].copy_from_slice(&index.to_le_bytes());
        output.write_all(&acknowledgement)?;
    }
    Ok(())
}

fn number(round: u64, thread: usize, index: u64) -> u64 {
    row_number(thread, (round << ROUND_SHIFT) + index)
}

/// Reads from the standard input how many rows of each thread were acknowledged, round by round, as lines, and looks
/// for each of them. Nothing else may be there but what was put and not acknowledged any more.
pub fn recount(job: &Job) -> Result<Measures> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let rounds: Vec<Vec<u64>> = serde_json::from_str(&text)?;
    let engine = job.open()?;
    let mut session = engine.session()?;
    let (mut acknowledged, mut lost) = (0, 0);
    for (round, threads) in (0..).zip(&rounds) {
        for (thread, rows) in threads.iter().enumerate() {
            acknowledged += rows;
            lost += missing(&mut *session, round, thread, *rows)?;
        }
    }
    let found = whole_rows(&mut *session)?;
    ensure!(lost == 0, "{lost} of {acknowledged} acknowledged rows are lost");
    ensure!(found >= acknowledged, "a scan finds {found} of {acknowledged} acknowledged rows");
    Ok(vec![
        measure("acknowledged", acknowledged as f64),
        measure("lost", lost as f64),
        measure("not acknowledged, but there", (found - acknowledged) as f64),
    ])
}

/// How many of a thread's rows are not there, or not as they were put.
fn missing(session: &mut dyn Session, round: u64, thread: usize, rows: u64) -> Result<u64> {
    let mut missing = 0;
    for first in (0..rows).step_by(READ_ROWS as usize) {
        let indexes = first..rows.min(first + READ_ROWS);
        let numbers: Vec<u64> = indexes.map(|index| number(round, thread, index)).collect();
        let keys: Vec<Key> = numbers.iter().map(|number| row::key(*number)).collect();
        let mut wanted = numbers.iter();
        session.read(&keys, &mut |value| {
            let expected = wanted.next().map(|number| (*number, 0));
            missing += u64::from(value.and_then(row::decode) != expected);
        })?;
    }
    Ok(missing)
}

/// Counts all rows. Each must be whole, under its own key and in its place.
fn whole_rows(session: &mut dyn Session) -> Result<u64> {
    let (mut rows, mut wrong) = (0, 0);
    let mut before: Option<Vec<u8>> = None;
    session.scan(&[0; 16], usize::MAX, &mut |key, value| {
        rows += 1;
        let whole = row::decode(value).is_some_and(|(number, _)| row::key(number) == key);
        let in_place = before.as_deref().is_none_or(|before| before < key);
        wrong += u64::from(!whole || !in_place);
        before = Some(key.to_vec());
    })?;
    ensure!(wrong == 0, "{wrong} of {rows} rows are torn or out of place");
    Ok(rows)
}

//! Threads that put durable rows until they are told to stop, and how long each put took.

use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;

use crate::engines::Engine;
use crate::os::{Meter, Used};
use crate::row::Row;

const DIGITS: u8 = 3;
/// Rows of different threads differ in the bits above.
const THREAD_SHIFT: u32 = 40;

/// What the threads did together.
pub struct Done {
    /// Nanoseconds that each put took.
    pub latencies: Histogram<u64>,
    pub used: Used,
}

/// The number of the `index`th row that a thread puts: none of them is below 2^40.
pub fn row_number(thread: usize, index: u64) -> u64 {
    ((thread as u64 + 1) << THREAD_SHIFT) + index
}

/// Each thread puts its rows, counted from `first`, one durable transaction after the other, while `go_on(index,
/// time)` says so. The engine's files are below `dir`.
pub fn put_rows(
    engine: &dyn Engine,
    dir: &Path,
    threads: usize,
    first: u64,
    go_on: impl Fn(u64, Instant) -> bool + Sync,
) -> Result<Done> {
    let barrier = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let put = |thread| put_until(engine, thread, first, &barrier, &go_on);
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || put(thread))).collect();
        let meter = Meter::start(dir);
        barrier.wait();
        let mut latencies = Histogram::new(DIGITS)?;
        for worker in workers {
            latencies.add(worker.join().map_err(|_| anyhow!("a thread panicked"))??)?;
        }
        Ok(Done { latencies, used: meter?.used()? })
    })
}

fn put_until(
    engine: &dyn Engine,
    thread: usize,
    first: u64,
    barrier: &Barrier,
    go_on: &impl Fn(u64, Instant) -> bool,
) -> Result<Histogram<u64>> {
    let session = engine.session();
    barrier.wait();
    let mut session = session?;
    let mut latencies = Histogram::new(DIGITS)?;
    let mut started = Instant::now();
    for index in 0.. {
        if !go_on(index, started) {
            break;
        }
        session.put_durable(&Row::new(row_number(thread, first + index), 0))?;
        let ended = Instant::now();
        latencies.record(u64::try_from((ended - started).as_nanos())?)?;
        started = ended;
    }
    Ok(latencies)
}

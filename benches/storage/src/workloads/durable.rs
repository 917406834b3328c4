//! Transactions of one new row each, from many threads, each of which waits until its row is on the disk.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::threads::put_rows;
use super::{Job, Measures, measure, tables};
use crate::os;

pub fn run(job: &Job) -> Result<Measures> {
    let engine = job.open()?;
    tables::load(&*engine, job)?;
    os::sync_file_system(&job.dir)?;
    let until = Instant::now() + Duration::from_secs_f64(job.seconds);
    let before = engine.log_bytes();
    let done = put_rows(&*engine, &job.dir, job.threads, 0, |_, now| now < until)?;
    let logged = engine.log_bytes().zip(before).map(|(after, before)| after - before);
    let transactions = done.latencies.len() as f64;
    let mut measures = vec![
        measure("transactions/s", transactions / done.used.seconds),
        measure("CPU us a transaction", done.used.cpu_seconds * 1e6 / transactions),
        measure("bytes dirtied", done.used.dirtied_bytes as f64 / transactions),
        measure("p50 us", done.latencies.value_at_quantile(0.5) as f64 / 1e3),
        measure("p99 us", done.latencies.value_at_quantile(0.99) as f64 / 1e3),
    ];
    let device = done.used.device_bytes_each(transactions);
    measures.extend(device.map(|bytes| measure("bytes to the device a transaction", bytes)));
    let logged = logged.map(|bytes| bytes as f64 / transactions);
    measures.extend(logged.map(|bytes| measure("bytes of log a transaction", bytes)));
    Ok(measures)
}

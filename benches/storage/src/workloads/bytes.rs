//! What a durable transaction costs in bytes in the long run: with what checkpoints, flushes and compactions write
//! again, up to and with the closing of the engine and the writing of
//! what waits in the page cache then.

use std::time::Instant;

use anyhow::Result;

use super::threads::put_rows;
use super::{Job, Measures, measure, tables};
use crate::os::{self, Meter};
use crate::row::ROW_BYTES;

/// A checkpoint after each but the last, which ends with the engine's closing.
const PARTS: u64 = 4;

pub fn run(job: &Job) -> Result<Measures> {
    let engine = job.open()?;
    tables::load(&*engine, job)?;
    engine.checkpoint()?;
    os::sync_file_system(&job.dir)?;
    let meter = Meter::start(&job.dir)?;
    let each = job.transactions.div_ceil(PARTS * job.threads as u64);
    for part in 0..PARTS {
        put_rows(&*engine, &job.dir, job.threads, part * each, |index, _: Instant| index < each)?;
        if part + 1 < PARTS {
            engine.checkpoint()?;
        }
    }
    drop(engine);
    os::sync_file_system(&job.dir)?;
    let used = meter.used()?;
    let transactions = (each * PARTS * job.threads as u64) as f64;
    let mut measures = vec![
        measure("transactions/s", transactions / used.seconds),
        measure("CPU us a transaction", used.cpu_seconds * 1e6 / transactions),
        measure("MB on disk", os::disk_bytes(&job.dir)? as f64 / 1e6),
        measure("bytes dirtied", used.dirtied_bytes as f64 / transactions),
    ];
    if let Some(written) = used.device_bytes_each(transactions) {
        measures.push(measure("bytes to the device a transaction", written));
        measures.push(measure("times the row", written / ROW_BYTES as f64));
    }
    Ok(measures)
}

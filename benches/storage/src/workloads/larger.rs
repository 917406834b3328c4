//! Gets and puts at random keys, with one thread and more data than memory. The directory is filled in a process of
//! its own, without a limit on memory, and the page cache is then made to forget it.

use anyhow::Result;

use super::{Job, Measures, measure, tables};
use crate::os;

pub fn load(job: &Job) -> Result<Measures> {
    let engine = job.open()?;
    tables::load(&*engine, job)?;
    engine.checkpoint()?;
    drop(engine);
    os::forget_files(&job.dir)?;
    Ok(Vec::new())
}

pub fn run(job: &Job) -> Result<Measures> {
    let disk_bytes = os::disk_bytes(&job.dir)?;
    let engine = job.open()?;
    let mut session = engine.session()?;
    // Which version each row has is not remembered: that would take memory of what the engine is given.
    tables::get(&mut *session, job, &|_, version| version == 0)?; // fills the caches
    let got = tables::get(&mut *session, job, &|_, version| version == 0)?;
    let put = tables::put(&mut *session, job, &mut |_, _| ())?;
    tables::get(&mut *session, job, &|_, _| true)?; // what was put is there
    let mut measures = vec![
        measure("gets/s", got.rows_per_second()),
        measure("puts/s", put.rows_per_second()),
        measure("MB on disk", disk_bytes as f64 / 1e6),
    ];
    let written = put.used.device_bytes_each(put.rows as f64);
    measures.extend(written.map(|bytes| measure("bytes to the device a put", bytes)));
    Ok(measures)
}

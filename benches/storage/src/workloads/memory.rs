//! Gets and puts at random keys, with one thread and all rows in memory.

use anyhow::Result;

use super::{Job, Measures, measure, tables};

pub fn run(job: &Job) -> Result<Measures> {
    let engine = job.open()?;
    tables::load(&*engine, job)?;
    engine.checkpoint()?;
    let mut session = engine.session()?;
    let mut versions = vec![0; usize::try_from(job.rows)?];
    tables::get(&mut *session, job, &|_, version| version == 0)?; // fills the caches
    let got = tables::get(&mut *session, job, &|_, version| version == 0)?;
    let put = tables::put(&mut *session, job, &mut |number, version| {
        versions[number as usize] = version;
    })?;
    let is_version = |number, version| versions[number as usize] == version;
    tables::get(&mut *session, job, &is_version)?; // what was put is there
    Ok(vec![
        measure("gets/s", got.rows_per_second()),
        measure("CPU us a get", got.cpu_us_per_row()),
        measure("puts/s", put.rows_per_second()),
        measure("CPU us a put", put.cpu_us_per_row()),
    ])
}

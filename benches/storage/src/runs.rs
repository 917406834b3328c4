//! Starts the runs of a workload, interleaved: every engine once, then every engine again, so that what changes on the
//! machine meanwhile changes for all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::cli::{Bytes, Common, Durable, Larger, Memory};
use crate::engines::Kind;
use crate::os::{self, Spinner};
use crate::row::ROW_BYTES;
use crate::table::{Found, Report};
use crate::workloads::{Job, Measures, Work};

/// How much more data there is than memory.
const TIMES_MEMORY: u64 = 10;

pub fn durable(options: &Durable) -> Result<()> {
    let engines = options.common.engines(false)?;
    let mut cases = Vec::new();
    for threads in &options.threads {
        cases.extend(engines.iter().map(|engine| Job {
            threads: *threads,
            rows: options.rows,
            seconds: options.seconds,
            memory_bytes: options.memory_bytes,
            ..job(Work::Durable, *engine, &options.common)
        }));
    }
    interleave(&options.common, &cases)
}

pub fn memory(options: &Memory) -> Result<()> {
    in_memory(Work::Memory, options)
}

pub fn scan(options: &Memory) -> Result<()> {
    in_memory(Work::Scan, options)
}

fn in_memory(work: Work, options: &Memory) -> Result<()> {
    let engines = options.common.engines(true)?;
    let cases = engines.into_iter().map(|engine| Job {
        rows: options.rows,
        seconds: options.seconds,
        memory_bytes: options.memory_bytes,
        ..job(work, engine, &options.common)
    });
    interleave(&options.common, &cases.collect::<Vec<_>>())
}

pub fn larger(options: &Larger) -> Result<()> {
    if let Some(cgroup) = &options.cgroup {
        let limit = os::cgroup_limit(cgroup)?;
        let asked = options.memory_bytes;
        ensure!(limit == asked, "the cgroup's limit is {limit} bytes, --memory-bytes is {asked}");
    } else {
        eprintln!("no --cgroup: the page cache has no limit, so all of the data may be in memory");
    }
    let engines = options.common.engines(true)?;
    let cases = engines.into_iter().map(|engine| Job {
        rows: options.memory_bytes * TIMES_MEMORY / ROW_BYTES as u64,
        seconds: options.seconds,
        memory_bytes: options.memory_bytes / 2,
        cgroup: options.cgroup.clone(),
        ..job(Work::Larger, engine, &options.common)
    });
    interleave(&options.common, &cases.collect::<Vec<_>>())
}

pub fn bytes(options: &Bytes) -> Result<()> {
    let engines = options.common.engines(false)?;
    let cases = engines.into_iter().map(|engine| Job {
        threads: options.threads,
        rows: options.rows,
        transactions: options.transactions,
        memory_bytes: options.memory_bytes,
        ..job(Work::Bytes, engine, &options.common)
    });
    interleave(&options.common, &cases.collect::<Vec<_>>())
}

fn job(work: Work, engine: Kind, common: &Common) -> Job {
    Job {
        work,
        engine,
        dir: common.dir.clone(),
        threads: 1,
        rows: 0,
        seconds: 0.0,
        transactions: 0,
        put_rows: common.put_rows,
        read_rows: common.read_rows,
        memory_bytes: 0,
        round: 0,
        cgroup: None,
    }
}

fn interleave(common: &Common, cases: &[Job]) -> Result<()> {
    fs::create_dir_all(&common.dir)?;
    let spinner = (!common.no_spinner).then(Spinner::start).transpose()?;
    let mut report = Report::new(spinner.is_some())?;
    for run in 0..common.runs {
        for case in cases {
            eprintln!("run {}: {}, {} threads", run + 1, case.engine.name(), case.threads);
            match fresh(case, &common.dir) {
                Ok(measures) => report.add(Found::new(case, run, os::load()?, measures)),
                Err(error) => eprintln!("{} failed: {error:#}", case.engine.name()),
            }
        }
    }
    drop(spinner);
    report.print(common.json)
}

/// A run in a new directory, which is removed after it.
fn fresh(case: &Job, dir: &Path) -> Result<Measures> {
    let dir = TempDir::new_in(dir)?;
    let job = Job { dir: dir.path().to_path_buf(), ..case.clone() };
    if job.work == Work::Larger {
        start(&Job { work: Work::LargerLoad, cgroup: None, ..job.clone() })?;
    }
    let measures = start(&job)?;
    dir.close()?;
    Ok(measures)
}

/// One run, in a process of its own.
fn start(job: &Job) -> Result<Measures> {
    let output = command(job)?.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    measures(output.status.success(), &output.stdout)
        .with_context(|| format!("the run ended with {}", output.status))
}

/// What a run printed.
pub fn measures(success: bool, output: &[u8]) -> Result<Measures> {
    ensure!(success, "no result");
    Ok(serde_json::from_slice(output)?)
}

/// The command that is a run.
pub fn command(job: &Job) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("job").arg(serde_json::to_string(job)?);
    Ok(command)
}

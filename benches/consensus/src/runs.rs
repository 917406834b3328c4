//! Starts the runs, interleaved: every contender once, then every contender again, so that what changes on the machine
//! meanwhile changes for all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::cli::Options;
use crate::job::{Job, Measured};
use crate::os::{self, Spinner};
use crate::table::{Found, Report};

pub fn compare(options: &Options) -> Result<()> {
    let spinner = (!options.common.no_spinner).then(Spinner::start).transpose()?;
    let mut report = Report::new(spinner.is_some(), options.synced)?;
    for run in 0..options.common.runs {
        for job in jobs(options) {
            eprintln!("run {}: {job:?}", run + 1);
            let measured =
                fresh(&job).with_context(|| format!("{} failed", job.contender.name()))?;
            report.add(Found::new(&job, run, os::load()?, measured));
        }
    }
    drop(spinner);
    report.print(options.common.json)
}

fn jobs(options: &Options) -> Vec<Job> {
    let mut jobs = Vec::new();
    for &bytes in &options.bytes {
        for &window in &options.windows {
            jobs.extend(options.all_contenders().into_iter().map(|contender| Job {
                contender,
                bytes,
                window,
                batch: options.batch,
                seconds: options.seconds,
                dir: options.synced.then(|| options.dir.clone()),
            }));
        }
    }
    jobs
}

/// A run, in a new directory if it needs one.
fn fresh(job: &Job) -> Result<Measured> {
    let Some(dir) = &job.dir else { return start(job) };
    fs::create_dir_all(dir)?;
    let dir = TempDir::new_in(dir)?;
    let measured = start(&Job { dir: Some(absolute(dir.path())?), ..job.clone() })?;
    dir.close()?;
    Ok(measured)
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    Ok(fs::canonicalize(path)?)
}

/// One run, in a process of its own.
fn start(job: &Job) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("job").arg(serde_json::to_string(job)?);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the run ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

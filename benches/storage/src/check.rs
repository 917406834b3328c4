//! Kills an engine while it works, and looks whether all that it acknowledged is there. SIGKILL takes what the process
//! held, not what the kernel did: it shows that nothing acknowledged was only in the process, and that what is left
//! behind can be opened. That the kernel was told to sync, each time, is shown by counting system calls: see the
//! README.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::cli::Check;
use crate::engines::Kind;
use crate::runs;
use crate::workloads::{ACKNOWLEDGEMENT_BYTES, Job, Measures, Work};

const MEMORY_BYTES: u64 = 64 << 20;

pub fn run(options: &Check) -> Result<()> {
    fs::create_dir_all(&options.dir)?;
    let all = Kind::value_variants();
    let engines = if options.engines.is_empty() { all } else { &options.engines };
    for engine in engines {
        check(*engine, options).with_context(|| format!("{} failed", engine.name()))?;
    }
    Ok(())
}

fn check(engine: Kind, options: &Check) -> Result<()> {
    let dir = TempDir::new_in(&options.dir)?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let job = job(engine, options, dir.path(), round);
        rounds.push(kill_midway(&job, options.rows)?);
        let found = recount(&job, &rounds)?;
        let found: Vec<_> =
            found.iter().map(|measure| format!("{} {}", measure.value, measure.name)).collect();
        println!("{}, killed {} times: {}", engine.name(), round + 1, found.join(", "));
    }
    Ok(dir.close()?)
}

fn job(engine: Kind, options: &Check, dir: &Path, round: u64) -> Job {
    Job {
        work: Work::Acknowledge,
        engine,
        dir: dir.to_path_buf(),
        threads: options.threads,
        rows: 0,
        seconds: 0.0,
        transactions: 0,
        put_rows: 1,
        read_rows: 1,
        memory_bytes: MEMORY_BYTES,
        round,
        cgroup: None,
    }
}

/// How many rows each thread had acknowledged when the process was killed, at some moment after `rows` of them.
fn kill_midway(job: &Job, rows: u64) -> Result<Vec<u64>> {
    let mut child = runs::command(job)?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("the child has no output")?;
    let acknowledged = listen(&mut child, output, job.threads, rows);
    child.kill()?;
    child.wait()?;
    acknowledged
}

fn listen(
    child: &mut Child,
    mut output: ChildStdout,
    threads: usize,
    rows: u64,
) -> Result<Vec<u64>> {
    let mut acknowledged = vec![0; threads];
    let mut frame = [0; ACKNOWLEDGEMENT_BYTES];
    while output.read_exact(&mut frame).is_ok() {
        let (thread, index) = frame.split_at(8);
        let thread = usize::try_from(u64::from_le_bytes(thread.try_into()?))?;
        let index = u64::from_le_bytes(index.try_into()?);
        ensure!(acknowledged.get(thread) == Some(&index), "thread {thread} skips to {index}");
        acknowledged[thread] += 1;
        if acknowledged.iter().sum::<u64>() == rows {
            child.kill()?; // what it had told until then can still be read
        }
    }
    ensure!(acknowledged.iter().sum::<u64>() >= rows, "it ended before it was killed");
    Ok(acknowledged)
}

fn recount(job: &Job, rounds: &[Vec<u64>]) -> Result<Measures> {
    let job = Job { work: Work::Recount, ..job.clone() };
    let mut child = runs::command(&job)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("the child has no input")?;
    input.write_all(serde_json::to_string(rounds)?.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    runs::measures(output.status.success(), &output.stdout)
}

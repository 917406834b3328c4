//! Three members of etcd over loopback, and puts of many clients through the gateway for JSON.

mod client;
mod members;

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tempfile::TempDir;

use crate::cli::Etcd;
use crate::os::{self, Spinner};
use crate::table::{beside, cell};
use members::Members;

/// What one run found.
#[derive(Serialize)]
struct Found {
    run: usize,
    /// The machine's load after it.
    load: f64,
    puts: u64,
    seconds: f64,
    /// Of the three servers.
    cpu_seconds: f64,
}

pub fn compare(options: &Etcd) -> Result<()> {
    let (spinner, load) = (!options.common.no_spinner, os::load()?);
    let beside_it = spinner.then(Spinner::start).transpose()?;
    let runs = (0..options.common.runs).map(|run| measure(options, run));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    drop(beside_it);
    if options.common.json {
        println!("{}", serde_json::to_string_pretty(&runs)?);
    } else {
        print(&runs, spinner, load);
    }
    Ok(())
}

fn print(runs: &[Found], spinner: bool, load: f64) {
    let all: Vec<_> = runs.iter().collect();
    let each = cell(&all, |run| run.puts as f64 / run.cpu_seconds);
    let rate = cell(&all, |run| run.puts as f64 / run.seconds);
    println!("| | puts per CPU second of the three servers | puts/s |\n|---|---|---|");
    println!("| etcd | {each} | {rate} |\n");
    println!("{}", beside(spinner, load, runs.iter().map(|run| run.load)));
}

/// A run with new members, which are ended after it.
fn measure(options: &Etcd, run: usize) -> Result<Found> {
    std::fs::create_dir_all(&options.dir)?;
    let dir = TempDir::new_in(&options.dir)?;
    let members = Members::start(&options.program, dir.path(), options.port)?;
    let leader = members.await_leader(options.bytes)?;
    put_for(options, leader, options.seconds / 10.0)?;
    let (before, started) = (members.cpu_seconds()?, Instant::now());
    let puts = put_for(options, leader, options.seconds)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = members.cpu_seconds()? - before;
    eprintln!("run {}: {puts} puts", run + 1);
    Ok(Found { run, load: os::load()?, puts, seconds, cpu_seconds })
}

/// All clients put until the time is over. How many puts were acknowledged.
fn put_for(options: &Etcd, port: u16, seconds: f64) -> Result<u64> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let threads: Vec<_> = (0..options.clients)
        .map(|client| {
            let bytes = options.bytes;
            std::thread::spawn(move || client::put_until(port, client, bytes, until))
        })
        .collect();
    let joined = threads.into_iter().map(|thread| thread.join().expect("a client panicked"));
    joined.sum()
}

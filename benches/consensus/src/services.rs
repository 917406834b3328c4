//! Three processes of a service over loopback, and puts of many clients over HTTP.

mod etcd;
mod http;
mod members;
mod ombak;

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use crate::cli::Services;
use crate::os::{self, Spinner};
use crate::table::{beside, cell};
use http::Connection;
use members::Members;

/// Whose processes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Etcd,
    Ombak,
}

impl Service {
    pub const ALL: [Service; 2] = [Service::Etcd, Service::Ombak];

    fn name(self) -> &'static str {
        match self {
            Service::Etcd => "etcd",
            Service::Ombak => "ombak, registers",
        }
    }

    /// The ports that clients put to, each in its turn.
    fn await_ready(self, members: &Members, bytes: usize) -> Result<Vec<u16>> {
        match self {
            Service::Etcd => etcd::await_leader(members, bytes).map(|leader| vec![leader]),
            Service::Ombak => ombak::await_seats(members, bytes),
        }
    }

    fn put(self, connection: &mut Connection, client: usize, bytes: usize) -> Result<()> {
        match self {
            Service::Etcd => etcd::put(connection, client, bytes),
            Service::Ombak => ombak::put(connection, client, bytes),
        }
    }
}

/// What one run found.
#[derive(Serialize)]
struct Found {
    service: Service,
    run: usize,
    /// The machine's load after it.
    load: f64,
    puts: u64,
    seconds: f64,
    /// Of the three servers.
    cpu_seconds: f64,
}

pub fn compare(options: &Services) -> Result<()> {
    let (spinner, load) = (!options.common.no_spinner, os::load()?);
    let beside_it = spinner.then(Spinner::start).transpose()?;
    let mut found = Vec::new();
    for run in 0..options.common.runs {
        for service in &options.services {
            found.push(measure(options, *service, run)?);
        }
    }
    drop(beside_it);
    if options.common.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print(options, &found, spinner, load);
    }
    Ok(())
}

fn print(options: &Services, found: &[Found], spinner: bool, load: f64) {
    println!("| | puts per CPU second of the three servers | puts/s |\n|---|---|---|");
    for service in &options.services {
        let runs: Vec<_> = found.iter().filter(|run| run.service == *service).collect();
        let each = cell(&runs, |run| run.puts as f64 / run.cpu_seconds);
        let rate = cell(&runs, |run| run.puts as f64 / run.seconds);
        println!("| {} | {each} | {rate} |", service.name());
    }
    println!("\n{}", beside(spinner, load, found.iter().map(|run| run.load)));
}

/// A run with new members, which are ended after it.
fn measure(options: &Services, service: Service, run: usize) -> Result<Found> {
    std::fs::create_dir_all(&options.dir)?;
    let dir = TempDir::new_in(&options.dir)?;
    let command = |at| match service {
        Service::Etcd => etcd::command(&options.etcd, dir.path(), options.port, at),
        Service::Ombak => ombak::command(&options.ombak, dir.path(), options.port, at),
    };
    let members = Members::start(command, options.port)?;
    let ports = service.await_ready(&members, options.bytes)?;
    put_for(options, service, &ports, options.seconds / 10.0)?;
    let (before, started) = (members.cpu_seconds()?, Instant::now());
    let puts = put_for(options, service, &ports, options.seconds)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = members.cpu_seconds()? - before;
    eprintln!("{}, run {}: {puts} puts", service.name(), run + 1);
    Ok(Found { service, run, load: os::load()?, puts, seconds, cpu_seconds })
}

/// All clients put until the time is over. How many puts were acknowledged.
fn put_for(options: &Services, service: Service, ports: &[u16], seconds: f64) -> Result<u64> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let clients = (0..options.clients).zip(ports.iter().cycle().copied());
    let threads: Vec<_> = clients
        .map(|(client, port)| {
            let bytes = options.bytes;
            std::thread::spawn(move || put_until(service, port, client, bytes, until))
        })
        .collect();
    let joined = threads.into_iter().map(|thread| thread.join().expect("a client panicked"));
    joined.sum()
}

/// Puts one value after the other under a key of the client's own. How many were acknowledged.
fn put_until(
    service: Service,
    port: u16,
    client: usize,
    bytes: usize,
    until: Instant,
) -> Result<u64> {
    let mut connection = Connection::open(port)?;
    let mut puts = 0;
    while Instant::now() < until {
        service.put(&mut connection, client, bytes)?;
        puts += 1;
    }
    Ok(puts)
}

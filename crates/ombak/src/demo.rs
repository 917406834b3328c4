//! `ombak demo`: a whole cluster on this machine, each node a process of its own.
//!
//! ```text
//!   ombak demo ──┬─ ombak start … (dev1)     signals and ends of children arrive as events in one
//!                ├─ ombak start … (dev2)     channel; the main thread alone starts, stops and reaps
//!                └─ ombak start … (dev3)
//! ```
//!
//! All that a node refuses is looked for before the first one starts. The nodes hold the reading end of a pipe from
//! here, so that they stop even when this process is killed.

mod child;
mod cluster;
mod directory;
mod plan;
mod ready;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use crate::config::{BackendName, DEFAULT_LOG, DEFAULT_RING_SIZE, ring_size};
use crate::error::CliError;
use crate::http_client::command;
use crate::output::{print_line, print_table, table};
use crate::signals;

use cluster::{Cluster, Running};
use directory::Root;
use plan::{PlannedNode, check_ports, plan};

const EXAMPLES: &str = "\
Examples:
  ombak demo                             three nodes; their data goes with them
  ombak demo --dir ./demo                their data is there again next time
  ombak demo --nodes 5 --ring-size 128
  ombak demo --pb-port 10017 --http-port 10018     beside a Riak on the default ports

Ports: node k, from 1, listens on 127.0.0.1
  for Protocol Buffers at --pb-port + 10(k-1)         8087, 8097, 8107
  for HTTP             at --http-port + 10(k-1)       8098, 8108, 8118
  for other nodes      one above its HTTP port        8099, 8109, 8119

Each node logs to a file beside its data directory. Kill one (`kill -9 PID`), and the others go on; the line
that reports it says how to start it again.";

/// Over the nodes, when they are ready.
const HEADER: [&str; 5] = ["name", "pid", "protocol buffers", "http", "directory"];

/// Run a cluster on this machine until Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// Keep the data here, for next time [default: a temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The first node's port for Protocol Buffers.
    #[arg(long, value_name = "PORT", default_value_t = 8087, value_parser = clap::value_parser!(u16).range(1..))]
    pb_port: u16,
    /// The first node's port for HTTP; the one above it is for other nodes.
    #[arg(long, value_name = "PORT", default_value_t = 8098, value_parser = clap::value_parser!(u16).range(1..))]
    http_port: u16,
    /// Partitions, a power of two.
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_RING_SIZE)]
    ring_size: u32,
    /// Where the data lives.
    #[arg(long, default_value_t)]
    backend: BackendName,
    /// Each node keeps the last so many MiB of what its shards are given and do, for `ombak record`.
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    record_mib: u32,
    /// What the nodes log: error, warn, info, debug, trace, or by module.
    #[arg(long, value_name = "FILTER", env = "OMBAK_LOG", default_value = DEFAULT_LOG)]
    log: String,
}

/// What can happen to the demo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Ctrl-C, SIGTERM, or the terminal was closed.
    Stop,
    /// The node with this index has ended.
    Ended(usize),
}

/// `ombak demo`.
pub fn run(args: &DemoArgs) -> Result<(), CliError> {
    check_backend(args)?;
    ring_size(args.ring_size)?;
    // Wrong numbers are refused before a directory is made.
    plan(args, Path::new(""))?;
    let root = Root::open(args.dir.as_deref())?;
    let nodes = plan(args, root.path())?;
    check_ports(&nodes)?;
    directory::check(&nodes, args.ring_size)?;
    let (sender, events) = mpsc::channel();
    signals::send_on_stop(sender.clone(), Event::Stop)?;
    let mut cluster = Cluster::start(args, &nodes, sender, events)?;
    let ended = serve(&mut cluster, &nodes[0]);
    cluster.stop();
    ended
}

fn check_backend(args: &DemoArgs) -> Result<(), CliError> {
    match &args.dir {
        Some(dir) if !args.backend.needs_directory() => Err(CliError::usage(format!(
            "--backend memory keeps nothing in --dir {}: leave one of the two out",
            dir.display()
        ))),
        _ => Ok(()),
    }
}

/// From the start of the nodes to the reason to stop them.
fn serve(cluster: &mut Cluster, first: &PlannedNode) -> Result<(), CliError> {
    let spinner = Spinner::start();
    let became = cluster.become_ready(&spinner);
    spinner.finish();
    match became? {
        Running::Ready => {}
        Running::Stopped => return Ok(()),
    }
    show(cluster)?;
    print_line(&ready_line(&first.http.to_string()))?;
    cluster.watch()
}

fn ready_line(http: &str) -> String {
    let words = ["put users alice hello", "get users alice", "status"];
    let commands = words.map(|words| format!("`{}`", command(words, http)));
    format!("ready: try {}; Ctrl-C stops", commands.join(", "))
}

fn show(cluster: &Cluster) -> Result<(), CliError> {
    let mut list = table(&HEADER);
    for (node, pid, directory) in cluster.list() {
        let PlannedNode { name, pb, http, .. } = node;
        list.add_row([name.clone(), pid.to_string(), pb.to_string(), http.to_string(), directory]);
    }
    print_table(&list)
}

/// Says on a terminal that something is going on.
pub struct Spinner(ProgressBar);

impl Spinner {
    fn start() -> Spinner {
        let spinner = match io::stderr().is_terminal() {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        spinner.enable_steady_tick(Duration::from_millis(100));
        Spinner(spinner)
    }

    /// What is being waited for.
    pub fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// A line that stays.
    pub fn note(&self, line: &str) {
        self.0.suspend(|| eprintln!("ombak: {line}"));
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_HTTP;

    const README: &str = include_str!("../../../README.md");

    #[test]
    fn the_readme_shows_what_is_printed() {
        assert!(README.contains(&ready_line(DEFAULT_HTTP)), "{}", ready_line(DEFAULT_HTTP));
        let mut list = table(&HEADER);
        for (number, pid) in [(1, 2001), (2, 2003), (3, 2005)] {
            list.add_row([
                format!("dev{number}@127.0.0.1"),
                pid.to_string(),
                format!("127.0.0.1:{}", 8077 + 10 * number),
                format!("127.0.0.1:{}", 8088 + 10 * number),
                format!("/tmp/ombak-demo-pPWMY1/dev{number}"),
            ]);
        }
        assert!(README.contains(&list.to_string()), "{list}");
    }
}

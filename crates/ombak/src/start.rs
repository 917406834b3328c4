//! `ombak start`: one node, until it is told to stop.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::{process, thread};

use clap::Args;
use ombak_server::{Backend, Node, Options};
use tracing_subscriber::EnvFilter;

use crate::config::{BackendName, DEFAULT_LOG, NodeOptions, Settings, template};
use crate::error::CliError;
use crate::output::print_bytes;
use crate::signals;

/// As a shell reports a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

const EXAMPLES: &str = "\
Examples:
  ombak start --dir ./data                          a node that is alone, on Riak's ports
  ombak start --print-config > node.toml            every option, explained
  ombak start --config node.toml --log debug        the command line wins over the file

Three nodes on one machine, each in a terminal of its own (`ombak demo` does this for you):
  M=n1=127.0.0.1:8099,n2=127.0.0.1:8109,n3=127.0.0.1:8119
  ombak start --dir d1 --name n1 --members $M --pb 127.0.0.1:8087 --http 127.0.0.1:8098 --peer 127.0.0.1:8099
  ombak start --dir d2 --name n2 --members $M --pb 127.0.0.1:8097 --http 127.0.0.1:8108 --peer 127.0.0.1:8109
  ombak start --dir d3 --name n3 --members $M --pb 127.0.0.1:8107 --http 127.0.0.1:8118 --peer 127.0.0.1:8119

Ctrl-C or SIGTERM stops the node cleanly; a second one ends it at once, which loses nothing that was acknowledged
as durable.";

/// Run one node of a cluster.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct StartArgs {
    #[command(flatten)]
    options: NodeOptions,
    /// Read options from a TOML file; those on the command line win.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write a file for --config with every option, and end.
    #[arg(long)]
    print_config: bool,
    /// Stop when standard input is closed: whoever started us is gone.
    #[arg(long, hide = true)]
    stop_when_stdin_closes: bool,
}

/// `ombak start`.
pub fn run(args: StartArgs) -> Result<(), CliError> {
    let file = args.config.as_deref().map(NodeOptions::read).transpose()?;
    let options = args.options.or(file.unwrap_or_default());
    if args.print_config {
        return print_bytes(template(&options).as_bytes());
    }
    log_to_stderr(options.log.as_deref().unwrap_or(DEFAULT_LOG))?;
    let settings = options.settle()?;
    let (sender, stops) = mpsc::channel();
    signals::send_on_stop(sender.clone(), ())?;
    if args.stop_when_stdin_closes {
        send_when_stdin_closes(sender)?;
    }
    allow_open_files();
    let node = Node::start(node_options(settings)).map_err(CliError::failed)?;
    let stopper = node.stopper();
    stop_on(stops, move || stopper.stop())?;
    node.wait().map_err(CliError::failed)
}

fn node_options(settings: Settings) -> Options {
    Options {
        dir: settings.dir,
        name: settings.name,
        members: settings.members,
        cluster: settings.cluster,
        peer_addr: settings.peer,
        pb_addr: settings.pb,
        http_addr: settings.http,
        socket: settings.socket,
        ring_size: settings.ring_size,
        delete_mode: settings.delete_mode,
        backend: match settings.backend {
            BackendName::Log => Backend::Log,
            BackendName::Btree => Backend::Btree,
            BackendName::Memory => Backend::Memory,
        },
        shards: settings.shards,
        record_bytes: settings.record_mib as usize * 1024 * 1024,
        ..Options::default()
    }
}

/// What a node of the default ring may need.
const OPEN_FILES: u64 = 4096;

/// A node has some ten files open for every vnode, and its connections: the usual limit of 1024 is for programs that call
/// select(2).
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let all = Rlimit { current: limit.maximum, ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, all) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
    if let Some(files) = limit.maximum.filter(|files| *files < OPEN_FILES) {
        tracing::warn!(
            files,
            "few files may be open at once: raise the limit (ulimit -n) to {OPEN_FILES}"
        );
    }
}

fn log_to_stderr(filter: &str) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        CliError::usage(format!(
            "--log {filter} is no filter ({error}): try info, or info,ombak_server=debug"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}

/// Calls `stop` at the first message, and ends the process at the second.
fn stop_on(stops: Receiver<()>, stop: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    spawn("ombak-stop", move || {
        if stops.recv().is_ok() {
            stop();
        }
        if stops.recv().is_ok() {
            process::exit(INTERRUPTED);
        }
    })
}

fn send_when_stdin_closes(sender: Sender<()>) -> Result<(), CliError> {
    spawn("ombak-stdin", move || {
        let mut buffer = [0; 256];
        loop {
            match io::stdin().lock().read(&mut buffer) {
                Ok(read) if read > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        // Nobody listens any more: the node is stopping already.
        let _ = sender.send(());
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map(drop)
        .map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))
}

//! Running a command while something of the cluster is held: what `ombak lock` and `ombak lead` have in common.
//!
//! ```text
//!   ombak lock ──┬─ the command, with the token in its environment
//!                └─ a thread that keeps the lease (in `ombak_locks`)
//! ```
//!
//! The command is started through this program once more ([`run_command`]), which asks the kernel to end it when its parent dies and
//! then becomes the command. So a holder that is killed takes its command along.

mod environment;

use std::io::{self, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ombak_locks::{LockError, Session};
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::duration::duration;
use crate::error::CliError;
use crate::nodes::NodesArgs;

/// The lease was lost while the command ran.
const LOST: u8 = 123;
/// Somebody else held it for as long as it was to be waited for.
const NOT_ACQUIRED: u8 = 124;
/// Nothing was run, or nobody knows how it ended.
const FAILED: u8 = 125;
/// The command is there and cannot be run.
const NOT_RUN: u8 = 126;
/// There is no such command.
const NO_COMMAND: u8 = 127;
/// How often the lease is looked at while the command runs.
const LOOK: Duration = Duration::from_millis(50);

/// What is run, and for how long others wait.
#[derive(Args, Debug)]
pub struct HoldingArgs {
    /// Wait no longer than that, such as 10s; 0: do not wait [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Others get it so long after this program was last heard of.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    lease: Duration,
    /// From SIGTERM to SIGKILL, when the lease is lost.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    kill_after: Duration,
    /// Exit with this when somebody else held it.
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = NOT_ACQUIRED)]
    conflict_exit_code: u8,
    #[command(flatten)]
    nodes: NodesArgs,
    /// The command and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What a holder starts, and what becomes the command.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Whose end is the command's end.
    parent: i32,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// What happens while the command runs.
enum Event {
    Signal(i32),
    Ended(io::Result<ExitStatus>),
}

impl HoldingArgs {
    /// A session of this program.
    pub fn open(&self) -> Result<Session, CliError> {
        let about = environment::about(&self.command[0]);
        let nodes = self.nodes.nodes().map_err(failed)?;
        Session::open(nodes, &about, self.lease).map_err(failed)
    }

    /// It was not to be had; `who` says by whose fault, if it is somebody's.
    pub fn refused(&self, who: &str, error: LockError) -> CliError {
        match error {
            LockError::NotGranted(_) => CliError::Coded(self.conflict_exit_code, who.into()),
            error => failed(error),
        }
    }

    /// Runs the command while `name` is held, then lets go of it.
    pub fn run(
        &self,
        session: Session,
        name: &str,
        token: u64,
        let_go: impl FnOnce() -> Result<(), LockError>,
    ) -> Result<(), CliError> {
        let (child, events) = self.start(&session, name, token)?;
        let ended = self.watch(&session, name, child, &events);
        if session.is_over() {
            let lost = format!(
                "the lease on {name} was lost while the command ran: what it did then may have met what another holder did"
            );
            return Err(CliError::Coded(LOST, lost));
        }
        // The command is over: told or not, nobody is hurt, and the lease ends on its own.
        let _ = let_go();
        drop(session);
        let ended = ended.map_err(|error| CliError::Coded(FAILED, format!("waiting: {error}")))?;
        match code_of(ended) {
            0 => Ok(()),
            code => Err(CliError::Ended(code)),
        }
    }

    /// Starts the command; signals and its end arrive as events.
    fn start(
        &self,
        session: &Session,
        name: &str,
        token: u64,
    ) -> Result<(Pid, Receiver<Event>), CliError> {
        let cannot = |error: io::Error| CliError::Coded(FAILED, format!("cannot start: {error}"));
        let (sender, events) = mpsc::channel();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(cannot)?;
        let child = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg("lock-run")
            .arg(getpid().as_raw_nonzero().to_string())
            .arg("--")
            .args(&self.command)
            .env("OMBAK_LOCK_NAME", name)
            .env("OMBAK_LOCK_TOKEN", token.to_string())
            .env("OMBAK_LOCK_DEADLINE", environment::deadline(session.good_until()))
            .spawn()
            .map_err(cannot)?;
        let pid = Pid::from_child(&child);
        let ended = sender.clone();
        spawn("ombak-wait", move || wait(child, &ended))?;
        spawn("ombak-signals", move || {
            for signal in signals.forever() {
                if sender.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok((pid, events))
    }

    /// Passes signals on to the command, ends it when the lease is lost, and waits for its end.
    fn watch(
        &self,
        session: &Session,
        name: &str,
        pid: Pid,
        events: &Receiver<Event>,
    ) -> io::Result<ExitStatus> {
        let mut kill_at = None;
        loop {
            match events.recv_timeout(LOOK) {
                Ok(Event::Ended(ended)) => return ended,
                // A terminal sends it to the command as well.
                Ok(Event::Signal(SIGINT)) if io::stdin().is_terminal() => {}
                Ok(Event::Signal(signal)) => send(pid, Signal::from_named_raw(signal)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("nobody waits for the command any more"));
                }
            }
            match kill_at {
                None if session.is_over() => {
                    eprintln!("ombak: the lease on {name} is lost: ending the command");
                    send(pid, Some(Signal::TERM));
                    kill_at = Some(Instant::now() + self.kill_after);
                }
                Some(at) if Instant::now() >= at => send(pid, Some(Signal::KILL)),
                _ => {}
            }
        }
    }
}

/// What to do about it, for people.
pub fn advice(error: &LockError) -> &'static str {
    match error {
        LockError::Unreachable(_) => {
            ": start a cluster with `ombak demo`, or name nodes with --node HOST:PORT,HOST:PORT"
        }
        _ => "",
    }
}

fn failed(error: LockError) -> CliError {
    CliError::Coded(FAILED, format!("{error}{}", advice(&error)))
}

fn wait(mut child: Child, events: &mpsc::Sender<Event>) {
    // Nobody listens any more when the process ends.
    let _ = events.send(Event::Ended(child.wait()));
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let started = thread::Builder::new().name(name.into()).spawn(body);
    started.map(drop).map_err(|error| CliError::Coded(FAILED, format!("a thread: {error}")))
}

fn send(pid: Pid, signal: Option<Signal>) {
    if let Some(signal) = signal {
        // It may have ended; its end is on its way then.
        let _ = kill_process(pid, signal);
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}

/// Becomes the command, which is to end with its parent.
pub fn run_command(args: &RunArgs) -> Result<(), CliError> {
    let failed = |error: rustix::io::Errno| CliError::Coded(FAILED, format!("prctl: {error}"));
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(failed)?;
    // It may have died before that was said.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != args.parent) {
        return Err(CliError::Coded(FAILED, "whoever holds the lock is gone".into()));
    }
    let error = Command::new(&args.command[0]).args(&args.command[1..]).exec();
    let code = match error.kind() {
        io::ErrorKind::NotFound => NO_COMMAND,
        _ => NOT_RUN,
    };
    Err(CliError::Coded(code, format!("cannot run {}: {error}", args.command[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_ends_us_as_it_ended() {
        assert_eq!(code_of(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code_of(ExitStatus::from_raw(9)), 137);
    }
}

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
mod family;

use std::io::{self, IsTerminal};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::resume_unwind;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ombak_locks::{LockError, Session};
use rustix::io::Errno;
use rustix::process::{self, Pid, Signal, WaitOptions, getpid, getppid, kill_process};
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
/// What the command has started is waited for so long after SIGKILL.
const LAST: Duration = Duration::from_secs(1);

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

/// Who waits for something, then holds it while the command runs.
pub struct Holder<'a> {
    args: &'a HoldingArgs,
    session: Session,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

/// What happens meanwhile.
enum Event {
    Signal(i32),
    /// Nothing is waited for any more.
    Answered,
    Ended(io::Result<ExitStatus>),
}

/// Says so when the thread that waited ends, however it ends.
struct Answered(Sender<Event>);

impl Drop for Answered {
    fn drop(&mut self) {
        // Whoever listens is there until it has heard this.
        let _ = self.0.send(Event::Answered);
    }
}

impl HoldingArgs {
    /// A session of this program. From now on signals do not end it.
    pub fn open(&self) -> Result<Holder<'_>, CliError> {
        let about = environment::about(&self.command[0]);
        let nodes = self.nodes.nodes().map_err(failed)?;
        let session = Session::open(nodes, &about, self.lease).map_err(failed)?;
        let (sender, events) = mpsc::channel();
        let cannot = |error| CliError::Coded(FAILED, format!("cannot listen to signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(cannot)?;
        let heard = sender.clone();
        spawn("ombak-signals", move || {
            for signal in signals.forever() {
                if heard.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Holder { args: self, session, sender, events })
    }
}

impl Holder<'_> {
    /// Waits for it, on a thread of its own; a signal takes that back, and ends this program. `who` says by whose fault it was not to
    /// be had, if it is somebody's.
    pub fn acquire<L: Send>(
        &self,
        who: &str,
        lock: impl FnOnce(&Session) -> Result<L, LockError> + Send,
    ) -> Result<L, CliError> {
        let (session, answered) = (&self.session, Answered(self.sender.clone()));
        let answer = move || {
            let _answered = answered;
            lock(session)
        };
        let (answer, signal) = thread::scope(|scope| {
            let thread = thread::Builder::new().name("ombak-wait".into());
            let thread = thread.spawn_scoped(scope, answer).map_err(no_thread)?;
            let signal = self.watch_waiting();
            let answer = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok((answer, signal))
        })?;
        match (answer, signal) {
            // Granted or not: nothing was run, and what was granted is given back where this is dropped.
            (_, Some(signal)) => Err(CliError::Ended(signalled(signal))),
            (Err(LockError::NotGranted(_)), None) => {
                Err(CliError::Coded(self.args.conflict_exit_code, who.into()))
            }
            (answer, None) => answer.map_err(failed),
        }
    }

    /// Takes back what waits when a signal comes, until there is an answer. Gives the signal.
    fn watch_waiting(&self) -> Option<i32> {
        let Ok(Event::Signal(signal)) = self.events.recv() else { return None };
        loop {
            // It may not have begun to wait. If there is nobody to tell, its place in the queue goes with its lease.
            if let Err(LockError::Unreachable(_)) = self.session.cancel() {
                std::process::exit(signalled(signal).into());
            }
            match self.events.recv_timeout(LOOK) {
                Ok(Event::Answered) => return Some(signal),
                // Who says so twice does not want to wait until a node is told: there may be none.
                Ok(Event::Signal(_)) => std::process::exit(signalled(signal).into()),
                Ok(Event::Ended(_)) | Err(_) => {}
            }
        }
    }

    /// Runs the command while `name` is held, then lets go of it.
    pub fn run(
        self,
        name: &str,
        token: u64,
        let_go: impl FnOnce() -> Result<(), LockError>,
    ) -> Result<(), CliError> {
        let child = self.start(name, token)?;
        let ended = self.watch(name, child);
        if self.session.is_over() {
            let lost = format!(
                "the lease on {name} was lost while the command ran: what it did then may have met what another holder did"
            );
            return Err(CliError::Coded(LOST, lost));
        }
        // The command is over: told or not, nobody is hurt, and the lease ends on its own.
        let _ = let_go();
        drop(self.session);
        let ended = ended.map_err(|error| CliError::Coded(FAILED, format!("waiting: {error}")))?;
        match code_of(ended) {
            0 => Ok(()),
            code => Err(CliError::Ended(code)),
        }
    }

    /// Starts the command; its end arrives as an event.
    fn start(&self, name: &str, token: u64) -> Result<Pid, CliError> {
        let cannot = |error: io::Error| CliError::Coded(FAILED, format!("cannot start: {error}"));
        family::keep_together().map_err(cannot)?;
        let child = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg("lock-run")
            .arg(getpid().as_raw_nonzero().to_string())
            .arg("--")
            .args(&self.args.command)
            .env("OMBAK_LOCK_NAME", name)
            .env("OMBAK_LOCK_TOKEN", token.to_string())
            .env("OMBAK_LOCK_DEADLINE", environment::deadline(self.session.good_until()))
            .spawn()
            .map_err(cannot)?;
        let pid = Pid::from_child(&child);
        let ended = self.sender.clone();
        spawn("ombak-wait", move || wait(pid, &ended))?;
        Ok(pid)
    }

    /// Passes signals on to the command, and waits for its end. If the lease is lost, ends it and all that it has started, and waits for
    /// theirs.
    fn watch(&self, name: &str, pid: Pid) -> io::Result<ExitStatus> {
        let (mut ended, mut kill_at) = (None, None);
        loop {
            match self.events.recv_timeout(LOOK) {
                Ok(Event::Ended(how)) => ended = ended.or(Some(how)),
                // A terminal sends it to the command as well.
                Ok(Event::Signal(SIGINT)) if io::stdin().is_terminal() => {}
                Ok(Event::Signal(signal)) if ended.is_none() => {
                    send(pid, Signal::from_named_raw(signal));
                }
                Ok(Event::Signal(_) | Event::Answered) | Err(_) => {}
            }
            match kill_at {
                None if self.session.is_over() => {
                    eprintln!("ombak: the lease on {name} is lost: ending the command");
                    family::signal(Signal::TERM);
                    kill_at = Some(Instant::now() + self.args.kill_after);
                }
                Some(at) if Instant::now() >= at => family::signal(Signal::KILL),
                _ => {}
            }
            // Another user's, or one that waits for a broken disk, may be left.
            let is_patient = kill_at.is_some_and(|at| Instant::now() < at + LAST);
            let goes_on = is_patient && !family::descendants().is_empty();
            if let Some(ended) = ended.take_if(|_| !goes_on) {
                return ended;
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

/// Tells of the command's end, and lays to rest whatever else has become this program's child.
fn wait(command: Pid, events: &Sender<Event>) {
    loop {
        let ended = match process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => Ok(ExitStatus::from_raw(status.as_raw())),
            Ok(_) | Err(Errno::INTR) => continue,
            Err(error) => Err(error.into()),
        };
        let is_last = ended.is_err();
        // Nobody listens any more when the process ends.
        if events.send(Event::Ended(ended)).is_err() || is_last {
            return;
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    thread::Builder::new().name(name.into()).spawn(body).map(drop).map_err(no_thread)
}

fn no_thread(error: io::Error) -> CliError {
    CliError::Coded(FAILED, format!("a thread: {error}"))
}

fn send(pid: Pid, signal: Option<Signal>) {
    if let Some(signal) = signal {
        // It may have ended; its end is on its way then.
        let _ = kill_process(pid, signal);
    }
}

fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (None, Some(signal)) => signalled(signal),
        (code, _) => code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED),
    }
}

/// As shells have it.
fn signalled(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(FAILED)
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

//! The real binary as a child: its lines with deadlines, its end with a deadline, signals by pid.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The `ombak` that is tested.
pub fn ombak() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ombak"));
    command.env_remove("OMBAK_LOG");
    command
}

/// Held while a child starts: until it has become its program, it holds every socket that is open here.
pub static FORKS: Mutex<()> = Mutex::new(());

/// Starts a child, not while another test tries ports. Nothing else here may start one.
pub fn spawn(command: &mut Command) -> Child {
    try_spawn(command).unwrap()
}

fn try_spawn(command: &mut Command) -> io::Result<Child> {
    let _alone = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Runs a child to its end; whether there is such a program, and it ended well.
pub fn succeeds(command: &mut Command) -> bool {
    let ended = try_spawn(command).and_then(|mut child| child.wait());
    ended.is_ok_and(|status| status.success())
}

/// Which of its outputs a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    Out,
    Err,
}

/// A running child. Dropping it kills it: by its pid, since it is not reaped before.
pub struct Process {
    child: Child,
    lines: Receiver<(Output, String)>,
    seen: Vec<(Output, String)>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it with all its outputs read, so that it never waits for us.
    pub fn start(command: &mut Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command);
        let (sender, lines) = mpsc::channel();
        let read = |output, pipe: Box<dyn Read + Send>| {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    // A test that has ended listens no more.
                    let _ = sender.send((output, line));
                }
            });
        };
        read(Output::Out, Box::new(child.stdout.take().unwrap()));
        read(Output::Err, Box::new(child.stderr.take().unwrap()));
        Process { child, lines, seen: Vec::new(), ended: None }
    }

    /// `ombak` with these arguments.
    pub fn ombak<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Process {
        Process::start(ombak().args(arguments).stdin(Stdio::null()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that fits.
    pub fn wait_line(&mut self, what: &str, fits: impl Fn(Output, &str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((output, line)) => {
                    self.seen.push((output, line.clone()));
                    if fits(output, &line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in time: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {what}: {:#?}", self.seen)
                }
            }
        }
    }

    /// Waits until a line comes or `at_most` is over: the pace of whoever polls this process.
    pub fn pace(&mut self, at_most: Duration) {
        match self.lines.recv_timeout(at_most) {
            Ok(line) => self.seen.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("ended: {:#?}", self.seen),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "it has ended");
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until both its outputs are closed, which is when it (and whatever it left behind) has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("still running: {:#?}", self.seen),
            }
        }
        let status = self.child.wait().unwrap();
        self.ended = Some(status);
        status
    }

    /// SIGKILL, and reaps it.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::KILL);
            self.ended = Some(self.child.wait().unwrap());
        }
    }

    /// Asks it to end, if it has not, and waits: for those that clean up behind themselves.
    pub fn end(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::TERM);
            self.ended = self.child.wait().ok();
        }
    }

    /// What it said so far.
    pub fn text(&self, from: Output) -> String {
        let lines = self.seen.iter().filter(|(output, _)| *output == from);
        lines.map(|(_, line)| format!("{line}\n")).collect()
    }

    /// Both its outputs, for messages.
    pub fn all_text(&self) -> String {
        self.seen.iter().map(|(output, line)| format!("{output:?}: {line}\n")).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What a command that ends by itself came to.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `ombak` to its end.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    run_in(Path::new("."), arguments)
}

/// The same, in this folder.
pub fn run_in<S: AsRef<OsStr>>(dir: &Path, arguments: impl IntoIterator<Item = S>) -> Finished {
    let mut command = ombak();
    let mut process = Process::start(command.args(arguments).current_dir(dir).stdin(Stdio::null()));
    let status = process.wait();
    Finished { code: status.code(), out: process.text(Output::Out), err: process.text(Output::Err) }
}

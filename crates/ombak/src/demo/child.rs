//! One node of the demo as a child process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::error::CliError;

use super::plan::PlannedNode;
use super::{DemoArgs, Event};

/// Of a log, the last line is looked for in so many bytes at its end.
const LOG_TAIL_BYTES: u64 = 8 * 1024;

/// A node that was started.
pub struct NodeProcess {
    /// What it was started with.
    pub node: PlannedNode,
    /// Its standard input is held open by `child`: when this process dies, however it dies, the node sees the end of
    /// it and stops.
    child: Child,
    pid: Pid,
    /// How it ended. While it is `None` the process is not reaped, and so its pid is nobody else's.
    ended: Option<ExitStatus>,
}

impl NodeProcess {
    /// Starts the node; `Event::Ended(index)` says when it has ended.
    pub fn start(
        index: usize,
        node: &PlannedNode,
        arguments: &[String],
        events: Sender<Event>,
    ) -> Result<NodeProcess, CliError> {
        let cannot = |error: io::Error| {
            CliError::failed(format!(
                "cannot start {} ({error}): see {}",
                node.name,
                node.log.display()
            ))
        };
        let log = OpenOptions::new().create(true).append(true).open(&node.log).map_err(cannot)?;
        let child = Command::new(std::env::current_exe().map_err(cannot)?)
            .args(arguments)
            .arg("--stop-when-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            // Ctrl-C reaches us alone, and we stop the nodes.
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        let pid = Pid::from_child(&child);
        let process = NodeProcess { node: node.clone(), child, pid, ended: None };
        tell_when_ended(pid, index, events).map_err(cannot)?;
        Ok(process)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.ended
    }

    /// Takes note of its end, which `Event::Ended` has announced.
    pub fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it at once.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // It is ours and not reaped: the signal reaches it, or it has just ended.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// The last line that it logged.
    pub fn last_words(&self) -> String {
        last_line(&self.node.log).unwrap_or_default()
    }
}

impl Drop for NodeProcess {
    /// Only after an error is a node still running here.
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits for the end of a process without reaping it.
fn tell_when_ended(pid: Pid, index: usize, events: Sender<Event>) -> io::Result<()> {
    let wait = move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        // Nobody listens any more: we are ending too.
        let _ = events.send(Event::Ended(index));
    };
    thread::Builder::new().name(format!("ombak-wait-{}", index + 1)).spawn(wait).map(drop)
}

fn last_line(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    Ok(tail
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
        .to_string())
}

/// The command line of one node, without what only the demo adds.
pub fn arguments(args: &DemoArgs, nodes: &[PlannedNode], node: &PlannedNode) -> Vec<String> {
    let members: Vec<String> =
        nodes.iter().map(|node| format!("{}={}", node.name, node.peer)).collect();
    let shards = (crate::config::cores() / nodes.len()).max(1);
    let mut line: Vec<String> = vec!["start".into()];
    let mut option = |name: &str, value: String| line.extend([format!("--{name}"), value]);
    if args.backend.needs_directory() {
        option("dir", node.dir.display().to_string());
    }
    option("name", node.name.clone());
    option("pb", node.pb.to_string());
    option("http", node.http.to_string());
    option("peer", node.peer.to_string());
    option("members", members.join(","));
    option("ring-size", args.ring_size.to_string());
    option("backend", args.backend.to_string());
    option("shards", shards.to_string());
    if args.record_mib > 0 {
        option("record-mib", args.record_mib.to_string());
    }
    option("log", args.log.clone());
    line
}

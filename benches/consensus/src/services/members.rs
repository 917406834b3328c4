//! Three processes of etcd, which end with this one.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::Connection;
use crate::os;

const MEMBERS: u16 = 3;
const START: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

pub struct Members {
    processes: Vec<Child>,
    first_port: u16,
}

impl Members {
    /// Clients' ports are the first three, members' the next.
    pub fn start(program: &Path, dir: &Path, first_port: u16) -> Result<Members> {
        let mut members = Members { processes: Vec::new(), first_port };
        for at in 0..MEMBERS {
            let process = command(program, dir, first_port, at).spawn()?;
            members.processes.push(process);
        }
        Ok(members)
    }

    /// Waits until something can be put. The port of whoever leads.
    pub fn await_leader(&self, bytes: usize) -> Result<u16> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            let mut ports = self.first_port..self.first_port + MEMBERS;
            let leader = ports.find(|port| leads(*port, bytes).unwrap_or(false));
            if let Some(leader) = leader {
                return Ok(leader);
            }
            thread::sleep(LOOK);
        }
        bail!("nobody leads after {START:?}")
    }

    pub fn cpu_seconds(&self) -> Result<f64> {
        self.processes.iter().map(|process| os::cpu_seconds_of(process.id())).sum()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for process in &mut self.processes {
            if let Err(error) = process.kill().and_then(|()| process.wait().map(drop)) {
                eprintln!("a member did not end: {error}");
            }
        }
    }
}

fn command(program: &Path, dir: &Path, first_port: u16, at: u16) -> Command {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let peer = |at: u16| url(first_port + MEMBERS + at);
    let cluster = (0..MEMBERS).map(|at| format!("node-{at}={}", peer(at))).collect::<Vec<_>>();
    let client = url(first_port + at);
    let mut command = Command::new(program);
    command.args(["--name", &format!("node-{at}"), "--logger", "zap", "--log-level", "error"]);
    command.arg("--data-dir").arg(dir.join(format!("node-{at}")));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer(at), "--initial-advertise-peer-urls", &peer(at)]);
    command.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether it takes a put, and says of itself that it leads.
fn leads(port: u16, bytes: usize) -> Result<bool> {
    let mut connection = Connection::open(port)?;
    connection.put(0, bytes)?;
    connection.leads()
}

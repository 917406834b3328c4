//! Three processes, which end with this one.

use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::os;

pub const MEMBERS: u16 = 3;
const START: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

pub struct Members {
    processes: Vec<Child>,
    first_port: u16,
}

impl Members {
    /// Clients' ports are the first three.
    pub fn start(command: impl Fn(u16) -> Command, first_port: u16) -> Result<Members> {
        let mut members = Members { processes: Vec::new(), first_port };
        for at in 0..MEMBERS {
            let mut command = command(at);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            members.processes.push(command.spawn()?);
        }
        Ok(members)
    }

    /// Where clients put, each member's.
    pub fn ports(&self) -> Range<u16> {
        self.first_port..self.first_port + MEMBERS
    }

    /// Waits until something is found.
    pub fn await_some<T>(&self, look: impl Fn() -> Option<T>) -> Result<T> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(found) = look() {
                return Ok(found);
            }
            thread::sleep(LOOK);
        }
        bail!("nothing can be put after {START:?}")
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

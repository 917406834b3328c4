//! `ombak demo` with ports of its own.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use super::ports::Ports;
use super::process::{Output, Process};

pub struct Demo {
    // Dropped in this order.
    pub process: Process,
    pub ports: Ports,
}

/// The options that move a demo to these ports: node k has PB at 10k, HTTP at 10k + 1.
pub fn port_options(ports: &Ports) -> Vec<String> {
    let option = |name: &str, port: u16| [format!("--{name}"), port.to_string()];
    [option("pb-port", ports.port(10)), option("http-port", ports.port(11))].concat()
}

impl Demo {
    /// Starts a demo and waits until it is ready.
    pub fn start(more: &[&str]) -> Demo {
        let ports = Ports::take();
        let mut arguments = vec!["demo".to_string(), "--ring-size".into(), "16".into()];
        arguments.extend(port_options(&ports));
        arguments.extend(more.iter().map(|text| text.to_string()));
        let mut process = Process::ombak(arguments);
        process.wait_line("line that begins with `ready`", |output, line| {
            output == Output::Out && line.starts_with("ready")
        });
        Demo { process, ports }
    }

    /// Starts a demo whose data stays in `dir`.
    pub fn in_dir(dir: &Path) -> Demo {
        Demo::start(&["--dir", &dir.display().to_string()])
    }

    pub fn pb(&self, node: u16) -> SocketAddr {
        self.ports.address(10 * (node + 1))
    }

    pub fn http(&self, node: u16) -> SocketAddr {
        self.ports.address(10 * (node + 1) + 1)
    }

    /// The pid of a node, from the table.
    pub fn pid(&self, node: u16) -> i32 {
        let name = format!("dev{}@127.0.0.1", node + 1);
        let table = self.process.text(Output::Out);
        let row = table.lines().find(|line| line.contains(&name)).unwrap();
        let numbers = row.split(|c: char| !c.is_ascii_digit() && !".:@/".contains(c));
        let mut numbers = numbers.filter_map(|word| word.parse().ok());
        numbers.next().unwrap_or_else(|| panic!("no pid in {row}"))
    }

    /// Where the nodes' directories are, from the table.
    pub fn directory(&self) -> String {
        let table = self.process.text(Output::Out);
        let row = table.lines().find(|line| line.contains("dev1@")).unwrap();
        let path = row.split_whitespace().find(|word| word.starts_with('/')).unwrap();
        path.strip_suffix("/dev1").unwrap().to_string()
    }

    /// Runs a command that talks to a node.
    pub fn run(&self, node: u16, arguments: &[&str]) -> super::process::Finished {
        let address = self.http(node).to_string();
        super::process::run([arguments, &["--node", &address]].concat())
    }
}

impl Drop for Demo {
    /// It stops its nodes and removes its directory.
    fn drop(&mut self) {
        self.process.end();
    }
}

/// Whether there is no process with this id.
pub fn is_gone(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_err()
}

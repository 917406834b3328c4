//! Machines of a network, as network namespaces: needs root, and says so without it.
//!
//! ```text
//!   namespace h0          h1              h2
//!   10.77.0.1 ─┐   10.77.0.2 ─┐   10.77.0.3 ─┐
//!              └──── bridge, in a namespace of its own
//! ```

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{PATIENCE, Process, succeeds};

const PACE: Duration = Duration::from_millis(20);

pub struct Hosts {
    /// Dropped first: what runs in the namespaces.
    nodes: Vec<Process>,
    prefix: String,
    _dir: TempDir,
}

impl Hosts {
    /// A node on each of so many machines, all of one cluster. `None`: this is not root.
    pub fn start(count: usize) -> Option<Hosts> {
        let prefix = format!("ombak-{}", std::process::id());
        if !ip(&["netns", "add", &format!("{prefix}-lan")]) {
            super::skipped("network namespaces need root and ip(8)");
            return None;
        }
        let mut hosts = Hosts { nodes: Vec::new(), prefix, _dir: tempfile::tempdir().unwrap() };
        hosts.lan(count);
        hosts.nodes = (0..count).map(|host| hosts.node(host, count)).collect();
        (0..count).for_each(|host| hosts.wait_serving(host));
        Some(hosts)
    }

    fn lan(&self, count: usize) {
        let lan = format!("{}-lan", self.prefix);
        must(&["-n", &lan, "link", "add", "lan", "type", "bridge"]);
        must(&["-n", &lan, "link", "set", "lan", "up"]);
        for host in 0..count {
            let (name, port) = (self.name(host), format!("port{host}"));
            must(&["netns", "add", &name]);
            must(&[
                "-n", &lan, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns",
                &name,
            ]);
            must(&["-n", &lan, "link", "set", &port, "master", "lan", "up"]);
            let address = format!("{}/24", address(host));
            must(&["-n", &name, "addr", "add", &address, "dev", "eth0"]);
            must(&["-n", &name, "link", "set", "eth0", "up"]);
            must(&["-n", &name, "link", "set", "lo", "up"]);
        }
    }

    fn name(&self, host: usize) -> String {
        format!("{}-h{host}", self.prefix)
    }

    /// A program on a machine.
    fn on(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host), program]);
        command
    }

    /// `ombak` on a machine.
    pub fn ombak_on(&self, host: usize) -> Command {
        self.on(host, env!("CARGO_BIN_EXE_ombak"))
    }

    fn node(&self, host: usize, count: usize) -> Process {
        let member = |host: usize| format!("h{host}={}:8099", address(host));
        let members: Vec<String> = (0..count).map(member).collect();
        let mut command = self.ombak_on(host);
        command.args(["start", "--insecure", "--backend", "memory", "--ring-size", "16"]);
        command.args(["--shards", "1", "--name", &format!("h{host}")]);
        command.args(["--members", &members.join(",")]);
        for (option, port) in [("--pb", 8087), ("--http", 8098), ("--peer", 8099)] {
            command.args([option, &format!("{}:{port}", address(host))]);
        }
        Process::start(command.stdin(Stdio::null()))
    }

    /// Waits until a node can lock.
    fn wait_serving(&mut self, host: usize) {
        let deadline = Instant::now() + PATIENCE;
        let node = &self.http_addresses()[host];
        loop {
            let mut locks = self.ombak_on(host);
            locks.args(["locks", "--node", node]).stdout(Stdio::null()).stderr(Stdio::null());
            if succeeds(&mut locks) {
                return;
            }
            let process = &mut self.nodes[host];
            assert!(Instant::now() < deadline, "h{host} locks nothing: {}", process.all_text());
            process.pace(PACE);
        }
    }

    pub fn http_addresses(&self) -> Vec<String> {
        (0..self.count()).map(|host| format!("{}:8098", address(host))).collect()
    }

    fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Pulls a machine's cable out of the switch.
    pub fn cut_off(&mut self, host: usize) {
        self.set_port(host, "down");
    }

    /// And in again.
    pub fn connect(&mut self, host: usize) {
        self.set_port(host, "up");
    }

    fn set_port(&self, host: usize, state: &str) {
        let (lan, port) = (format!("{}-lan", self.prefix), format!("port{host}"));
        must(&["-n", &lan, "link", "set", &port, state]);
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.nodes.clear();
        for host in 0..16 {
            ip(&["netns", "del", &self.name(host)]);
        }
        ip(&["netns", "del", &format!("{}-lan", self.prefix)]);
    }
}

fn address(host: usize) -> String {
    format!("10.77.0.{}", host + 1)
}

fn ip(arguments: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    succeeds(&mut command)
}

fn must(arguments: &[&str]) {
    assert!(ip(arguments), "ip {}", arguments.join(" "));
}

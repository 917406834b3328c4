//! `--floor`: what the machine's loopback can do with the same messages.
//!
//! Three processes, like three nodes, pass on what a put with n_val=3 and w=2 (or a get with r=2) sends: client →
//! coordinator → two replicas → back. The messages are as long and the connections as many, with as much under way on
//! each. There is no storage, and no protocol but a length. One thread waits on all sockets (epoll) and writes each
//! connection once a turn, as the runtime does. No server of this kind can use less CPU time an operation on this
//! machine, so the ratio says how much of what Ombak uses is its own.
//!
//! The floor is measured in turns with the servers, a part of the window at a time, so that both have the same weather.

mod client;
mod legs;
mod node;
mod pipe;

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::options::BenchArgs;
use super::procstat;
use client::FloorClient;
pub use node::FloorNodeArgs;
pub(super) use node::run as run_node;

/// Nodes of the floor.
const NODES: usize = 3;
/// Other nodes, for each.
const PEERS: usize = NODES - 1;

/// What was measured of the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct FloorReport {
    /// Seconds, of all its turns.
    pub seconds: f64,
    /// Operations in them.
    pub operations: u64,
    /// CPU seconds of its three nodes.
    pub node_cpu_seconds: f64,
    /// CPU seconds of its client.
    pub client_cpu_seconds: f64,
    /// What a second of CPU time of all four is worth.
    pub operations_per_cpu_second: f64,
    /// What a second of the nodes' CPU time is worth.
    pub operations_per_node_cpu_second: f64,
    /// The servers' operations per CPU second, this program counted too, divided by the floor's; needs --pid.
    pub ratio: Option<f64>,
    /// The same for the servers and the floor's nodes alone.
    pub server_ratio: Option<f64>,
}

impl FloorReport {
    /// With the servers' operations per CPU second beside it: this program counted too, and without it.
    pub(super) fn beside(self, all: Option<f64>, servers: Option<f64>) -> FloorReport {
        let ratio =
            |ours: Option<f64>, floor: f64| ours.filter(|_| floor > 0.0).map(|it| it / floor);
        FloorReport {
            ratio: ratio(all, self.operations_per_cpu_second),
            server_ratio: ratio(servers, self.operations_per_node_cpu_second),
            ..self
        }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{:.0} operations per CPU second of all its processes, {:.0} of its nodes alone",
            self.operations_per_cpu_second, self.operations_per_node_cpu_second
        );
        if let (Some(all), Some(servers)) = (self.ratio, self.server_ratio) {
            let percent = [all, servers].map(|ratio| 100.0 * ratio);
            text +=
                &format!("; the servers have {:.0} % and {:.0} % of that", percent[0], percent[1]);
        }
        text
    }
}

/// The floor's processes and its client. They end when this is dropped.
pub(super) struct Floor {
    nodes: Vec<Node>,
    client: FloorClient,
    report: FloorReport,
}

impl Floor {
    /// Starts three processes of this program.
    pub(super) fn start(args: &BenchArgs) -> io::Result<Floor> {
        let spawn = |_| Node::spawn(args.value_bytes);
        let mut nodes = (0..NODES).map(spawn).collect::<io::Result<Vec<_>>>()?;
        let ports = nodes.iter_mut().map(Node::ports).collect::<io::Result<Vec<_>>>()?;
        let peers: Vec<String> = ports.iter().map(|(peer, _)| peer.to_string()).collect();
        for (at, node) in nodes.iter_mut().enumerate() {
            node.say(&peers[..at].join(" "))?;
        }
        for node in &mut nodes {
            node.hear()?;
        }
        let clients: Vec<u16> = ports.iter().map(|(_, client)| *client).collect();
        let requests = legs::requests(args);
        let client = FloorClient::connect(&clients, args.connections, args.depth, requests)?;
        Ok(Floor { nodes, client, report: FloorReport::default() })
    }

    /// Runs for so long without counting.
    pub(super) fn warm_up(&mut self, length: Duration) -> io::Result<()> {
        self.client.run(length)
    }

    /// Measures for so long.
    pub(super) fn measure(&mut self, length: Duration) -> io::Result<()> {
        let (nodes, own) = (self.node_cpu_seconds()?, procstat::thread_cpu_seconds()?);
        let (answered, start) = (self.client.answered, Instant::now());
        self.client.run(length)?;
        let report = &mut self.report;
        report.seconds += start.elapsed().as_secs_f64();
        report.operations += self.client.answered - answered;
        report.client_cpu_seconds += procstat::thread_cpu_seconds()? - own;
        self.report.node_cpu_seconds += self.node_cpu_seconds()? - nodes;
        Ok(())
    }

    /// All that was measured.
    pub(super) fn report(&self) -> FloorReport {
        let mut report = self.report;
        let worth = |cpu: f64| if cpu > 0.0 { report.operations as f64 / cpu } else { 0.0 };
        let (all, nodes) = (
            worth(report.node_cpu_seconds + report.client_cpu_seconds),
            worth(report.node_cpu_seconds),
        );
        (report.operations_per_cpu_second, report.operations_per_node_cpu_second) = (all, nodes);
        report
    }

    fn node_cpu_seconds(&self) -> io::Result<f64> {
        let of = |node: &Node| Ok(procstat::usage(node.child.id())?.cpu_seconds);
        self.nodes.iter().map(of).sum()
    }
}

/// A process.
struct Node {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Node {
    fn spawn(value_bytes: usize) -> io::Result<Node> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "floor-node", "--value-bytes", &value_bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        match child.stdout.take() {
            Some(stdout) => Ok(Node { child, said: BufReader::new(stdout) }),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Where it listens for other nodes, and for clients.
    fn ports(&mut self) -> io::Result<(u16, u16)> {
        let line = self.hear()?;
        let mut ports = line.split_whitespace().map(str::parse);
        match (ports.next(), ports.next()) {
            (Some(Ok(peer)), Some(Ok(client))) => Ok((peer, client)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no ports")),
        }
    }

    fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.said.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        match &mut self.child.stdin {
            Some(stdin) => writeln!(stdin, "{line}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself, when the others did.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;

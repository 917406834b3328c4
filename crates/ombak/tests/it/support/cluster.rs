//! A cluster of real processes over real sockets, started with `ombak start`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ombak_server::report::Status;
use rustix::process::Signal;
use tempfile::TempDir;

use super::pb::Pb;
use super::ports::Ports;
use super::process::{PATIENCE, Process};
use super::proxy::Proxy;

/// Between two looks at a node that is not ready.
const PACE: Duration = Duration::from_millis(20);

pub struct Cluster {
    // Dropped in this order: processes, then what they use.
    nodes: Vec<Option<Process>>,
    /// In front of each node's peer port.
    proxies: Vec<Proxy>,
    ports: Ports,
    dir: TempDir,
    options: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

/// One cluster at a time: a machine with few cores that runs a dozen of them starves heartbeats, and then what a test
/// sees is the machine, not the database.
static TURN: Mutex<()> = Mutex::new(());

impl Cluster {
    /// Three nodes, each with two shards so that requests also travel between them, ready to serve.
    pub fn start() -> Cluster {
        Cluster::start_with(&[])
    }

    /// The same, each node with more options.
    pub fn start_with(options: &[&str]) -> Cluster {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let ports = Ports::take();
        let proxy = |node: u16| Proxy::start(ports.hold(30 + node), ports.address(20 + node));
        let mut cluster = Cluster {
            nodes: vec![None, None, None],
            proxies: (0..3).map(proxy).collect(),
            ports,
            dir: tempfile::tempdir().unwrap(),
            options: options.iter().map(|text| text.to_string()).collect(),
            _turn: turn,
        };
        (0..3).for_each(|node| cluster.start_node(node));
        cluster.wait_ready();
        cluster
    }

    pub fn start_node(&mut self, node: usize) {
        assert!(self.nodes[node].is_none(), "it runs");
        let text = |text: &str| text.to_string();
        let member = |node: usize| format!("{}={}", self.name(node), self.proxies[node].address());
        let members: Vec<String> = (0..3).map(member).collect();
        let mut arguments = vec![
            text("start"),
            text("--dir"),
            self.dir_of(node).display().to_string(),
            text("--name"),
            self.name(node),
            text("--pb"),
            self.pb_address(node).to_string(),
            text("--http"),
            self.http_address(node).to_string(),
            text("--peer"),
            self.ports.address(20 + node as u16).to_string(),
            text("--members"),
            members.join(","),
            text("--ring-size"),
            text("16"),
            text("--shards"),
            text("2"),
        ];
        arguments.extend(self.options.clone());
        self.nodes[node] = Some(Process::ombak(arguments));
    }

    /// What stands between a node and those that connect to it.
    pub fn proxy(&self, node: usize) -> &Proxy {
        &self.proxies[node]
    }

    pub fn dir_of(&self, node: usize) -> PathBuf {
        self.dir.path().join(self.name(node))
    }

    pub fn name(&self, node: usize) -> String {
        format!("n{}", node + 1)
    }

    pub fn pb_address(&self, node: usize) -> SocketAddr {
        self.ports.address(1 + node as u16)
    }

    pub fn http_address(&self, node: usize) -> SocketAddr {
        self.ports.address(10 + node as u16)
    }

    /// A new connection to a node that runs.
    pub fn pb(&self, node: usize) -> Pb {
        Pb::connect(self.pb_address(node)).unwrap()
    }

    pub fn process(&mut self, node: usize) -> &mut Process {
        self.nodes[node].as_mut().unwrap()
    }

    /// A node's process id.
    pub fn pid(&self, node: usize) -> u32 {
        self.nodes[node].as_ref().unwrap().pid()
    }

    /// What a node says of itself, if it answers.
    pub fn status(&self, node: usize) -> Option<Status> {
        status(self.http_address(node))
    }

    /// SIGKILL, in the middle of whatever it does.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].take().unwrap().kill();
    }

    /// SIGTERM; it must end well.
    pub fn stop(&mut self, node: usize) {
        let mut process = self.nodes[node].take().unwrap();
        process.signal(Signal::TERM);
        let status = process.wait();
        assert!(status.success(), "{status}: {}", process.all_text());
    }

    /// Waits until every node that runs accepts clients.
    pub fn wait_serving(&mut self) {
        self.wait("a node to accept clients", |status| status.is_some());
    }

    /// Waits until every node sees all members, and all its vnodes are complete and can name writes.
    pub fn wait_ready(&mut self) {
        self.wait("a node to be ready", is_ready);
    }

    /// Waits until each of the three keeps registers, and votes in the group that says who sits where. Before that, a disk counts
    /// as lost.
    pub fn wait_keeping_registers(&mut self) {
        self.wait("a node to keep registers and to vote", |status| {
            let root = status.as_ref().and_then(|status| status.root.as_ref());
            root.is_some_and(|root| root.keeps_registers && root.voters.len() == 3)
        });
    }

    /// Waits until the others know that a node is down.
    pub fn wait_known_down(&mut self, down: usize) {
        let name = self.name(down);
        for node in (0..self.nodes.len()).filter(|node| *node != down) {
            self.wait_node(node, "a member to be down", |status| {
                let members = status.iter().flat_map(|status| &status.members);
                members.filter(|member| member.name == name).any(|member| !member.up)
            });
        }
    }

    fn wait(&mut self, what: &str, fits: impl Fn(&Option<Status>) -> bool) {
        (0..self.nodes.len()).for_each(|node| self.wait_node(node, what, &fits));
    }

    /// Waits for one node, if it runs.
    fn wait_node(&mut self, node: usize, what: &str, fits: impl Fn(&Option<Status>) -> bool) {
        let address = self.http_address(node);
        let Some(process) = self.nodes[node].as_mut() else { return };
        wait_status(process, address, what, fits);
    }
}

/// Waits until what a node says of itself fits.
pub fn wait_status(
    process: &mut Process,
    address: SocketAddr,
    what: &str,
    fits: impl Fn(&Option<Status>) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = status(address);
        if fits(&status) {
            break;
        }
        if Instant::now() > deadline {
            panic!("waited in vain for {what}: {status:#?}\n{}", process.all_text());
        }
        process.pace(PACE);
    }
}

/// Whether a node sees all members, and all its vnodes are complete and can name writes.
pub fn is_ready(status: &Option<Status>) -> bool {
    status.as_ref().is_some_and(|status| {
        status.members.iter().all(|member| member.me || member.up && member.connected)
            && status.vnodes.iter().all(|vnode| vnode.complete && vnode.ready)
    })
}

/// What a node says of itself, if it answers.
fn status(address: SocketAddr) -> Option<Status> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .proxy(None)
        .build()
        .into();
    let mut response = agent.get(format!("http://{address}/ombak/status")).call().ok()?;
    serde_json::from_str(&response.body_mut().read_to_string().ok()?).unwrap()
}

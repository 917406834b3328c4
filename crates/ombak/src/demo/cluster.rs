//! The running demo: what is done about each event.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::error::CliError;

use super::child::{NodeProcess, arguments};
use super::plan::PlannedNode;
use super::ready::{Readiness, Watcher};
use super::{DemoArgs, Event, Spinner};

/// Between two looks at the nodes while they start.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After so long the user is told what is being waited for; the nodes go on.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// A node that has not stopped by then is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The nodes, and what happens to them.
pub struct Cluster {
    processes: Vec<NodeProcess>,
    /// How a user would start each node by hand.
    commands: Vec<String>,
    events: Receiver<Event>,
    keeps_data: bool,
}

/// What became of the start.
#[derive(PartialEq, Eq, Debug)]
pub enum Running {
    /// All nodes serve.
    Ready,
    /// The user stopped it first.
    Stopped,
}

impl Cluster {
    /// Starts all nodes. On an error, those that run already are ended.
    pub fn start(
        args: &DemoArgs,
        nodes: &[PlannedNode],
        sender: Sender<Event>,
        events: Receiver<Event>,
    ) -> Result<Cluster, CliError> {
        let mut cluster = Cluster {
            processes: Vec::new(),
            commands: Vec::new(),
            events,
            keeps_data: args.backend.needs_directory(),
        };
        for (index, node) in nodes.iter().enumerate() {
            let arguments = arguments(args, nodes, node);
            cluster.commands.push(format!("ombak {}", arguments.join(" ")));
            cluster.processes.push(NodeProcess::start(index, node, &arguments, sender.clone())?);
        }
        Ok(cluster)
    }

    /// Each node with its pid and directory.
    pub fn list(&self) -> impl Iterator<Item = (&PlannedNode, i32, String)> {
        self.processes.iter().map(|process| {
            let directory = match self.keeps_data {
                true => process.node.dir.display().to_string(),
                false => "(memory)".into(),
            };
            (&process.node, process.pid(), directory)
        })
    }

    /// Waits until every node says that all members are up and all its vnodes complete and ready.
    ///
    /// An end of a node before that is an error. A cluster that answers but does not become ready (a vnode that is
    /// incomplete, say) is left running, since only a running one can be repaired: the user is told.
    pub fn become_ready(&mut self, spinner: &Spinner) -> Result<Running, CliError> {
        let nodes: Vec<_> = self.processes.iter().map(|process| process.node.clone()).collect();
        let mut watcher = Watcher::new(&nodes);
        let mut note_at = Instant::now() + READY_PATIENCE;
        loop {
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Ended(index)) => return Err(self.ended_early(index)),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Running::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            match watcher.look() {
                Readiness::Ready => return Ok(Running::Ready),
                Readiness::Waiting(what) if Instant::now() > note_at => {
                    spinner.note(&format!("still waiting: {what}; Ctrl-C stops"));
                    note_at = Instant::now() + READY_PATIENCE;
                }
                Readiness::Waiting(what) => spinner.say(what),
            }
        }
    }

    fn ended_early(&mut self, index: usize) -> CliError {
        let process = &mut self.processes[index];
        let status =
            process.reap().map_or_else(|error| error.to_string(), |status| status.to_string());
        let words = process.last_words();
        let name = &process.node.name;
        match words.strip_prefix("ombak: ") {
            Some(reason) => CliError::failed(format!("{name} did not start: {reason}")),
            None => CliError::failed(format!("{name} ended while starting ({status}): {words}")),
        }
    }

    /// Reports nodes that end, until the user stops the demo or no node is left.
    pub fn watch(&mut self) -> Result<(), CliError> {
        loop {
            match self.events.recv() {
                Ok(Event::Ended(index)) => self.report(index),
                Ok(Event::Stop) | Err(_) => return Ok(()),
            }
            if self.processes.iter().all(|process| process.ended().is_some()) {
                return Err(CliError::failed("all nodes have ended: start the demo again"));
            }
        }
    }

    fn report(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let how =
            process.reap().map_or_else(|error| error.to_string(), |status| status.to_string());
        eprintln!(
            "ombak: {} (pid {}) ended ({how}); its log is {}; the others go on. Start it again with:\n  {}",
            process.node.name,
            process.pid(),
            process.node.log.display(),
            self.commands[index]
        );
    }

    /// Stops all nodes and waits for them: cleanly, by force after a while, at once if asked again.
    pub fn stop(&mut self) {
        for process in &self.processes {
            process.terminate();
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.processes.iter().any(|process| process.ended().is_none()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Ended(index)) => {
                    // However it ended: it was told to.
                    let _ = self.processes[index].reap();
                }
                Ok(Event::Stop) => return self.kill("it was asked for twice"),
                Err(_) => return self.kill("it did not stop within 10 s"),
            }
        }
    }

    fn kill(&mut self, why: &str) {
        for process in &mut self.processes {
            if process.ended().is_none() {
                eprintln!("ombak: killed {} (pid {}): {why}", process.node.name, process.pid());
                process.kill();
                let _ = process.reap();
            }
        }
    }
}

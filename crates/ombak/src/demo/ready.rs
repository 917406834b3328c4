//! Whether the demo's nodes serve yet.

use std::time::Duration;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient};
use crate::status;

use super::plan::PlannedNode;

/// A node that is only starting refuses at once; this is for one that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be waited for.
#[derive(PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Nothing.
    Ready,
    /// This.
    Waiting(String),
}

/// Asks the nodes, the first one that was not ready first.
pub struct Watcher {
    nodes: Vec<(String, NodeClient)>,
    /// So many, from the front, were ready when they were asked.
    ready: usize,
}

impl Watcher {
    /// Asks nobody yet.
    pub fn new(nodes: &[PlannedNode]) -> Watcher {
        let client = |node: &PlannedNode| {
            let args = NodeArgs { node: node.http.to_string() };
            (node.name.clone(), NodeClient::with_patience(&args, PATIENCE))
        };
        Watcher { nodes: nodes.iter().map(client).collect(), ready: 0 }
    }

    /// Asks on where it last had to stop. When all have been ready, all are asked once more: the first may have lost
    /// sight of the last meanwhile.
    pub fn look(&mut self) -> Readiness {
        let first = self.ready;
        for (name, client) in &self.nodes[first..] {
            if let Some(trouble) = trouble(name, client) {
                return Readiness::Waiting(trouble);
            }
            self.ready += 1;
        }
        self.ready = 0;
        match first {
            0 => Readiness::Ready,
            _ => self.look(),
        }
    }
}

fn trouble(name: &str, client: &NodeClient) -> Option<String> {
    match status::ask(client) {
        Ok(status) => status::trouble(&status, client.node()),
        Err(CliError::Failed(why)) if why.starts_with("cannot connect") => {
            Some(format!("{name} is starting"))
        }
        Err(error) => Some(format!("{name}: {error}")),
    }
}

//! The nodes of a cluster, any of which can be asked.

use std::path::Path;

use clap::Args;
use ombak_locks::{LockError, Nodes};

use crate::config::DEFAULT_HTTP;

/// Where a node's socket is when systemd starts it.
const SYSTEM_SOCKET: &str = "/run/ombak/socket";

/// Which nodes are asked.
#[derive(Args, Debug)]
pub struct NodesArgs {
    /// Nodes, any of which is asked: HTTP addresses, or paths of sockets [default: the machine's socket, else 127.0.0.1:8098]
    #[arg(long, value_name = "HOST:PORT|PATH", value_delimiter = ',', env = "OMBAK_NODES")]
    node: Vec<String>,
}

impl NodesArgs {
    /// Those. Nothing is sent yet.
    pub fn nodes(&self) -> Result<Nodes, LockError> {
        match self.node.is_empty() {
            false => Nodes::new(&self.node),
            true if Path::new(SYSTEM_SOCKET).exists() => Nodes::new([SYSTEM_SOCKET]),
            true => Nodes::new([DEFAULT_HTTP]),
        }
    }
}

//! The nodes of a cluster, any of which can be asked.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;

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
    /// Those. Nothing is asked yet.
    pub fn nodes(&self) -> Result<Nodes, LockError> {
        match self.node.is_empty() {
            false => Nodes::new(&self.node),
            true => Nodes::new([of_this_machine(SYSTEM_SOCKET)]),
        }
    }
}

/// The socket, unless it is not there, is another user's, or was left by a node that is gone.
fn of_this_machine(socket: &str) -> &str {
    match is_for_others(UnixStream::connect(socket)) {
        true => DEFAULT_HTTP,
        false => socket,
    }
}

fn is_for_others<T>(connected: io::Result<T>) -> bool {
    let passed_over =
        [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::ConnectionRefused];
    connected.is_err_and(|error| passed_over.contains(&error.kind()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_socket_that_nobody_can_use_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let path = path.to_str().unwrap();
        assert_eq!(of_this_machine(path), DEFAULT_HTTP, "there is none");
        let listener = UnixListener::bind(path).unwrap();
        assert_eq!(of_this_machine(path), path);
        drop(listener);
        assert_eq!(of_this_machine(path), DEFAULT_HTTP, "a killed node has left it");
        // Root may connect to any; others hear this of a socket that is not theirs.
        assert!(is_for_others::<()>(Err(Errno::ACCESS.into())));
        assert!(!is_for_others::<()>(Err(Errno::NOTSOCK.into())), "that has to be told");
    }
}

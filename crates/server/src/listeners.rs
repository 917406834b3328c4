//! The ports of a node, bound before anything else is done: a port in use must not cost an opened store.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::{Options, StartError};

/// A node's bound ports. Bind them apart from [`Node::start`](crate::Node::start) where port 0 is used and others must
/// know the outcome before the node runs.
#[derive(Debug)]
pub struct Listeners {
    /// For other members; a node that is alone has none.
    pub peer: Option<TcpListener>,
    /// For Protocol Buffers clients.
    pub pb: TcpListener,
    /// For HTTP clients.
    pub http: TcpListener,
}

impl Listeners {
    /// Binds what the options say.
    pub fn bind(options: &Options) -> Result<Listeners, StartError> {
        let peer = || bind("other members", options.peer_addr, "peer");
        Ok(Listeners {
            peer: if options.is_alone() { None } else { Some(peer()?) },
            pb: bind("Protocol Buffers", options.pb_addr, "pb")?,
            http: bind("HTTP", options.http_addr, "http")?,
        })
    }

    /// Where they are.
    pub(crate) fn addresses(&self) -> io::Result<Addresses> {
        let peer = self.peer.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Addresses { peer, pb: self.pb.local_addr()?, http: self.http.local_addr()? })
    }
}

/// Where a node listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// For other members.
    pub peer: Option<SocketAddr>,
    /// For Protocol Buffers clients.
    pub pb: SocketAddr,
    /// For HTTP clients.
    pub http: SocketAddr,
}

fn bind(
    what: &'static str,
    addr: SocketAddr,
    option: &'static str,
) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).map_err(|source| StartError::Listen { what, addr, option, source })
}

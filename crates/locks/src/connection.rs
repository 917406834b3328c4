//! Connections to nodes: over TCP, or through a Unix socket.
//!
//! A lock is short, so what surrounds it counts. `ureq`'s own connections look a node's name up before each request, on a thread of its
//! own, and send a request's head and body in two pieces; these look it up once for each connection, and send both as one.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout as Direction, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// So much is kept back at most, to be sent as one.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// Where a node is.
#[derive(Debug)]
pub(crate) enum Place {
    /// At the host and the port of the request's address.
    Tcp,
    /// Behind this socket, whatever the address says.
    Unix(PathBuf),
}

/// Looks nothing up: a [`Place`] does, when it connects.
#[derive(Debug)]
pub(crate) struct NoLookup;

/// Nothing was sent, as there was no connection.
#[derive(Debug, thiserror::Error)]
#[error("no connection: {0}")]
pub(crate) struct NotConnected(Error);

#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    buffers: LazyBuffers,
    /// What goes out before anything is waited for.
    held: Vec<u8>,
}

impl Resolver for NoLookup {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

impl Connector for Place {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        let socket: Result<OwnedFd, Error> = match self {
            Place::Tcp => over_tcp(details).map(OwnedFd::from),
            Place::Unix(path) => UnixStream::connect(path).map(OwnedFd::from).map_err(Error::Io),
        };
        let socket = socket.map_err(|error| Error::Other(Box::new(NotConnected(error))))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Connection { socket, buffers, held: Vec::new() }))
    }
}

/// Tries one address after the other; they share the time.
fn over_tcp(details: &ConnectionDetails<'_>) -> Result<TcpStream, Error> {
    let timeout = details.timeout;
    let found = DefaultResolver::default().resolve(details.uri, details.config, timeout)?;
    let share = timeout.not_zero().map(|within| *within / found.len().max(1) as u32);
    let connect = |address| match share {
        Some(share) => TcpStream::connect_timeout(address, share),
        None => TcpStream::connect(address),
    };
    let mut failed = Error::HostNotFound;
    for address in &found {
        match connect(address) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = late(error, &timeout),
        }
    }
    Err(failed)
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.held.extend_from_slice(&self.buffers.output()[..amount]);
        if self.held.len() > HELD_BYTES_MAX { self.send_held(&timeout) } else { Ok(()) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.send_held(&timeout)?;
        let within = timeout.not_zero().map(|within| *within);
        set_socket_timeout(&self.socket, Direction::Recv, within).map_err(io::Error::from)?;
        let input = self.buffers.input_append_buf();
        let read = retry_on_intr(|| recv(&self.socket, &mut *input, RecvFlags::empty()));
        let (read, _) = read.map_err(|error| late(error.into(), &timeout))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    /// What a node has closed while nothing was asked is found when it is used.
    fn is_open(&mut self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = retry_on_intr(|| recv(&self.socket, &mut [0], flags));
        matches!(peeked, Err(Errno::AGAIN))
    }
}

impl Connection {
    fn send_held(&mut self, timeout: &NextTimeout) -> Result<(), Error> {
        let mut rest = &self.held[..];
        // As a rule there is room for all of it, and nothing to wait for.
        let mut flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        while !rest.is_empty() {
            match retry_on_intr(|| send(&self.socket, rest, flags)) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::AGAIN) if flags.contains(SendFlags::DONTWAIT) => {
                    let within = timeout.not_zero().map(|within| *within);
                    set_socket_timeout(&self.socket, Direction::Send, within)
                        .map_err(io::Error::from)?;
                    flags = SendFlags::NOSIGNAL;
                }
                Err(error) => return Err(late(error.into(), timeout)),
            }
        }
        self.held.clear();
        Ok(())
    }
}

fn late(error: io::Error, timeout: &NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests;

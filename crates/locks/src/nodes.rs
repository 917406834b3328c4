//! The nodes of a cluster, any of which can be asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, config::Config};

use crate::error::LockError;
use crate::unix::UnixConnector;

/// Of an answer; a list of all locks is the longest.
const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Before the next node is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Nodes of one cluster. The first that answers is asked until it does not.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
    current: AtomicUsize,
}

#[derive(Debug)]
struct Node {
    address: String,
    /// Of a node behind a socket: a name that leads nowhere.
    host: String,
    agent: Agent,
}

impl Nodes {
    /// Each a HOST:PORT of its HTTP port, or the path of its Unix socket. Nothing is sent yet.
    pub fn new<T: AsRef<str>>(addresses: impl IntoIterator<Item = T>) -> Result<Nodes, LockError> {
        let nodes: Vec<Node> =
            addresses.into_iter().map(|each| Node::new(each.as_ref())).collect::<Result<_, _>>()?;
        match nodes.is_empty() {
            true => Err(LockError::Address(String::new())),
            false => Ok(Nodes { nodes, current: AtomicUsize::new(0) }),
        }
    }

    /// Asks one after the other until one says more than "not now", or until `deadline`. `poll`: how long it may take to
    /// answer.
    pub fn ask<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
        poll: Duration,
        deadline: Instant,
    ) -> Result<T, LockError> {
        loop {
            let at = self.current.load(Ordering::Relaxed) % self.nodes.len();
            let node = &self.nodes[at];
            let left = deadline.saturating_duration_since(Instant::now());
            let why = match node.ask(method, path, body, poll.min(left)) {
                Ok((503, body)) => format!("{} says: {}", node.address, text(&body)),
                Ok((400, body)) => {
                    return Err(LockError::Refused { why: "bad".into(), message: text(&body) });
                }
                Ok((code, body)) => {
                    let body = if code == 204 { b"null".to_vec() } else { body };
                    let read = serde_json::from_slice(&body);
                    return read.map_err(|_| LockError::NotUnderstood(node.address.clone()));
                }
                Err(error) => format!("{}: {error}", node.address),
            };
            self.current.store(at + 1, Ordering::Relaxed);
            if Instant::now() + PAUSE >= deadline {
                return Err(LockError::Unreachable(why));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Node {
    fn new(address: &str) -> Result<Node, LockError> {
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy of the environment does not lead to this machine's loopback.
            .proxy(None)
            .user_agent(concat!("ombak/", env!("CARGO_PKG_VERSION")))
            .build();
        if let Some(path) =
            address.strip_prefix("unix:").or(address.starts_with('/').then_some(address))
        {
            let agent =
                Agent::with_parts(config, UnixConnector(path.into()), DefaultResolver::default());
            // The resolver wants an address; nobody connects to it.
            return Ok(Node { address: address.into(), host: "127.0.0.1".into(), agent });
        }
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() || !host.chars().all(plain) || port.parse::<u16>().is_err() {
            return Err(LockError::Address(address.into()));
        }
        Ok(Node { address: address.into(), host: address.into(), agent: config.into() })
    }

    fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        let uri = format!("http://{}{path}", self.host);
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| error.to_string())?,
            None => Vec::new(),
        };
        let request = Request::builder().method(method).uri(uri);
        let request = request.body(&bytes[..]).map_err(|error| error.to_string())?;
        let request =
            self.agent.configure_request(request).timeout_global(Some(patience.max(PAUSE))).build();
        let response = self.agent.run(request).map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.into_with_config().limit(BODY_BYTES_MAX).read_to_vec();
        Ok((parts.status.as_u16(), body.map_err(|error| error.to_string())?))
    }
}

/// On one line.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

//! The nodes of a cluster, any of which can be asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request};
use ureq::{Agent, config::Config};

use crate::connection::{NoLookup, NotConnected, Place};
use crate::error::LockError;

/// Of an answer; a list of all locks is the longest.
const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Before the next node is tried.
const PAUSE: Duration = Duration::from_millis(50);
/// The same, of who waits for long.
const LONG_PAUSE: Duration = Duration::from_millis(500);

/// Nodes of one cluster. The first that answers is asked until it does not.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Arc<Node>>,
    current: AtomicUsize,
    /// Before the next node is tried.
    pause: Duration,
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
        let node = |each: T| Node::new(each.as_ref()).map(Arc::new);
        let nodes: Vec<Arc<Node>> = addresses.into_iter().map(node).collect::<Result<_, _>>()?;
        match nodes.is_empty() {
            true => Err(LockError::Address(String::new())),
            false => Ok(Nodes { nodes, current: AtomicUsize::new(0), pause: PAUSE }),
        }
    }

    /// For two who wait for the same and are not to meet at a node: the one that is asked now and every other one after it, and the rest,
    /// if there is one.
    pub(crate) fn halves(&self) -> Vec<Nodes> {
        let mut nodes = self.nodes.clone();
        nodes.rotate_left(self.current.load(Ordering::Relaxed) % self.nodes.len());
        let half = |from: usize| nodes.iter().skip(from).step_by(2).cloned().collect();
        let halves = [half(0), half(1)].into_iter().filter(|half: &Vec<_>| !half.is_empty());
        let half = |nodes| Nodes { nodes, current: AtomicUsize::new(0), pause: LONG_PAUSE };
        halves.map(half).collect()
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
        let bytes = body.map_or(Ok(Vec::new()), serde_json::to_vec);
        let bytes = bytes.map_err(|error| LockError::Unreachable(error.to_string()))?;
        let answer = self.send(method, path, &[], &bytes, poll, deadline, true);
        let answer = answer.map_err(|(Unanswered::NotSent(why) | Unanswered::Sent(why))| {
            LockError::Unreachable(why)
        })?;
        if answer.status == 400 {
            return Err(LockError::Refused { why: "bad".into(), message: answer.text() });
        }
        let body = if answer.status == 204 { &b"null"[..] } else { &answer.body };
        serde_json::from_slice(body).map_err(|_| LockError::NotUnderstood(answer.node))
    }

    /// The same, of any body and answer. What is not `repeatable` is sent to another node only if no node can have done it.
    pub(crate) fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
        poll: Duration,
        deadline: Instant,
        repeatable: bool,
    ) -> Result<Answer, Unanswered> {
        loop {
            let at = self.current.load(Ordering::Relaxed) % self.nodes.len();
            let node = &self.nodes[at];
            let left = deadline.saturating_duration_since(Instant::now());
            let why = match node.send(method, path, headers, body, poll.min(left)) {
                Ok(answer) if answer.status == 503 => {
                    Unanswered::NotSent(format!("{} says: {}", node.address, answer.text()))
                }
                Ok(answer) => return Ok(answer),
                Err(unanswered) => unanswered,
            };
            self.current.store(at + 1, Ordering::Relaxed);
            let is_open = !repeatable && matches!(why, Unanswered::Sent(_));
            if is_open || Instant::now() + self.pause >= deadline {
                return Err(why);
            }
            std::thread::sleep(self.pause);
        }
    }
}

/// What a node has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub node: String,
    pub status: u16,
    etag: Option<String>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// No node has done anything.
    NotSent(String),
    /// A node may have.
    Sent(String),
}

impl Answer {
    /// On one line.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
    }

    /// The number in the ETag.
    pub fn version(&self) -> Option<u64> {
        self.etag.as_ref()?.trim_matches('"').parse().ok()
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
            let agent = Agent::with_parts(config, Place::Unix(path.into()), NoLookup);
            return Ok(Node { address: address.into(), host: "localhost".into(), agent });
        }
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() || !host.chars().all(plain) || port.parse::<u16>().is_err() {
            return Err(LockError::Address(address.into()));
        }
        let agent = Agent::with_parts(config, Place::Tcp, NoLookup);
        Ok(Node { address: address.into(), host: address.into(), agent })
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.address);
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.host));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).map_err(|error| Unanswered::NotSent(failed(&error)))?;
        let request =
            self.agent.configure_request(request).timeout_global(Some(patience.max(PAUSE))).build();
        let response = self.agent.run(request).map_err(|error| match error {
            ureq::Error::Other(why) if why.is::<NotConnected>() => {
                Unanswered::NotSent(failed(&why))
            }
            error => Unanswered::Sent(failed(&error)),
        })?;
        let (parts, body) = response.into_parts();
        let body = body.into_with_config().limit(BODY_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| Unanswered::Sent(failed(&error)))?;
        let etag = parts.headers.get("etag").and_then(|tag| tag.to_str().ok());
        let (node, status) = (self.address.clone(), parts.status.as_u16());
        Ok(Answer { node, status, etag: etag.map(str::to_string), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_share_no_node_and_begin_where_it_is_asked_now() {
        let halves = |addresses: &[&str], current: usize| {
            let nodes = Nodes::new(addresses).unwrap();
            nodes.current.store(current, Ordering::Relaxed);
            let addresses =
                |half: Nodes| half.nodes.iter().map(|node| node.address.clone()).collect();
            nodes.halves().into_iter().map(addresses).collect::<Vec<Vec<String>>>()
        };
        assert_eq!(halves(&["a:1"], 1), [["a:1"]]);
        assert_eq!(halves(&["a:1", "b:1"], 1), [["b:1"], ["a:1"]]);
        assert_eq!(halves(&["a:1", "b:1", "c:1"], 5), [vec!["c:1", "b:1"], vec!["a:1"]]);
    }
}

//! Talking to one node over its HTTP port.

use std::io;
use std::time::Duration;

use clap::Args;
use ombak_base::limits::PEER_FRAME_BYTES_MAX;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request, Response};
use ureq::{Agent, Body};

use crate::config::DEFAULT_HTTP;
use crate::error::CliError;

/// What stands for itself in a path; all else is percent-encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// An answer to a question about data takes at most the node's own timeout; this is for a node that hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest answer: an object with all its siblings and their envelopes.
const BODY_BYTES_MAX: u64 = 2 * PEER_FRAME_BYTES_MAX as u64;
/// Of an error's text, so much is shown.
const REASON_CHARS_MAX: usize = 300;

/// Which node to ask.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    /// The node's HTTP address.
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_HTTP, value_parser = host_and_port)]
    pub node: String,
}

/// One node.
pub struct NodeClient {
    agent: Agent,
    node: String,
}

/// What it answered, whatever the status.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// All of the body.
    pub body: Vec<u8>,
}

impl NodeClient {
    /// Nothing is sent yet.
    pub fn new(args: &NodeArgs) -> NodeClient {
        NodeClient::with_patience(args, PATIENCE)
    }

    /// Gives a request up after `patience`.
    pub fn with_patience(args: &NodeArgs, patience: Duration) -> NodeClient {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            // Siblings are answered with 300, which leads nowhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy of the environment does not lead to this machine's loopback.
            .proxy(None)
            .user_agent(concat!("ombak/", env!("CARGO_PKG_VERSION")))
            .build();
        NodeClient { agent: config.into(), node: args.node.clone() }
    }

    /// Where the node is.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Sends a request and reads all of the answer. `path` is percent-encoded and begins with a slash.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, CliError> {
        let mut request = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(bytes) => {
                self.agent.run(request.body(bytes).map_err(|error| self.unusable(&error))?)
            }
            None => self.agent.run(request.body(()).map_err(|error| self.unusable(&error))?),
        };
        self.read(sent.map_err(|error| self.unreachable(&error))?)
    }

    fn read(&self, response: Response<Body>) -> Result<Answer, CliError> {
        let (parts, body) = response.into_parts();
        let body = body.into_with_config().limit(BODY_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Asks for something that may be long: its body, to be read bit by bit.
    pub fn stream(&self, path: &str) -> Result<Box<dyn io::Read>, CliError> {
        let request = Request::builder().method(Method::GET).uri(self.url(path));
        let sent = self.agent.run(request.body(()).map_err(|error| self.unusable(&error))?);
        let response = sent.map_err(|error| self.unreachable(&error))?;
        match response.status().as_u16() {
            200 => Ok(Box::new(response.into_body().into_reader())),
            _ => Err(self.refusal(&self.read(response)?)),
        }
    }

    /// Asks one of Ombak's own questions, which answer in JSON.
    pub fn json(&self, method: Method, path: &str) -> Result<Value, CliError> {
        let answer = self.request(method, path, &[], None)?;
        if answer.status != 200 {
            return Err(self.refusal(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.not_ombak(&error.to_string()))
    }

    /// An answer that is none of those the caller knows.
    pub fn refusal(&self, answer: &Answer) -> CliError {
        let reason = answer.reason();
        let next = match answer.status {
            404 | 405 => "is it the HTTP port of an Ombak node?",
            503 => &format!(
                "`{}` says who is up; fewer replicas may be asked for with --r or --w",
                command("status", &self.node)
            ),
            400..=499 => "change the request",
            _ => "the node's log says more",
        };
        CliError::failed(format!("{} answered {} {reason}: {next}", self.node, answer.status))
    }

    /// It answered, but not as an Ombak node would.
    pub fn not_ombak(&self, what: &str) -> CliError {
        CliError::failed(format!(
            "{} does not answer as an Ombak node of this version ({what}): is it the HTTP port (8098 by default)?",
            self.node
        ))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node)
    }

    fn unusable(&self, error: &ureq::http::Error) -> CliError {
        CliError::usage(format!(
            "the request cannot be sent to {} ({error}): --node takes HOST:PORT, and headers take plain text",
            self.node
        ))
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        match error {
            ureq::Error::Timeout(_) => CliError::failed(format!(
                "{} did not answer in time: `{}` says whether it is well",
                self.node,
                command("status", &self.node)
            )),
            ureq::Error::Io(source) if source.kind() != io::ErrorKind::ConnectionRefused => {
                CliError::failed(format!(
                    "the connection to {} broke ({source}): is it the HTTP port of a running node?",
                    self.node
                ))
            }
            ureq::Error::BadUri(_) | ureq::Error::HostNotFound => CliError::usage(format!(
                "--node {} is no address ({error}): give HOST:PORT, such as 127.0.0.1:8098",
                self.node
            )),
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed => CliError::failed(format!(
                "cannot connect to {} ({error}): start a cluster with `ombak demo`, or name a node's HTTP port with \
                 --node HOST:PORT",
                self.node
            )),
            _ => self.not_ombak(&error.to_string()),
        }
    }
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body on one line.
    fn reason(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").chars().take(REASON_CHARS_MAX).collect()
    }
}

/// Checks the shape alone: a name is resolved when it is connected to.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok() {
        return Ok(text.to_string());
    }
    Err("an address is HOST:PORT, such as 127.0.0.1:8098".into())
}

/// A command as a user would type it for the node that has its HTTP port at `node`.
pub fn command(words: &str, node: &str) -> String {
    match node {
        DEFAULT_HTTP => format!("ombak {words}"),
        node => format!("ombak {words} --node {node}"),
    }
}

/// One segment of a path.
pub fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_can_hold_anything() {
        assert_eq!(encode("a/b?c d%&ü"), "a%2Fb%3Fc%20d%25%26%C3%BC");
        assert_eq!(encode("A-z_0.9~"), "A-z_0.9~");
    }

    #[test]
    fn a_command_names_the_node_unless_it_is_the_default_one() {
        assert_eq!(command("status", "127.0.0.1:8098"), "ombak status");
        assert_eq!(command("get a b", "127.0.0.1:8108"), "ombak get a b --node 127.0.0.1:8108");
    }

    #[test]
    fn nobody_there_says_what_to_start() {
        let args = NodeArgs { node: "127.0.0.1:1".into() };
        let error = NodeClient::new(&args).json(Method::GET, "/ombak/status").unwrap_err();
        assert!(error.to_string().contains("ombak demo"), "{error}");
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for text in ["127.0.0.1:8098", "localhost:1", "[::1]:8098", "db-1.example:65535"] {
            assert_eq!(host_and_port(text).as_deref(), Ok(text));
        }
        for text in ["", "8098", ":8098", "127.0.0.1", "a b:1", "http://a:1", "a:99999", "a/b:1"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_wrong_usage() {
        let args = NodeArgs { node: "no-such-host.invalid:8098".into() };
        let error = NodeClient::new(&args).json(Method::GET, "/ombak/status").unwrap_err();
        assert!(matches!(error, CliError::Usage(_) | CliError::Failed(_)), "{error}");
        assert!(error.to_string().contains("no-such-host.invalid:8098"), "{error}");
    }
}

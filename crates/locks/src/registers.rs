//! Registers: small values that all see alike, changed one after the other.

use std::time::{Duration, Instant};

use ureq::http::Method;

use crate::nodes::{Answer, Nodes, Unanswered};
use crate::wire::{RegisterPage, encoded};

/// How long is tried to reach a node that answers.
const PATIENCE: Duration = Duration::from_secs(15);
/// What one node is given. It gives up by itself earlier.
const POLL: Duration = Duration::from_secs(10);

/// The registers of a cluster. Each is linearizable: whoever reads sees the last change that anybody was told of, or a later one.
#[derive(Debug)]
pub struct Registers {
    nodes: Nodes,
}

/// What is in a register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// How many changes led to it. A removed register keeps its count.
    pub version: u64,
    /// What; `None`: it was removed, or never set.
    pub value: Option<Vec<u8>>,
}

/// Why a register was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// It has another version: read it, and decide anew.
    #[error("the register has version {0}")]
    Differs(u64),
    /// A node was asked to change it, and nobody knows whether that was done, or may yet be.
    #[error("it may have been done, or may yet be ({0}): read the register to find out")]
    Unknown(String),
    /// No node has answered in time. Nothing was done.
    #[error("no answer in time: {0}")]
    Unreachable(String),
    /// The node refuses that, always.
    #[error("{0}")]
    Refused(String),
    /// A node has answered what no node of this version would.
    #[error(
        "{0} does not answer as an Ombak node of this version: is it the HTTP port (8098 by default)?"
    )]
    NotUnderstood(String),
}

impl Registers {
    /// Of the cluster of these nodes.
    pub fn new(nodes: Nodes) -> Registers {
        Registers { nodes }
    }

    /// What is in it.
    pub fn get(&self, name: &str) -> Result<Versioned, RegisterError> {
        let answer = self.ask(&Method::GET, name, &[], &[], true)?;
        let version = answer.version();
        match (answer.status, version) {
            (200, Some(version)) => Ok(Versioned { version, value: Some(answer.body) }),
            (404, Some(version)) => Ok(Versioned { version, value: None }),
            _ => Err(refused(answer)),
        }
    }

    /// Sets it, whatever it was. The new version.
    pub fn set(&self, name: &str, value: &[u8]) -> Result<u64, RegisterError> {
        self.change(&Method::PUT, name, &[], value)
    }

    /// Removes it, whatever it was. The version that says so.
    pub fn remove(&self, name: &str) -> Result<u64, RegisterError> {
        self.change(&Method::DELETE, name, &[], &[])
    }

    /// Sets it if there is no value, or removes nothing. The new version.
    pub fn create(&self, name: &str, value: &[u8]) -> Result<u64, RegisterError> {
        self.change(&Method::PUT, name, &[("If-None-Match", "*".into())], value)
    }

    /// Sets it, or with `None` removes it, if its version is this one. The new version.
    pub fn compare_and_set(
        &self,
        name: &str,
        version: u64,
        value: Option<&[u8]>,
    ) -> Result<u64, RegisterError> {
        let method = if value.is_some() { Method::PUT } else { Method::DELETE };
        let condition = [("If-Match", format!("\"{version}\""))];
        self.change(&method, name, &condition, value.unwrap_or_default())
    }

    /// Which registers there are: the first page, or the one after this. There is none after one whose `next` is `None`. What is
    /// promised of a page is said at [`RegisterPage`].
    pub fn list(&self, after: Option<&RegisterPage>) -> Result<RegisterPage, RegisterError> {
        let from = match after {
            None => "",
            Some(RegisterPage { next: Some(next), .. }) => next,
            Some(RegisterPage { next: None, .. }) => return Ok(RegisterPage::default()),
        };
        let path = format!("/ombak/registers?from={from}");
        let answer = self.send(&Method::GET, &path, &[], &[], true)?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|_| RegisterError::NotUnderstood(answer.node)),
            _ => Err(refused(answer)),
        }
    }

    fn change(
        &self,
        method: &Method,
        name: &str,
        condition: &[(&'static str, String)],
        value: &[u8],
    ) -> Result<u64, RegisterError> {
        let answer = self.ask(method, name, condition, value, false)?;
        match (answer.status, answer.version()) {
            (204, Some(version)) => Ok(version),
            (412, Some(version)) => Err(RegisterError::Differs(version)),
            (504, _) => Err(RegisterError::Unknown(answer.text())),
            _ => Err(refused(answer)),
        }
    }

    fn ask(
        &self,
        method: &Method,
        name: &str,
        condition: &[(&'static str, String)],
        value: &[u8],
        repeatable: bool,
    ) -> Result<Answer, RegisterError> {
        let path = format!("/ombak/registers/{}", encoded(name.as_bytes()));
        self.send(method, &path, condition, value, repeatable)
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        condition: &[(&'static str, String)],
        value: &[u8],
        repeatable: bool,
    ) -> Result<Answer, RegisterError> {
        let deadline = Instant::now() + PATIENCE;
        let asked = self.nodes.send(method, path, condition, value, POLL, deadline, repeatable);
        asked.map_err(|unanswered| match unanswered {
            Unanswered::NotSent(why) => RegisterError::Unreachable(why),
            Unanswered::Sent(why) if repeatable => RegisterError::Unreachable(why),
            Unanswered::Sent(why) => RegisterError::Unknown(why),
        })
    }
}

fn refused(answer: Answer) -> RegisterError {
    match answer.status {
        400..500 if answer.status != 404 => RegisterError::Refused(answer.text()),
        _ => RegisterError::NotUnderstood(answer.node),
    }
}

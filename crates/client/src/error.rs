//! Why a request has no result, by what the caller does next.

use thiserror::Error;

use crate::pool::Refusal;

/// What went wrong. Each variant asks for something else of the caller.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// No node could be reached, or those that could had too much to do. Nothing was done.
    #[error("no node takes the request ({0}): nothing was done, try again later")]
    Unavailable(String),
    /// All connections are in use, and stayed so, or too many callers wait for one. Nothing was done.
    #[error("all connections are in use: nothing was done, try again later or allow more of them")]
    Busy,
    /// A read was not answered in time.
    #[error("no answer within the time: try again, or allow more time")]
    Timeout,
    /// A write was sent, and whether it was done is not known.
    #[error(
        "the answer to a write did not come ({0}): it may have been done or not, read before you write again"
    )]
    Unknown(String),
    /// Fewer replicas than asked for can answer a read or take a write. Such a write may still come to be seen.
    #[error("too few replicas: {0}; ask for fewer, or wait for their nodes")]
    Replicas(String),
    /// The condition of a conditional write does not hold.
    #[error("the condition does not hold ({0}): read the object again")]
    Condition(String),
    /// The object has several values, and one was asked for or was to be written.
    #[error("the object has {0} values: make one of them with `resolve` or `set`")]
    Siblings(usize),
    /// The node says no, and will again.
    #[error("refused: {0}")]
    Refused(String),
    /// What answers is no node of Ombak or Riak, or speaks another dialect. Whether something was done is not known.
    #[error("not an answer to the request: {0}")]
    Protocol(String),
    /// This client has been closed.
    #[error("the client is closed: connect again")]
    Closed,
    /// There is no address to connect to.
    #[error("no addresses: name at least one node as host:port")]
    NoAddress,
}

/// How one attempt failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// There was no connection.
    NoConnection(Refusal),
    /// The node says that it has not even begun.
    NotBegun(String),
    /// The connection broke, or no answer came.
    Lost {
        /// Whether the node can have heard all of the request.
        sent: bool,
        why: String,
    },
    /// The answer, though not the one that was hoped for.
    Answered(Error),
}

/// What to do after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Try another node. Nothing was sent, so it costs nobody anything.
    Elsewhere(Error),
    /// Try again, if the budget allows.
    Again(Error),
    /// Tell the caller.
    Stop(Error),
}

impl Failure {
    /// What to do, for a request that may be `repeatable`: doing it twice is as good as once.
    pub fn next(self, repeatable: bool) -> Next {
        match self {
            Failure::NoConnection(Refusal::Ended) => Next::Stop(Error::Closed),
            Failure::NoConnection(Refusal::Down(_)) => {
                Next::Elsewhere(Error::Unavailable("it cannot be reached".into()))
            }
            Failure::NoConnection(Refusal::Full | Refusal::TimedOut) => {
                Next::Elsewhere(Error::Busy)
            }
            Failure::NotBegun(text) => Next::Again(Error::Unavailable(text)),
            Failure::Lost { sent: false, why } => Next::Again(Error::Unavailable(why)),
            Failure::Lost { .. } if repeatable => Next::Again(Error::Timeout),
            Failure::Lost { why, .. } => Next::Stop(Error::Unknown(why)),
            Failure::Answered(error) => Next::Stop(error),
        }
    }
}

/// What an error's text means. A read that failed has done nothing; of a write one cannot always say.
pub(crate) fn refused(text: String, is_write: bool) -> Failure {
    let first = text.split([':', ',']).next().unwrap_or_default();
    match first {
        "overload" | "all_nodes_down" => Failure::NotBegun(text),
        "timeout" if is_write => Failure::Answered(Error::Unknown(text)),
        "timeout" => Failure::Answered(Error::Timeout),
        "match_found" | "modified" | "notfound" => Failure::Answered(Error::Condition(text)),
        _ if text.contains("_val_unsatisfied") || text.contains("insufficient_vnodes") => {
            Failure::Answered(Error::Replicas(text))
        }
        _ => Failure::Answered(Error::Refused(text)),
    }
}

#[cfg(test)]
mod tests;

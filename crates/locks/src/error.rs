//! Why something is not locked.

/// Why something is not locked, opened or given up. Each variant is one that a caller does something else about.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it, for as long as it was to be waited for.
    #[error("somebody else holds it: {0}")]
    NotGranted(String),
    /// Sessions waited for each other in a circle, and this request was the one to be refused.
    #[error("{0}")]
    Deadlock(String),
    /// It waited, and was taken back: [`Session::cancel`](crate::Session::cancel).
    #[error("it was cancelled while it waited")]
    Cancelled,
    /// The session is over, and its locks are others' or will be. What they protected may be touched no more.
    #[error("the session is over, and its locks are lost: open another and lock anew")]
    Lost,
    /// Refused for another reason.
    #[error("{message}")]
    Refused {
        /// One word, as in [`wire::word`](crate::wire::word).
        why: String,
        /// A sentence.
        message: String,
    },
    /// No node has answered in time. Whatever was asked may still be done: end the session before trying anew.
    #[error("no answer in time: {0}")]
    Unreachable(String),
    /// A node has answered what no node of this version would.
    #[error(
        "{0} does not answer as an Ombak node of this version: is it the HTTP port (8098 by default)?"
    )]
    NotUnderstood(String),
    /// That is no address of a node.
    #[error("{0:?} is no address of a node: give HOST:PORT, or the path of its socket")]
    Address(String),
    /// The operating system refused what cannot be done without.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: std::io::Error,
    },
}

impl LockError {
    pub(crate) fn refused(why: String, message: String) -> LockError {
        match why.as_str() {
            "would-wait" | "timed-out" => LockError::NotGranted(message),
            "deadlock" => LockError::Deadlock(message),
            "cancelled" => LockError::Cancelled,
            "no-session" => LockError::Lost,
            _ => LockError::Refused { why, message },
        }
    }
}

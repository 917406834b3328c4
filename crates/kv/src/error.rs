//! Why a request was not done. Each variant is something that a client would treat differently.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What has a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Named {
    /// A bucket.
    Bucket,
    /// A bucket type.
    Type,
    /// A key.
    Key,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Named::Bucket => "bucket",
            Named::Type => "bucket type",
            Named::Key => "key",
        })
    }
}

/// What went wrong. `Display` is the text that Riak's Protocol Buffers clients see, where Riak has one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Error, Serialize, Deserialize)]
pub enum RequestError {
    /// A bucket without a name.
    #[error("Bucket cannot be zero-length")]
    EmptyBucket,
    /// A key without bytes.
    #[error("Key cannot be zero-length")]
    EmptyKey,
    /// A name beyond its bound, which is given in bytes.
    #[error("{0} is longer than {1} bytes")]
    TooLong(Named, usize),
    /// The object would be beyond its bound, which is given in bytes.
    #[error("object is larger than {0} bytes")]
    TooLarge(usize),
    /// The object would have more siblings than allowed.
    #[error("object would have more than {0} siblings: read it and write back with its context")]
    TooManySiblings(usize),
    /// The bucket type does not exist.
    #[error("no_type")]
    UnknownType,
    /// A quorum above the bucket's n_val, which is given.
    #[error("{{n_val_violation,{0}}}")]
    NValViolation(u32),
    /// Too few replicas answered a read.
    #[error("{{r_val_unsatisfied,{need},{got}}}")]
    RUnsatisfied {
        /// Asked for.
        need: usize,
        /// Heard.
        got: usize,
    },
    /// Too few primaries answered a read.
    #[error("{{pr_val_unsatisfied,{need},{got}}}")]
    PrUnsatisfied {
        /// Asked for.
        need: usize,
        /// Heard.
        got: usize,
    },
    /// Too few replicas took a write. It may still come to be seen.
    #[error("{{w_val_unsatisfied,{need},{got}}}")]
    WUnsatisfied {
        /// Asked for.
        need: usize,
        /// Heard.
        got: usize,
    },
    /// Too few replicas made a write durable. It may still come to be seen.
    #[error("{{dw_val_unsatisfied,{need},{got}}}")]
    DwUnsatisfied {
        /// Asked for.
        need: usize,
        /// Heard.
        got: usize,
    },
    /// Too few primaries took a write. It may still come to be seen.
    #[error("{{pw_val_unsatisfied,{need},{got}}}")]
    PwUnsatisfied {
        /// Asked for.
        need: usize,
        /// Heard.
        got: usize,
    },
    /// Too few nodes answered, or took a write. It may still come to be seen.
    #[error("{{node_confirms_val_unsatisfied,{need},{got}}}")]
    NodesUnsatisfied {
        /// Asked for.
        need: usize,
        /// Heard.
        got: usize,
    },
    /// The time given was up. A write may or may not have been done.
    #[error("timeout")]
    Timeout,
    /// A queue is full: try again later.
    #[error("overload")]
    Overload,
    /// `if_none_match`, and there is something.
    #[error("match_found")]
    MatchFound,
    /// `if_not_modified`, and it was.
    #[error("modified")]
    Modified,
    /// `if_not_modified`, and there is nothing.
    #[error("notfound")]
    NotFound,
    /// The client's context is none of this database's.
    #[error("the vclock is not one that this database gave out")]
    BadContext,
    /// No node that could name the write can be reached.
    #[error("all_nodes_down")]
    NoCoordinator,
    /// A bucket property was refused: its name and why.
    #[error("Invalid bucket property {0}: {1}")]
    BadProperty(String, String),
    /// Some member that can be reached has not taken the change.
    #[error("the change of bucket properties has not reached all nodes: try again")]
    PropsNotSpread,
    /// A partition has no complete replica that can be reached, so the listing would lack keys.
    #[error("{{error,insufficient_vnodes_available}}")]
    NoCoverage,
    /// The node's storage failed; it takes no more writes until it is started again.
    #[error("storage failed: {0}")]
    Storage(String),
    /// The disk of the node with that name is full. Nothing was done.
    #[error(
        "the disk of {0} is full: free space there or add a disk; writes come back by themselves"
    )]
    DiskFull(String),
    /// Too few replicas took a write, as the first says, and the disk of the node that is named is full. It may still come
    /// to be seen.
    #[error(
        "{0}: the disk of {1} is full: free space there or add a disk; writes come back by themselves"
    )]
    FewerForFullDisk(Box<RequestError>, String),
    /// What the node that coordinated said.
    #[error("{0}")]
    Elsewhere(String),
}

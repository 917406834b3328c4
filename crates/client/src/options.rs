//! What a client may be told: once, and with each request.

use ombak_wire::quorum;

use crate::pool::PoolOptions;

/// How a client behaves. Times are in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The bounds of the connections to each node.
    pub pool: PoolOptions,
    /// How long a request may take with all its retries, unless it says otherwise.
    pub timeout_ms: u32,
    /// How long a request that may be repeated waits for one node's answer before it asks another.
    pub attempt_ms: u32,
    /// How long a request waits for a connection to a node before it goes to another.
    pub checkout_ms: u32,
    /// Retries that can be saved up.
    pub retries_max: u32,
    /// What each request adds to them, in thousandths of a retry.
    pub retries_per_thousand: u32,
    /// How often nodes are asked who owns which partition.
    pub rows_ms: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            pool: PoolOptions::default(),
            timeout_ms: 10_000,
            attempt_ms: 3_000,
            checkout_ms: 1_000,
            retries_max: 10,
            retries_per_thousand: 100,
            rows_ms: 60_000,
        }
    }
}

/// How many replicas must have spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Quorum {
    /// What the bucket's properties say.
    #[default]
    Default,
    /// One.
    One,
    /// More than half of n_val.
    Majority,
    /// All of n_val.
    All,
    /// So many.
    Count(u32),
}

impl Quorum {
    pub(crate) fn field(self) -> Option<u32> {
        match self {
            Quorum::Default => None,
            Quorum::One => Some(quorum::ONE),
            Quorum::Majority => Some(quorum::QUORUM),
            Quorum::All => Some(quorum::ALL),
            Quorum::Count(count) => Some(count),
        }
    }
}

/// How to read. The default is what the bucket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GetOptions {
    /// Replicas that must answer.
    pub r: Quorum,
    /// Primaries that must answer.
    pub pr: Quorum,
    /// Whether an absence counts towards `r`.
    pub notfound_ok: Option<bool>,
    /// Whether a majority of absences is enough, when `notfound_ok` is false.
    pub basic_quorum: Option<bool>,
    /// Metadata alone, without values.
    pub head: bool,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// How to write. The default is what the bucket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PutOptions {
    /// Replicas that must have taken the write.
    pub w: Quorum,
    /// Replicas that must have it on disk.
    pub dw: Quorum,
    /// Primaries that must have taken it.
    pub pw: Quorum,
    /// Give the object back as it is stored.
    pub return_body: bool,
    /// Only if there is nothing. Best effort: no lock.
    pub if_none_match: bool,
    /// Only if nothing was written since the object was read. Best effort: no lock.
    pub if_not_modified: bool,
    /// Doing it twice is as good as once: try again when the answer is lost. Otherwise such a write is
    /// [`Error::Unknown`](crate::Error::Unknown).
    pub repeatable: bool,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// How to delete. The default is what the bucket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeleteOptions {
    /// Replicas that must answer the read that comes before, if there is no context.
    pub r: Quorum,
    /// Primaries that must answer it.
    pub pr: Quorum,
    /// Replicas that must have taken the delete.
    pub w: Quorum,
    /// Replicas that must have it on disk.
    pub dw: Quorum,
    /// Primaries that must have taken it.
    pub pw: Quorum,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u32>,
}

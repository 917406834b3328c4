//! What a node measures of itself, and the forms in which it says so.
//!
//! The shards and the log thread count in cells of their own, at the cost of two additions each
//! ([`ombak_runtime::Gauges`]); everything here reads those, on the HTTP thread.
//!
//! | file | subject |
//! |---|---|
//! | `window` | the last minute, from a reading a second |
//! | `process` | the process and the machine, from `/proc` |
//! | `riak` | `/stats`, under Riak's names |
//! | `prometheus` | `/metrics` |
//! | `numbers` | `/ombak/numbers`, for `ombak top` |

pub(crate) mod numbers;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod riak;
pub(crate) mod window;

use ombak_kv::{Answer, Operation, Request as KvRequest};
use ombak_node::{Reply, Request, ShardStatus};
use ombak_paxos::locks::LockReply;
use ombak_paxos::register::server::RegisterReply;
use ombak_runtime::{Counters, Meters, Outcome};

use process::Process;

/// Numbers of the kinds of operations that are measured apart.
pub(crate) const GET: u8 = 0;
pub(crate) const PUT: u8 = 1;
pub(crate) const DELETE: u8 = 2;
pub(crate) const LIST: u8 = 3;
pub(crate) const PROPS: u8 = 4;
pub(crate) const ADMIN: u8 = 5;
/// The time that a lock is waited for is in it.
pub(crate) const LOCK: u8 = 6;
pub(crate) const REGISTER: u8 = 7;

/// Their names, in order.
pub(crate) const OPERATIONS: [&str; 8] =
    ["get", "put", "delete", "list", "props", "admin", "lock", "register"];

/// The kind of operation that a request is.
pub(crate) fn operation(request: &Request) -> u8 {
    match request {
        Request::Kv(KvRequest::Key(Operation::Get(_))) => GET,
        Request::Kv(KvRequest::Key(Operation::Put(_))) => PUT,
        Request::Kv(KvRequest::Key(Operation::Delete(_))) => DELETE,
        Request::Kv(KvRequest::List { .. }) => LIST,
        Request::Kv(_) => PROPS,
        Request::Status | Request::Repair => ADMIN,
        Request::Locks(_) => LOCK,
        Request::Register(_) => REGISTER,
    }
}

pub(crate) fn operation_name(operation: u8) -> &'static str {
    OPERATIONS.get(usize::from(operation)).unwrap_or(&"other")
}

/// What is counted of an answer.
pub(crate) fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Kv(Answer::Object(object)) => {
            let bytes = object.siblings.iter().map(|(_, content)| content.value.len() as u64);
            let object = Some((bytes.sum(), object.siblings.len() as u64));
            Outcome { failed: false, object }
        }
        Reply::Kv(Answer::Failed(_))
        | Reply::Locks(LockReply::Failed(_))
        | Reply::Register(RegisterReply::Failed(_)) => Outcome { failed: true, object: None },
        _ => Outcome::default(),
    }
}

/// Everything that is known at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    pub node: NodeFacts,
    /// Since the start.
    pub total: Counters,
    /// In the last minute.
    pub minute: Minute,
    /// Of all shards; `None` if they did not answer in time.
    pub shards: Option<Vec<ShardStatus>>,
    pub process: Process,
    /// Milliseconds since the start.
    pub up_ms: u64,
}

/// What does not change.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    pub name: String,
    /// All members, by name.
    pub members: Vec<String>,
    pub ring_size: u32,
    pub epoch: u64,
    /// How many partitions each member is the first owner of.
    pub first_of: Vec<u32>,
    pub vnodes: usize,
    pub backend: &'static str,
    pub dir: Option<std::path::PathBuf>,
}

/// What happened within a minute.
#[derive(Clone, Default, Debug)]
pub(crate) struct Minute {
    pub meters: Meters,
    pub clients_accepted: u64,
}

impl Minute {
    /// From the difference of two readings.
    pub fn between(earlier: Option<&Counters>, now: &Counters) -> Minute {
        let accepted = |counters: &Counters| {
            counters.shards.iter().map(|shard| shard.clients_accepted).sum::<u64>()
        };
        match earlier {
            None => Minute { meters: now.meters.clone(), clients_accepted: accepted(now) },
            Some(earlier) => Minute {
                meters: now.meters.since(&earlier.meters),
                clients_accepted: accepted(now).saturating_sub(accepted(earlier)),
            },
        }
    }
}

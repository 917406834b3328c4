//! A whole node: the shards of [`ombak_node`] hosted by [`ombak_runtime`] on storage of [`ombak_store`], and the
//! *faces* that clients see.
//!
//! ```text
//!   Protocol Buffers clients                        HTTP clients, operators
//!            │                                               │
//!   ┌────────▼─────────┐ one clone per shard,       ┌────────▼────────┐ one thread,
//!   │ pb::PbFace       │ on the shard's own thread  │ http::Site      │ tokio and hyper
//!   └────────┬─────────┘                            └────────┬────────┘
//!            │ kv::Request, kv::Answer                       │ the same, through runtime::Handle
//!   ┌────────▼───────────────────────────────────────────────▼────────┐
//!   │ node::Shard × shards          hosted by runtime, stored by store │
//!   └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A face translates; it decides nothing about data. What it may decide is what concerns its own connection alone: the
//! order of answers, how much may be outstanding, which bytes are no message. So that the simulator runs the same
//! database, whatever else looks like a decision belongs into `node`.
//!
//! # Starting
//!
//! [`Node::start`] goes from what is cheap to refuse to what is not: names, then ports, then the data directory (its
//! lock, its identity), then the store, which is read once, and last the threads. Whatever fails is a [`StartError`] of
//! one line, and leaves nothing behind.
//!
//! # Architecture invariants
//!
//! - `async` appears under `http` and nowhere else; no shard ever waits for it.
//! - No request is buffered without a bound, and at every bound somebody is told: the connection is not read any more,
//!   or the answer is an error that says so.
//! - Nothing that a client sends panics, or ends another client's connection.

mod directory;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod http;
pub mod inspect;
mod listeners;
mod metrics;
mod node;
mod options;
mod pb;
mod peer;
mod preflist;
mod random;
pub mod report;
mod snapshots;
mod socket;
mod storage;
mod tapes;

pub use error::StartError;
pub use listeners::{Addresses, Listeners};
pub use node::Node;
pub use ombak_node::DeleteMode;
pub use options::{Backend, DEFAULT_NAME, DEFAULT_RING_SIZE, NAME_BYTES_MAX, Options};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The async client of Ombak, for tokio. It speaks Riak's Protocol Buffers, so it serves a Riak as well.
//!
//! Start with [`Client`] and [`Object`].
//!
//! ```text
//!   Client           get, put, delete, listings, properties
//!     │
//!   calls            which node next, what may be tried again      RetryBudget, Rows: pure
//!     │
//!   host             futures, leases, tasks, timers                one PoolHost a node
//!     │ events ▲ effects
//!   pool             who gets which connection                     Pool: a pure state machine
//!     │
//!   connection       frames out, frames in; clean or not
//! ```
//!
//! # What decides and what acts
//!
//! A connection pool is a small concurrent program, and such programs are wrong in orders of things that nobody thought
//! of: one that was famous for it had passed all its unit tests. So the pool is two parts. [`pool::Pool`] decides: it is
//! an [`ombak_base::Machine`] like everything that decides here, with no I/O, no clock and no randomness, and it can be read
//! as a page of text. The host around it acts, and has as little to get wrong as possible.
//!
//! Both parts, as they are, run under a scheduler that polls tasks in any order, drops callers at any poll and breaks
//! nodes at any time, beside a model that says what a pool may do without looking at how (`src/model.rs`). What it finds
//! shrinks to a few callers. Six bugs of the kind that pools have are planted in the code, and it must find each.
//!
//! # What is promised
//!
//! - **Dropping a future** that this crate gave out is safe at every await. A place in line is given up, a connection that
//!   was granted and not taken goes to the next, and a connection with an answer still to come is closed: no answer is ever
//!   taken for that of another request.
//! - **A write is sent again only if it cannot have been done**, or if doing it twice is as good as once (a read, a delete
//!   of what was read, a put that says so). Else, when its answer is lost, the caller hears [`Error::Unknown`].
//! - **Everything is bounded**: connections to a node, callers in line, retries, the time of a request, an answer's length.
//!
//! # Which node
//!
//! Nodes tell who owns which partition. With that, and with the hash that they use, the client sends a key's request to the
//! key's first owner that is up, which saves the way from one node to another. It is a hint: any node serves any key, and a
//! Riak, which does not tell, is asked all the same. Nodes that fail are left alone for a while, longer each time; the
//! others take their requests.

mod budget;
mod calls;
mod client;
mod connection;
mod error;
pub mod fuzz;
mod host;
mod listing;
#[cfg(test)]
mod model;
mod net;
mod object;
mod options;
pub mod pool;
mod rows;

pub use calls::NodeStatus;
pub use client::{Client, ServerInfo, Written};
pub use error::Error;
pub use listing::Listing;
pub use object::{Bucket, Context, Key, Object, Value};
pub use options::{DeleteOptions, GetOptions, Options, PutOptions, Quorum};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

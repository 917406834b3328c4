//! An async client.
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

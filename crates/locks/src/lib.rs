//! Locks, leader election, fencing tokens and registers from an Ombak cluster.
//!
//! ```no_run
//! use std::time::Duration;
//! use ombak_locks::{How, Nodes, Session};
//!
//! # fn write(_: &str, _: u64) {}
//! # fn main() -> Result<(), ombak_locks::LockError> {
//! let nodes = Nodes::new(["127.0.0.1:8098", "127.0.0.1:8108", "127.0.0.1:8118"])?;
//! let session = Session::open(nodes, "report on db1", Duration::from_secs(10))?;
//! let lock = session.lock(&["printer"], How { wait: Some(Duration::from_secs(5)), ..How::default() })?;
//! write("a page", lock.token()); // The printer refuses tokens smaller than the largest that it has seen.
//! lock.unlock(None)?;
//! session.close()
//! # }
//! ```
//!
//! What modes, queues, value blocks and tokens mean is said in [`ombak_paxos::locks`]. **A lease is no lock**: a process that is
//! stopped (SIGSTOP, a paused virtual machine) and goes on does not know that its locks are others' by now. What must not be
//! touched twice at a time has to look at tokens, and refuse old ones.
//!
//! A thread that waits for a lock waits until it is granted, for its time, or until another one calls [`Session::cancel`].
//!
//! [`Session::lead`] and [`Session::leader`] are leader election: one of many is in charge, and everybody can ask who.
//!
//! [`Registers`] are small values that are changed by compare-and-set, each by itself, without a leader: for what must be seen alike by
//! all, such as a configuration, or who is in charge.
//!
//! Calls wait, on the thread that makes them. Each is sent until it is answered, to whichever node answers, and done once
//! whatever happens on the way. What is spoken is in [`wire`], for clients in other languages.

mod connection;
mod election;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod lock;
mod nodes;
mod registers;
mod requests;
mod session;
mod waiting;
pub mod wire;

pub use election::Leadership;
pub use error::LockError;
pub use lock::{How, Lock};
pub use nodes::Nodes;
pub use ombak_paxos::locks::{Fence, Late, Token};
pub use registers::{RegisterError, Registers, Versioned};
pub use session::Session;
pub use wire::{ListedRegister, Mode, RegisterPage};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! A replicated state machine in a process of your own.
//!
//! Say what is replicated ([`StateMachine`]), where the members are ([`Options`]), and [`Group::start`] makes this process one of
//! them: with a synced log on its disk, connections to the others, and a leader that is replaced when it dies.
//!
//! ```
//! use std::time::Duration;
//! use ombak_embed::{Bytes, DecodeError, Group, NodeId, Options, Slot, StateMachine};
//!
//! #[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
//! struct Counter(u64);
//!
//! impl StateMachine for Counter {
//!     fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
//!         self.0 += command.len() as u64; // The same on all members, whatever the command is.
//!         self.snapshot()
//!     }
//!     fn read(&self, _: &Bytes) -> Bytes {
//!         self.snapshot()
//!     }
//!     fn snapshot(&self) -> Bytes {
//!         Bytes::copy_from_slice(&self.0.to_be_bytes())
//!     }
//!     fn restore(snapshot: Bytes) -> Result<Counter, DecodeError> {
//!         let bytes = snapshot.as_ref().try_into().map_err(|_| DecodeError::Truncated)?;
//!         Ok(Counter(u64::from_be_bytes(bytes)))
//!     }
//! }
//!
//! // A group of one, in memory. With three, the addresses of all go in, and each has a directory: see `examples/counter.rs`.
//! let options = Options::new("doc", NodeId(1), &[(NodeId(1), "127.0.0.1:0".parse()?)]);
//! let group = Group::start(options, Counter::default())?;
//! let within = Duration::from_secs(10);
//! group.propose("abc", within)?;
//! assert_eq!(group.read("", within)?, 3u64.to_be_bytes().as_slice());
//! group.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who calls what, when
//!
//! [`Group`]'s methods may be called from any number of threads. The state machine lives on a thread of the group's, `ombak-shard-0`,
//! which also speaks to the other members: while it applies, reads or takes a snapshot, nothing else goes on. Those calls come one at
//! a time. A state machine that panics ends its member, and so will all the others when they apply the same command.
//!
//! # What is promised
//!
//! See `ombak_paxos`. In short: a command that was answered is on the disks of a majority, and is applied once, in the same order, by
//! all. A read sees everything that anybody was answered before it was asked. [`ProposeError::Unknown`] is an answer.

mod directory;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod group;
mod handshake;
mod machine;
mod options;
mod pending;
mod status;

pub use bytes::Bytes;
pub use error::{
    ChangeError, Ended, LeadError, NotNow, ProposeError, ReadError, StartError, TooLarge,
};
pub use group::{Group, Replicated};
pub use ombak_base::{DecodeError, NodeId};
pub use ombak_paxos::VOTERS_MAX;
pub use ombak_paxos::log::{COMMAND_BYTES_MAX, Lease, Membership, Slot, StateMachine};
pub use ombak_runtime::{Limits, RuntimeError};
pub use ombak_store::log::Options as LogOptions;
pub use options::{NAME_BYTES_MAX, Options};
pub use pending::{Pending, Watch};
pub use status::Status;

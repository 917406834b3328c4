//! Hosts any [`Machine`](ombak_base::Machine) on real threads, sockets and storage.
//!
//! A machine decides; this crate acts. It knows what a request, a message and a stamp *are for*, and has no `if` about
//! what any of them says. The simulator hosts the same machines under the same rules; what holds there holds here,
//! because nothing in between could do otherwise.
//!
//! # Threads, and what moves between them
//!
//! ```text
//!   clients ──► ┌──────────┐ ◄── batches ──► ┌──────────┐ ◄── clients
//!   peers   ──► │ shard 0  │                 │ shard 1  │ ◄── peers          one event loop, one machine,
//!               │ (doors)  │ ─── sockets ──► │          │                    one device each
//!               └──┬────▲──┘                 └──┬────▲──┘
//!          commits │    │ notices       commits │    │ notices, loads
//!               ┌──▼────┴─────────────────────▼─┴───┐   ┌──────────────┐
//!               │ log thread: one write, one sync   │   │ reader       │  runs loads that would block
//!               └───────────────────────────────────┘   └──────────────┘
//! ```
//!
//! A shard's thread is an epoll loop (`mio`). One turn: wait; note which sockets are ready; take what other threads
//! have said; read peers, then clients, one bounded read each; step the machine with every event at once as it is
//! decoded; fire timers; hand what was stored to the log thread as one commit; release what has become durable; write
//! to every socket that has something to say, once. The clock is read once a turn. Whatever arrives while a turn runs
//! is the next turn's batch, so a busy node does more per system call, and an idle one does nothing at all.
//!
//! Effects happen inside the step: a send is encoded straight into the output buffer of its connection, a reply
//! goes through the [`Face`] into the client's. Only what waits for a stamp is kept as a value, ordered by stamp.
//!
//! Peer connections carry one direction. Each shard dials each peer once and sends everything for that node over
//! it; the accepting side only reads. So the order of messages from one shard to one node is the order of one
//! connection, and the end of it is one event. A later connection from the same shard closes the earlier one before
//! it is read. Effects held for a stamp leave in the order of stamps, not in the order of sending, and never on a
//! later connection than the one that stood when they were sent.
//!
//! # What is bounded, and what happens there
//!
//! | bound | at it |
//! |---|---|
//! | output to a peer | `Refused::Full`, known to the machine at once |
//! | messages to another shard | `Refused::Full`; frames to be forwarded: their connection is not read |
//! | unfinished input of all clients of a shard, or one that waits too long for the rest | that connection is refused by its face |
//! | output to a client, requests outstanding on it | it is not read; streamed answers pause |
//! | commits waiting for the log, bytes not durable | clients are not read, later peers neither |
//! | requests of local clients | [`AskError::Overload`] |
//! | blocked reads, upkeep | the shard runs the job itself |
//! | client connections, unfinished handshakes | the new one is closed |
//! | a frame, a hello | the connection is closed before anything is allocated |
//! | events that one step brings about, one read, one turn's inputs | the rest waits for the next turn |
//!
//! All of them are in [`Limits`]. Threads that wait for each other wait in one direction only: the log thread and the
//! reader may wait for a shard's inbox; a shard waits for nobody. No lock is taken after the start.
//!
//! # Failure
//!
//! That the disk is full is told to every machine as `DeviceFull`, and that there is room again; meanwhile the log thread
//! looks five times a second. What is held waits for it, reads go on.
//!
//! A failed write or sync is told to every machine as `DeviceFailed`; what was held is forgotten, what still waits
//! for a stamp is never sent, reads go on. A panic on any thread ends the node, and [`Running::join`] says whose it
//! was. Anything that a connection can do wrong ends that connection, is logged at most once a second, and disturbs
//! nothing else.

mod chance;
mod clients;
mod config;
mod counters;
mod doors;
mod errands;
mod face;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod gathering;
mod greeting;
mod handle;
mod held;
mod histogram;
mod host;
mod links;
mod locals;
mod log_thread;
mod meters;
mod output;
mod peers;
mod queue;
mod reader;
mod requests;
mod running;
mod shard;
mod slab;
mod sockets;
mod start;
mod stores;
mod timers;

pub use config::{Boot, Config, Hosted, Limits, RuntimeError};
pub use counters::{Counters, Gauges, LogCounters, ShardCounters};
pub use errands::{ErrandList, Errands, errands};
pub use face::{Answer, Close, Face, NoFace, Refusal, Requests};
pub use greeting::{Admitted, Handshake};
pub use handle::{AskError, Asked, Flow, Handle, Sink};
pub use histogram::Histogram;
pub use meters::{Meters, OPERATIONS_MAX, OperationMeters, Outcome};
pub use running::{Running, Stopper};
pub use start::start;

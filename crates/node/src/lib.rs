//! The one composition of all machines: a [`Shard`].
//!
//! The same type runs in production (`runtime`), in the simulator and in the explorer; nothing that decides about a
//! request lives anywhere else. A shard is one core's share of a node: the vnodes whose partition falls to it, the
//! requests that it coordinates, and what it knows of its peers.
//!
//! # Follow one put
//!
//! 1. [`Shard::step`](ombak_base::Machine::step) gets `Event::Request`. `entry` checks names, draws the request id and
//!    finds the shard of a live primary that will name the write: here, or elsewhere by `Message::Forward`.
//! 2. `coordinate` resolves quorums against the bucket's properties and refuses what the live replicas cannot satisfy.
//! 3. The own vnode loads the key, names the write with a dot, and stores the result ([`ombak_kv::Kv`]).
//! 4. The object goes to the other primaries as `Ask::Merge`; each checks its fence (`replica`) and stores it, as it is
//!    if it has what the write was made from, else merged with what it has, and answers when its log has synced.
//! 5. [`ombak_kv::PutCore`] has heard enough: the answer goes to the client, or back to the shard that forwarded.

mod boot;
mod coordinate;
mod entry;
mod listing;
mod members;
mod message;
mod owed;
mod part;
pub mod places;
mod reaping;
mod registers;
mod repair;
mod replica;
mod root;
mod shard;
mod spread;
mod status;
mod stopping;

pub use boot::{Boot, NODE_PARTITION, VnodeState};
pub use coordinate::Needs;
pub use message::{Acks, Ask, Message, Told};
pub use reaping::DeleteMode;
pub use registers::REGISTER_PARTITION;
pub use root::{ROOT_PARTITION, ROOT_VOTERS_MAX, RootStatus, founders};
pub use shard::{Bounds, Config, Reply, Request, Shard, Timer};
pub use status::{PeerStatus, RepairReport, ShardStatus, VnodeStatus};

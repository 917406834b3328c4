//! Consensus to embed.
//!
//! - [`synod`]: how one value is chosen, and never another. Start here: it is the page that everything else stands on.
//! - [`log`]: the synod once for each slot, with a leader: replicated state machines, and the members of a group.
//! - [`register`]: compare-and-set on one key, without a leader; [`register::server`]: many of them, on a node.
//! - [`locks`]: a lock manager in the manner of VMS, as a state machine for a replicated log.
//! - [`Member`]: the replicas of a node, of many groups, as a [`Machine`](ombak_base::Machine), with a disk and an eye on its peers.
//! - [`Ballot`], [`Voters`] and [`Members`]: the numbers of proposals, and how many must agree.

mod ballot;
#[cfg(test)]
mod golden;
pub mod locks;
pub mod log;
mod member;
mod members;
pub mod register;
pub mod synod;

pub use ballot::{Ballot, Disjoint, Voters};
pub use member::{
    APPLIED_BYTES_MAX, Applied, BEAT_MS, Failure, Greeting, Group, Life, Member, REFUSALS, Refusal,
    SUSPECT_MS, Setup, Telling, Timer, refusal_places,
};
pub use members::{Disks, LEARNERS_MAX, Members, VOTERS_MAX, WITNESSES_MAX};

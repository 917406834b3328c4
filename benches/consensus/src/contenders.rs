//! What is compared: each library behind one small face, set up for as much as it can do.

mod floor;
mod hand;
mod ombak;
mod omnipaxos;
mod openraft;
mod raft;
mod sessions;

use anyhow::Result;
use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::tally::Tally;

pub const NODES: usize = 3;
/// A replica forgets entries when it has applied so many bytes since it last did.
pub const FORGET_BYTES: usize = 1 << 20;

/// Three replicas, the first of which leads.
pub trait Contender {
    /// Clients of the leader ask for these.
    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()>;

    /// Everything that is to be said is said and heard, and what was written is synced, once. Says how many commands
    /// the leader has applied so far.
    fn turn(&mut self) -> Result<u64>;

    /// What the state machines hold, after the last of them has applied everything.
    fn finish(&mut self) -> Result<[Tally; NODES]>;
}

/// How a contender is set up, as far as the work decides it.
pub struct Setup {
    /// Of each replica.
    pub journals: [Journal; NODES],
    pub window: usize,
    /// Commands in a batch.
    pub batch: usize,
    pub bytes: usize,
}

/// Which contender.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Bare replication without a protocol
    Floor,
    /// Ombak's log
    Ombak,
    /// Ombak's log with sessions
    Sessions,
    /// OmniPaxos
    Omnipaxos,
    /// raft-rs
    Raft,
    /// openraft
    Openraft,
}

impl Kind {
    /// Those that give the same: commands that are asked for twice may be applied twice.
    pub const ALL: [Kind; 5] =
        [Kind::Floor, Kind::Ombak, Kind::Omnipaxos, Kind::Raft, Kind::Openraft];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Floor => "floor",
            Kind::Ombak => "ombak",
            Kind::Sessions => "ombak, sessions",
            Kind::Omnipaxos => "omnipaxos",
            Kind::Raft => "raft-rs",
            Kind::Openraft => "openraft",
        }
    }

    /// A group with a leader.
    pub fn start(self, setup: Setup) -> Result<Box<dyn Contender>> {
        Ok(match self {
            Kind::Floor => Box::new(floor::group(setup)),
            Kind::Ombak => Box::new(ombak::group(setup)?),
            Kind::Sessions => Box::new(sessions::Group::start(setup)?),
            Kind::Omnipaxos => Box::new(omnipaxos::group(setup)?),
            Kind::Raft => Box::new(raft::group(setup)?),
            Kind::Openraft => Box::new(openraft::Group::start(setup)?),
        })
    }
}

#[cfg(test)]
mod tests;

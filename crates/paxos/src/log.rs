//! A replicated log: the synod, once for each slot, with one leader for as long as possible.
//!
//! From *The Part-Time Parliament*, section 3, and *Paxos Made Simple*, section 3; what is ours is said below.
//!
//! # How it goes
//!
//! Slots are numbered from 1. For each of them the synod ([`crate::synod`]) chooses an [`Entry`]: a batch of commands, a
//! change of members, or nothing. Every replica applies what was chosen, in order, to its copy of a [`StateMachine`].
//!
//! Phase 1 is done once, for all slots: the [`Promised`] of an acceptor is one number, whatever the slot. So a leader whose
//! ballot nobody has outbid has only phase 2 to do, one round trip, for as many slots as it likes at the same time.
//!
//! ```text
//!   client      leader                      follower          follower
//!     │ propose ─▶│                             │                 │
//!     │           │ append, accept(b, 7..7) ───▶│ append          │
//!     │           │ ───────────────────────────────────────────▶ │ append
//!     │           │ (synced) ◀──── accepted(7) (synced)           │
//!     │           │ two of three: 7 is chosen; apply              │
//!     │ ◀─ answer │ accept(b, nothing, committed 7) ────────────▶ │ apply
//! ```
//!
//! # What makes it a log
//!
//! - An acceptor's entries have **no gaps**: it refuses one that is not the next. So an acknowledgement is one number: *all up
//!   to here is on my disk*. A quorum that has acknowledged slot s holds the whole log up to s.
//! - A slot is **committed** once it is known to be chosen. `committed` travels with every `accept`. A follower believes it
//!   for what it has accepted in *this* ballot: that is the leader's log. What it accepted in lower ballots may not be.
//! - A **new leader** hears from a quorum what they have accepted above what it knows to be chosen. It proposes
//!   again, in its own ballot, of each slot what was accepted in the highest: what may be chosen already is among it.
//! - **Batching** needs no tuning. A command that finds the pipeline empty goes at once. While [`PIPELINE`] slots are under way,
//!   commands gather, and go together when one of these is chosen. A host that has several at the same moment hands them over together
//!   ([`Replica::request_all`]).
//!
//! # Members
//!
//! Who votes on a slot is decided by the log below it: the last change of members that was chosen. A leader proposes nothing
//! behind a change until that is chosen, so that nobody has to guess. From the next slot on it needs promises of a quorum of the
//! new members as well, and asks for them (*extending*): one of them may have promised more to another, who knew first.
//!
//! Voters are changed through a state in which the old and the new ones must agree ([`Members`]). The first entry begins it, a
//! second, which the leader proposes itself, ends it. When the second is chosen, a quorum of the new voters holds the whole log, for
//! an acknowledgement means that. Nothing of the old ones is needed any more.
//!
//! # Reads
//!
//! A leader may have been replaced without knowing it. Before it answers a read from its state, it asks a quorum whether its ballot
//! still is the highest that they promised (*read index*; one question for all reads that wait). Whoever replaces it needs promises of
//! a quorum that has one of these in it, so it was the leader still when the question was asked, and what it has committed
//! is all that anybody was told of.
//!
//! With a [`Lease`], which is off unless a host turns it on, such a leader has a quorum let nobody else lead for a while, and
//! meanwhile answers reads by itself. Then reads are as good as the clocks are: see `lease.rs`.
//!
//! A read at a slot ([`Ask::ReadAt`]) asks nobody: whoever is asked answers from its own state once it has applied that slot. A client
//! that names the slot of its last answer reads its own writes, and never goes back, whichever members it asks.
//!
//! # Handing over
//!
//! A leader can be asked to let a certain voter lead ([`Ask::Lead`]). It brings that one up to date, holds back what is new, and tells it
//! to stand at once. That is a matter of time, not of safety: who stands needs promises of a quorum like everybody else. A leader
//! that has a lease lets it run out first.
//!
//! # Snapshots
//!
//! The state is written down when there is as much log as state, and at least so many bytes of log as the host says; entries are kept from the
//! snapshot before on. Who lacks older ones is sent the state instead, in pieces that it acknowledges (`leading/streaming.rs`).
//!
//! # Witnesses
//!
//! Some voters can be *witnesses*: they promise and accept like the others, and keep the log and no state. So they cost little, apply nothing,
//! can't lead, and answer no reads. Of three voters, one can be a witness: the group goes on without any one of them. Of any voters that
//! decide, one at least must keep the state ([`Members::have_state`]).
//!
//! A witness forgets entries when the leader says that the voters with the state have them in their snapshots, and lets nobody lead who lacks
//! what it has forgotten (`leading/witnesses.rs`). Who was a witness once stays one under its name: its state has missed something,
//! and it would go unnoticed if it were used again.
//!
//! # Silence
//!
//! A group that has nothing to do says nothing and has no timer. That a leader's node lives is not each group's business, but
//! the host's, who says so ([`Replica::peer_down`]). Lost messages are sent again after [`RESEND_MS`] while something is under way.

mod batch;
mod clients;
mod election;
mod entries;
mod entry;
mod following;
mod leading;
mod lease;
mod message;
mod monitor;
mod outcome;
mod readers;
mod replica;
pub mod sessions;
mod stored;

use bytes::Bytes;
use ombak_base::{ClientId, DecodeError, DirectoryId, NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

pub use batch::Batch;
pub use entry::{Change, Entry};
pub(crate) use following::STATE_TOO_LARGE;
pub use lease::Lease;
pub use message::{Ask, Body, Membership, Message};
pub use monitor::{Disagreement, Glance, Mark, Monitor, ONE_LEADER, ONE_PROPOSAL, ONE_VALUE};
pub use outcome::Outcome;
pub use replica::{Replica, Status};
#[cfg(test)]
pub(crate) use stored::checksum;
pub use stored::{Place, Snapshot, Stored, Write};

#[cfg(doc)]
use crate::{Members, synod::Promised};

/// A place in the log, from 1. 0 is before all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Slot(pub u64);

impl Slot {
    /// The next one.
    pub fn next(self) -> Slot {
        Slot(self.0.saturating_add(1))
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slot{}", self.0)
    }
}

/// Slots under way while commands go at once. When there are more, they gather.
pub const PIPELINE: u64 = 4;
/// A command's bytes.
pub const COMMAND_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of commands that wait at a leader to be proposed. More are refused as [`Outcome::Busy`].
pub const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of entries in a message, unless a single one is larger.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a snapshot in a message.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a snapshot that a member is sent before it has said that it has them; those of a piece more, at most.
pub const STATE_WINDOW_BYTES: u64 = 1024 * 1024;
/// Slots that a follower is sent before it has answered.
pub const WINDOW: u64 = 64;
/// Requests that wait for a leader, or for its answer, on a node that does not lead.
pub const WAITING_MAX: usize = 4096;
/// Who waits for a leader, or for its answer, is told after so long that there is none.
pub const WAITING_MS: u64 = 5_000;
/// Without a leader, somebody stands for election after this to twice this. Drawn anew each time: two who draw once collide for
/// ever.
pub const ELECTION_MS: u64 = 150;
/// What was not answered is sent again.
pub const RESEND_MS: u64 = 200;
/// Witnesses forget what a voter that is away may lack after the leader has taken so many snapshots meanwhile.
pub const SNAPSHOTS_HELD: u32 = 16;
/// And what one may lack that can't be reached, after so many times the bytes of entries after which a host wants a snapshot: with a
/// large state, snapshots are rare.
pub const SHORTEST_SNAPSHOTS_HELD: usize = 64;

/// A leader that is to hand over goes on if that took longer.
pub const HANDOVER_MS: u64 = 2_000;

/// A ballot that is by so many rounds above all that is known is none: to promise it would leave no room above.
pub const ROUNDS_AHEAD_MAX: u64 = 1 << 32;
/// No log comes so far: a slot above is a mistake or a lie.
pub const SLOT_MAX: Slot = Slot(1 << 62);

/// What is replicated. The same commands in the same order give the same state and the same answers, everywhere.
pub trait StateMachine: Clone + Eq + std::hash::Hash + std::fmt::Debug {
    /// Applies what was decided. `slot` grows, and several commands can have the same.
    fn apply(&mut self, slot: Slot, command: &Bytes) -> Bytes;

    /// Answers a question, and changes nothing.
    fn read(&self, query: &Bytes) -> Bytes;

    /// All of it.
    fn snapshot(&self) -> Bytes;

    /// Reads what [`snapshot`](StateMachine::snapshot) wrote.
    fn restore(snapshot: Bytes) -> Result<Self, DecodeError>;

    /// Becomes what [`snapshot`](StateMachine::snapshot) wrote, or stays as it is. For a state that has something which is in no
    /// snapshot, such as a handle.
    fn install(&mut self, snapshot: Bytes) -> Result<(), DecodeError> {
        Self::restore(snapshot).map(|state| *self = state)
    }
}

/// What a replica asks of its host, in the middle of a call. Nothing leaves before the call returns.
///
/// `after` names a stamp that [`store`](Host::store) gave: the host holds the message back until that is durable.
pub trait Host {
    /// Sends to the same group on another node. It may be lost, and late, and come twice.
    fn send(&mut self, to: NodeId, message: Message, after: Stamp);
    /// Keeps this. What was stored before becomes durable before.
    fn store(&mut self, write: Write) -> Stamp;
    /// Asks for [`Replica::timer`] at `at`. Replaces an earlier one of the same name.
    fn arm(&mut self, timer: Timer, at: Tick);
    /// Forgets a timer.
    fn disarm(&mut self, timer: Timer);
    /// A free choice from `0..n`.
    fn choose(&mut self, n: u64) -> u64;
    /// Tells a client of this node what became of a request. Once for each.
    fn answer(&mut self, client: ClientId, outcome: Outcome);
    /// Tells what the state machine said to a command, whoever asked for it. Every replica tells it of every command, in the order of
    /// the log; before [`answer`](Host::answer), if it was asked for here. One slot can have several.
    fn applied(&mut self, slot: Slot, answer: &Bytes) {
        let _ = (slot, answer);
    }
    /// Tells that the state is that after a slot, and that no more is told of the commands up to there: it came from the disk, or from
    /// a snapshot that the leader sent.
    fn restored(&mut self, slot: Slot) {
        let _ = slot;
    }
    /// Says that an interesting place in the code was reached.
    fn probe(&mut self, name: &'static str);
    /// The disk with which a node lives now, if it has said so. Who is taken in is a member with this one. A host that does not
    /// look at disks knows none.
    fn disk(&self, node: NodeId) -> Option<DirectoryId> {
        let _ = node;
        None
    }
}

/// A replica's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// There is no leader: stand for election.
    Election,
    /// There was no answer: send again.
    Resend,
    /// Clients wait for a leader, or for its answer.
    Clients,
    /// The lead is being handed over.
    Handover,
}

#[cfg(test)]
pub(crate) mod tests;

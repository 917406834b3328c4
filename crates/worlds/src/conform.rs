//! What production nodes recorded, played by the code, and watched.
//!
//! Each shard's recording is played by itself: every effect and every state must be what it was (`ombak_tape`). Then the
//! steps of all shards are put into one order in which every message is sent before it is received, and monitors look at
//! them as nobody could while it happened:
//!
//! - **what is received was sent**, by the shard that it is said to come from;
//! - **a dot names one write** on all nodes;
//! - **an acknowledged write is where it was said to be**: as many nodes hold it, and have synced it, as its quorums ask;
//! - **a read shows what was acknowledged before**, where the quorums of both meet;
//! - **of the root group**: a slot has one value, a ballot proposes one value in a slot, a ballot has one leader
//!   ([`Monitor`](ombak_paxos::log::Monitor)), and the tokens of its locks grow with its slots;
//! - **what clients were told of locks** goes together, by the rules of a simulated run: a lock excludes others, and who
//!   is granted one gets a token larger than all that anybody had heard of.
//!
//! Recordings are windows of what happened, cut at different moments. What a monitor cannot know it does not judge: a
//! message from before the sender's window; writes, reads and locks, unless all shards of all nodes are there, and from
//! before they began.

mod groups;
mod locks;
mod merged;
mod reads;
mod sent;
mod stored;

use std::collections::BTreeMap;
use std::fmt;

use ombak_base::{Address, Now};
use ombak_node::Shard;
use ombak_paxos::log::Mark;
use ombak_tape::{Difference, Played, Recording};

use groups::{Groups, Seen};
use locks::Locks;
use merged::Merged;
use reads::Clients;
use sent::Sent;
use stored::Stored;

type Effect = ombak_tape::Effect<Shard>;

/// One step of one shard.
pub struct Step {
    /// Whose.
    pub at: Address,
    /// The number of the step, counted from the start of that shard.
    pub number: u64,
    /// When, by the node's clocks.
    pub now: Now,
    /// What happened.
    pub event: ombak_base::Event<Shard>,
    /// What came of it.
    pub effects: Vec<Effect>,
    /// What an operation that a client asks for in it needs.
    needs: Option<ombak_node::Needs>,
    /// What it has changed in this shard's part of the root group.
    root: Option<Seen>,
}

/// What there was to see, all of it as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conformed {
    /// Steps of each shard.
    pub steps: BTreeMap<Address, u64>,
    /// Their effects.
    pub effects: u64,
    /// Messages whose sending is recorded too.
    pub messages: u64,
    /// Messages that were sent before their sender's window.
    pub messages_from_before: u64,
    /// Dots whose write was looked at.
    pub dots: u64,
    /// Acknowledged writes that are where they were said to be.
    pub writes: u64,
    /// Reads that show what they must.
    pub reads: u64,
    /// Slots of the root group that are decided alike.
    pub decided: u64,
    /// Grants of locks that go together.
    pub grants: u64,
    /// Whether all shards of all nodes are there, so that writes, reads and locks could be judged.
    pub is_whole: bool,
}

/// What is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Nonconformity {
    /// The code does something else than what was recorded.
    #[error("the code does not do what was recorded: {0}")]
    Differs(#[from] Difference),
    /// The steps of several shards do not fit together.
    #[error("{rule}: {detail}, in step {step} of {at}")]
    Broken {
        /// What does not hold.
        rule: &'static str,
        /// What was seen.
        detail: String,
        /// Whose step.
        at: ombak_tape::Where,
        /// Which.
        step: u64,
    },
    /// What clients were told does not fit together.
    #[error("{rule}: {detail}")]
    Clients {
        /// What does not hold.
        rule: &'static str,
        /// What was seen.
        detail: String,
    },
    /// Nodes of two clusters have nothing to do with each other.
    #[error("{0} is of another cluster than the others: give recordings of one")]
    OtherCluster(ombak_tape::Where),
    /// Two recordings are of the same shard.
    #[error("{0} is recorded twice: give one recording of each node")]
    Twice(ombak_tape::Where),
    /// There is nothing in them.
    #[error("there is no step in what was recorded")]
    Empty,
}

/// Plays recordings of nodes of one cluster, whose clocks differ by no more than `skew_us`, the time that a message is under
/// way included. `see` is shown every step, in the order that was found.
pub fn conform(
    recordings: &[Recording],
    skew_us: u64,
    mut see: impl FnMut(&Step),
) -> Result<Conformed, Nonconformity> {
    let mut merged = Merged::of(recordings, skew_us)?;
    let mut sent = Sent::of(&merged);
    let mut stored = Stored::default();
    let mut groups = Groups::default();
    let mut clients = Clients::new(merged.begins_us(), skew_us);
    let mut locks = Locks::new(merged.begins_us(), skew_us);
    let mut found = Conformed { is_whole: merged.is_whole(), ..Conformed::default() };
    while let Some((step, sending)) = merged.next(&mut sent)? {
        *found.steps.entry(step.at).or_default() += 1;
        found.effects += step.effects.len() as u64;
        see(&step);
        match sending {
            Sending::None => {}
            Sending::Known(after) => {
                found.messages += 1;
                stored.is_durable(&step, after);
            }
            Sending::Before => found.messages_from_before += 1,
        }
        sent.note(&step);
        stored.note(&step)?;
        groups.note(&step)?;
        if found.is_whole {
            clients.note(&step, &stored)?;
            locks.note(&step);
        }
    }
    locks.check()?;
    (found.dots, found.decided, found.grants) = (stored.dots(), groups.decided(), locks.grants());
    (found.writes, found.reads) = clients.judged();
    if found.steps.is_empty() { Err(Nonconformity::Empty) } else { Ok(found) }
}

/// Where the message of a step comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sending {
    /// It has none, or one of a shard that is not recorded.
    None,
    /// It was sent; the sender's stores up to this stamp were durable by then.
    Known(ombak_base::Stamp),
    /// From before the sender's window.
    Before,
}

impl Step {
    /// `mark`: how far its part in the root group had come before.
    fn of(played: Played<'_, Shard>, mark: &mut Mark) -> Step {
        let Played { at, number, now, event, effects, machine, .. } = played;
        let needs = reads::asked(&event).and_then(|operation| machine.needs(operation));
        Step { at, number, now, event, effects, needs, root: Seen::of(machine, mark) }
    }

    fn broken(&self, rule: &'static str, detail: String) -> Nonconformity {
        Nonconformity::Broken { rule, detail, at: ombak_tape::Where(self.at), step: self.number }
    }
}

/// As a trace shows it: time by the node's clock, shard, event; and each effect under it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, us) = (self.now.wall_us / 1_000_000, self.now.wall_us % 1_000_000);
        let Address { node, shard } = self.at;
        write!(f, "{seconds}.{us:06} {node}.{shard} #{} {:?}", self.number, self.event)?;
        self.effects.iter().try_for_each(|effect| write!(f, "\n    {effect:?}"))
    }
}

#[cfg(test)]
mod tests;

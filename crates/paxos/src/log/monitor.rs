//! What must be true of a group across its members. No member can see it: whoever looks at all of them can, be it a simulator after every
//! event, or somebody who plays what they have recorded.
//!
//! | rule | says |
//! |---|---|
//! | [`ONE_VALUE`] | No two members take different things for decided in one slot. |
//! | [`ONE_PROPOSAL`] | No two members have accepted different things in one slot and one ballot: they came from one leader. |
//! | [`ONE_LEADER`] | A ballot is led by its proposer, and in one of its lives. |
//!
//! The first is what a log is for. The other two are what the argument for it rests on ([`crate::synod`]), and are broken before it is.

use std::collections::BTreeMap;
use std::fmt;

use ombak_base::NodeId;

use super::replica::Role;
use super::{Entry, Replica, Slot, StateMachine};
use crate::ballot::Ballot;
use crate::synod::Accepted;

/// A slot is decided once.
pub const ONE_VALUE: &str = "a slot has one value";
/// A ballot proposes one thing in a slot.
pub const ONE_PROPOSAL: &str = "a ballot proposes one value in a slot";
/// Nobody leads in another's ballot, or twice in one.
pub const ONE_LEADER: &str = "a ballot has one leader";

/// How far a replica has come. As long as it is the same, there is nothing new to be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    life: u64,
    promised: Ballot,
    leads: bool,
    through: Slot,
    last: Slot,
    /// What it knows to be chosen.
    pub committed: Slot,
}

/// What can be seen of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glance {
    /// Whose.
    pub node: NodeId,
    /// Since it was started.
    pub life: u64,
    /// In which ballot it leads.
    pub leads: Option<Ballot>,
    /// It takes what it has accepted up to here for decided.
    pub committed: Slot,
    /// What it has accepted, as far as it was looked at and not forgotten.
    pub accepted: Vec<(Slot, Accepted<Entry>)>,
}

/// What has been seen of the members of one group. It remembers everything, so it is for a stretch of the group's life. A group of which
/// all disks are lost begins again, and is another one.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    decided: BTreeMap<Slot, (NodeId, Entry)>,
    proposed: BTreeMap<(Slot, Ballot), (NodeId, Entry)>,
    led: BTreeMap<Ballot, (NodeId, u64)>,
}

/// Two members that do not go together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// Which of the rules is broken.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}

impl std::error::Error for Disagreement {}

impl<S: StateMachine> Replica<S> {
    /// How far it has come.
    pub fn mark(&self) -> Mark {
        Mark {
            life: self.life,
            promised: self.promised.ballot(),
            leads: self.leads(),
            through: self.through,
            last: self.entries.last(),
            committed: self.committed,
        }
    }

    /// What can be seen of it, of the slots above one.
    pub fn glance(&self, above: Slot) -> Glance {
        let leads = match &self.role {
            Role::Leading(leading) => Some(leading.ballot),
            _ => None,
        };
        let accepted = self.entries.from(above.next());
        Glance {
            node: self.id,
            life: self.life,
            leads,
            committed: self.committed,
            accepted: accepted.map(|(slot, accepted)| (slot, accepted.clone())).collect(),
        }
    }
}

impl Monitor {
    /// Somebody is looked at.
    pub fn see(&mut self, glance: &Glance) -> Result<(), Disagreement> {
        let Glance { node, committed, .. } = *glance;
        self.see_leader(glance)?;
        for (slot, Accepted { ballot, value }) in &glance.accepted {
            let proposed = self.proposed.entry((*slot, *ballot));
            one(
                ONE_PROPOSAL,
                proposed.or_insert_with(|| (node, value.clone())),
                node,
                value,
                || format!("{slot:?} in {ballot:?}"),
            )?;
            if *slot <= committed {
                let decided = self.decided.entry(*slot).or_insert_with(|| (node, value.clone()));
                one(ONE_VALUE, decided, node, value, || format!("{slot:?}"))?;
            }
        }
        Ok(())
    }

    /// Slots of which it was seen what is decided.
    pub fn decided(&self) -> u64 {
        self.decided.len() as u64
    }

    fn see_leader(&mut self, glance: &Glance) -> Result<(), Disagreement> {
        let Some(ballot) = glance.leads else { return Ok(()) };
        let now = (glance.node, glance.life);
        let first = *self.led.entry(ballot).or_insert(now);
        if first == now && ballot.proposer == glance.node {
            return Ok(());
        }
        let detail = format!("{ballot:?} was led by {first:?}, and is led by {now:?} (node, life)");
        Err(Disagreement { rule: ONE_LEADER, detail })
    }
}

/// What somebody has is what the first who had it has.
fn one(
    rule: &'static str,
    (first, known): &(NodeId, Entry),
    node: NodeId,
    value: &Entry,
    place: impl FnOnce() -> String,
) -> Result<(), Disagreement> {
    if known == value {
        return Ok(());
    }
    let detail = format!("{}: {known:?} at {first}, {value:?} at {node}", place());
    Err(Disagreement { rule, detail })
}

#[cfg(test)]
mod tests;

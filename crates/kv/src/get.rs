//! When a read has heard enough, and what that is worth.
//!
//! Let V be the replicas that answered with a value (an object or a tombstone), A those that said "absent" and are
//! complete, U those that said "absent" and are not, E those that failed or cannot be reached. At most one answer per
//! node counts. "The same as the coordinator's own" is a value: the coordinator reads its own replica first, and its
//! object need not travel again.
//!
//! - *value*: V ≥ 1 and V+A+U ≥ R and the primaries among V and A ≥ PR: the merge of all V heard. U may stand beside a
//!   value: someone has it, and that is evidence enough.
//! - *not found*, with notfound_ok: V = 0 and A ≥ max(R, PR). Without: V = 0 and A more than half of the row (with
//!   basic_quorum), or A = the whole row.
//! - when nothing more can come and neither holds: unsatisfied, **never** "not found".
//!
//! A write acknowledged by W durable primaries is therefore never "not found" at R when R + W > n_val: of any R
//! complete primaries one has it.

use ombak_base::{NodeId, planted};

use crate::{Object, RequestError};

/// What one replica said.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Heard {
    /// This object (maybe a tombstone).
    Value(Object),
    /// The coordinator's own object, which was heard first of all values.
    Same,
    /// Nothing there, and the vnode is complete.
    Absent,
    /// Nothing there, which means nothing.
    Unknown,
    /// It could not say.
    Failed,
}

/// What a read comes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum GetDecision {
    /// The merge of what was heard. It may be a tombstone, which is a well-founded "not found".
    Found(Object),
    /// Nothing is there.
    NotFound,
    /// Not enough could be heard.
    Failed(RequestError),
}

/// One read at its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GetCore {
    need_r: usize,
    need_pr: usize,
    need_absent: usize,
    replicas: usize,
    heard: Vec<(NodeId, Heard)>,
}

impl GetCore {
    /// A read of `replicas` primaries that needs R = `need_r` and PR = `need_pr` of them.
    pub fn new(
        need_r: usize,
        need_pr: usize,
        replicas: usize,
        notfound_ok: bool,
        basic_quorum: bool,
    ) -> GetCore {
        let need_absent = match (notfound_ok, basic_quorum) {
            (true, _) => need_r.max(need_pr).max(1),
            (false, true) => replicas / 2 + 1,
            (false, false) => replicas,
        };
        GetCore {
            need_r: need_r.max(1),
            need_pr,
            need_absent,
            replicas,
            heard: Vec::with_capacity(replicas),
        }
    }

    /// Takes one answer. A second one from the same node is passed over.
    pub fn hear(&mut self, node: NodeId, answer: Heard) {
        // Whoever says "the same" where nobody has anything says nothing.
        let answer =
            if answer == Heard::Same && self.own().is_none() { Heard::Failed } else { answer };
        let again = self.heard.iter().any(|(heard, _)| *heard == node);
        if !again || planted!("quorum counted by messages instead of nodes") {
            self.heard.push((node, answer));
        }
    }

    /// Whether `node` has been heard.
    pub fn has_heard(&self, node: NodeId) -> bool {
        self.heard.iter().any(|(heard, _)| *heard == node)
    }

    /// Whether every replica has been heard.
    pub fn is_complete(&self) -> bool {
        self.heard.len() >= self.replicas
    }

    /// The coordinator's own object: the first value heard.
    pub fn own(&self) -> Option<&Object> {
        self.heard.iter().find_map(|(_, heard)| match heard {
            Heard::Value(object) => Some(object),
            _ => None,
        })
    }

    /// Whether `heard` is `object`.
    pub fn is(&self, heard: &Heard, object: &Object) -> bool {
        match heard {
            Heard::Value(value) => value == object,
            Heard::Same => self.own() == Some(object),
            Heard::Absent | Heard::Unknown | Heard::Failed => false,
        }
    }

    /// Whether every replica has the coordinator's own object, so that there is nothing to repair.
    pub fn agrees(&self) -> bool {
        let mut others = self.heard.iter().filter(|(_, heard)| *heard != Heard::Same);
        let only = matches!(others.next(), Some((_, Heard::Value(_)))) && others.next().is_none();
        only && self.is_complete()
    }

    /// All answers so far.
    pub fn heard(&self) -> &[(NodeId, Heard)] {
        &self.heard
    }

    /// The merge of all values heard.
    pub fn merged(&self) -> Object {
        let mut merged: Option<Object> = None;
        for (_, heard) in &self.heard {
            match (&mut merged, heard) {
                (None, Heard::Value(object)) => merged = Some(object.clone()),
                (Some(merged), Heard::Value(object)) if !merged.includes(object) => {
                    merged.merge(object)
                }
                _ => {}
            }
        }
        merged.unwrap_or_default()
    }

    /// The answer, once there is one.
    pub fn decide(&self) -> Option<GetDecision> {
        let count = |wanted: fn(&Heard) -> bool| {
            self.heard.iter().filter(|(_, heard)| wanted(heard)).count()
        };
        let values = count(|heard| matches!(heard, Heard::Value(_) | Heard::Same));
        let unknown = count(|heard| matches!(heard, Heard::Unknown));
        let mut absent = count(|heard| matches!(heard, Heard::Absent));
        if planted!("an incomplete vnode's absence taken as evidence") {
            absent += unknown;
        }
        let (said, primaries) = (values + absent + unknown, values + absent);
        if values >= 1 && said >= self.need_r && primaries >= self.need_pr {
            return Some(GetDecision::Found(self.merged()));
        }
        if values == 0 && absent >= self.need_absent {
            return Some(GetDecision::NotFound);
        }
        self.is_complete().then(|| GetDecision::Failed(self.unsatisfied(primaries)))
    }

    /// The decision when time is up and the silent ones must be given up.
    pub fn give_up(&self) -> GetDecision {
        self.decide().unwrap_or(GetDecision::Failed(RequestError::Timeout))
    }

    fn unsatisfied(&self, primaries: usize) -> RequestError {
        if primaries < self.need_pr {
            RequestError::PrUnsatisfied { need: self.need_pr, got: primaries }
        } else {
            RequestError::RUnsatisfied { need: self.need_r.max(self.need_absent), got: primaries }
        }
    }
}

#[cfg(test)]
mod tests;

//! When a read has heard enough, and what that is worth.
//!
//! Each replica says what it has: a value (an object or a tombstone), or nothing; and whether it is *complete*: an
//! incomplete one has lost something, nobody knows what. Let V be the replicas that answered with a value, A and U
//! those without one that are complete and that are not, C all that are complete. The others have failed or cannot be
//! reached. At most one answer per node counts. "The same as the coordinator's own" is a value: the coordinator reads
//! its own replica first, and its object need not travel again.
//!
//! - *value*: V ≥ 1 and V+A+U ≥ R and the primaries among V and A ≥ PR: the merge of all V heard. U may stand beside a
//!   value: someone has it, and that is evidence enough.
//! - *tombstone*: the same, and C ≥ max(R, PR): it says "not found", and an incomplete replica may have lost what was
//!   written after the deletion.
//! - *not found*, with notfound_ok: V = 0 and A ≥ max(R, PR). Without: V = 0 and A more than half of the row (with
//!   basic_quorum), or A = the whole row.
//! - with node_confirms, R and the count of absences are at least that, also where the row has fewer nodes.
//! - when nothing more can come and none of them holds: unsatisfied, **never** "not found".
//!
//! A write acknowledged by W durable primaries is therefore never "not found" at R when R + W > n_val: of any R
//! complete primaries one has it.

use ombak_base::{NodeId, planted};
use serde::{Deserialize, Serialize};

use crate::{Object, RequestError};

/// What one replica said.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Heard {
    /// This object (maybe a tombstone).
    Value(Object),
    /// The coordinator's own object, which was heard first of all values.
    Same,
    /// Nothing there.
    Absent,
    /// It could not say.
    Failed,
}

/// What one replica said, and whether it is complete.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Said {
    /// The replica's node.
    pub node: NodeId,
    /// What it said.
    pub heard: Heard,
    /// Whether what it has not means anything.
    pub complete: bool,
}

impl Said {
    fn is_value(&self) -> bool {
        matches!(self.heard, Heard::Value(_) | Heard::Same)
    }

    fn is_absent(&self) -> bool {
        self.heard == Heard::Absent
    }
}

/// What a read comes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum GetDecision {
    /// The merge of what was heard. It may be a tombstone, which is a well-founded "not found".
    Found(Object),
    /// Nothing is there.
    NotFound,
    /// Not enough could be heard.
    Failed(RequestError),
}

/// One read at its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GetCore {
    need_r: usize,
    need_pr: usize,
    need_absent: usize,
    need_nodes: usize,
    replicas: usize,
    said: Vec<Said>,
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
            need_nodes: 0,
            replicas,
            said: Vec::with_capacity(replicas),
        }
    }

    /// The same read, if it needs so many nodes as well: not cut to the replicas that there are.
    pub fn confirmed_by(self, need_nodes: usize) -> GetCore {
        GetCore { need_nodes, ..self }
    }

    /// How many nodes must be heard.
    pub fn needs(&self) -> usize {
        self.need_r.max(self.need_pr).max(self.need_nodes)
    }

    /// Takes one answer, of a replica that is complete or not. A second one from the same node is passed over.
    pub fn hear(&mut self, node: NodeId, heard: Heard, complete: bool) {
        // Whoever says "the same" where nobody has anything says nothing.
        let heard =
            if heard == Heard::Same && self.own().is_none() { Heard::Failed } else { heard };
        let again = self.has_heard(node);
        if !again || planted!("quorum counted by messages instead of nodes") {
            self.said.push(Said { node, heard, complete });
        }
    }

    /// Whether `node` has been heard.
    pub fn has_heard(&self, node: NodeId) -> bool {
        self.said.iter().any(|said| said.node == node)
    }

    /// Whether every replica has been heard.
    pub fn is_complete(&self) -> bool {
        self.said.len() >= self.replicas
    }

    /// The coordinator's own object: the first value heard.
    pub fn own(&self) -> Option<&Object> {
        self.said.iter().find_map(|said| match &said.heard {
            Heard::Value(object) => Some(object),
            _ => None,
        })
    }

    /// The object that `heard` means.
    pub fn object<'a>(&'a self, heard: &'a Heard) -> Option<&'a Object> {
        match heard {
            Heard::Value(object) => Some(object),
            Heard::Same => self.own(),
            Heard::Absent | Heard::Failed => None,
        }
    }

    /// Whether `heard` is `object`.
    pub fn is(&self, heard: &Heard, object: &Object) -> bool {
        self.object(heard) == Some(object)
    }

    /// Whether every replica has the coordinator's own object, so that there is nothing to repair.
    pub fn agrees(&self) -> bool {
        let mut others = self.said.iter().filter(|said| said.heard != Heard::Same);
        let only = matches!(others.next(), Some(Said { heard: Heard::Value(_), .. }));
        only && others.next().is_none() && self.is_complete()
    }

    /// All answers so far.
    pub fn said(&self) -> &[Said] {
        &self.said
    }

    /// The merge of all values heard.
    pub fn merged(&self) -> Object {
        let mut merged: Option<Object> = None;
        for said in &self.said {
            match (&mut merged, &said.heard) {
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
        let count =
            |fits: &dyn Fn(&Said) -> bool| self.said.iter().filter(|said| fits(said)).count();
        let trusted = |said: &Said| {
            said.complete || planted!("an incomplete vnode's absence taken as evidence")
        };
        let values = count(&Said::is_value);
        let absent = count(&|said| said.is_absent() && trusted(said));
        let said = values + count(&Said::is_absent);
        let mut primaries = values + absent;
        if values >= 1 && said >= self.need_r.max(self.need_nodes) && primaries >= self.need_pr {
            let merged = self.merged();
            let complete = absent + count(&|said| said.is_value() && trusted(said));
            let need = self.needs();
            if !merged.is_tombstone() || complete >= need {
                return Some(GetDecision::Found(merged));
            }
            primaries = complete;
        }
        if values == 0 && absent >= self.need_absent.max(self.need_nodes) {
            return Some(GetDecision::NotFound);
        }
        self.is_complete().then(|| GetDecision::Failed(self.unsatisfied(primaries)))
    }

    /// The decision when time is up and the silent ones must be given up.
    pub fn give_up(&self) -> GetDecision {
        self.decide().unwrap_or(GetDecision::Failed(RequestError::Timeout))
    }

    fn unsatisfied(&self, primaries: usize) -> RequestError {
        let need_r = self.need_r.max(self.need_absent);
        if primaries < self.need_pr {
            RequestError::PrUnsatisfied { need: self.need_pr, got: primaries }
        } else if primaries >= need_r && primaries < self.need_nodes {
            RequestError::NodesUnsatisfied { need: self.need_nodes, got: primaries }
        } else {
            RequestError::RUnsatisfied { need: need_r, got: primaries }
        }
    }
}

#[cfg(test)]
mod tests;

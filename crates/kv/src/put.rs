//! When a write has been taken by enough replicas.
//!
//! W counts the nodes that took it, DW those that made it durable, PW the primaries that took it. A durable write
//! counts for all three. With node_confirms, W is at least that, also where the row has fewer nodes. At most one node counts once. A node that took the write and was lost before it had synced it
//! counts for W, and nobody waits for the rest.

use ombak_base::{NodeId, planted};
use serde::{Deserialize, Serialize};

use crate::RequestError;

/// What one replica did with a write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ack {
    /// It could not take it, or cannot be reached: it will say nothing more.
    Failed,
    /// It took it.
    Taken,
    /// It took it and has synced it. The tag of what it now holds under the key.
    Durable(u64),
}

/// What one replica has said so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Heard {
    taken: bool,
    durable: Option<u64>,
    failed: bool,
}

impl Heard {
    fn hear(&mut self, ack: Ack) {
        match ack {
            Ack::Failed => self.failed = true,
            Ack::Taken => self.taken = true,
            Ack::Durable(tag) => {
                self.taken = true;
                self.durable = Some(tag);
            }
        }
    }

    /// It has not synced the write and never will, as far as the coordinator can know.
    fn is_lost(&self) -> bool {
        self.failed && self.durable.is_none()
    }
}

/// One write at its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PutCore {
    need_w: usize,
    need_dw: usize,
    need_pw: usize,
    need_nodes: usize,
    replicas: usize,
    heard: Vec<(NodeId, Heard)>,
}

impl PutCore {
    /// A write to `replicas` primaries.
    pub fn new(need_w: usize, need_dw: usize, need_pw: usize, replicas: usize) -> PutCore {
        PutCore {
            need_w: need_w.max(1),
            need_dw,
            need_pw,
            need_nodes: 0,
            replicas,
            heard: Vec::with_capacity(replicas),
        }
    }

    /// The same write, if so many nodes must take it as well: not cut to the replicas that there are.
    pub fn confirmed_by(self, need_nodes: usize) -> PutCore {
        PutCore { need_nodes, ..self }
    }

    /// The same write once more, of which nothing has been heard yet.
    pub fn anew(&self) -> PutCore {
        PutCore { heard: Vec::with_capacity(self.replicas), ..*self }
    }

    /// How many nodes must take it, and how many must have synced it.
    pub fn needs(&self) -> (usize, usize) {
        (self.need_w.max(self.need_pw).max(self.need_nodes), self.need_dw)
    }

    /// Whether only durable acknowledgements matter, so that replicas need not send two.
    pub fn durable_only(&self) -> bool {
        self.need_dw >= self.need_w.max(self.need_pw).max(self.need_nodes)
    }

    /// Whether durability matters at all.
    pub fn wants_durable(&self) -> bool {
        self.need_dw > 0
    }

    /// Takes one answer. What a node has done stays done, whatever it says later.
    pub fn hear(&mut self, node: NodeId, ack: Ack) {
        let known = self.heard.iter_mut().find(|(heard, _)| *heard == node);
        match known {
            Some((_, known)) if !planted!("quorum counted by messages instead of nodes") => {
                known.hear(ack)
            }
            _ => {
                let mut heard = Heard::default();
                heard.hear(ack);
                self.heard.push((node, heard));
            }
        }
    }

    /// Whether `node` has said its last word: that the write is durable there, or that it never will be.
    pub fn has_ended(&self, node: NodeId) -> bool {
        let ended = |heard: &Heard| heard.failed || heard.durable.is_some();
        self.heard.iter().any(|(known, heard)| *known == node && ended(heard))
    }

    /// Whether some replica will not make the write durable.
    pub fn has_failed(&self) -> bool {
        self.heard.iter().any(|(_, heard)| heard.is_lost())
    }

    /// Whether every replica has synced the write and all hold the same: its tag.
    pub fn all_durable(&self) -> Option<u64> {
        let mut tags = self.heard.iter().map(|(_, heard)| heard.durable);
        let first = tags.next()??;
        let heard_all =
            self.heard.len() >= self.replicas || planted!("a tombstone reaped before all have it");
        let same = heard_all && tags.all(|tag| tag == Some(first));
        same.then_some(first)
    }

    /// The answer, once there is one.
    pub fn decide(&self) -> Option<Result<(), RequestError>> {
        let count = |wanted: fn(&Heard) -> bool| {
            self.heard.iter().filter(|(_, heard)| wanted(heard)).count()
        };
        let taken = count(|heard| heard.taken);
        let durable = count(|heard| heard.durable.is_some());
        let (need_taken, need_durable) = self.needs();
        if taken >= need_taken && durable >= need_durable {
            return Some(Ok(()));
        }
        let may_take = self.replicas.saturating_sub(count(|heard| heard.failed && !heard.taken));
        if may_take < self.need_w {
            return Some(Err(RequestError::WUnsatisfied { need: self.need_w, got: taken }));
        }
        if may_take < self.need_pw {
            return Some(Err(RequestError::PwUnsatisfied { need: self.need_pw, got: taken }));
        }
        if may_take < self.need_nodes {
            return Some(Err(RequestError::NodesUnsatisfied { need: self.need_nodes, got: taken }));
        }
        let may_sync = self.replicas.saturating_sub(count(Heard::is_lost));
        if may_sync < self.need_dw {
            return Some(Err(RequestError::DwUnsatisfied { need: self.need_dw, got: durable }));
        }
        None
    }

    /// Whether so many live replicas could satisfy the write: asked before anything is done.
    pub fn possible(&self, live: usize) -> Result<(), RequestError> {
        if live < self.need_w {
            return Err(RequestError::WUnsatisfied { need: self.need_w, got: live });
        }
        if live < self.need_pw {
            return Err(RequestError::PwUnsatisfied { need: self.need_pw, got: live });
        }
        if live < self.need_nodes {
            return Err(RequestError::NodesUnsatisfied { need: self.need_nodes, got: live });
        }
        if live < self.need_dw {
            return Err(RequestError::DwUnsatisfied { need: self.need_dw, got: live });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! When a write has been taken by enough replicas.
//!
//! W counts the nodes that took it, DW those that made it durable, PW the primaries that took it. A durable write
//! counts for all three. At most one node counts once.

use ombak_base::{NodeId, planted};

use crate::RequestError;

/// What one replica did with a write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ack {
    /// It could not take it, or cannot be reached.
    Failed,
    /// It took it.
    Taken,
    /// It took it and has synced it. The tag of what it now holds under the key.
    Durable(u64),
}

/// One write at its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PutCore {
    need_w: usize,
    need_dw: usize,
    need_pw: usize,
    replicas: usize,
    acks: Vec<(NodeId, Ack)>,
}

impl PutCore {
    /// A write to `replicas` primaries.
    pub fn new(need_w: usize, need_dw: usize, need_pw: usize, replicas: usize) -> PutCore {
        PutCore {
            need_w: need_w.max(1),
            need_dw,
            need_pw,
            replicas,
            acks: Vec::with_capacity(replicas),
        }
    }

    /// Whether only durable acknowledgements matter, so that replicas need not send two.
    pub fn durable_only(&self) -> bool {
        self.need_dw >= self.need_w.max(self.need_pw)
    }

    /// Whether durability matters at all.
    pub fn wants_durable(&self) -> bool {
        self.need_dw > 0
    }

    /// Takes one answer. A later one from the same node counts only if it says more.
    pub fn hear(&mut self, node: NodeId, ack: Ack) {
        match self.acks.iter_mut().find(|(heard, _)| *heard == node) {
            Some(_) if planted!("quorum counted by messages instead of nodes") => {
                self.acks.push((node, ack))
            }
            Some((_, known)) => *known = (*known).max(ack),
            None => self.acks.push((node, ack)),
        }
    }

    /// Whether `node` has been heard.
    pub fn has_heard(&self, node: NodeId) -> bool {
        self.acks.iter().any(|(heard, _)| *heard == node)
    }

    /// Whether some replica will not take the write.
    pub fn has_failed(&self) -> bool {
        self.acks.iter().any(|(_, ack)| *ack == Ack::Failed)
    }

    /// Whether every replica has synced the write and all hold the same: its tag.
    pub fn all_durable(&self) -> Option<u64> {
        let mut tags = self.acks.iter().map(|(_, ack)| match ack {
            Ack::Durable(tag) => Some(*tag),
            _ => None,
        });
        let first = tags.next()??;
        let same = self.acks.len() >= self.replicas && tags.all(|tag| tag == Some(first));
        same.then_some(first)
    }

    /// The answer, once there is one.
    pub fn decide(&self) -> Option<Result<(), RequestError>> {
        let (taken, durable, failed) = self.count();
        if taken >= self.need_w && taken >= self.need_pw && durable >= self.need_dw {
            return Some(Ok(()));
        }
        let possible = self.replicas.saturating_sub(failed);
        if possible < self.need_w {
            return Some(Err(RequestError::WUnsatisfied { need: self.need_w, got: taken }));
        }
        if possible < self.need_pw {
            return Some(Err(RequestError::PwUnsatisfied { need: self.need_pw, got: taken }));
        }
        if possible < self.need_dw {
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
        if live < self.need_dw {
            return Err(RequestError::DwUnsatisfied { need: self.need_dw, got: live });
        }
        Ok(())
    }

    fn count(&self) -> (usize, usize, usize) {
        let count =
            |wanted: fn(&Ack) -> bool| self.acks.iter().filter(|(_, ack)| wanted(ack)).count();
        let durable = count(|ack| matches!(ack, Ack::Durable(_)));
        (durable + count(|ack| *ack == Ack::Taken), durable, count(|ack| *ack == Ack::Failed))
    }
}

#[cfg(test)]
mod tests;

//! What clients did and were told, and the rules that this must obey.
//!
//! Every value is written once, so that a value names its write. A write *replaces* the values that the read behind its
//! context had returned. The rules, for reads and writes of one key at quorums that meet (R + W > N):
//!
//! 1. **Nothing is lost.** A value whose put was acknowledged before a read began is in the read, unless a write that
//!    began before the read ended replaces it.
//! 2. **Nothing comes back.** A value that an acknowledged write had replaced before a read began is not in the read.
//!    (Only if its own put was acknowledged before the read behind that write's context began. Otherwise the put was
//!    still under way when it was read; its retry, under another dot, is concurrent with what replaced it.)
//! 3. **No false "not found".** If some put was acknowledged before the read began, and no deletion began before it
//!    ended, something is found.
//!    This holds even while a lost disk is not repaired; of the other two rules that is not promised then: an incomplete
//!    replica may stand beside a stale value.
//! 4. **Nothing is invented, nothing doubled.** Every value of a read was put to that key before the read ended, and
//!    stands in it once.

use std::collections::BTreeMap;

use ombak_base::{NodeId, Tick};

/// What a client asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpKind {
    /// A read.
    Get,
    /// A put of this value.
    Put(u64),
    /// A deletion.
    Delete,
}

/// What it was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nothing yet.
    Open,
    /// The read found these.
    Found(Vec<u64>),
    /// The read found nothing.
    NotFound,
    /// The write is acknowledged.
    Done,
    /// It failed; a write may have been done all the same.
    Failed(String),
    /// The connection broke.
    HungUp,
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Op {
    /// Which client.
    pub client: usize,
    /// Where it was asked.
    pub node: NodeId,
    /// Which key.
    pub key: usize,
    /// What.
    pub kind: OpKind,
    /// The values that its context had seen.
    pub replaces: Vec<u64>,
    /// When the read behind its context began.
    pub seen_at: Tick,
    /// It replaces whatever is there, seen or not.
    pub blind: bool,
    /// When it began.
    pub began: Tick,
    /// When it ended.
    pub ended: Option<Tick>,
    /// What it came to.
    pub outcome: Outcome,
}

/// A rule that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

/// All operations of a run, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct History {
    ops: Vec<Op>,
    /// Keys of which concurrent writes are siblings; on others the last write wins by the clock.
    siblings: BTreeMap<usize, bool>,
    /// From the loss of a disk to its repair, reads may be stale.
    stale: Option<(Tick, Tick)>,
}

impl History {
    /// Declares a key.
    pub fn add_key(&mut self, key: usize, siblings: bool) {
        self.siblings.insert(key, siblings);
    }

    /// A disk was lost: until it is repaired, one replica fewer than promised holds what was acknowledged.
    pub fn disk_lost(&mut self, at: Tick) {
        self.stale.get_or_insert((at, Tick(u64::MAX)));
    }

    /// The lost disk has been repaired.
    pub fn disk_repaired(&mut self, at: Tick) {
        if let Some((_, until)) = &mut self.stale {
            *until = at;
        }
    }

    /// An operation begins; its number.
    pub fn begin(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// An operation ends.
    pub fn end(&mut self, op: usize, at: Tick, outcome: Outcome) {
        self.ops[op].ended = Some(at);
        self.ops[op].outcome = outcome;
    }

    /// All operations.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Checks every read against every write of its key.
    pub fn check(&self) -> Result<(), Broken> {
        self.ops.iter().try_for_each(|op| match &op.outcome {
            Outcome::Found(values) => self.check_read(op, values),
            Outcome::NotFound => self.check_read(op, &[]),
            _ => Ok(()),
        })
    }

    fn check_read(&self, read: &Op, values: &[u64]) -> Result<(), Broken> {
        let ended = read.ended.unwrap_or(Tick(u64::MAX));
        let writes: Vec<&Op> = self
            .ops
            .iter()
            .filter(|op| op.key == read.key && op.kind != OpKind::Get && op.began <= ended)
            .collect();
        check_values(read, values, &writes)?;
        check_found(read, values, &writes)?;
        let stale = self.stale.is_some_and(|(from, until)| ended >= from && read.began <= until);
        if self.siblings.get(&read.key) == Some(&true) && !stale {
            check_kept(read, values, &writes)?;
            check_replaced(read, values, &writes)?;
        }
        Ok(())
    }
}

fn acknowledged_before(op: &Op, at: Tick) -> bool {
    op.outcome == Outcome::Done && op.ended.is_some_and(|ended| ended < at)
}

fn check_values(read: &Op, values: &[u64], writes: &[&Op]) -> Result<(), Broken> {
    for (at, value) in values.iter().enumerate() {
        if !writes.iter().any(|write| write.kind == OpKind::Put(*value)) {
            return Err(Broken {
                rule: "nothing is invented",
                detail: format!("v{value} in {read:?}"),
            });
        }
        if values[..at].contains(value) {
            return Err(Broken {
                rule: "nothing is doubled",
                detail: format!("v{value} in {read:?}"),
            });
        }
    }
    Ok(())
}

fn check_found(read: &Op, values: &[u64], writes: &[&Op]) -> Result<(), Broken> {
    let deleted = writes.iter().any(|write| write.kind == OpKind::Delete);
    let exists = writes.iter().find(|write| acknowledged_before(write, read.began));
    match exists {
        Some(write) if values.is_empty() && !deleted => {
            Err(Broken { rule: "no false not-found", detail: format!("{read:?} after {write:?}") })
        }
        _ => Ok(()),
    }
}

fn check_kept(read: &Op, values: &[u64], writes: &[&Op]) -> Result<(), Broken> {
    for write in writes.iter().filter(|write| acknowledged_before(write, read.began)) {
        let OpKind::Put(value) = write.kind else { continue };
        let replaced = writes.iter().any(|other| other.blind || other.replaces.contains(&value));
        if !values.contains(&value) && !replaced {
            return Err(Broken {
                rule: "nothing is lost",
                detail: format!("{write:?} is missing in {read:?}"),
            });
        }
    }
    Ok(())
}

fn check_replaced(read: &Op, values: &[u64], writes: &[&Op]) -> Result<(), Broken> {
    for write in writes.iter().filter(|write| acknowledged_before(write, read.began)) {
        let back = write.replaces.iter().find(|value| {
            let put = writes.iter().find(|put| put.kind == OpKind::Put(**value));
            values.contains(value) && put.is_some_and(|put| acknowledged_before(put, write.seen_at))
        });
        if let Some(value) = back {
            let detail = format!("v{value}, replaced by {write:?}, is in {read:?}");
            return Err(Broken { rule: "nothing comes back", detail });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

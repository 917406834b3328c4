//! What clients did and were told, and the rules that this must obey.
//!
//! Every value is written once, so that a value names its write. The rules stand in `rules/`, one a file, each with the
//! reason why it must hold and why no more can be asked:
//!
//! | rule | says |
//! |---|---|
//! | `values` | **Nothing is invented, nothing doubled.** |
//! | `found` | **No false "not found".** What was acknowledged is there, unless a deletion may have seen it. |
//! | `kept` | **Nothing is lost** where concurrent writes are siblings: a value stays until a write that had seen it. |
//! | `gone` | **Nothing comes back** of what an acknowledged write or deletion had seen. |
//! | `latest` | **Nothing older is shown** than what was acknowledged, as far as clocks tell. |
//! | `listed` | **A listing shows what is there** on every replica, and no deleted key. |
//!
//! # What is certain of a write
//!
//! - It is *acknowledged* when its client was told so. DW replicas have it on disk then, and keep it through crashes.
//! - A read that hears R replicas meets it if DW + R > N: it returns the value, or what has replaced it. W counts for
//!   nothing here: what is taken and not synced is gone with the next crash.
//! - It *knows* what the read behind its context had heard, if that met it; a deletion without a context reads first.
//!   What it knows it removes, shown or not, since contexts name everything that was ever seen.
//! - A write that failed may be done, now or a little later, and then it is like any other.
//!
//! # A spoilt disk
//!
//! At most one disk of a run is lost, comes back as a copy of before its node's last start, or rots, or has a write gone
//! astray on it. (Where its log or pages rot and the start is refused, it is lost some time after.) All of these count as its loss, at the time when they were done; a write goes astray some time after.
//!
//! Of a key on a lost disk, one replica fewer holds what was acknowledged before. Until the disk is repaired, a stale
//! value may be shown beside the empty replica, and whoever writes with such a read behind him knows less than he should.
//! Where the disk shows what it held before, what was deleted since and reaped everywhere may come back for good: nobody
//! remembers the deletion any more (decision 26; seed 102,791).
//! "Not found" is never said on the word of a replica that lacks something, so `found` holds all the time. A repair copies from every
//! other owner: then each write that one of them holds is on two disks at least.

mod op;
mod rules;

use std::collections::BTreeMap;

use ombak_base::{NodeId, Tick};

pub use op::{Found, Known, Op, OpKind, Outcome};
pub(crate) use op::{REPLICAS, TIMEOUT_MS};

/// A rule that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

/// One listing of the keys of a bucket that was read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Where it was asked.
    pub node: NodeId,
    /// The keys of that bucket that the workload knows.
    pub of: Vec<usize>,
    /// What was listed; `None` for a name that nobody ever wrote.
    pub keys: Vec<Option<usize>>,
    /// When it began.
    pub began: Tick,
    /// When it ended.
    pub ended: Tick,
}

/// What is known of a key on a spoilt disk.
#[derive(Clone, Copy, Debug)]
struct Lost {
    /// Since when it may lack what it should hold.
    from: Tick,
    /// What began up to then may be lost on it.
    until: Tick,
    /// Whether it may show what it held before.
    is_older: bool,
    /// When it was repaired.
    repaired: Tick,
}

/// All operations of a run, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct History {
    ops: Vec<Op>,
    listings: Vec<Listed>,
    /// From when on concurrent writes of a key are siblings. Before, and on others, the last write wins by the clock.
    siblings_from: BTreeMap<usize, Tick>,
    /// Since when a key's bucket is being turned into one that keeps siblings: somebody may have heard of it.
    turning_from: BTreeMap<usize, Tick>,
    /// Keys on a spoilt disk.
    lost: BTreeMap<usize, Lost>,
    /// By how much some clock may be slow.
    slow_us: u64,
}

impl History {
    /// Concurrent writes of `key` that begin from now on are siblings.
    pub fn siblings_from(&mut self, key: usize, at: Tick) {
        self.siblings_from.insert(key, at);
    }

    /// The bucket of `key` is being turned into one that keeps siblings: not everyone knows it at once.
    pub fn turning_from(&mut self, key: usize, at: Tick) {
        self.turning_from.entry(key).or_insert(at);
    }

    /// Clocks may be slow by so much.
    pub fn clocks_are_slow(&mut self, us: u64) {
        self.slow_us = us;
    }

    /// A disk with `keys` was lost: until it is repaired, one replica fewer than promised holds what was acknowledged.
    pub fn disk_lost(&mut self, keys: impl IntoIterator<Item = usize>, at: Tick) {
        self.lose(keys, Lost { from: at, until: at, is_older: false, repaired: Tick(u64::MAX) });
    }

    /// The same, and an older copy took its place.
    pub fn disk_is_older(&mut self, keys: impl IntoIterator<Item = usize>, at: Tick) {
        self.lose(keys, Lost { from: at, until: at, is_older: true, repaired: Tick(u64::MAX) });
    }

    /// Some write to that disk will be lost later, so that what it held before is there again.
    pub fn disk_loses(&mut self, keys: impl IntoIterator<Item = usize>, from: Tick) {
        let end = Tick(u64::MAX);
        self.lose(keys, Lost { from, until: end, is_older: true, repaired: end });
    }

    fn lose(&mut self, keys: impl IntoIterator<Item = usize>, lost: Lost) {
        self.lost.extend(keys.into_iter().map(|key| (key, lost)));
    }

    /// The lost disk has been repaired.
    pub fn disk_repaired(&mut self, at: Tick) {
        self.lost.values_mut().for_each(|lost| lost.repaired = at);
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

    /// A listing was read to its end.
    pub fn listed(&mut self, listing: Listed) {
        self.listings.push(listing);
    }

    /// All operations.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Checks every read and every listing against every write of its keys.
    pub fn check(&self) -> Result<(), Broken> {
        let mut writes: BTreeMap<usize, Vec<&Op>> = BTreeMap::new();
        for op in self.ops.iter().filter(|op| op.kind != OpKind::Get) {
            writes.entry(op.key).or_default().push(op);
        }
        let of = |key: usize| writes.get(&key).map_or(&[][..], Vec::as_slice);
        self.ops.iter().try_for_each(|op| rules::check_read(self, op, of(op.key)))?;
        self.listings.iter().try_for_each(|listing| rules::check_listing(self, listing, of))
    }
}

#[cfg(test)]
mod tests;

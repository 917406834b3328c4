//! What is written down of one operation, and what follows from that alone.

use ombak_base::{NodeId, Tick};

/// Replicas of every key.
pub(crate) const REPLICAS: u32 = 3;

/// Every request has this long.
pub(crate) const TIMEOUT_MS: u32 = 2_000;

/// After its client has heard that it failed, an operation may go on for so long: a forwarded request is accepted until
/// its deadline, and its coordinator then has the same time again. A second for clocks that were heard of late.
const GRACE_MS: u64 = 2 * TIMEOUT_MS as u64 + 1_000;

/// What a client asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// The read found something.
    Found(Found),
    /// The read found nothing.
    NotFound,
    /// The write is acknowledged.
    Done,
    /// It failed; a write may have been done all the same.
    Failed(String),
    /// The connection broke.
    HungUp,
}

/// What a read found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The values.
    pub values: Vec<u64>,
    /// When the latest of them was named, by the clock of the node that named it.
    pub named: Tick,
}

/// The read behind a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// The values that it returned.
    pub values: Vec<u64>,
    /// When it began.
    pub at: Tick,
    /// How many replicas it heard.
    pub heard: u32,
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
    /// The read behind its context, if it has one.
    pub known: Option<Known>,
    /// Of how many replicas its own read takes the word, if it reads.
    pub reads: u32,
    /// On how many replicas its write is durable when it is acknowledged, if it writes.
    pub holds: u32,
    /// When it began.
    pub began: Tick,
    /// When it ended.
    pub ended: Option<Tick>,
    /// What it came to.
    pub outcome: Outcome,
}

impl Op {
    /// Whether its client knew that it was done before `at`.
    pub(crate) fn is_acknowledged_before(&self, at: Tick) -> bool {
        self.outcome == Outcome::Done && self.ended.is_some_and(|ended| ended < at)
    }

    /// The value that it puts.
    pub(crate) fn value(&self) -> Option<u64> {
        match self.kind {
            OpKind::Put(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.kind == OpKind::Delete
    }

    /// A deletion without a context reads first, and removes what it has read.
    pub(crate) fn is_blind_delete(&self) -> bool {
        self.is_delete() && self.known.is_none()
    }

    /// From when on it does nothing any more. Once acknowledged, it has been done.
    pub(crate) fn over(&self) -> Tick {
        match (&self.outcome, self.ended) {
            (Outcome::Done, Some(ended)) => ended,
            (Outcome::Open, _) | (_, None) => Tick(u64::MAX),
            (_, Some(ended)) => ended.plus_ms(GRACE_MS),
        }
    }

    /// Whether the read that this write rests on may have seen `put`, or what had replaced it.
    ///
    /// A client's context is older than its write. A deletion without context reads some time before it is over. Within
    /// one microsecond there is no order.
    pub(crate) fn may_have_seen(&self, put: &Op) -> bool {
        match (self.kind, &self.known) {
            (OpKind::Get, _) => false,
            (OpKind::Put(_), None) => false,
            (OpKind::Delete, None) => put.began <= self.over(),
            (_, Some(_)) => put.began <= self.began,
        }
    }

    /// The read that this write rests on: from when to when, and how many replicas it heard.
    pub(crate) fn basis(&self) -> Option<(Tick, Tick, u32)> {
        match (&self.known, self.is_delete()) {
            (Some(known), _) => Some((known.at, self.began, known.heard)),
            (None, true) => Some((self.began, self.ended.unwrap_or(Tick(u64::MAX)), self.reads)),
            (None, false) => None,
        }
    }
}

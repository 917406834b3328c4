//! Version 1 of the engine's log records. Names are the paper's. Integers are little-endian; a record's length is the log's.
//!
//! ```text
//! update      = 1 txn:u64 prev:u64 manager:u8 page:u32 change...
//! clr         = 2 txn:u64 prev:u64 undo_next:u64 manager:u8 page:u32 change...      compensation: never undone
//! nested_end  = 3 txn:u64 prev:u64 undo_next:u64                                    ends a nested top action
//! commit      = 4 txn:u64 prev:u64
//! rollback    = 5 txn:u64 prev:u64                                                  the transaction takes itself back
//! end         = 6 txn:u64 prev:u64                                                  ... and has
//! prepare     = 7 txn:u64 prev:u64 name...                                          two-phase commit's first
//! single      = 8 manager:u8 page:u32 change...                                     a whole transaction of one change
//! begin_checkpoint = 9 identity:u64
//! end_checkpoint   = 10 begin:u64 next_txn:u64 txns:u32 pages:u32
//!                    (txn:u64 state:u8 first:u64 last:u64 undo_next:u64)*txns (page:u32 rec_lsn:u64)*pages
//! locked      = 11 txn:u64 prev:u64 (space:u32 len:u32 key)...                      before prepare: locked, and not changed
//! ```
//!
//! A commit needs no end record, for nothing is left to do after it.

use bytes::Bytes;

use crate::log::Lsn;
use crate::page::{ManagerId, PageId, u32_at, u64_at};
use crate::txn::{LockName, TxnId};

/// A record of the engine, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record<'a> {
    /// A change to a page, by a transaction.
    Update {
        /// Whose.
        link: Link,
        /// What to what.
        change: Change<'a>,
    },
    /// A change that took another one back.
    Clr {
        /// Whose.
        link: Link,
        /// What is to be taken back next: everything of the transaction after it is.
        undo_next: Lsn,
        /// What to what.
        change: Change<'a>,
    },
    /// What the transaction did after `undo_next` stays, whatever becomes of it.
    NestedEnd {
        /// Whose.
        link: Link,
        /// What is to be taken back next.
        undo_next: Lsn,
    },
    /// The transaction is there to stay once this is durable.
    Commit(Link),
    /// The transaction began to take itself back.
    Rollback(Link),
    /// ... and has.
    End(Link),
    /// The transaction will commit or roll back as it is told, after a crash as well.
    Prepare {
        /// Whose.
        link: Link,
        /// What the coordinator calls it.
        name: &'a [u8],
    },
    /// What a transaction that is about to be prepared has locked without changing it.
    Locked {
        /// Whose.
        link: Link,
        /// See [`LockNames`].
        names: LockNames<'a>,
    },
    /// A change that is a whole transaction.
    Single(Change<'a>),
    /// A checkpoint began.
    BeginCheckpoint {
        /// Of the database.
        identity: u64,
    },
    /// ... and this is what it found, at some time since.
    EndCheckpoint(Tables),
}

/// Why bytes are no record of this version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoRecord {
    /// It is of a kind above those that are known: newer software wrote it.
    Newer {
        /// The kind.
        kind: u8,
    },
    /// It is not what a record of its kind is.
    Malformed,
}

/// Whose a record is, and which was the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The transaction.
    pub txn: TxnId,
    /// Its record before; 0: none. (Paper: PrevLSN.)
    pub prev: Lsn,
}

/// What is done to a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// Who understands `bytes`.
    pub manager: ManagerId,
    /// Which page.
    pub page: PageId,
    /// What, in the words of the manager.
    pub bytes: &'a [u8],
}

/// How far a transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Running.
    Active,
    /// Waits to be told.
    Prepared,
    /// Takes itself back.
    RollingBack,
}

/// A line of the transaction table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxnLine {
    /// Which.
    pub txn: TxnId,
    /// How far it is.
    pub state: State,
    /// Its first record, or a little before.
    pub first: Lsn,
    /// Its last one.
    pub last: Lsn,
    /// What is to be taken back next, if it is to be.
    pub undo_next: Lsn,
}

/// The tables of a fuzzy checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tables {
    /// Where the checkpoint began.
    pub begin: Lsn,
    /// No transaction had this number, or one above.
    pub next_txn: u64,
    /// The transactions that had not ended.
    pub txns: Vec<TxnLine>,
    /// The pages with changes that the page file did not have, and the first of each.
    pub pages: Vec<(PageId, Lsn)>,
}

const UPDATE: u8 = 1;
const CLR: u8 = 2;
const NESTED_END: u8 = 3;
const COMMIT: u8 = 4;
const ROLLBACK: u8 = 5;
const END: u8 = 6;
const PREPARE: u8 = 7;
const SINGLE: u8 = 8;
const BEGIN_CHECKPOINT: u8 = 9;
const END_CHECKPOINT: u8 = 10;
const LOCKED: u8 = 11;
/// The last one that this software knows.
const KIND_MAX: u8 = LOCKED;

const TXN_LINE_BYTES: usize = 33;
const PAGE_LINE_BYTES: usize = 12;

/// The first bytes of a record; what follows is its change, name or tables.
pub struct Head {
    bytes: [u8; 32],
    len: usize,
}

impl Head {
    fn new(kind: u8) -> Head {
        let mut bytes = [0; 32];
        bytes[0] = kind;
        Head { bytes, len: 1 }
    }

    fn put(mut self, field: &[u8]) -> Head {
        self.bytes[self.len..self.len + field.len()].copy_from_slice(field);
        self.len += field.len();
        self
    }

    fn link(self, link: Link) -> Head {
        self.put(&link.txn.0.to_le_bytes()).put(&link.prev.0.to_le_bytes())
    }

    fn target(self, manager: ManagerId, page: PageId) -> Head {
        self.put(&[manager.0]).put(&page.0.to_le_bytes())
    }

    pub fn update(link: Link, manager: ManagerId, page: PageId) -> Head {
        Head::new(UPDATE).link(link).target(manager, page)
    }

    pub fn clr(link: Link, undo_next: Lsn, manager: ManagerId, page: PageId) -> Head {
        Head::new(CLR).link(link).put(&undo_next.0.to_le_bytes()).target(manager, page)
    }

    pub fn nested_end(link: Link, undo_next: Lsn) -> Head {
        Head::new(NESTED_END).link(link).put(&undo_next.0.to_le_bytes())
    }

    pub fn commit(link: Link) -> Head {
        Head::new(COMMIT).link(link)
    }

    pub fn rollback(link: Link) -> Head {
        Head::new(ROLLBACK).link(link)
    }

    pub fn end(link: Link) -> Head {
        Head::new(END).link(link)
    }

    pub fn prepare(link: Link) -> Head {
        Head::new(PREPARE).link(link)
    }

    pub fn locked(link: Link) -> Head {
        Head::new(LOCKED).link(link)
    }

    pub fn single(manager: ManagerId, page: PageId) -> Head {
        Head::new(SINGLE).target(manager, page)
    }

    pub fn begin_checkpoint(identity: u64) -> Head {
        Head::new(BEGIN_CHECKPOINT).put(&identity.to_le_bytes())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Tables {
    /// The whole record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![END_CHECKPOINT];
        out.extend_from_slice(&self.begin.0.to_le_bytes());
        out.extend_from_slice(&self.next_txn.to_le_bytes());
        out.extend_from_slice(&(self.txns.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.pages.len() as u32).to_le_bytes());
        for line in &self.txns {
            out.extend_from_slice(&line.txn.0.to_le_bytes());
            out.push(line.state as u8);
            for lsn in [line.first, line.last, line.undo_next] {
                out.extend_from_slice(&lsn.0.to_le_bytes());
            }
        }
        for (page, rec_lsn) in &self.pages {
            out.extend_from_slice(&page.0.to_le_bytes());
            out.extend_from_slice(&rec_lsn.0.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Tables> {
        let fixed = bytes.get(..24)?;
        let (txns, pages) = (u32_at(fixed, 16) as usize, u32_at(fixed, 20) as usize);
        let (lines, rest) = bytes[24..].split_at_checked(txns.checked_mul(TXN_LINE_BYTES)?)?;
        if rest.len() != pages.checked_mul(PAGE_LINE_BYTES)? {
            return None;
        }
        let txns =
            lines.chunks_exact(TXN_LINE_BYTES).map(TxnLine::decode).collect::<Option<_>>()?;
        let page = |line: &[u8]| (PageId(u32_at(line, 0)), Lsn(u64_at(line, 4)));
        let pages = rest.chunks_exact(PAGE_LINE_BYTES).map(page).collect();
        Some(Tables { begin: Lsn(u64_at(fixed, 0)), next_txn: u64_at(fixed, 8), txns, pages })
    }
}

impl TxnLine {
    fn decode(line: &[u8]) -> Option<TxnLine> {
        let state = match line[8] {
            0 => State::Active,
            1 => State::Prepared,
            2 => State::RollingBack,
            _ => return None,
        };
        let lsn = |at| Lsn(u64_at(line, at));
        let txn = TxnId(u64_at(line, 0));
        Some(TxnLine { txn, state, first: lsn(9), last: lsn(17), undo_next: lsn(25) })
    }
}

/// Names of locks, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockNames<'a>(&'a [u8]);

impl<'a> LockNames<'a> {
    /// Appends a name.
    pub fn push(out: &mut Vec<u8>, name: &LockName) {
        out.extend_from_slice(&name.space.to_le_bytes());
        out.extend_from_slice(&(name.key.len() as u32).to_le_bytes());
        out.extend_from_slice(&name.key);
    }

    fn decode(bytes: &'a [u8]) -> Option<LockNames<'a>> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = take_name(rest)?;
        }
        Some(LockNames(bytes))
    }

    /// As they stand in the record.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The names.
    pub fn iter(self) -> impl Iterator<Item = LockName> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, behind) = take_name(rest)?;
            rest = behind;
            Some(name)
        })
    }
}

fn take_name(bytes: &[u8]) -> Option<(LockName, &[u8])> {
    let (space, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let key = Bytes::copy_from_slice(key);
    Some((LockName { space: u32::from_le_bytes(*space), key }, rest))
}

impl<'a> Record<'a> {
    /// Reads a record.
    pub fn decode(bytes: &'a [u8]) -> Result<Record<'a>, NoRecord> {
        match bytes.split_first() {
            Some((kind, _)) if *kind > KIND_MAX => Err(NoRecord::Newer { kind: *kind }),
            Some((kind, rest)) => Record::decode_kind(*kind, rest).ok_or(NoRecord::Malformed),
            None => Err(NoRecord::Malformed),
        }
    }

    fn decode_kind(kind: u8, rest: &'a [u8]) -> Option<Record<'a>> {
        Some(match kind {
            UPDATE => {
                let (link, rest) = take_link(rest)?;
                Record::Update { link, change: take_change(rest)? }
            }
            CLR => {
                let (link, rest) = take_link(rest)?;
                let (undo_next, rest) = take_lsn(rest)?;
                Record::Clr { link, undo_next, change: take_change(rest)? }
            }
            NESTED_END => {
                let (link, rest) = take_link(rest)?;
                Record::NestedEnd { link, undo_next: nothing_after(take_lsn(rest)?)? }
            }
            COMMIT => Record::Commit(nothing_after(take_link(rest)?)?),
            ROLLBACK => Record::Rollback(nothing_after(take_link(rest)?)?),
            END => Record::End(nothing_after(take_link(rest)?)?),
            PREPARE => {
                let (link, name) = take_link(rest)?;
                Record::Prepare { link, name }
            }
            LOCKED => {
                let (link, rest) = take_link(rest)?;
                Record::Locked { link, names: LockNames::decode(rest)? }
            }
            SINGLE => Record::Single(take_change(rest)?),
            BEGIN_CHECKPOINT => {
                let Lsn(identity) = nothing_after(take_lsn(rest)?)?;
                Record::BeginCheckpoint { identity }
            }
            END_CHECKPOINT => Record::EndCheckpoint(Tables::decode(rest)?),
            _ => return None,
        })
    }

    /// Whose it is, if it is a transaction's.
    pub fn link(&self) -> Option<Link> {
        match self {
            Record::Update { link, .. }
            | Record::Clr { link, .. }
            | Record::NestedEnd { link, .. }
            | Record::Commit(link)
            | Record::Rollback(link)
            | Record::End(link)
            | Record::Prepare { link, .. }
            | Record::Locked { link, .. } => Some(*link),
            Record::Single(_) | Record::BeginCheckpoint { .. } | Record::EndCheckpoint(_) => None,
        }
    }

    /// What it does to a page, if it does.
    pub fn change(&self) -> Option<Change<'a>> {
        match self {
            Record::Update { change, .. } | Record::Clr { change, .. } | Record::Single(change) => {
                Some(*change)
            }
            _ => None,
        }
    }

    /// The paper's name of it.
    pub fn name(&self) -> &'static str {
        match self {
            Record::Update { .. } => "update",
            Record::Clr { .. } => "clr",
            Record::NestedEnd { .. } => "nested-end",
            Record::Commit(_) => "commit",
            Record::Rollback(_) => "rollback",
            Record::End(_) => "end",
            Record::Prepare { .. } => "prepare",
            Record::Locked { .. } => "locked",
            Record::Single(_) => "single",
            Record::BeginCheckpoint { .. } => "begin-checkpoint",
            Record::EndCheckpoint(_) => "end-checkpoint",
        }
    }
}

fn take_lsn(bytes: &[u8]) -> Option<(Lsn, &[u8])> {
    let (lsn, rest) = bytes.split_first_chunk()?;
    Some((Lsn(u64::from_le_bytes(*lsn)), rest))
}

fn take_link(bytes: &[u8]) -> Option<(Link, &[u8])> {
    let (Lsn(txn), rest) = take_lsn(bytes)?;
    let (prev, rest) = take_lsn(rest)?;
    Some((Link { txn: TxnId(txn), prev }, rest))
}

fn take_change(bytes: &[u8]) -> Option<Change<'_>> {
    let (manager, rest) = bytes.split_first()?;
    let (page, bytes) = rest.split_first_chunk()?;
    Some(Change { manager: ManagerId(*manager), page: PageId(u32::from_le_bytes(*page)), bytes })
}

fn nothing_after<T>((taken, rest): (T, &[u8])) -> Option<T> {
    rest.is_empty().then_some(taken)
}

#[cfg(test)]
mod tests;

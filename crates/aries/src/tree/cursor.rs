//! Rows of a range, in order, forward or back.

use crate::engine::{Engine, Shared};
use crate::error::Error;
use crate::page::Page;
use crate::pool::PageRef;
use crate::txn::locks::Seen;
use crate::txn::{Transaction, TxnId};

use super::node::Node;
use super::{Tree, read_child, read_node};

/// A key and its value.
pub type Row<'a> = (&'a [u8], &'a [u8]);

/// Rows of a range. Holds a copy of one leaf's rows at a time, and no latch between two calls.
pub struct Rows<'a> {
    tree: Tree,
    shared: &'a Shared,
    snapshot: u64,
    reader: Option<TxnId>,
    /// What is left to be read: from here...
    from: Vec<u8>,
    /// ... up to but without here.
    to: Option<Vec<u8>>,
    back: bool,
    done: bool,
    /// Keys and values, one after the other.
    bytes: Vec<u8>,
    /// Where each row's key begins, its value, and where that ends.
    rows: Vec<[u32; 3]>,
    at: usize,
}

impl Tree {
    /// Rows from `from` on (`&[]`: from the first), up to but without `to`, as the transaction sees them.
    pub fn range<'a>(self, txn: &'a Transaction, from: &[u8], to: Option<&[u8]>) -> Rows<'a> {
        Rows::new(self, txn.shared(), (txn.snapshot, Some(txn.id())), from, to, false)
    }

    /// The same rows, last ones first.
    pub fn range_back<'a>(self, txn: &'a Transaction, from: &[u8], to: Option<&[u8]>) -> Rows<'a> {
        Rows::new(self, txn.shared(), (txn.snapshot, Some(txn.id())), from, to, true)
    }

    /// The same rows, last ones first.
    pub fn range_back_latest<'a>(
        self,
        engine: &'a Engine,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Rows<'a> {
        Rows::new(self, &engine.0, (u64::MAX, None), from, to, true)
    }

    /// Rows as they were committed last, each leaf's at the time when it is reached.
    pub fn range_latest<'a>(self, engine: &'a Engine, from: &[u8], to: Option<&[u8]>) -> Rows<'a> {
        Rows::new(self, &engine.0, (u64::MAX, None), from, to, false)
    }
}

impl<'a> Rows<'a> {
    fn new(
        tree: Tree,
        shared: &'a Shared,
        (snapshot, reader): (u64, Option<TxnId>),
        from: &[u8],
        to: Option<&[u8]>,
        back: bool,
    ) -> Rows<'a> {
        Rows {
            tree,
            shared,
            snapshot,
            reader,
            from: from.to_vec(),
            to: to.map(<[u8]>::to_vec),
            back,
            done: to.is_some_and(|to| to <= from),
            bytes: Vec::new(),
            rows: Vec::new(),
            at: 0,
        }
    }

    /// The next row: key and value. After an error it goes on where it was.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row lives until the next call: no Iterator gives that"
    )]
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        while self.at == self.rows.len() {
            if self.done {
                return Ok(None);
            }
            self.fill()?;
        }
        let row = if self.back { self.rows.len() - 1 - self.at } else { self.at };
        self.at += 1;
        let [key, value, end] = self.rows[row].map(|at| at as usize);
        Ok(Some((&self.bytes[key..value], &self.bytes[value..end])))
    }

    /// Copies the rows of the next leaf.
    fn fill(&mut self) -> Result<(), Error> {
        let shared = self.shared;
        let (leaf, bounds) = match self.back {
            false => self.tree.leaf_from(shared, &self.from)?,
            true => self.tree.leaf_below(shared, self.to.as_deref())?,
        };
        self.bytes.clear();
        self.rows.clear();
        self.at = 0;
        let node = Node::of(&leaf);
        let start = node.find(&self.from).unwrap_or_else(|slot| slot);
        let end =
            self.to.as_deref().map_or(node.count(), |to| node.find(to).unwrap_or_else(|slot| slot));
        for slot in start..end {
            self.copy(node, slot);
        }
        drop(leaf);
        match self.back {
            false => match bounds.to {
                Some(next) if self.to.as_ref().is_none_or(|to| next < *to) => self.from = next,
                _ => self.done = true,
            },
            true => match bounds.from {
                Some(next) if next > self.from => self.to = Some(next),
                _ => self.done = true,
            },
        }
        Ok(())
    }

    fn copy(&mut self, node: Node<'_>, slot: usize) {
        let key = node.key(slot);
        let before;
        let value = match self.shared.locks.seen(self.tree.root.0, key, self.snapshot, self.reader)
        {
            Seen::Current if node.is_ghost(slot) => return,
            Seen::Current => node.value(slot),
            Seen::Before(None) => return,
            Seen::Before(Some(value)) => {
                before = value;
                &before[..]
            }
        };
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.rows.push([start, middle, self.bytes.len() as u32]);
    }
}

/// The keys that a leaf may have, as its parents say; `None`: no bound.
#[derive(Default)]
struct Bounds {
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
}

impl Bounds {
    /// Whether a leaf keeps to them. One that is older than its parents, because a disk lost it when it was written, may not.
    fn hold(&self, shared: &Shared, leaf: &Page) -> Result<(), Error> {
        let node = Node::of(leaf);
        let Some(last) = node.count().checked_sub(1) else { return Ok(()) };
        let below = self.from.as_deref().is_some_and(|from| node.key(0) < from);
        if below || self.to.as_deref().is_some_and(|to| node.key(last) >= to) {
            let why = "a key beyond the bounds that its parent gives";
            return Err(shared.pool.corrupt(leaf.id(), why));
        }
        Ok(())
    }
}

impl Tree {
    /// The leaf that has `key`, or would.
    fn leaf_from<'a>(self, shared: &'a Shared, key: &[u8]) -> Result<(PageRef<'a>, Bounds), Error> {
        self.leaf_by(shared, |node| node.towards(key))
    }

    /// The last leaf that may have keys below `key`.
    fn leaf_below<'a>(
        self,
        shared: &'a Shared,
        key: Option<&[u8]>,
    ) -> Result<(PageRef<'a>, Bounds), Error> {
        self.leaf_by(shared, |node| key.map_or(node.count() - 1, |key| node.below(key)))
    }

    fn leaf_by(
        self,
        shared: &Shared,
        choose: impl Fn(Node<'_>) -> usize,
    ) -> Result<(PageRef<'_>, Bounds), Error> {
        let mut page = read_node(shared, self.root)?;
        let mut bounds = Bounds::default();
        loop {
            let node = Node::of(&page);
            if node.level() == 0 {
                bounds.hold(shared, &page)?;
                return Ok((page, bounds));
            }
            let slot = choose(node);
            if slot > 0 {
                bounds.from = Some(node.key(slot).to_vec());
            }
            if slot + 1 < node.count() {
                bounds.to = Some(node.key(slot + 1).to_vec());
            }
            let child = read_child(shared, node, slot)?;
            page = child;
        }
    }
}

//! A B+tree on pages, as a resource manager: what the layers below are for.
//!
//! # Latches
//!
//! A reader goes from the root down and holds a node until he has the one below it. A writer does the same and latches
//! the leaf for writing. If the leaf has no room, he lets go of everything and comes down once more with write latches, and
//! splits the first node on his way that has no room for one more child, or else the leaf; then he begins anew. So a
//! split latches a node, its parent, the new node and page 0, whatever the height, and a parent always has room. Nodes are
//! latched from the root down and page 0 last: nobody waits in a circle.
//!
//! There are no links between leaves. A scan copies the rows of a leaf, lets go, and comes down again to where the leaf's
//! bound in its parents said that the next one begins. So scans in both directions are alike, and a split has no neighbours
//! to change.
//!
//! # What is logged
//!
//! A row's change is logged as such (`change.rs`) and taken back by key: the row may be on another page by then. A split
//! or merge is a nested top action of byte ranges: it stays, whatever becomes of the transaction that made it.
//!
//! # Deleted rows
//!
//! A deleted row stays as a ghost until no rollback and no snapshot can want it; then it goes with the next need for room,
//! or by [`Engine::tidy`].

pub(crate) mod change;
mod cursor;
mod dropping;
pub(crate) mod node;
mod shape;

use bytes::Bytes;
use ombak_base::planted;

use crate::engine::{Engine, Shared};
use crate::error::Error;
use crate::log::Lsn;
use crate::manager::{Locked, ResourceManager, Undo};
use crate::page::{ManagerId, Page, PageId};
use crate::pool::{PageMut, PageRef};
use crate::scope::Scope;
use crate::txn::locks::Seen;
use crate::txn::{LockName, Transaction};

pub use cursor::{Row, Rows};
pub(crate) use dropping::Dropped;
pub use node::{KEY_BYTES_MAX, ROW_BYTES_MAX};
pub(crate) use shape::Ghosts;

use change::{Change, Kind, Value};
use node::Node;

/// The tree's number among the resource managers.
pub(crate) const TREE: ManagerId = ManagerId(1);
pub(crate) const NODE: u8 = 1;
/// The root of a tree that was dropped: a node in all else.
const DROPPED: u8 = 2;

/// A tree of an engine: keys of up to [`KEY_BYTES_MAX`] bytes in order of their bytes, each with a value; together up to
/// [`ROW_BYTES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tree {
    pub(crate) root: PageId,
}

/// See the module.
pub(crate) struct TreeManager;

impl ResourceManager for TreeManager {
    fn id(&self) -> ManagerId {
        TREE
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        check_node(page)?;
        Change::decode(change).ok_or("it is no change of a leaf")?.redo(page)
    }

    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let malformed = || undo.corrupt(page, "a change of a leaf that can't be taken back");
        let change = Change::decode(change).ok_or_else(malformed)?;
        let tree = Tree { root: change.root };
        match change.kind {
            Kind::Insert => tree.change_back(undo, Kind::Remove, change.key, Value::default()),
            Kind::Ghost => tree.change_back(undo, Kind::Unghost, change.key, Value::default()),
            Kind::Set => tree.change_back(undo, Kind::Put, change.key, change.old),
            Kind::Remove | Kind::Put | Kind::Unghost | Kind::Purge => Ok(()),
        }
    }

    fn describe(&self, change: &[u8]) -> String {
        let Some(change) = Change::decode(change) else { return "?".to_string() };
        let kind = format!("{:?}", change.kind).to_lowercase();
        let key = change.key.escape_ascii();
        let new = match change.kind {
            Kind::Insert | Kind::Set | Kind::Put => format!(" = {} bytes", change.new.bytes.len()),
            _ => String::new(),
        };
        format!("tree {}: {kind} \"{key}\"{new}", change.root.0)
    }

    fn check(&self, page: &Page) -> Result<(), &'static str> {
        if ![NODE, DROPPED].contains(&page.kind()) {
            return Err("no tree has such pages");
        }
        let node = Node::of(page);
        node.check()?;
        let own = |slot| node.level() > 0 && [PageId(0), page.id()].contains(&node.child(slot));
        if (0..node.count()).any(own) { Err("a child that is none") } else { Ok(()) }
    }

    fn lock(&self, _page: PageId, change: &[u8]) -> Option<Locked> {
        let change = Change::decode(change)?;
        let before = match change.kind {
            Kind::Insert => None,
            Kind::Set if change.old.ghost => None,
            Kind::Set | Kind::Ghost => Some(Bytes::copy_from_slice(change.old.bytes)),
            _ => return None,
        };
        Some(Locked { name: Tree { root: change.root }.lock_name(change.key), before })
    }
}

impl Engine {
    /// The tree of this name, made if there is none. Durable when it returns, whatever else is.
    pub fn tree(&self, name: &str) -> Result<Tree, Error> {
        let root = self.structure(name, TREE, 1, |pages| begin_node(&mut pages[0], 0))?;
        Ok(Tree { root })
    }

    /// The tree of this name, if there is one.
    pub fn find_tree(&self, name: &str) -> Result<Option<Tree>, Error> {
        Ok(self.find_structure(name, TREE)?.map(|root| Tree { root }))
    }
}

/// A page that should be a node. One that is none, a page of zeros for instance, is told and not looked into.
fn check_node(page: &Page) -> Result<(), &'static str> {
    match (page.manager(), page.kind()) {
        (TREE, NODE) => Ok(()),
        _ => Err("it should be a node of a tree, and is none"),
    }
}

fn read_node(shared: &Shared, id: PageId) -> Result<PageRef<'_>, Error> {
    let page = shared.pool.read(id)?;
    check_node(&page).map_err(|why| no_node(shared, &page, why))?;
    Ok(page)
}

fn write_node(shared: &Shared, id: PageId) -> Result<PageMut<'_>, Error> {
    let page = shared.pool.write(id)?;
    check_node(&page).map_err(|why| no_node(shared, &page, why))?;
    Ok(page)
}

fn no_node(shared: &Shared, page: &Page, why: &'static str) -> Error {
    Tree::told(page).unwrap_or_else(|| shared.pool.corrupt(page.id(), why))
}

/// A child of a node. Each way down must end, so it is one level below.
fn read_child<'a>(shared: &'a Shared, node: Node<'_>, slot: usize) -> Result<PageRef<'a>, Error> {
    let child = read_node(shared, node.child(slot))?;
    check_level(&child, node).map_err(|why| shared.pool.corrupt(child.id(), why))?;
    Ok(child)
}

fn write_child<'a>(shared: &'a Shared, node: Node<'_>, slot: usize) -> Result<PageMut<'a>, Error> {
    let child = write_node(shared, node.child(slot))?;
    check_level(&child, node).map_err(|why| shared.pool.corrupt(child.id(), why))?;
    Ok(child)
}

fn check_level(child: &Page, parent: Node<'_>) -> Result<(), &'static str> {
    let below = parent.level().checked_sub(1);
    if Some(Node::of(child).level()) == below { Ok(()) } else { Err("it is no node of its level") }
}

/// Makes a page an empty node.
pub(crate) fn begin_node(page: &mut Page, level: u8) {
    page.set_kind(TREE, NODE);
    node::clear(page, level);
}

fn check_row(key: &[u8], value: &[u8]) -> Result<(), Error> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::TooLarge { what: "a key", bytes: key.len(), bytes_max: KEY_BYTES_MAX });
    }
    let bytes = key.len() + value.len();
    if bytes > ROW_BYTES_MAX {
        return Err(Error::TooLarge { what: "a row", bytes, bytes_max: ROW_BYTES_MAX });
    }
    Ok(())
}

impl Tree {
    /// The page that it begins at: its name in the log.
    pub fn root(self) -> PageId {
        self.root
    }

    pub(crate) fn lock_name(self, key: &[u8]) -> LockName {
        LockName { space: self.root.0, key: Bytes::copy_from_slice(key) }
    }

    /// The value of a key, as the transaction sees it.
    pub fn get(self, txn: &Transaction, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.get_as(txn.shared(), key, txn.snapshot, Some(txn))
    }

    /// The value of a key, as it was committed last.
    pub fn get_latest(self, engine: &Engine, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.get_as(&engine.0, key, u64::MAX, None)
    }

    /// The value of a key, as it was committed last, if all that it takes is in memory; `None`: a page would have to be
    /// read first.
    pub fn get_resident(self, engine: &Engine, key: &[u8]) -> Option<Option<Bytes>> {
        let shared = &engine.0;
        let mut page = shared.pool.read_resident(self.root)?;
        while check_node(&page).is_ok() && Node::of(&page).level() > 0 {
            let node = Node::of(&page);
            let child = shared.pool.read_resident(node.child(node.towards(key)))?;
            check_level(&child, node).ok()?;
            page = child;
        }
        check_node(&page).ok()?; // Whoever reads it then is told.
        Some(match shared.locks.seen(self.root.0, key, u64::MAX, None) {
            Seen::Before(value) => value,
            Seen::Current => value_at(Node::of(&page), key).map(Bytes::copy_from_slice),
        })
    }

    fn get_as(
        self,
        shared: &Shared,
        key: &[u8],
        snapshot: u64,
        txn: Option<&Transaction>,
    ) -> Result<Option<Bytes>, Error> {
        let leaf = self.leaf(shared, key)?;
        // While the leaf is latched: what is found on it and what is known of it belong together.
        match shared.locks.seen(self.root.0, key, snapshot, txn.map(Transaction::id)) {
            Seen::Before(value) => Ok(value),
            Seen::Current => Ok(value_at(Node::of(&leaf), key).map(Bytes::copy_from_slice)),
        }
    }

    /// The value of a key, locked: nobody else changes it until the transaction ends. [`Error::Conflict`] if somebody has
    /// since the transaction's snapshot.
    pub fn get_locked(self, txn: &mut Transaction, key: &[u8]) -> Result<Option<Bytes>, Error> {
        txn.lock(self.lock_name(key))?;
        self.get(txn, key)
    }

    /// Puts a value under a key.
    pub fn put(self, txn: &mut Transaction, key: &[u8], value: &[u8]) -> Result<(), Error> {
        check_row(key, value)?;
        let name = self.lock_name(key);
        txn.lock(name.clone())?;
        txn.shared().room.look(txn.shared())?;
        let mut scope = txn.scope();
        loop {
            let mut leaf = self.leaf_mut(scope.shared, key)?;
            let node = Node::of(&leaf);
            let found = node.find(key);
            if has_room(node, key, value.len()) {
                scope.shared.locks.remember(&txn.state, &name, || {
                    value_at(node, key).map(Bytes::copy_from_slice)
                });
                self.put_at(&mut scope, &mut leaf, found, key, value)?;
                return Ok(());
            }
            self.make_room(&mut scope, leaf, key, value.len())?;
        }
    }

    /// Puts a value under a key at once: a transaction of its own, committed lazily. It is seen by every reader, whatever
    /// his snapshot, and takes no lock: for who has no other transactions on the same keys. Durable once the engine is
    /// up to the answer.
    pub fn put_now(self, engine: &Engine, key: &[u8], value: &[u8]) -> Result<Lsn, Error> {
        check_row(key, value)?;
        engine.0.room.look(&engine.0)?;
        let mut scope = engine.single();
        loop {
            let mut leaf = self.leaf_mut(&engine.0, key)?;
            self.check_unlocked(&engine.0, key)?;
            let node = Node::of(&leaf);
            let found = node.find(key);
            if has_room(node, key, value.len()) {
                return self.put_at(&mut scope, &mut leaf, found, key, value);
            }
            self.make_room(&mut scope, leaf, key, value.len())?;
        }
    }

    /// Removes a key at once: see [`put_now`](Tree::put_now). `None`: it was not there.
    pub fn delete_now(self, engine: &Engine, key: &[u8]) -> Result<Option<Lsn>, Error> {
        engine.0.room.look(&engine.0)?;
        let mut scope = engine.single();
        let mut leaf = self.leaf_mut(&engine.0, key)?;
        self.check_unlocked(&engine.0, key)?;
        let node = Node::of(&leaf);
        let Ok(slot) = node.find(key) else { return Ok(None) };
        if node.is_ghost(slot) {
            return Ok(None);
        }
        let lsn = Change::new(Kind::Remove, slot, self.root, key)
            .with_parts(|parts| scope.apply(&mut leaf, TREE, parts))?;
        let sparse = shape::is_sparse(Node::of(&leaf));
        drop(leaf);
        if sparse {
            // The row is gone. That its leaf stays as it is, for want of room or because its neighbour can't be read, is
            // nobody's loss; and what stops everything stops whoever comes next.
            let _stays = self.shrink(&mut scope, key);
        }
        Ok(Some(lsn))
    }

    fn check_unlocked(self, shared: &Shared, key: &[u8]) -> Result<(), Error> {
        match shared.locks.holder(self.root.0, key) {
            Some(holder) => Err(Error::Locked { holder }),
            None => Ok(()),
        }
    }

    fn put_at(
        self,
        scope: &mut Scope<'_>,
        leaf: &mut PageMut<'_>,
        found: Result<usize, usize>,
        key: &[u8],
        value: &[u8],
    ) -> Result<Lsn, Error> {
        let Ok(slot) = found else {
            let slot = found.unwrap_or_else(|slot| slot);
            let change = Change {
                new: Value::alive(value),
                ..Change::new(Kind::Insert, slot, self.root, key)
            };
            return change.with_parts(|parts| scope.apply(leaf, TREE, parts));
        };
        // What it was is on the page that is about to be changed.
        let old = Value::at(Node::of(leaf), slot);
        let (bytes, ghost) = (old.bytes.to_vec(), old.ghost);
        let change = Change {
            old: Value { bytes: &bytes, ghost },
            new: Value::alive(value),
            ..Change::new(Kind::Set, slot, self.root, key)
        };
        change.with_parts(|parts| scope.apply(leaf, TREE, parts))
    }

    /// Removes a key; `false`: it was not there.
    pub fn delete(self, txn: &mut Transaction, key: &[u8]) -> Result<bool, Error> {
        let name = self.lock_name(key);
        txn.lock(name.clone())?;
        txn.shared().room.look(txn.shared())?;
        let mut scope = txn.scope();
        let mut leaf = self.leaf_mut(scope.shared, key)?;
        let node = Node::of(&leaf);
        let Ok(slot) = node.find(key) else { return Ok(false) };
        if node.is_ghost(slot) {
            return Ok(false);
        }
        let value = Bytes::copy_from_slice(node.value(slot));
        if !planted!("a deletion forgets what it locked") {
            scope.shared.locks.remember(&txn.state, &name, || Some(value.clone()));
        }
        let change =
            Change { old: Value::alive(&value), ..Change::new(Kind::Ghost, slot, self.root, key) };
        change.with_parts(|parts| scope.apply(&mut leaf, TREE, parts))?;
        scope.shared.ghosts.note(self, &name.key);
        Ok(true)
    }

    /// Takes a row's change back, wherever the row is by now.
    fn change_back(
        self,
        undo: &mut Undo<'_>,
        kind: Kind,
        key: &[u8],
        new: Value<'_>,
    ) -> Result<(), Error> {
        loop {
            let mut leaf = self.leaf_mut(undo.shared, key)?;
            let node = Node::of(&leaf);
            let Ok(slot) = node.find(key) else {
                return Err(undo.corrupt(leaf.id(), "a row that is to be put back is gone"));
            };
            if kind == Kind::Put && !node.fits_instead(slot, new.bytes.len()) {
                self.make_room(undo, leaf, key, new.bytes.len())?;
                continue;
            }
            let change = Change { new, ..Change::new(kind, slot, self.root, key) };
            change.with_parts(|parts| undo.apply(&mut leaf, TREE, parts))?;
            return Ok(());
        }
    }

    /// The leaf that has the key, or would.
    fn leaf<'a>(self, shared: &'a Shared, key: &[u8]) -> Result<PageRef<'a>, Error> {
        let mut page = read_node(shared, self.root)?;
        loop {
            let node = Node::of(&page);
            if node.level() == 0 {
                return Ok(page);
            }
            let child = read_child(shared, node, node.towards(key))?;
            page = child; // The one above is let go of now that the one below is held.
        }
    }

    /// The same, to be changed.
    fn leaf_mut<'a>(self, shared: &'a Shared, key: &[u8]) -> Result<PageMut<'a>, Error> {
        loop {
            let mut page = read_node(shared, self.root)?;
            loop {
                let node = Node::of(&page);
                match node.level() {
                    0 => break,
                    1 => return write_child(shared, node, node.towards(key)),
                    _ => {
                        let child = read_child(shared, node, node.towards(key))?;
                        page = child;
                    }
                }
            }
            // The root is the leaf, unless somebody splits it before it is latched again.
            drop(page);
            let root = write_node(shared, self.root)?;
            if Node::of(&root).level() == 0 {
                return Ok(root);
            }
        }
    }
}

/// Whether the row fits, be it there or not.
fn has_room(node: Node<'_>, key: &[u8], value: usize) -> bool {
    match node.find(key) {
        Ok(slot) => node.fits_instead(slot, value),
        Err(_) => node.fits(key, value),
    }
}

fn value_at<'a>(node: Node<'a>, key: &[u8]) -> Option<&'a [u8]> {
    let slot = node.find(key).ok()?;
    (!node.is_ghost(slot)).then(|| node.value(slot))
}

#[cfg(test)]
mod tests;

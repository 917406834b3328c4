//! Splits, merges, and ghosts that go.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

use super::change::{Change, Kind};
use super::node::{self, Node};
use super::{TREE, Tree, begin_node, has_room, read_child, read_node, write_child, write_node};
use crate::engine::{Engine, Shared};
use crate::error::Error;
use crate::page::{BODY_BYTES, Page, PageId};
use crate::pool::PageMut;
use crate::scope::{Rewrite, Scope};

/// Deleted rows that are remembered; more go when room is needed.
const GHOSTS_MAX: usize = 1 << 16;
/// Deleted rows that one step looks at.
const GHOSTS_STEP: usize = 64;

/// Rows that were deleted not long ago.
#[derive(Default)]
pub(crate) struct Ghosts {
    rows: Mutex<VecDeque<(Tree, Bytes)>>,
}

impl Ghosts {
    pub fn note(&self, tree: Tree, key: &Bytes) {
        let mut rows = self.rows.lock();
        if rows.len() < GHOSTS_MAX {
            rows.push_back((tree, key.clone()));
        }
    }
}

/// Whether a node has so little that it should be one with its neighbour.
pub fn is_sparse(node: Node<'_>) -> bool {
    node.used() < BODY_BYTES / 4
}

/// Whether two neighbours should be one node: one has little, and together they have not too much.
fn are_one(one: Node<'_>, other: Node<'_>) -> bool {
    let used = one.used() + other.used() + node::SEPARATOR_BYTES_MAX;
    (is_sparse(one) || is_sparse(other)) && used <= BODY_BYTES * 3 / 4
}

/// A key that is above `below` and not above `at`, as short as can be.
fn separator<'a>(below: &[u8], at: &'a [u8]) -> &'a [u8] {
    let common = below.iter().zip(at).take_while(|(one, other)| one == other).count();
    &at[..at.len().min(common + 1)]
}

impl Engine {
    /// Clears some deleted rows away. `false`: none was left that could go.
    pub(crate) fn clear_ghosts(&self) -> Result<bool, Error> {
        let mut cleared = false;
        for _ in 0..GHOSTS_STEP {
            let Some((tree, key)) = self.0.ghosts.rows.lock().pop_front() else { break };
            if self.0.locks.knows(tree.root.0, &key) {
                self.0.ghosts.note(tree, &key);
                continue;
            }
            let mut scope = self.single();
            let mut leaf = match tree.leaf_mut(&self.0, &key) {
                Err(Error::Dropped { .. }) => continue,
                leaf => leaf?,
            };
            tree.purge(&mut scope, &mut leaf)?;
            cleared = true;
            let sparse = is_sparse(Node::of(&leaf));
            drop(leaf);
            if sparse {
                tree.shrink(&mut scope, &key)?;
            }
        }
        Ok(cleared)
    }
}

impl Tree {
    /// The leaf had no room for a row of this key. Afterwards it has more, or is not one leaf any more.
    pub(super) fn make_room(
        self,
        scope: &mut Scope<'_>,
        mut leaf: PageMut<'_>,
        key: &[u8],
        value: usize,
    ) -> Result<(), Error> {
        if self.purge(scope, &mut leaf)? {
            return Ok(());
        }
        drop(leaf);
        self.split(scope, key, value)
    }

    /// Removes the ghosts that nobody can want any more; `false`: there was none.
    fn purge(self, scope: &mut Scope<'_>, leaf: &mut PageMut<'_>) -> Result<bool, Error> {
        if scope.shared.is_restarting() {
            return Ok(false); // Losers may want them, and hold no locks.
        }
        let node = Node::of(leaf);
        let forgotten = |slot: &usize| !scope.shared.locks.knows(self.root.0, node.key(*slot));
        let ghosts: Vec<usize> = node.ghosts().filter(forgotten).collect();
        for slot in ghosts.iter().rev() {
            let key = Node::of(leaf).key(*slot).to_vec();
            Change::new(Kind::Purge, *slot, self.root, &key)
                .with_parts(|parts| scope.apply_for_good(leaf, TREE, parts))?;
        }
        Ok(!ghosts.is_empty())
    }

    /// Splits the leaf of the key, or a node above it that must have room first; nothing, if somebody else has done it
    /// meanwhile. Most often the node above the leaf has room, and only these two are latched for writing.
    fn split(self, scope: &mut Scope<'_>, key: &[u8], value: usize) -> Result<(), Error> {
        let enough = |node: Node<'_>| match node.level() {
            0 => has_room(node, key, value),
            _ => node.has_room_for_separator(),
        };
        let above = self.above_leaf(scope.shared, key)?;
        let mut parent = match above.filter(|page| enough(Node::of(page))) {
            Some(parent) => parent,
            None => write_node(scope.shared, self.root)?,
        };
        if !enough(Node::of(&parent)) {
            return self.split_root(scope, parent, key);
        }
        while Node::of(&parent).level() > 0 {
            let slot = Node::of(&parent).towards(key);
            let child = write_child(scope.shared, Node::of(&parent), slot)?;
            if !enough(Node::of(&child)) {
                return split_child(scope, parent, slot, child, key);
            }
            parent = child;
        }
        Ok(())
    }

    /// The node above the key's leaf, if it is not the root.
    fn above_leaf<'a>(self, shared: &'a Shared, key: &[u8]) -> Result<Option<PageMut<'a>>, Error> {
        let mut page = read_node(shared, self.root)?;
        loop {
            let node = Node::of(&page);
            let slot = node.towards(key);
            page = match node.level() {
                0 | 1 => return Ok(None),
                2 => return write_child(shared, node, slot).map(Some),
                _ => read_child(shared, node, slot)?,
            };
        }
    }

    /// The root stays where it is: its rows move to two new nodes below it.
    fn split_root(self, scope: &mut Scope<'_>, root: PageMut<'_>, key: &[u8]) -> Result<(), Error> {
        let (meta, mut pages) = scope.allocate(2)?;
        let cut = Cut::of(Node::of(&root), key);
        let level = Node::of(&root).level();
        let mut ids = Vec::new();
        for (page, rows) in pages.iter_mut().zip([0..cut.at, cut.at..Node::of(&root).count()]) {
            cut.fill(scope, Node::of(&root), rows, &mut page.new)?;
            ids.push(page.new.id());
        }
        let mut root = Rewrite::of(root);
        begin_node(&mut root.new, level + 1);
        let whole = node::insert(&mut root.new, 0, &[], &ids[0].0.to_le_bytes())
            && node::insert(&mut root.new, 1, &cut.separator, &ids[1].0.to_le_bytes());
        debug_assert!(whole, "two rows fit");
        pages.push(meta);
        pages.push(root);
        scope.nested(&mut pages)
    }

    /// Makes nodes on the way to a key one with their neighbours where both have little, and the root one with its only
    /// child.
    pub(super) fn shrink(self, scope: &mut Scope<'_>, key: &[u8]) -> Result<(), Error> {
        while self.shrink_one(scope, key)? {}
        Ok(())
    }

    fn shrink_one(self, scope: &mut Scope<'_>, key: &[u8]) -> Result<bool, Error> {
        let mut parent = write_node(scope.shared, self.root)?;
        if Node::of(&parent).level() > 0 && Node::of(&parent).count() == 1 {
            return self.lower_root(scope, parent);
        }
        while Node::of(&parent).level() > 0 {
            let node = Node::of(&parent);
            let slot = node.towards(key);
            // Its left neighbour, which was looked at before if keys go in order; else the right one.
            for left in [slot.wrapping_sub(1), slot] {
                if left.saturating_add(1) >= node.count() {
                    continue;
                }
                let one = write_child(scope.shared, node, left)?;
                let other = write_child(scope.shared, node, left + 1)?;
                if are_one(Node::of(&one), Node::of(&other)) {
                    return merge(scope, parent, left, one, other);
                }
            }
            let child = write_child(scope.shared, node, slot)?;
            parent = child;
        }
        Ok(false)
    }

    /// The root becomes its only child.
    fn lower_root(self, scope: &mut Scope<'_>, root: PageMut<'_>) -> Result<bool, Error> {
        let child = write_child(scope.shared, Node::of(&root), 0)?;
        let mut root = Rewrite::of(root);
        let node = Node::of(&child);
        begin_node(&mut root.new, node.level());
        if !node::copy_rows(node, 0..node.count(), &mut root.new) {
            return Err(scope.corrupt(child.id(), "its rows do not fit a page"));
        }
        let mut rewrites = scope.free(vec![child])?;
        rewrites.push(root);
        scope.nested(&mut rewrites)?;
        Ok(true)
    }
}

/// Where a node is cut in two.
struct Cut {
    at: usize,
    separator: Vec<u8>,
}

impl Cut {
    /// In the middle; behind the last row if what comes is above it, for then more like it will.
    fn of(node: Node<'_>, key: &[u8]) -> Cut {
        let count = node.count();
        if node.level() > 0 {
            let at = node.middle();
            return Cut { at, separator: node.key(at).to_vec() };
        }
        let last = node.key(count - 1);
        if key > last {
            return Cut { at: count, separator: separator(last, key).to_vec() };
        }
        let at = node.middle();
        Cut { at, separator: separator(node.key(at - 1), node.key(at)).to_vec() }
    }

    /// Copies rows to a new node. The first one above the leaves is below all.
    fn fill(
        &self,
        scope: &Scope<'_>,
        from: Node<'_>,
        rows: std::ops::Range<usize>,
        to: &mut Page,
    ) -> Result<(), Error> {
        begin_node(to, from.level());
        let mut whole = true;
        let mut rows = rows;
        if from.level() > 0 && !rows.is_empty() {
            whole = node::insert(to, 0, &[], from.value(rows.start));
            rows.start += 1;
        }
        if whole && node::copy_rows(from, rows, to) {
            return Ok(());
        }
        Err(scope.corrupt(to.id(), "half of a page's rows do not fit a page"))
    }
}

fn split_child(
    scope: &mut Scope<'_>,
    parent: PageMut<'_>,
    slot: usize,
    child: PageMut<'_>,
    key: &[u8],
) -> Result<(), Error> {
    let (meta, mut pages) = scope.allocate(1)?;
    let cut = Cut::of(Node::of(&child), key);
    let count = Node::of(&child).count();
    let right = pages[0].new.id();
    cut.fill(scope, Node::of(&child), cut.at..count, &mut pages[0].new)?;
    let mut left = Rewrite::of(child);
    // Cells stay where they are: less to log.
    (cut.at..count).rev().for_each(|slot| node::remove(&mut left.new, slot));
    let mut above = Rewrite::of(parent);
    if !node::insert(&mut above.new, slot + 1, &cut.separator, &right.0.to_le_bytes()) {
        return Err(scope.corrupt(above.new.id(), "no room for a separator"));
    }
    pages.extend([meta, left, above]);
    scope.nested(&mut pages)
}

/// Moves the rows of a node to its left neighbour.
fn merge(
    scope: &mut Scope<'_>,
    parent: PageMut<'_>,
    left: usize,
    one: PageMut<'_>,
    other: PageMut<'_>,
) -> Result<bool, Error> {
    let mut above = Rewrite::of(parent);
    let mut to = Rewrite::of(one);
    let from = Node::of(&other);
    let mut first = 0;
    let mut whole = true;
    if from.level() > 0 && from.count() > 0 {
        let at = Node::of(&to.new).count();
        let separator = Node::of(&above.new).key(left + 1).to_vec();
        whole = node::insert(&mut to.new, at, &separator, from.value(0));
        first = 1;
    }
    if !whole || !node::copy_rows(from, first..from.count(), &mut to.new) {
        return Err(scope.corrupt(other.id(), "two nodes do not fit one"));
    }
    node::remove(&mut above.new, left + 1);
    let mut rewrites = scope.free(vec![other])?;
    rewrites.extend([to, above]);
    scope.nested(&mut rewrites)?;
    Ok(true)
}

impl Tree {
    /// Walks the whole tree and says what contradicts itself, if anything does. Latches a page at a time: nobody may
    /// change the tree meanwhile.
    pub fn check(self, engine: &Engine) -> Result<(), Error> {
        let level = Node::of(&*read_node(&engine.0, self.root)?).level();
        check_below(engine, self.root, level, &[], None)
    }
}

fn check_below(
    engine: &Engine,
    id: PageId,
    level: u8,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<(), Error> {
    let page = Page::clone(&*read_node(&engine.0, id)?);
    let node = Node::of(&page);
    let corrupt = |why| Err(engine.corrupt(id, why));
    node.check().or_else(corrupt)?;
    if (page.manager(), node.level()) != (TREE, level) {
        return corrupt("it is no node of its level");
    }
    let first = usize::from(level > 0);
    let mut keys = (first..node.count()).map(|slot| node.key(slot));
    if keys.any(|key| key < from || to.is_some_and(|to| key >= to)) {
        return corrupt("a key beyond the bounds that its parent gives");
    }
    if level == 0 {
        return Ok(());
    }
    if node.count() == 0 || !node.key(0).is_empty() {
        return corrupt("its first child is not below all");
    }
    for slot in 0..node.count() {
        let low = if slot == 0 { from } else { node.key(slot) };
        let high = if slot + 1 < node.count() { Some(node.key(slot + 1)) } else { to };
        check_below(engine, node.child(slot), level - 1, low, high)?;
    }
    Ok(())
}

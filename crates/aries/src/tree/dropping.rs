//! Trees that are dropped.
//!
//! Dropping a tree is a transaction of its own: its row leaves the catalog, a row that no name can have takes its place, and its root
//! becomes a page of another kind. From then on whoever has its handle is told ([`Error::Dropped`]), whatever his snapshot; who
//! has locked something in it is waited for by nobody: it is refused while there is such a lock ([`Error::Locked`]). So nothing of
//! a tree that is dropped will ever be taken back.
//!
//! Its pages come back bit by bit, by [`Engine::tidy`]: each step is a nested action that takes some pages off the lowest node and
//! gives them to the free ones. A crash in between leaves a smaller tree, which the catalog still has, and the next process goes on. The root
//! goes last, and not before another process: as long as this one lives, somebody may have a handle that says no more than the root's
//! number, and must not find another tree there.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::node::{self, Node};
use super::{DROPPED, TREE, Tree, begin_node, write_node};
use crate::catalog;
use crate::engine::Engine;
use crate::error::Error;
use crate::page::{Page, PageId};
use crate::physical::{self, PHYSICAL};
use crate::pool::PageMut;
use crate::scope::{Rewrite, Scope};
use crate::txn::Transaction;

/// Pages that one step gives back: all of them are latched at once.
const PAGES_STEP: usize = 8;

/// Trees whose pages have not all come back.
#[derive(Default)]
pub(crate) struct Dropped {
    trees: Mutex<VecDeque<Pending>>,
}

#[derive(Clone, Copy)]
struct Pending {
    root: PageId,
    /// Nobody has a handle of it.
    by_another_process: bool,
}

impl Engine {
    /// Drops the tree of this name; `false`: there is none. Durable when it returns, whatever else is, and seen by everybody at once:
    /// transactions that only read the tree are told [`Error::Dropped`] from now on. [`Error::Locked`]: a transaction has changed
    /// or locked rows of it, and has not ended; nothing was changed.
    ///
    /// Its pages can be used again bit by bit, as [`tidy`](Engine::tidy) is called; its first page after the next start.
    pub fn drop_tree(&self, name: &str) -> Result<bool, Error> {
        loop {
            let mut txn = self.begin();
            match take_out(&mut txn, name) {
                Ok(Some(root)) => {
                    txn.commit()?;
                    self.0.dropped.note(Pending { root, by_another_process: false });
                    return Ok(true);
                }
                Ok(None) => return txn.rollback().map(|()| false),
                // Somebody else has made or dropped it just now.
                Err(Error::Conflict) => txn.rollback()?,
                Err(error) => return txn.rollback().and(Err(error)),
            }
        }
    }

    /// Looks for trees that another process has dropped. Nobody has begun to use the engine. One whose root is a page like
    /// others again, and may become another tree's, is forgotten before that can be dropped.
    pub(crate) fn find_dropped(&self) -> Result<(), Error> {
        for root in catalog::dropped(self)? {
            if is_dropped(&*self.0.pool.read(root)?) {
                self.0.dropped.note(Pending { root, by_another_process: true });
            } else {
                free_root(self, root)?;
            }
        }
        Ok(())
    }

    /// Gives back some pages of trees that were dropped; `false`: there are none that can be given back now.
    pub(crate) fn free_dropped(&self) -> Result<bool, Error> {
        let Some(tree) = self.0.dropped.trees.lock().pop_front() else { return Ok(false) };
        match free_some(&mut self.single(), tree.root) {
            Ok(false) if !tree.by_another_process => return Ok(true), // All but the root.
            Ok(false) => match free_root(self, tree.root) {
                // It is being dropped once more, as another tree.
                Err(Error::Locked { .. } | Error::Conflict) => self.0.dropped.note(tree),
                done => done?,
            },
            Ok(true) => self.0.dropped.note(tree),
            Err(error) => {
                self.0.dropped.note(tree);
                return Err(error);
            }
        }
        Ok(true)
    }
}

impl Dropped {
    fn note(&self, tree: Pending) {
        self.trees.lock().push_back(tree);
    }
}

/// Takes a tree out of the catalog, and tells whoever comes to it. Answers its root.
fn take_out(txn: &mut Transaction, name: &str) -> Result<Option<PageId>, Error> {
    let Some(root) = catalog::take_out(txn, name, TREE)? else { return Ok(None) };
    let mut scope = txn.scope();
    let mut page = write_node(scope.shared, root)?;
    // Whoever locks something of it from now on comes to the root afterwards, and is told.
    if let Some(holder) = scope.shared.locks.holder_in(root.0) {
        return Err(Error::Locked { holder });
    }
    let mut new = Page::clone(&page);
    new.set_kind(TREE, DROPPED);
    if let Some(change) = physical::between(&page, &new) {
        scope.apply(&mut page, PHYSICAL, &[&change])?;
    }
    Ok(Some(root))
}

fn is_dropped(page: &Page) -> bool {
    (page.manager(), page.kind()) == (TREE, DROPPED)
}

/// Gives back some pages of a tree that was dropped; `false`: none is left but its root, or that is something else by now.
fn free_some(scope: &mut Scope<'_>, root: PageId) -> Result<bool, Error> {
    let mut above = scope.write(root)?;
    if !is_dropped(&above) {
        return Ok(false);
    }
    loop {
        let node = Node::of(&above);
        let Some(last) = node.count().checked_sub(1).filter(|_| node.level() > 0) else {
            return Ok(false);
        };
        let child = write_child(scope, node, last)?;
        match child {
            Some(child) if Node::of(&child).level() > 0 => above = child,
            child => return take_off(scope, above, child).map(|()| true),
        }
    }
}

/// A child that is to be given back, or below which there are such; `None`: it can't be read, and is lost, with all below it.
fn write_child<'a>(
    scope: &Scope<'a>,
    node: Node<'_>,
    slot: usize,
) -> Result<Option<PageMut<'a>>, Error> {
    match write_node(scope.shared, node.child(slot)) {
        // Each way down must end. A node that has lost all its children is a leaf, however high it stood.
        Ok(child) => Ok(Some(child).filter(|child| Node::of(child).level() < node.level())),
        Err(Error::Damaged { .. } | Error::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives back the last child of a node, and leaves before it. A node without children becomes a leaf.
fn take_off(
    scope: &mut Scope<'_>,
    above: PageMut<'_>,
    last: Option<PageMut<'_>>,
) -> Result<(), Error> {
    let node = Node::of(&above);
    let mut kept = node.count() - 1;
    let mut pages: Vec<PageMut<'_>> = last.into_iter().collect();
    while kept > 0 && pages.len() < PAGES_STEP {
        let child = write_child(scope, node, kept - 1)?;
        let Some(leaf) = child.filter(|child| Node::of(child).level() == 0) else { break };
        pages.push(leaf);
        kept -= 1;
    }
    let (count, kind) = (node.count(), above.kind());
    let mut above = Rewrite::of(above);
    (kept..count).rev().for_each(|slot| node::remove(&mut above.new, slot));
    if kept == 0 {
        begin_node(&mut above.new, 0);
        above.new.set_kind(TREE, kind);
    }
    let mut rewrites = scope.free(pages)?;
    rewrites.push(above);
    scope.nested(&mut rewrites)
}

/// Gives back the root, unless that was done, and forgets the tree. If only the first of it survives, the next process does the rest.
fn free_root(engine: &Engine, root: PageId) -> Result<(), Error> {
    let mut txn = engine.begin();
    catalog::lock_dropped(&mut txn, root)?;
    let mut scope = txn.scope();
    let page = scope.write(root)?;
    if is_dropped(&page) {
        let mut rewrites = scope.free(vec![page])?;
        scope.nested(&mut rewrites)?;
    } else {
        drop(page);
    }
    catalog::forget_dropped(&mut txn, root)?;
    txn.commit_lazily().map(drop)
}

impl Tree {
    /// Whoever has a handle of a tree that is gone.
    pub(super) fn told(page: &Page) -> Option<Error> {
        is_dropped(page).then(|| Error::Dropped { root: page.id() })
    }
}

//! Names of structures, and where each begins: a tree of its own, the first that a database has.
//!
//! ```text
//! name            page:u32
//! 255 page:u32    page:u32      big-endian in the key: a tree that was dropped, and has pages left. No name begins like that: it is UTF-8
//! ```

use bytes::Bytes;

use crate::engine::Engine;
use crate::error::Error;
use crate::page::{ManagerId, Page, PageId};
use crate::queue::{QUEUE, Queue};
use crate::scope::{Rewrite, Scope};
use crate::tree::{TREE, Tree, begin_node};
use crate::txn::Transaction;

pub(crate) const CATALOG: Tree = Tree { root: PageId(1) };
const NAME_BYTES_MAX: usize = 255;
/// What the key of a tree that was dropped begins with.
const DROPPED: u8 = 0xff;

/// What a walk through a structure came to.
pub(crate) struct Walked {
    /// `None`: it is the catalog.
    pub name: Option<String>,
    /// Whose it is, if that can be read.
    pub manager: Option<ManagerId>,
    pub found: Result<(), Error>,
}

impl Engine {
    /// The first page of the structure of this name, made if there is none: of `pages` new ones, which `begin` makes what
    /// they shall be, its manager set by [`Page::set_kind`]. Durable when it returns, whatever else is.
    pub fn structure(
        &self,
        name: &str,
        manager: ManagerId,
        pages: usize,
        begin: impl Fn(&mut [Page]),
    ) -> Result<PageId, Error> {
        loop {
            if let Some(root) = self.find_structure(name, manager)? {
                return Ok(root);
            }
            let mut txn = self.begin();
            match add(&mut txn, name, pages, &begin) {
                Ok(root) => {
                    txn.commit()?;
                    return Ok(root);
                }
                // Somebody else makes it.
                Err(Error::Conflict | Error::Locked { .. }) => txn.rollback()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The first page of the structure of this name, if there is one.
    pub fn find_structure(&self, name: &str, manager: ManagerId) -> Result<Option<PageId>, Error> {
        let row = CATALOG.get_latest(self, name.as_bytes())?;
        let Some(root) = row.and_then(root_in) else { return Ok(None) };
        if self.0.pool.read(root)?.manager() != manager {
            return Err(Error::Name {
                name: name.to_string(),
                why: "there is another kind of structure under this name",
            });
        }
        Ok(Some(root))
    }

    /// The names of all structures, in order.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let txn = self.begin();
        let mut rows = CATALOG.range(&txn, &[], Some(&[DROPPED]));
        let mut names = Vec::new();
        while let Some((name, _)) = rows.next()? {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
        Ok(names)
    }

    /// Walks through the catalog and everything that it names, whatever is wrong with some of it.
    pub(crate) fn check_structures(&self) -> Vec<Walked> {
        let found = CATALOG.check(self);
        let mut all = vec![Walked { name: None, manager: Some(TREE), found }];
        match self.names() {
            Ok(names) => all.extend(names.into_iter().map(|name| self.check_structure(name))),
            // The walk through the catalog has said so.
            Err(_) if all[0].found.is_err() => {}
            Err(error) => all[0].found = Err(error),
        }
        all
    }

    fn check_structure(&self, name: String) -> Walked {
        let mut manager = None;
        let mut check = || {
            let row = CATALOG.get_latest(self, name.as_bytes())?;
            let Some(root) = row.and_then(root_in) else { return Ok(()) };
            let found = self.0.pool.read(root)?.manager();
            manager = Some(found);
            match found {
                TREE => Tree { root }.check(self),
                QUEUE => Queue::at(root).check(self),
                _ => Ok(()),
            }
        };
        let found = check();
        Walked { name: Some(name), manager, found }
    }

    /// Makes the catalog, once.
    pub(crate) fn found(&self) -> Result<(), Error> {
        if self.0.pages()? > CATALOG.root.0 {
            return Ok(());
        }
        new_pages(&mut self.single(), 1, |pages| begin_node(&mut pages[0], 0))?;
        self.sync()
    }
}

/// The page that a row of the catalog names.
fn root_in(row: Bytes) -> Option<PageId> {
    Some(PageId(u32::from_le_bytes(*row.first_chunk()?)))
}

/// The roots of trees that were dropped, and have pages left.
pub(crate) fn dropped(engine: &Engine) -> Result<Vec<PageId>, Error> {
    let mut rows = CATALOG.range_latest(engine, &[DROPPED], None);
    let mut roots = Vec::new();
    while let Some((_, root)) = rows.next()? {
        roots.extend(root_in(Bytes::copy_from_slice(root)));
    }
    Ok(roots)
}

fn dropped_key(root: PageId) -> Vec<u8> {
    [&[DROPPED][..], &root.0.to_be_bytes()].concat()
}

/// Takes a name out, and notes that there is a tree without a name. Answers where that begins; `None`: nothing has this name.
pub(crate) fn take_out(
    txn: &mut Transaction,
    name: &str,
    manager: ManagerId,
) -> Result<Option<PageId>, Error> {
    txn.lock(CATALOG.lock_name(name.as_bytes()))?;
    let engine = txn.engine.clone();
    let Some(root) = engine.find_structure(name, manager)? else { return Ok(None) };
    CATALOG.delete(txn, name.as_bytes())?;
    CATALOG.put(txn, &dropped_key(root), &root.0.to_le_bytes())?;
    Ok(Some(root))
}

/// Nobody drops a tree that begins at this page until the transaction ends.
pub(crate) fn lock_dropped(txn: &mut Transaction, root: PageId) -> Result<(), Error> {
    txn.lock(CATALOG.lock_name(&dropped_key(root)))
}

/// All pages of the tree have been given back.
pub(crate) fn forget_dropped(txn: &mut Transaction, root: PageId) -> Result<(), Error> {
    CATALOG.delete(txn, &dropped_key(root)).map(drop)
}

impl Transaction {
    /// A page more for a structure, which `begin` makes what it shall be. It stays, even if the transaction is taken back: a
    /// page that nothing leads to then is lost.
    pub fn new_page(&mut self, begin: impl Fn(&mut Page)) -> Result<PageId, Error> {
        let ids = new_pages(&mut self.scope(), 1, |pages| begin(&mut pages[0]))?;
        Ok(ids[0])
    }
}

fn add(
    txn: &mut Transaction,
    name: &str,
    pages: usize,
    begin: &impl Fn(&mut [Page]),
) -> Result<PageId, Error> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::Name { name: name.to_string(), why: "a name has 1 to 255 bytes" });
    }
    txn.lock(CATALOG.lock_name(name.as_bytes()))?;
    let ids = new_pages(&mut txn.scope(), pages.max(1), begin)?;
    CATALOG.put(txn, name.as_bytes(), &ids[0].0.to_le_bytes())?;
    Ok(ids[0])
}

/// Takes pages and makes them something, as one nested action.
fn new_pages(
    scope: &mut Scope<'_>,
    count: usize,
    begin: impl Fn(&mut [Page]),
) -> Result<Vec<PageId>, Error> {
    let (meta, mut rewrites) = scope.allocate(count)?;
    let mut pages: Vec<Page> = rewrites.iter().map(|rewrite| Page::clone(&rewrite.new)).collect();
    begin(&mut pages);
    let ids: Vec<PageId> = rewrites.iter().map(|rewrite| rewrite.new.id()).collect();
    rewrites
        .iter_mut()
        .zip(pages)
        .for_each(|(rewrite, page): (&mut Rewrite<'_>, Page)| *rewrite.new = page);
    rewrites.push(meta);
    scope.nested(&mut rewrites)?;
    Ok(ids)
}

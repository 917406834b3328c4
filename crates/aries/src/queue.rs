//! A queue on pages: the second resource manager, and unlike the first.
//!
//! Items stand one after the other on a chain of pages. A transaction that enqueues appends to the last page, one that
//! dequeues marks the first item that nobody else has locked; both lock the item until they end. So an item is taken
//! exactly once: if who took it commits, it is gone; if not, it is there again, at its place. Two that dequeue do not wait
//! for each other, and the order is that of enqueuing, not of committing.
//!
//! ```text
//! first page: kind 1, body = head:u32 tail:u32
//! items:      kind 2, body = next:u32 end:u16 (len:u16 state:u8 item)*          state: 0 waits, 1 taken or never was
//! change = kind:u8 root:u32 offset:u16 rest
//! enqueue 1 item                 undo: state 1
//! take    2                      undo: state 0
//! state   3 state:u8             compensation
//! ```

mod change;
mod page;

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::engine::{Engine, Shared};
use crate::error::Error;
use crate::page::{BODY_BYTES, ManagerId, Page, PageId, put_u32, u32_at};
use crate::pool::{PageMut, PageRef};
use crate::scope::{Rewrite, Scope};
use crate::txn::locks::Waits;
use crate::txn::{LockName, Transaction};

pub(crate) use change::{Change, QueueManager};
pub(crate) use page::{append, begin_items, end};

use change::{ENQUEUE, TAKE, change_head};
use page::{FIRST, HEAD, ITEM_HEAD, ITEMS, Item, NEXT, START, TAIL, TAKEN, WAITS, items, pointer};

/// The queue's number among the resource managers.
pub(crate) const QUEUE: ManagerId = ManagerId(2);

/// A chain that is longer is compared with the number of pages every so many steps.
const STEPS: u32 = 64;

/// The largest item.
pub const ITEM_BYTES_MAX: usize = BODY_BYTES - START - ITEM_HEAD;

/// A queue of an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Queue {
    root: PageId,
}

/// Steps along a chain. One that leads back to where it was would never end.
struct Walk<'a> {
    shared: &'a Shared,
    steps: u32,
}

impl<'a> Walk<'a> {
    fn new(shared: &'a Shared) -> Walk<'a> {
        Walk { shared, steps: 0 }
    }

    /// Where the page leads to; `None`: it is the last one. Pages are counted only now and then: most chains are short.
    fn step(&mut self, page: &Page) -> Result<Option<PageId>, Error> {
        check_kind(self.shared, page, ITEMS)?;
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS) && self.steps > self.shared.pages()? {
            let why = "the chain of a queue's pages leads back to it";
            return Err(self.shared.pool.corrupt(page.id(), why));
        }
        Ok(Some(pointer(page, NEXT)).filter(|next| *next != PageId(0)))
    }
}

/// A page that should be one of a queue's.
fn check_kind(shared: &Shared, page: &Page, kind: u8) -> Result<(), Error> {
    if (page.manager(), page.kind()) == (QUEUE, kind) {
        return Ok(());
    }
    let why = "it should be a page of a queue, and is none";
    Err(shared.pool.corrupt(page.id(), why))
}

fn read_as(shared: &Shared, id: PageId, kind: u8) -> Result<PageRef<'_>, Error> {
    let page = shared.pool.read(id)?;
    check_kind(shared, &page, kind).map(|()| page)
}

fn write_as(shared: &Shared, id: PageId, kind: u8) -> Result<PageMut<'_>, Error> {
    let page = shared.pool.write(id)?;
    check_kind(shared, &page, kind).map(|()| page)
}

impl Engine {
    /// The queue of this name, made if there is none. Durable when it returns, whatever else is.
    pub fn queue(&self, name: &str) -> Result<Queue, Error> {
        let root = self.structure(name, QUEUE, 2, |pages| {
            let items = pages[1].id().0;
            pages[0].set_kind(QUEUE, FIRST);
            put_u32(pages[0].body_mut(), HEAD, items);
            put_u32(pages[0].body_mut(), TAIL, items);
            begin_items(&mut pages[1]);
        })?;
        Ok(Queue { root })
    }
}

fn lock_name(root: PageId, page: PageId, offset: usize) -> LockName {
    let mut key = page.0.to_be_bytes().to_vec();
    key.extend_from_slice(&(offset as u16).to_be_bytes());
    LockName { space: root.0, key: Bytes::from(key) }
}

/// What a look for an item came to.
enum Took {
    /// The item, unless it could not be logged; and its lock, which has to be let go of either way, if it is new.
    Item { lock: Option<LockName>, taken: Result<Bytes, Error> },
    /// The first page has nothing any more.
    Over(PageId),
    /// Nothing waits.
    Nothing,
}

impl Queue {
    /// Appends an item: others see it once the transaction has committed.
    pub fn enqueue(self, txn: &mut Transaction, item: &[u8]) -> Result<(), Error> {
        if item.len() > ITEM_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "an item",
                bytes: item.len(),
                bytes_max: ITEM_BYTES_MAX,
            });
        }
        txn.shared().room.look(txn.shared())?;
        loop {
            let first = read_as(txn.shared(), self.root, FIRST)?;
            let tail = write_as(txn.shared(), pointer(&first, TAIL), ITEMS)?;
            drop(first);
            if end(&tail) + ITEM_HEAD + item.len() <= BODY_BYTES {
                let (name, offset) = (lock_name(self.root, tail.id(), end(&tail)), end(&tail));
                // Nobody else can have the lock of an item that is not there.
                txn.shared().locks.acquire(&txn.state, &name, None, Waits::Refuse)?;
                let mut scope = txn.scope();
                let mut tail = tail;
                let head = change_head(ENQUEUE, self.root, offset);
                let done = scope.apply(&mut tail, QUEUE, &[&head, item]);
                drop(tail);
                txn.locks.push(name);
                return done.map(drop);
            }
            let full = tail.id();
            drop(tail);
            self.add_page(&mut txn.scope(), full)?;
        }
    }

    /// Appends a page behind `full`, unless somebody else has.
    fn add_page(self, scope: &mut Scope<'_>, full: PageId) -> Result<(), Error> {
        let first = write_as(scope.shared, self.root, FIRST)?;
        if pointer(&first, TAIL) != full {
            return Ok(());
        }
        let mut tail = Rewrite::of(write_as(scope.shared, full, ITEMS)?);
        if pointer(&tail.new, NEXT) != PageId(0) {
            let why = "a queue's chain goes on behind its last page";
            return Err(scope.corrupt(full, why));
        }
        let mut first = Rewrite::of(first);
        let (meta, mut pages) = scope.allocate(1)?;
        begin_items(&mut pages[0].new);
        let new = pages[0].new.id().0;
        put_u32(tail.new.body_mut(), NEXT, new);
        put_u32(first.new.body_mut(), TAIL, new);
        pages.extend([meta, tail, first]);
        scope.nested(&mut pages)
    }

    /// Takes the first item that nobody else has locked; `None`: there is none now.
    pub fn dequeue(self, txn: &mut Transaction) -> Result<Option<Bytes>, Error> {
        txn.shared().room.look(txn.shared())?;
        loop {
            match self.take(txn)? {
                Took::Item { lock, taken } => {
                    txn.locks.extend(lock);
                    return taken.map(Some);
                }
                Took::Over(page) => self.remove_page(&mut txn.scope(), page)?,
                Took::Nothing => return Ok(None),
            }
        }
    }

    fn take(self, txn: &Transaction) -> Result<Took, Error> {
        let shared = txn.shared();
        let first = read_as(shared, self.root, FIRST)?;
        let mut page = write_as(shared, pointer(&first, HEAD), ITEMS)?;
        // Held until then, so that the page is not given away before it is latched.
        drop(first);
        let mut walk = Walk::new(shared);
        let mut is_head = true;
        loop {
            if let Some(took) = self.take_from(txn, &mut page)? {
                return Ok(took);
            }
            let Some(next) = walk.step(&page)? else { return Ok(Took::Nothing) };
            if is_head && self.is_over(txn, &page) {
                return Ok(Took::Over(page.id()));
            }
            let behind = write_as(shared, next, ITEMS)?;
            page = behind;
            is_head = false;
        }
    }

    /// Takes the first item of a page that waits and that the transaction can lock.
    fn take_from(self, txn: &Transaction, page: &mut PageMut<'_>) -> Result<Option<Took>, Error> {
        let mut found = None;
        for item in items(page).filter(|item| item.state == WAITS) {
            let name = lock_name(self.root, page.id(), item.offset);
            match txn.shared().locks.acquire(&txn.state, &name, None, Waits::Refuse) {
                Ok(new) => {
                    let bytes = Bytes::copy_from_slice(item.bytes);
                    found = Some((new.then_some(name), item.offset, bytes));
                    break;
                }
                Err(Error::Locked { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some((lock, offset, bytes)) = found else { return Ok(None) };
        let taken = txn.apply(page, QUEUE, &[&change_head(TAKE, self.root, offset)]);
        Ok(Some(Took::Item { lock, taken: taken.map(|_| bytes) }))
    }

    /// Whether all items of a page are taken for good.
    fn is_over(self, txn: &Transaction, page: &PageMut<'_>) -> bool {
        items(page).all(|item| {
            let name = lock_name(self.root, page.id(), item.offset);
            item.state == TAKEN && !txn.shared().locks.knows(name.space, &name.key)
        })
    }

    /// Gives the first page of items away, if it still is the first.
    fn remove_page(self, scope: &mut Scope<'_>, page: PageId) -> Result<(), Error> {
        let first = write_as(scope.shared, self.root, FIRST)?;
        if pointer(&first, HEAD) != page {
            return Ok(());
        }
        let mut first = Rewrite::of(first);
        let page = write_as(scope.shared, page, ITEMS)?;
        put_u32(first.new.body_mut(), HEAD, pointer(&page, NEXT).0);
        let mut rewrites = scope.free(vec![page])?;
        rewrites.push(first);
        scope.nested(&mut rewrites)
    }

    /// Items that wait or that somebody has taken and not committed.
    pub fn len(self, engine: &Engine) -> Result<usize, Error> {
        let shared = &*engine.0;
        let first = read_as(shared, self.root, FIRST)?;
        let mut page = read_as(shared, pointer(&first, HEAD), ITEMS)?;
        drop(first);
        let (mut walk, mut count) = (Walk::new(shared), 0);
        loop {
            let there = |item: &Item<'_>| {
                let name = lock_name(self.root, page.id(), item.offset);
                item.state == WAITS || shared.locks.knows(name.space, &name.key)
            };
            count += items(&page).filter(there).count();
            let Some(next) = walk.step(&page)? else { return Ok(count) };
            // Held until then: a page that is given away in between would be another's.
            let behind = read_as(shared, next, ITEMS)?;
            page = behind;
        }
    }

    pub(crate) fn at(root: PageId) -> Queue {
        Queue { root }
    }

    /// Walks the whole queue and says what contradicts itself, if anything does. Nobody may change the queue meanwhile.
    pub fn check(self, engine: &Engine) -> Result<(), Error> {
        self.pages(engine).map(drop)
    }

    /// The pages of its items, in order.
    pub(crate) fn pages(self, engine: &Engine) -> Result<Vec<PageId>, Error> {
        let first = read_as(&engine.0, self.root, FIRST)?;
        let (mut at, tail) = (pointer(&first, HEAD), pointer(&first, TAIL));
        let (mut pages, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            let corrupt = |why| Err(engine.corrupt(at, why));
            let page = read_as(&engine.0, at, ITEMS)?;
            if !seen.insert(at) {
                return corrupt("the chain of a queue's pages leads back to it");
            }
            pages.push(at);
            match (pointer(&page, NEXT), at == tail) {
                (PageId(0), true) => return Ok(pages),
                (PageId(0), false) => return corrupt("a queue's chain ends before its last page"),
                (_, true) => return corrupt("a queue's chain goes on behind its last page"),
                (next, false) => at = next,
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(self, engine: &Engine) -> Result<bool, Error> {
        Ok(self.len(engine)? == 0)
    }
}

#[cfg(test)]
mod tests;

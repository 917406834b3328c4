//! What a structure works with: pages, and the way to change them.

use ombak_base::planted;

use crate::engine::{Shared, page_taken};
use crate::error::Error;
use crate::log::{LogError, Lsn};
use crate::page::{ManagerId, Page, PageId};
use crate::physical::{self, PHYSICAL};
use crate::pool::{PageMut, PageRef};
use crate::txn::TxnState;
use crate::txn::record::{Head, Link};
use crate::wal::WalEnd;

/// Parts of a change that are logged one after the other.
const PARTS_MAX: usize = 12;

/// For whom pages are changed, and so how it is logged: for a transaction, to take something of it back, or by
/// itself.
pub struct Scope<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) purpose: Purpose<'a>,
}

/// See [`Scope`].
pub(crate) enum Purpose<'a> {
    /// Forward: each change is an update.
    Forward(&'a TxnState),
    /// Backward: the one change is a compensation record; `next` is what is taken back after it.
    Undo { txn: &'a TxnState, next: Lsn, done: bool },
    /// A transaction of one change.
    Single,
}

/// A page of a nested top action: latched, and as it shall be.
pub(crate) struct Rewrite<'a> {
    pub page: PageMut<'a>,
    pub new: Box<Page>,
    /// What was there does not matter.
    pub anew: bool,
}

impl<'a> Rewrite<'a> {
    /// Of a page that is changed in places.
    pub fn of(page: PageMut<'a>) -> Rewrite<'a> {
        let new = Box::new(Page::clone(&page));
        Rewrite { page, new, anew: false }
    }

    /// What is logged, one after the other.
    fn changes(&self) -> Vec<Vec<u8>> {
        if !self.anew {
            return physical::between(&self.page, &self.new).into_iter().collect();
        }
        let mut changes = page_taken(&self.page);
        changes.push(physical::format(&self.new));
        changes
    }
}

impl<'a> Scope<'a> {
    pub(crate) fn forward(shared: &'a Shared, txn: &'a TxnState) -> Scope<'a> {
        Scope { shared, purpose: Purpose::Forward(txn) }
    }

    pub(crate) fn single(shared: &'a Shared) -> Scope<'a> {
        Scope { shared, purpose: Purpose::Single }
    }

    /// Latches a page for reading.
    pub fn read(&self, id: PageId) -> Result<PageRef<'a>, Error> {
        self.shared.pool.read(id)
    }

    /// Latches a page for writing.
    pub fn write(&self, id: PageId) -> Result<PageMut<'a>, Error> {
        self.shared.pool.write(id)
    }

    /// Logs a change, the bytes of `change` one after the other, and does it: [`redo`](crate::ResourceManager::redo).
    pub fn apply(
        &mut self,
        page: &mut PageMut<'_>,
        manager: ManagerId,
        change: &[&[u8]],
    ) -> Result<Lsn, Error> {
        self.shared.check_running()?;
        let bytes = change.iter().map(|part| part.len()).sum::<usize>();
        self.make_room(bytes)?;
        if let Purpose::Undo { txn, next, done } = &mut self.purpose
            && planted!("undo without its compensation record")
        {
            txn.note(txn.link().prev, *next);
            *done = true;
            return self.redo(page, page.lsn(), manager, &change.concat()).map(|()| page.lsn());
        }
        let id = page.id();
        let mut lsn = Lsn(0);
        self.shared.log.hold(&mut |end| {
            let next = end.next_lsn();
            page.mark_dirty(next);
            lsn = match &mut self.purpose {
                Purpose::Forward(txn) => {
                    let lsn = append(end, &Head::update(txn.link(), manager, id), change)?;
                    txn.note(lsn, lsn);
                    lsn
                }
                Purpose::Undo { txn, next, done } => {
                    let lsn = append(end, &Head::clr(txn.link(), *next, manager, id), change)?;
                    txn.note(lsn, *next);
                    *done = true;
                    lsn
                }
                Purpose::Single => append(end, &Head::single(manager, id), change)?,
            };
            Ok(())
        })?;
        let whole;
        let change = match change {
            [change] => *change,
            parts => {
                whole = parts.concat();
                &whole[..]
            }
        };
        self.redo(page, lsn, manager, change)?;
        Ok(lsn)
    }

    /// The same for a change that stays, whatever becomes of the transaction: one that changes nothing for anybody.
    pub(crate) fn apply_for_good(
        &mut self,
        page: &mut PageMut<'_>,
        manager: ManagerId,
        change: &[&[u8]],
    ) -> Result<Lsn, Error> {
        let (Purpose::Forward(txn) | Purpose::Undo { txn, .. }) = &self.purpose else {
            return self.apply(page, manager, change);
        };
        self.shared.check_running()?;
        self.make_room(change.iter().map(|part| part.len()).sum())?;
        let id = page.id();
        let mut lsn = Lsn(0);
        self.shared.log.hold(&mut |end| {
            page.mark_dirty(end.next_lsn());
            let undo_next = txn.undo_next();
            lsn = append(end, &Head::clr(txn.link(), undo_next, manager, id), change)?;
            txn.note(lsn, undo_next);
            Ok(())
        })?;
        self.redo(page, lsn, manager, &change.concat())?;
        Ok(lsn)
    }

    /// What was logged must happen: if it can't, memory is not what the log says.
    fn redo(
        &self,
        page: &mut PageMut<'_>,
        lsn: Lsn,
        manager: ManagerId,
        change: &[u8],
    ) -> Result<(), Error> {
        let done = self.shared.manager(manager, lsn)?.redo(page.page_mut(), change);
        if let Err(why) = done {
            let error = self.shared.malformed(lsn, why);
            self.shared.stop(&error.to_string());
            return Err(error);
        }
        page.page_mut().set_lsn(lsn);
        Ok(())
    }

    /// What a structure says of a page that contradicts itself, or another: names the file, and where the page stands.
    pub fn corrupt(&self, page: PageId, why: &'static str) -> Error {
        self.shared.pool.corrupt(page, why)
    }

    fn make_room(&self, bytes: usize) -> Result<(), Error> {
        match &self.purpose {
            Purpose::Forward(txn) => self.shared.room.take(self.shared, Some(txn), bytes),
            Purpose::Single => self.shared.room.take(self.shared, None, bytes),
            // That is what the others left room for.
            Purpose::Undo { .. } => Ok(()),
        }
    }

    /// A nested top action: all pages become what they shall be, and stay so, whatever becomes of the transaction.
    /// Nobody sees some of them changed and others not: they are latched, and a crash in the middle is taken back.
    pub(crate) fn nested(&mut self, rewrites: &mut [Rewrite<'_>]) -> Result<(), Error> {
        self.shared.check_running()?;
        let changes: Vec<Vec<Vec<u8>>> = rewrites.iter().map(Rewrite::changes).collect();
        let records = changes.iter().flatten().count() + 1;
        let bytes = changes.iter().flatten().map(|change| change.len() + 64).sum::<usize>() + 64;
        self.make_room(bytes)?;
        let (undo_next, mut link) = self.outer();
        let mut lsns = vec![Lsn(0); rewrites.len()];
        let purpose = &self.purpose;
        self.shared.log.hold(&mut |end| {
            end.reserve(records, bytes as u64)?;
            for ((rewrite, changes), lsn) in rewrites.iter().zip(&changes).zip(&mut lsns) {
                for change in changes {
                    rewrite.page.mark_dirty(end.next_lsn());
                    let head = Head::update(link, PHYSICAL, rewrite.page.id());
                    *lsn = append(end, &head, &[change])?;
                    link.prev = *lsn;
                }
            }
            match purpose {
                Purpose::Forward(txn) | Purpose::Undo { txn, .. } => {
                    let undo_next =
                        if planted!("a split is taken back") { link.prev } else { undo_next };
                    let last = append(end, &Head::nested_end(link, undo_next), &[])?;
                    txn.note(last, undo_next);
                }
                Purpose::Single => {
                    append(end, &Head::commit(link), &[])?;
                }
            }
            Ok(())
        })?;
        for (rewrite, lsn) in rewrites.iter_mut().zip(lsns) {
            if lsn != Lsn(0) {
                let page = rewrite.page.page_mut();
                page.copy_from(&rewrite.new);
                page.set_lsn(lsn);
            }
        }
        Ok(())
    }

    /// What is taken back next once the nested action is over, and whose it is.
    fn outer(&self) -> (Lsn, Link) {
        match &self.purpose {
            Purpose::Forward(txn) => (txn.undo_next(), txn.link()),
            // The record that is being taken back is still to be.
            Purpose::Undo { txn, .. } => (txn.undo_next(), txn.link()),
            Purpose::Single => (Lsn(0), Link { txn: self.shared.txns.number(), prev: Lsn(0) }),
        }
    }
}

/// Appends a record whose change comes in parts.
pub(crate) fn append(end: &mut dyn WalEnd, head: &Head, change: &[&[u8]]) -> Result<Lsn, LogError> {
    let mut parts: [&[u8]; PARTS_MAX + 1] = [&[]; PARTS_MAX + 1];
    parts[0] = head.as_bytes();
    let count = change.len().min(PARTS_MAX);
    parts[1..=count].copy_from_slice(&change[..count]);
    if change.len() > PARTS_MAX {
        let whole = change.concat();
        return end.append(&[head.as_bytes(), &whole]);
    }
    end.append(&parts[..=count])
}

//! What the three passes of a restart would do.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::Disk;

use super::{Inspection, PageFile, Record, State, TxnLine};
use crate::engine::{Analysis, check_log};
use crate::error::Error;
use crate::log::Lsn;
use crate::page::PageId;
use crate::physical;
use crate::txn::TxnId;
use crate::wal::STREAM;

/// What analysis comes to: where the passes begin, and the two tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passes {
    /// Where the last whole checkpoint began; 0: there was none.
    pub checkpoint: Lsn,
    /// Where its end stands; 0: there was none.
    pub checkpoint_end: Lsn,
    /// The first record that is read.
    pub first: Lsn,
    /// Of the database, if a checkpoint said so.
    pub identity: Option<u64>,
    /// The transaction table: those that had not ended.
    pub txns: Vec<TxnLine>,
    /// The dirty page table: pages that may lack changes, from the first such change on (paper: RecLSN).
    pub pages: Vec<(PageId, Lsn)>,
    /// The first record that redo looks at; `None`: it has nothing to do.
    pub redo_from: Option<Lsn>,
    /// Nothing below is needed by a restart.
    pub needed_from: Lsn,
    /// The number of the next transaction.
    pub next_txn: TxnId,
}

impl Passes {
    pub(super) fn new(analysis: &Analysis, checkpoint_end: Lsn, first: Lsn) -> Passes {
        let txns: Vec<TxnLine> = analysis.txns.values().copied().collect();
        Passes {
            checkpoint: analysis.checkpoint,
            checkpoint_end: if analysis.checkpoint == Lsn(0) { Lsn(0) } else { checkpoint_end },
            first,
            identity: analysis.identity,
            txns,
            pages: analysis.pages.iter().collect(),
            redo_from: analysis.redo_from(),
            needed_from: analysis.needed_from().max(first),
            next_txn: TxnId(analysis.next_txn.max(1)),
        }
    }

    /// The transactions that undo takes back.
    pub fn losers(&self) -> impl Iterator<Item = &TxnLine> {
        self.txns.iter().filter(|line| line.state != State::Prepared)
    }

    /// Those that wait to be told.
    pub fn prepared(&self) -> impl Iterator<Item = &TxnLine> {
        self.txns.iter().filter(|line| line.state == State::Prepared)
    }
}

/// What redo does with a change, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The change's LSN is above its page's: done.
    Redone,
    /// The page has it.
    Skipped,
    /// The page is not in the dirty page table: the page file has all its changes. The page is not even read.
    NotDirty,
    /// The page is in the table with a later RecLSN: the page file has this change. The page is not even read.
    BelowRecLsn(Lsn),
    /// The page can't be read, and has no copy: the restart would be refused here.
    Unreadable,
}

/// A change that redo meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RedoStep<'a> {
    /// Where it stands.
    pub lsn: Lsn,
    /// The record.
    pub record: &'a Record<'a>,
    /// Its page.
    pub page: PageId,
    /// The page's LSN before; 0 if it was not looked at.
    pub page_lsn: Lsn,
    /// What is done.
    pub verdict: Verdict,
}

/// What redo comes to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RedoTotals {
    /// Changes done again.
    pub redone: u64,
    /// Changes that the pages had.
    pub skipped: u64,
    /// Changes of pages that were not looked at.
    pub passed_over: u64,
    /// Changes of pages that can't be read.
    pub unreadable: u64,
    /// Torn pages that are put right from their copies before.
    pub mended: Vec<PageId>,
}

/// What undo does with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UndoWhat {
    /// A change: taken back, and a compensation record says so.
    TakeBack,
    /// A compensation, or the end of a nested top action: it says where to go on, for what is between was taken back
    /// before, or stays.
    Jump,
    /// A record that changed nothing.
    PassOver,
    /// Nothing is left of this transaction: an end record says so.
    End,
}

/// A step of undo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UndoStep<'a> {
    /// Whose record it is.
    pub txn: TxnId,
    /// Where it stands; 0 for [`UndoWhat::End`].
    pub lsn: Lsn,
    /// The record; `None` for [`UndoWhat::End`].
    pub record: Option<&'a Record<'a>>,
    /// What is done.
    pub what: UndoWhat,
    /// The transaction's record that is next; 0: none is left. (Paper: UndoNxtLSN.)
    pub next: Lsn,
}

/// What undo comes to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UndoTotals {
    /// Changes taken back.
    pub taken_back: u64,
    /// The transactions that were, in the order of their numbers.
    pub losers: Vec<TxnId>,
    /// Transactions that are left alone until they are told.
    pub prepared: Vec<TxnId>,
}

impl<D: Disk> Inspection<D> {
    /// Why a restart would be refused before it changes anything, if it would. That a page can't be read which redo
    /// needs is found by [`redo`](Inspection::redo), and one that undo meets on its way down a tree by
    /// [`verify`](Inspection::verify).
    pub fn refusal(&self) -> Option<Error> {
        let check = || {
            let analysis = self.tables()?;
            check_log(self.log.recovery(), &analysis)?;
            self.pages()?.check(&analysis)
        };
        check().err()
    }

    /// Calls `f` with every change from where redo begins, in order, and says what redo would do with it, until `f` fails.
    /// Reads the pages of the dirty page table, each once.
    pub fn redo(
        &self,
        mut f: impl FnMut(RedoStep<'_>) -> Result<(), Error>,
    ) -> Result<RedoTotals, Error> {
        let analysis = self.tables()?;
        let pages = self.pages()?;
        let mut redo = Redo {
            analysis: &analysis,
            pages: &pages,
            lsns: BTreeMap::new(),
            totals: RedoTotals { mended: pages.mended()?, ..RedoTotals::default() },
        };
        let Some(from) = analysis.redo_from() else { return Ok(redo.totals) };
        self.log.scan(from, |entry| {
            if entry.stream != STREAM {
                return Ok(());
            }
            let record = Record::decode(entry.payload)
                .map_err(|found| Error::unread(entry.place(), entry.lsn, found))?;
            match redo.step(entry.lsn, &record)? {
                Some(step) => f(step),
                None => Ok(()),
            }
        })?;
        Ok(redo.totals)
    }

    /// Calls `f` with every record that undo would look at, in order, and then with the end of each loser, until `f` fails.
    pub fn undo(
        &self,
        mut f: impl FnMut(UndoStep<'_>) -> Result<(), Error>,
    ) -> Result<UndoTotals, Error> {
        let analysis = self.tables()?;
        let mut totals = UndoTotals::default();
        let mut left = BTreeSet::new();
        for line in analysis.txns.values() {
            if line.state == State::Prepared {
                totals.prepared.push(line.txn);
            } else {
                totals.losers.push(line.txn);
                left.insert((line.undo_next, line.txn));
            }
        }
        while let Some((lsn, txn)) = left.pop_last() {
            if lsn == Lsn(0) {
                f(UndoStep { txn, lsn, record: None, what: UndoWhat::End, next: Lsn(0) })?;
                continue;
            }
            let (_, bytes) = self.log.read(lsn)?;
            let place = || self.log.place_of(lsn);
            let record =
                Record::decode(&bytes).map_err(|found| Error::unread(place(), lsn, found))?;
            let (what, next) =
                undo_step(txn, &record).map_err(|why| Error::malformed(place(), lsn, why))?;
            totals.taken_back += u64::from(what == UndoWhat::TakeBack);
            f(UndoStep { txn, lsn, record: Some(&record), what, next })?;
            left.insert((next, txn));
        }
        Ok(totals)
    }
}

fn undo_step(txn: TxnId, record: &Record<'_>) -> Result<(UndoWhat, Lsn), &'static str> {
    let link = record
        .link()
        .filter(|link| link.txn == txn)
        .ok_or("it is not of the transaction that led to it")?;
    Ok(match record {
        Record::Update { .. } => (UndoWhat::TakeBack, link.prev),
        Record::Clr { undo_next, .. } | Record::NestedEnd { undo_next, .. } => {
            (UndoWhat::Jump, *undo_next)
        }
        _ => (UndoWhat::PassOver, link.prev),
    })
}

/// The redo pass, as far as it has come.
struct Redo<'a> {
    analysis: &'a Analysis,
    pages: &'a PageFile,
    /// The page LSNs as they would be by now; `None`: can't be read.
    lsns: BTreeMap<PageId, Option<Lsn>>,
    totals: RedoTotals,
}

impl Redo<'_> {
    fn step<'r>(
        &mut self,
        lsn: Lsn,
        record: &'r Record<'r>,
    ) -> Result<Option<RedoStep<'r>>, Error> {
        let Some(change) = record.change() else { return Ok(None) };
        let page = change.page;
        let passed_over = match self.analysis.pages.get(page) {
            None => Some(Verdict::NotDirty),
            Some(rec_lsn) if lsn < rec_lsn => Some(Verdict::BelowRecLsn(rec_lsn)),
            Some(_) => None,
        };
        if let Some(verdict) = passed_over {
            self.totals.passed_over += 1;
            return Ok(Some(RedoStep { lsn, record, page, page_lsn: Lsn(0), verdict }));
        }
        let anew = change.manager == physical::PHYSICAL && physical::is_format(change.bytes);
        let before = match self.lsns.get(&page) {
            Some(known) => *known,
            None => self.pages.read(page)?.lsn(),
        };
        // What is made anew need not be readable.
        let readable = before.or(anew.then_some(Lsn(0)));
        let (verdict, count) = match readable {
            None => (Verdict::Unreadable, &mut self.totals.unreadable),
            Some(there) if there >= lsn => (Verdict::Skipped, &mut self.totals.skipped),
            Some(_) => (Verdict::Redone, &mut self.totals.redone),
        };
        *count += 1;
        let after = if verdict == Verdict::Redone { Some(lsn) } else { readable };
        self.lsns.insert(page, after);
        let page_lsn = readable.unwrap_or_default();
        Ok(Some(RedoStep { lsn, record, page, page_lsn, verdict }))
    }
}

//! Changes by resource managers that this program does not have: refused before anything is written, if a restart may need them.

use std::collections::BTreeMap;

use super::Analysis;
use crate::error::Error;
use crate::log::{Lsn, Place};
use crate::manager::Managers;
use crate::page::{ManagerId, PageId};
use crate::txn::TxnId;
use crate::txn::record::Record;

/// What analysis has seen of such managers. Changes of managers that are known are none of its business.
#[derive(Clone, Default)]
pub struct Unknown {
    /// Managers that are known; `None`: nobody asks.
    known: Option<Vec<ManagerId>>,
    /// The last such change of each page, and of each transaction.
    pages: BTreeMap<PageId, Seen>,
    txns: BTreeMap<TxnId, Seen>,
}

#[derive(Clone)]
struct Seen {
    lsn: Lsn,
    manager: ManagerId,
    place: Place,
}

impl Unknown {
    /// Those that are not among these.
    pub fn besides(managers: &Managers) -> Unknown {
        Unknown { known: Some(managers.ids().collect()), ..Unknown::default() }
    }

    pub fn note(&mut self, lsn: Lsn, record: &Record<'_>, place: impl FnOnce() -> Place) {
        let (Some(known), Some(change)) = (&self.known, record.change()) else { return };
        if known.contains(&change.manager) {
            return;
        }
        let seen = Seen { lsn, manager: change.manager, place: place() };
        if let Some(link) = record.link() {
            self.txns.insert(link.txn, seen.clone());
        }
        self.pages.insert(change.page, seen);
    }

    /// Refuses, if a page may lack such a change, or a transaction with one has not ended. What needs nobody any more is passed over.
    pub fn check(&self, analysis: &Analysis) -> Result<(), Error> {
        let lacked = self.pages.iter().filter(|(page, seen)| analysis.may_lack(**page, seen.lsn));
        let open = self.txns.iter().filter(|(txn, _)| analysis.txns.contains_key(txn));
        let needed = lacked.map(|(_, seen)| seen).chain(open.map(|(_, seen)| seen));
        match needed.min_by_key(|seen| seen.lsn) {
            Some(Seen { lsn, manager, place }) => Err(refusal(*manager, *lsn, place.clone())),
            None => Ok(()),
        }
    }
}

/// A record of a manager that this program does not have.
pub fn refusal(manager: ManagerId, lsn: Lsn, Place { file, offset }: Place) -> Error {
    let Lsn(lsn) = lsn;
    let why = format!("record {lsn} is of {manager:?}, which this program does not have");
    Error::Foreign { file, offset, why }
}

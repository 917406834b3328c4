//! What value blocks must show.
//!
//! Who writes a value block holds the lock alone, so writes follow each other, and a grant shows one of them: the last. A write is done
//! between its question and its answer; one that was not answered may be done or not, and if it is, before anybody else is
//! let in. What cannot be asked for: a block that is marked as uncertain says nothing; and one that is empty may be another one, for
//! a resource that nobody holds is forgotten.

use std::collections::BTreeMap;

use ombak_base::Tick;

use super::{Grant, Locked, Owner, VALUE};
use crate::history::Broken;

/// A value was written. It is the number of the write.
#[derive(Clone, Debug)]
pub(super) struct Written {
    printer: usize,
    asked: Tick,
    /// When it was acknowledged.
    heard: Option<Tick>,
}

impl Locked {
    /// Somebody asks to write. The name of the write, which is its value.
    pub fn writes(&mut self, printer: usize, asked: Tick) -> usize {
        self.written.push(Written { printer, asked, heard: None });
        self.written.len() - 1
    }

    /// It was done.
    pub fn has_written(&mut self, write: usize, at: Tick) {
        self.written[write].heard = Some(at);
    }

    pub(super) fn check_values(&self) -> Result<(), Broken> {
        let held = self.held();
        for grant in self.grants.iter().filter(|grant| grant.value.valid) {
            if let Some(wrong) = self.wrong(grant, &held) {
                let detail = format!("{grant:?}: {wrong}");
                return Err(Broken { rule: VALUE, detail });
            }
        }
        Ok(())
    }

    /// For each lock, from when to when it is known to have been held in any mode.
    fn held(&self) -> BTreeMap<Owner, (usize, Tick, Tick)> {
        let mut held = BTreeMap::new();
        for grant in &self.grants {
            let (told, until) = (grant.told, grant.until);
            let known = held.entry(told.owner).or_insert((told.printer, told.heard, until));
            known.2 = known.2.max(until);
        }
        held
    }

    fn wrong(&self, grant: &Grant, held: &BTreeMap<Owner, (usize, Tick, Tick)>) -> Option<String> {
        let (printer, heard) = (grant.told.printer, grant.told.heard);
        // From when on a write cannot be the last one before this.
        let from = match self.shown(grant) {
            Ok(Some(write)) if write.printer != printer || write.asked > heard => {
                return Some(format!("it shows what was not written: {write:?}"));
            }
            Ok(Some(write)) => write.heard.unwrap_or(Tick(u64::MAX)),
            Ok(None) => Tick(0),
            Err(shown) => return Some(shown),
        };
        let is_empty = grant.value.value.as_bytes().is_empty();
        let is_kept = |write: &Written| {
            let mut of = held.values().filter(|(of, ..)| *of == printer);
            of.any(|(_, since, until)| *since <= write.asked && heard <= *until)
        };
        let replaces = |write: &&Written| {
            write.printer == printer
                && write.asked > from
                && write.heard.is_some_and(|done| done < grant.told.asked)
                && (!is_empty || is_kept(write))
        };
        let later = self.written.iter().enumerate().find(|(_, write)| replaces(write));
        later.map(|(value, write)| format!("{value} was written since: {write:?}"))
    }

    /// The write that a grant shows; none, if the block is empty.
    fn shown(&self, grant: &Grant) -> Result<Option<&Written>, String> {
        let shown = grant.value.value.as_bytes();
        if shown.is_empty() {
            return Ok(None);
        }
        let write = std::str::from_utf8(shown).ok().and_then(|text| text.parse::<usize>().ok());
        let write = write.and_then(|write| self.written.get(write));
        write.map(Some).ok_or_else(|| "it shows what nobody wrote".into())
    }
}

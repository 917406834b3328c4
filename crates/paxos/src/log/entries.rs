//! The entries that a replica has accepted, from the first that it has not forgotten.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use super::Slot;
use super::entry::Entry;
use crate::synod::Accepted;

/// Entries of consecutive slots.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entries {
    /// Everything up to here was forgotten: a snapshot has it.
    forgotten: Slot,
    entries: VecDeque<Accepted<Entry>>,
}

impl Entries {
    /// None yet, after what a snapshot has.
    pub fn after(forgotten: Slot) -> Entries {
        Entries { forgotten, entries: VecDeque::new() }
    }

    /// Everything up to here was forgotten.
    pub fn forgotten(&self) -> Slot {
        self.forgotten
    }

    /// The last slot that has an entry, or was forgotten.
    pub fn last(&self) -> Slot {
        Slot(self.forgotten.0 + self.entries.len() as u64)
    }

    /// What was accepted for a slot.
    pub fn get(&self, slot: Slot) -> Option<&Accepted<Entry>> {
        let place = slot.0.checked_sub(self.forgotten.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }

    /// Puts what was accepted for a slot, which is one that is there, or the next. `false`: it is neither.
    pub fn set(&mut self, slot: Slot, accepted: Accepted<Entry>) -> bool {
        if slot == self.last().next() {
            self.entries.push_back(accepted);
            return true;
        }
        let place = slot.0.checked_sub(self.forgotten.0 + 1).map(|place| place as usize);
        match place.and_then(|place| self.entries.get_mut(place)) {
            Some(there) => *there = accepted,
            None => return false,
        }
        true
    }

    /// The entries from `from` on.
    pub fn from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Accepted<Entry>)> {
        let skipped = from.0.saturating_sub(self.forgotten.0 + 1);
        let first = self.forgotten.0 + 1 + skipped;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.range(skipped..).zip(first..).map(|(entry, slot)| (Slot(slot), entry))
    }

    /// The entries from `first` up to but without `end`: as many as so many bytes hold, and one at least, for an entry may be
    /// larger.
    pub fn piece(
        &self,
        first: Slot,
        end: Slot,
        bytes_max: usize,
    ) -> impl Iterator<Item = (Slot, &Accepted<Entry>)> {
        let mut bytes = 0;
        self.from(first).take_while(move |(slot, entry)| {
            bytes += entry.value.weight();
            *slot < end && (*slot == first || bytes <= bytes_max)
        })
    }

    /// Forgets everything up to a slot.
    pub fn forget(&mut self, through: Slot) {
        while self.forgotten < through && self.entries.pop_front().is_some() {
            self.forgotten = self.forgotten.next();
        }
        self.forgotten = self.forgotten.max(through);
    }
}

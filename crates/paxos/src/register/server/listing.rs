//! Which registers there are: a page of names, as enough seats know them.
//!
//! No seat knows all registers, for it may have missed what a majority has taken. So each is asked for the same page, and what a
//! quorum says is put together: whatever anybody was told of before is known to one of them. Of a register that they know
//! differently, the last change that any of them has accepted is listed; that may be under way, and may yet come to nothing.
//! What is changed while pages are read is in them, or not.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{DirectoryId, Effects, NodeId, Now, ScanEntry, Stamp, Tick, Wire, planted};
use serde::{Deserialize, Serialize};

use super::super::{Bid, Cell, Era};
use super::copying::ScanFor;
use super::proposer::Asker;
use super::stored::name_of;
use super::{RegisterFailure, RegisterPage, RegisterReply, RegisterServer, RegisterTelling};

/// Pages that one node puts together at a time. More are [`Busy`](RegisterFailure::Busy).
const LISTINGS_MAX: usize = 16;
/// Who has not answered is asked again.
const RESEND_MS: u64 = 200;

/// A register, in a page.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ListedRegister {
    /// Its name.
    pub name: Bytes,
    /// How many changes led to what it is. At least 1: what was never written is not listed.
    pub version: u64,
    /// How long its value is; `None`: it was removed.
    pub value_bytes: Option<u64>,
}

/// What one seat knows of a register.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Known {
    /// What.
    pub register: ListedRegister,
    /// When that was accepted.
    pub bid: Bid,
}

/// What one seat knows of a page.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct KnownPage {
    /// In the order of names.
    pub known: Vec<Known>,
    /// What this seat knows further begins here.
    pub next: Option<Bytes>,
}

/// A page that is put together here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Listing {
    asker: Asker,
    from: Bytes,
    /// All that was heard was said in this era.
    era: Era,
    heard: BTreeMap<NodeId, KnownPage>,
    again: Tick,
    until: Tick,
}

impl Listing {
    /// When it is to be looked at.
    pub fn due(&self) -> Tick {
        self.again.min(self.until)
    }
}

impl RegisterServer {
    /// Somebody asks which registers there are, from this name on. This node has a seat.
    pub(super) fn take_list<E: Effects<Self>>(
        &mut self,
        now: Now,
        (number, asker): (u128, Asker),
        from: Bytes,
        until: Tick,
        fx: &mut E,
    ) {
        if self.listings.len() >= LISTINGS_MAX {
            return self.tell(asker, RegisterReply::Failed(RegisterFailure::Busy), fx);
        }
        let (era, heard, again) = (Era(0), BTreeMap::new(), now.tick);
        self.listings.insert(number, Listing { asker, from, era, heard, again, until });
        self.ask_for_page(now, number, fx);
    }

    /// Asks all seats that have not answered in the era that this node knows.
    fn ask_for_page<E: Effects<Self>>(&mut self, now: Now, number: u128, fx: &mut E) {
        let Some(listing) = self.listings.get_mut(&number) else { return };
        listing.again = now.tick.plus_ms(RESEND_MS);
        let Some(era) = self.seating.as_ref().map(|seating| seating.era) else { return };
        if listing.era != era {
            listing.era = era;
            listing.heard.clear();
        }
        let silent = |seat: &&NodeId| !listing.heard.contains_key(seat);
        let seats = self.setup.seats.members().iter().filter(silent).copied();
        let from = listing.from.clone();
        for seat in seats.collect::<Vec<_>>() {
            if seat == self.setup.id {
                self.hear_list(seat, (number, era), &from, fx);
            } else {
                let list = RegisterTelling::List { number, era, from: from.clone() };
                self.send(seat, list, Stamp::NONE, fx);
            }
        }
    }

    /// Somebody wants a page of what this seat knows.
    pub(super) fn hear_list<E: Effects<Self>>(
        &mut self,
        from: NodeId,
        (number, era): (u128, Era),
        name: &Bytes,
        fx: &mut E,
    ) {
        if self.era() == Some(era) {
            self.scan(from, name, ScanFor::List(number, era), fx);
        }
    }

    /// It is read.
    pub(super) fn page_is_read<E: Effects<Self>>(
        &mut self,
        to: NodeId,
        (number, era): (u128, Era),
        entries: Vec<ScanEntry>,
        next: Option<Bytes>,
        fx: &mut E,
    ) {
        // It may have gone on to the next while the page was read.
        let Some(disk) = self.seating.as_ref().map(|seating| seating.mine) else { return };
        if self.era() != Some(era) {
            return;
        }
        let Some(known) = entries.into_iter().map(known).collect::<Option<Vec<_>>>() else {
            return self.stop(fx);
        };
        let page = KnownPage { known: known.into_iter().flatten().collect(), next };
        if to == self.setup.id {
            return self.hear_listed(to, (number, era, disk), page, fx);
        }
        self.send(to, RegisterTelling::Listed { number, era, disk, page }, self.written, fx);
    }

    /// A seat has answered. It counts if it has the seat.
    pub(super) fn hear_listed<E: Effects<Self>>(
        &mut self,
        from: NodeId,
        (number, era, disk): (u128, Era, DirectoryId),
        page: KnownPage,
        fx: &mut E,
    ) {
        let seating = self.seating.as_ref().filter(|seating| seating.era == era);
        let is_seated = seating.is_some_and(|seating| seating.disks.get(&from) == Some(&disk));
        let listing = self.listings.get_mut(&number).filter(|listing| listing.era == era);
        let Some(listing) = listing.filter(|_| is_seated) else { return };
        listing.heard.insert(from, page);
        let heard: BTreeSet<NodeId> = listing.heard.keys().copied().collect();
        let is_enough = self.setup.seats.can_propose(&heard)
            || planted!("a list of registers is what one seat knows");
        if is_enough && let Some(listing) = self.listings.remove(&number) {
            let page = put_together(listing.heard.into_values().collect());
            self.tell(listing.asker, RegisterReply::Listed(page), fx);
        }
    }

    /// What is due is asked for again, or given up.
    pub(super) fn look_after_listings<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        let is_due = |(_, listing): &(&u128, &Listing)| listing.due() <= now.tick;
        let due = self.listings.iter().filter(is_due).map(|(number, _)| *number);
        for number in due.collect::<Vec<_>>() {
            if self.listings[&number].until > now.tick {
                self.ask_for_page(now, number, fx);
            } else if let Some(listing) = self.listings.remove(&number) {
                self.tell(listing.asker, RegisterReply::Failed(RegisterFailure::NoQuorum), fx);
            }
        }
    }
}

/// What is known of a register; nothing, if nothing was accepted. `None`: it can't be read.
fn known(entry: ScanEntry) -> Option<Option<Known>> {
    let name = name_of(entry.key);
    let cell = Cell::decode(entry.bytes?).ok()?;
    Some(cell.accepted().filter(|(_, value)| value.version > 0).map(|(bid, value)| {
        let value_bytes = value.bytes.map(|bytes| bytes.len() as u64);
        let register = ListedRegister { name, version: value.version, value_bytes };
        Known { register, bid }
    }))
}

/// What is known by any, as far as all have told.
fn put_together(pages: Vec<KnownPage>) -> RegisterPage {
    let next = pages.iter().filter_map(|page| page.next.clone()).min();
    let mut last: BTreeMap<Bytes, Known> = BTreeMap::new();
    for known in pages.into_iter().flat_map(|page| page.known) {
        let name = &known.register.name;
        let is_told = next.as_ref().is_none_or(|next| name < next);
        let is_later = last.get(name).is_none_or(|other| other.bid < known.bid);
        if is_told && is_later {
            last.insert(name.clone(), known);
        }
    }
    RegisterPage { registers: last.into_values().map(|known| known.register).collect(), next }
}

#[cfg(test)]
mod tests;

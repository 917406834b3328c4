//! A seat on a new disk: what the others have is copied before it answers for any register.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{
    Chunk, DeviceError, DirectoryId, Effects, NodeId, Now, Scan, ScanEntry, Stamp, Ticket, Wire,
    planted,
};
use serde::{Deserialize, Serialize};

use super::super::{Cell, Era};
use super::acceptor::Work;
use super::stored::{AFTER_CELLS, key_of, name_of};
use super::{RegisterServer, RegisterTelling, RegisterTimer, Seating, sources_needed};

/// Who does not answer is asked again, or another.
const RETRY_MS: u64 = 200;
const PAGE_CELLS_MAX: u32 = 256;
const PAGE_BYTES_MAX: u32 = 1024 * 1024;
/// So many pages are read at a time for those who copy, and so many for lists.
const SCANS_MAX: usize = 8;

/// How far a copy has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Copying {
    /// To this disk, which has had the seat in this era.
    to: DirectoryId,
    since: Era,
    /// All of these is here.
    done: BTreeSet<NodeId>,
    /// From whom it is copied now, from which name on; and what comes after that page, when it is merged.
    source: Option<(NodeId, Bytes)>,
    next: Option<Option<Bytes>>,
}

/// A page that is read for somebody.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Scanning {
    to: NodeId,
    from: Bytes,
    what: ScanFor,
}

/// What it is read for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum ScanFor {
    /// A new disk.
    Copy,
    /// A list, by its number, in this era.
    List(u128, Era),
}

impl RegisterServer {
    /// Begins to copy, or asks again.
    pub(super) fn copy<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        let Some(Seating { era, mine, .. }) = self.seating else { return };
        if self.state.complete == Some(mine) {
            return;
        }
        fx.arm(RegisterTimer::Copy, now.tick.plus_ms(RETRY_MS));
        let fresh =
            Copying { to: mine, since: era, done: BTreeSet::new(), source: None, next: None };
        let copying = self.copying.take().filter(|copying| copying.to == mine).unwrap_or(fresh);
        let copying = self.copying.insert(copying);
        if copying.next.is_some() {
            return; // A page is being merged.
        }
        let is_up = |(node, _): &(NodeId, Bytes)| self.up.contains(node);
        copying.source = copying.source.take().filter(is_up).or_else(|| {
            let seats = self.setup.seats.members().intersection(&self.up);
            let open: Vec<&NodeId> = seats.filter(|seat| !copying.done.contains(seat)).collect();
            let chosen = open.get(fx.choose(open.len().max(1) as u64) as usize)?;
            Some((**chosen, Bytes::new()))
        });
        if let Some((source, from)) = copying.source.clone() {
            self.send(source, RegisterTelling::Copy { era, from }, Stamp::NONE, fx);
        }
    }

    /// Somebody sits on a new disk since this era, and copies.
    pub(super) fn hear_copy<E: Effects<Self>>(
        &mut self,
        from: NodeId,
        era: Era,
        key: Bytes,
        fx: &mut E,
    ) {
        // What it gives away is all that it will ever have said in earlier eras.
        let has_gone_on = self.era() >= Some(era) && self.era().is_some();
        if has_gone_on {
            self.scan(from, &key, ScanFor::Copy, fx);
        }
    }

    /// Reads a page from this name on. What finds too much under way is asked for again.
    pub(super) fn scan<E: Effects<Self>>(
        &mut self,
        to: NodeId,
        key: &Bytes,
        what: ScanFor,
        fx: &mut E,
    ) {
        let is_copy = what == ScanFor::Copy;
        let alike = self.scans.values().filter(|scan| (scan.what == ScanFor::Copy) == is_copy);
        if alike.count() >= SCANS_MAX {
            return;
        }
        let ticket = self.ticket();
        let scan = Scan {
            partition: self.setup.home,
            from: key_of(key),
            to: AFTER_CELLS,
            entries_max: PAGE_CELLS_MAX,
            bytes_max: PAGE_BYTES_MAX,
            values: true,
        };
        fx.scan(ticket, scan);
        self.scans.insert(ticket, Scanning { to, from: key.clone(), what });
    }

    /// A page is read.
    pub(super) fn scanned<E: Effects<Self>>(
        &mut self,
        ticket: Ticket,
        chunk: Result<Chunk, DeviceError>,
        fx: &mut E,
    ) {
        let Some(Scanning { to, from, what }) = self.scans.remove(&ticket) else { return };
        let Ok(Chunk { entries, next }) = chunk else { return self.stop(fx) };
        let next = next.map(name_of);
        if let ScanFor::List(number, era) = what {
            return self.page_is_read(to, (number, era), entries, next, fx);
        }
        let Some(disk) = self.seating.as_ref().map(|seating| seating.mine) else { return };
        let Some(era) = self.era() else { return };
        let cell = |entry: ScanEntry| Some((name_of(entry.key), Cell::decode(entry.bytes?).ok()?));
        let Some(cells) = entries.into_iter().map(cell).collect() else { return self.stop(fx) };
        let copied = RegisterTelling::Copied { era, disk, from, cells, next };
        self.send(to, copied, self.written, fx);
    }

    /// A page of what another seat has.
    pub(super) fn hear_copied<E: Effects<Self>>(
        &mut self,
        now: Now,
        (from, era, disk): (NodeId, Era, DirectoryId),
        page: Bytes,
        cells: Vec<(Bytes, Cell)>,
        next: Option<Bytes>,
        fx: &mut E,
    ) {
        let seating = self.seating.as_ref();
        let is_seated = seating.is_some_and(|seating| seating.disks.get(&from) == Some(&disk));
        let Some(copying) = &mut self.copying else { return };
        // What it was asked for another name of this disk, it may have said in an earlier era.
        let has_gone_on = era >= copying.since;
        if !(is_seated && has_gone_on)
            || copying.source != Some((from, page))
            || copying.next.is_some()
        {
            return;
        }
        copying.next = Some(next);
        self.cells.merging += cells.len(); // Of what was copied to a disk of another name, some may wait still.
        for (key, cell) in cells {
            self.work_on(now, key, Work::Merge(cell), fx);
        }
        self.merged(now, fx);
    }

    /// Goes on when a page is merged: with the next one, with another seat, or with answering.
    pub(super) fn merged<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        if self.cells.merging > 0 {
            return;
        }
        let Some(copying) = &mut self.copying else { return };
        let Some(next) = copying.next.take() else { return };
        let Some((source, _)) = copying.source.take() else { return };
        match next {
            Some(from) => copying.source = Some((source, from)),
            None => drop(copying.done.insert(source)),
        }
        let is_enough = copying.done.len() >= sources_needed(&self.setup.seats)
            || planted!("a new disk answers before it has copied");
        if is_enough {
            self.state.complete = Some(copying.to);
            self.copying = None;
            self.store_state(fx);
            fx.disarm(RegisterTimer::Copy);
            return fx.probe("paxos: the registers were copied to a new disk");
        }
        self.copy(now, fx);
    }
}

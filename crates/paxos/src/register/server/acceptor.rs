//! The acceptor: cells are read when they are asked for, changed, and written back.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{
    DeviceError, Effects, Entry, NodeId, Now, Peek, Stamp, Ticket, Wire, always, planted,
};
use serde::{Deserialize, Serialize};

use super::super::{Ask, Cell, Era, Told};
use super::stored::key_of;
use super::{RegisterServer, RegisterTelling};

/// What waits for cells to be read. More is not taken, and asked for again.
const WORK_MAX: usize = 16 * 1024;

/// What is to be done with a cell.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Somebody's operation asks, of this node's own or of another.
    Answer { from: NodeId, number: u128, era: Era, ask: Ask },
    /// An operation of this node's own begins: with a ballot above all that the cell has promised.
    Begin(u128),
    /// What another acceptor has.
    Merge(Cell),
}

/// Cells that are being read, and what is to be done with them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cells {
    reading: BTreeMap<Ticket, Bytes>,
    work: BTreeMap<Bytes, Vec<Work>>,
    /// Of what was copied, how much is not merged yet.
    pub merging: usize,
    waiting: usize,
}

impl Cells {
    pub fn check(&self) {
        always!(self.reading.len() == self.work.len(), "who waits for a cell is told of it");
    }
}

impl RegisterServer {
    pub(super) fn hear_ask<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        (number, era): (u128, Era),
        key: Bytes,
        ask: Ask,
        fx: &mut E,
    ) {
        if self.era() != Some(era) {
            return fx.probe("paxos: a register was asked for in another era");
        }
        if self.full && ask != Ask::Look {
            return fx.probe("paxos: a register was asked for and the disk is full");
        }
        self.work_on(now, key, Work::Answer { from, number, era, ask }, fx);
    }

    /// Does it at once, or when the cell is read.
    pub(super) fn work_on<E: Effects<Self>>(
        &mut self,
        now: Now,
        key: Bytes,
        work: Work,
        fx: &mut E,
    ) {
        if let Some(waiting) = self.cells.work.get_mut(&key) {
            if self.cells.waiting < WORK_MAX || matches!(work, Work::Merge(_)) {
                self.cells.waiting += 1;
                waiting.push(work);
            }
            return;
        }
        let stored = key_of(&key);
        if fx.peek(self.setup.home, &stored) == Peek::Absent {
            return self.do_work(now, key, Cell::default(), vec![work], fx);
        }
        let ticket = self.ticket();
        fx.load(ticket, self.setup.home, &stored);
        self.cells.reading.insert(ticket, key.clone());
        self.cells.work.insert(key, vec![work]);
        self.cells.waiting += 1;
    }

    pub(super) fn loaded<E: Effects<Self>>(
        &mut self,
        now: Now,
        ticket: Ticket,
        entry: Result<Option<Entry>, DeviceError>,
        fx: &mut E,
    ) {
        let Some(key) = self.cells.reading.remove(&ticket) else { return };
        let work = self.cells.work.remove(&key).unwrap_or_default();
        self.cells.waiting -= work.len();
        let read = entry.ok().map(|entry| entry.map(|entry| Cell::decode(entry.bytes)));
        match read {
            Some(None) => self.do_work(now, key, Cell::default(), work, fx),
            Some(Some(Ok(cell))) => self.do_work(now, key, cell, work, fx),
            // What it has promised is not known any more. To go on would be to have forgotten it.
            Some(Some(Err(_))) | None => self.stop(fx),
        }
    }

    fn do_work<E: Effects<Self>>(
        &mut self,
        now: Now,
        key: Bytes,
        mut cell: Cell,
        work: Vec<Work>,
        fx: &mut E,
    ) {
        let before = cell.clone();
        let mut answers = Vec::new();
        let mut begun = Vec::new();
        for work in work {
            match work {
                Work::Answer { from, number, era, ask } => {
                    // It may have gone on to the next while the cell was read, and given away its cells.
                    if self.era() == Some(era) {
                        answers.push((from, number, era, cell.answer(ask)));
                    }
                }
                Work::Begin(number) => {
                    let Some((era, ask)) = self.begin(number, cell.promised()) else { continue };
                    let told = cell.answer(ask.clone());
                    answers.push((self.setup.id, number, era, told));
                    begun.push((number, era, ask));
                }
                Work::Merge(other) => {
                    cell.merge(other);
                    self.cells.merging -= 1;
                }
            }
        }
        cell.check();
        // Others would refuse the next proposal as well, and whether one has taken it would never be known.
        if self.holds.get(&key).is_some_and(|hold| hold.is_outbid(cell.promised())) {
            self.holds.remove(&key);
        }
        if cell != before {
            let mut bytes = Vec::new();
            cell.encode(&mut bytes);
            let entry = Entry { tag: 0, bytes: bytes.into() };
            self.written = fx.store(self.setup.home, &key_of(&key), Some(entry));
        }
        for (number, era, ask) in begun {
            self.ask_others(&key, (number, era), &ask, self.written, fx);
        }
        for (from, number, era, told) in answers {
            self.answer(from, (number, era), told, fx);
        }
        self.merged(now, fx);
    }

    /// Nobody is told of anything that can still be lost.
    fn answer<E: Effects<Self>>(
        &mut self,
        to: NodeId,
        (number, era): (u128, Era),
        told: Told,
        fx: &mut E,
    ) {
        let after = match planted!("a register answers before it is synced") {
            true => Stamp::NONE,
            false => self.written,
        };
        if to == self.setup.id {
            fx.await_durable(after);
            return self.own.push_back((after, number, told));
        }
        let Some(disk) = self.seating.as_ref().map(|seating| seating.mine) else { return };
        self.send(to, RegisterTelling::Told { number, era, disk, told }, after, fx);
    }
}

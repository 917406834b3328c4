//! A disk, an engine on it, transactions that run, and what must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::num::NonZeroU32;

use ombak_base::{Disk, DiskFile, OpenMode};
use ombak_sim::{Rng, SimDisk};

use super::faulty::{Faults, Faulty};
use super::space;
use crate::engine::{Engine, EngineOptions, Restart};
use crate::error::Error;
use crate::log::Options;
use crate::named::offset_of;
use crate::page::{self, PAGE_BYTES, Page, PageId};
use crate::queue::Queue;
use crate::tree::Tree;
use crate::txn::locks::Waits;
use crate::txn::{Prepared, Savepoint, Transaction};

pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What became of keys; `None`: deleted.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Before an item of the queue among the rows of a tree: no key of the tree begins like that.
const ITEM: u8 = 0xff;

/// Changes a page of the database in `db` as no disk would: its checksum is right.
pub fn forge(disk: &SimDisk, id: PageId, change: impl FnOnce(&mut Page)) {
    let at = offset_of(id);
    let mut page = Page::blank(id);
    let there = &disk.contents("db/pages").unwrap()[at as usize..][..PAGE_BYTES];
    page.bytes_mut().copy_from_slice(there);
    change(&mut page);
    page::seal(page.bytes_mut(), small().identity);
    let file = disk.open("db/pages", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(page.bytes())], at).unwrap();
}

/// So small that everything happens: pages are stolen, checkpoints are taken, segments are used again.
pub fn small() -> EngineOptions {
    EngineOptions {
        identity: 7,
        pool_bytes: 32 * PAGE_BYTES as u64,
        log: Options { segment_bytes: 64 * 1024, segments_max: 16 },
        checkpoint_bytes: 64 * 1024,
        archived: false,
        waits: Waits::Refuse,
        redo_threads: NonZeroU32::MIN, // In the same order each time.
        managers: Vec::new(),
    }
}

/// What becomes of a transaction when its process ends: nothing.
pub fn abandon(mut txn: Transaction) {
    txn.ended = true;
}

/// A transaction that runs, and what it did.
struct Running {
    txn: Transaction,
    /// What it began with.
    seen: Rows,
    changes: Changes,
    savepoint: Option<(Savepoint, Changes)>,
    /// Items that it has taken, and may have put back: their locks stay until it ends.
    locked: BTreeSet<Vec<u8>>,
}

/// A transaction that is prepared: what it will have done, and the transaction, if this life has it.
struct Waiting {
    changes: Changes,
    txn: Option<Prepared>,
    /// It may have come to the disk or not: the power went before anybody was told.
    is_sure: bool,
}

impl Running {
    fn sees(&self, key: &[u8]) -> Option<&Vec<u8>> {
        match self.changes.get(key) {
            Some(change) => change.as_ref(),
            None => self.seen.get(key),
        }
    }

    /// What it sees of the tree.
    fn rows(&self) -> Rows {
        let mut rows = self.seen.clone();
        apply(&mut rows, &self.changes);
        rows.retain(|key, _| key[0] != ITEM);
        rows
    }

    /// Whether it has put items, or has the lock of one, be it that it has put it back.
    fn has_items(&self) -> bool {
        !self.locked.is_empty() || self.changes.keys().any(|key| key[0] == ITEM)
    }
}

fn apply(rows: &mut Rows, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(rows.insert(key.clone(), value.clone())),
            None => drop(rows.remove(key)),
        }
    }
}

pub struct World {
    pub disk: SimDisk,
    pub faults: Faults,
    pub engine: Option<Engine>,
    pub restart: Option<Restart>,
    rng: Rng,
    running: Vec<Running>,
    /// By their names.
    prepared: BTreeMap<Vec<u8>, Waiting>,
    /// Those that were told. If the log loses its end they may be back.
    told: BTreeMap<Vec<u8>, Changes>,
    may_forget: bool,
    /// Pages that are part of nothing, and how many may have become so since: who makes a structure may lose its first pages.
    lost: BTreeSet<PageId>,
    may_lose: usize,
    /// Names items and prepared transactions.
    named: u64,
    /// The rows after each commit, in order, and the items of a queue.
    states: Vec<Rows>,
    /// From this state on, one of them must be there.
    durable: usize,
    pub keys: u64,
    pub refused: u64,
    pub redo_threads: NonZeroU32,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            disk: SimDisk::new(),
            faults: Faults::default(),
            engine: None,
            restart: None,
            rng: Rng::new(seed),
            running: Vec::new(),
            prepared: BTreeMap::new(),
            told: BTreeMap::new(),
            may_forget: false,
            lost: BTreeSet::new(),
            may_lose: 0,
            named: 0,
            states: vec![Rows::new()],
            durable: 0,
            keys: 500,
            refused: 0,
            redo_threads: small().redo_threads,
        }
    }

    pub fn tree(&self) -> Result<Tree, Error> {
        self.engine.as_ref().unwrap().tree("rows")
    }

    fn queue(&self) -> Result<Queue, Error> {
        self.engine.as_ref().unwrap().queue("items")
    }

    /// Opens the engine as a new process would, and checks what is there.
    pub fn start(&mut self) -> Result<(), Error> {
        let disk = Faulty::new(self.disk.mount(), self.faults.clone());
        let options = EngineOptions { redo_threads: self.redo_threads, ..small() };
        let (engine, mut restart) = Engine::open(disk, "db", options)?;
        if engine.names()?.len() < 2 {
            self.may_lose += 3;
        }
        self.engine = Some(engine);
        self.find_prepared(std::mem::take(&mut restart.prepared));
        let found = self.all_rows()?;
        let place = self.states[self.durable..].iter().rposition(|rows| *rows == found);
        let Some(place) = place else {
            let must = &self.states[self.durable];
            panic!("what is there is no state that may be: {:?}", differences(must, &found));
        };
        self.tree()?.check(self.engine.as_ref().unwrap())?;
        self.states = vec![self.states[self.durable + place].clone()];
        self.durable = 0;
        self.restart = Some(restart);
        Ok(())
    }

    /// Each that was prepared is there again, and no other is.
    fn find_prepared(&mut self, found: Vec<Prepared>) {
        for txn in found {
            let name = txn.name().to_vec();
            if let Some(changes) = self.told.remove(&name).filter(|_| self.may_forget) {
                let waiting = Waiting { changes, txn: None, is_sure: false };
                self.prepared.insert(name.clone(), waiting);
            }
            let waiting = self.prepared.get_mut(&name);
            waiting.expect("somebody prepared it, and was not told").txn = Some(txn);
        }
        let is_lost = |waiting: &Waiting| waiting.txn.is_none() && waiting.is_sure;
        let is_lost = self.prepared.values().any(is_lost) && !self.may_forget;
        assert!(!is_lost, "what was prepared is gone");
        self.prepared.retain(|_, waiting| waiting.txn.is_some());
        self.prepared.values_mut().for_each(|waiting| waiting.is_sure = true);
        self.may_forget = false;
        self.told.clear();
    }

    /// A life of so many steps, from the start on. `false`: the power was cut before.
    pub fn live(&mut self, steps: u64) -> bool {
        let lived = self.start().and_then(|()| (0..steps).try_for_each(|_| self.step()));
        if let Err(error) = &lived {
            assert!(self.disk.is_powerless(), "an error without a cause: {error}");
        }
        lived.is_ok()
    }

    /// From now on any state of this life may be there: the end of the log was damaged.
    pub fn forget_what_was_durable(&mut self) {
        self.durable = 0;
        self.may_forget = true;
    }

    /// No page has become part of nothing since this was called last.
    pub fn check_space(&mut self) {
        let lost = space::walk(self.engine.as_ref().unwrap()).unwrap().lost;
        let new = lost.difference(&self.lost).count();
        assert!(new <= self.may_lose, "{lost:?} are lost, and {:?} were", self.lost);
        (self.lost, self.may_lose) = (lost, 0);
    }

    fn all_rows(&self) -> Result<Rows, Error> {
        let engine = self.engine.as_ref().unwrap();
        let mut txn = engine.begin();
        let mut all = collect(self.tree()?, &txn, false)?;
        let queue = self.queue()?;
        queue.check(engine)?;
        while let Some(item) = queue.dequeue(&mut txn)? {
            assert_eq!(all.insert(item.to_vec(), Vec::new()), None, "an item is there once");
        }
        txn.rollback()?;
        Ok(all)
    }

    /// The process ends, and the machine does not: all that was written is there.
    pub fn stop(&mut self) {
        self.running.drain(..).for_each(|running| abandon(running.txn));
        self.prepared.values_mut().for_each(|waiting| drop(waiting.txn.take()));
        (self.engine, self.restart) = (None, None);
    }

    /// The lights go out. Of what was not synced, `keeps` stays.
    pub fn crash(&mut self, keeps: impl FnMut(&ombak_sim::Unsynced) -> bool) {
        self.stop();
        self.disk.cut_power(u64::MAX);
        self.disk.crash_with(keeps);
    }

    /// Does something. An error is the disk's.
    pub fn step(&mut self) -> Result<(), Error> {
        if self.running.is_empty() || (self.running.len() < 3 && self.rng.chance(1, 8)) {
            let txn = self.engine.as_ref().unwrap().begin();
            let seen = self.states.last().unwrap().clone();
            let (changes, locked) = (BTreeMap::new(), BTreeSet::new());
            let running = Running { txn, seen, changes, savepoint: None, locked };
            self.running.push(running);
        }
        let who = self.rng.below(self.running.len() as u64) as usize;
        match self.rng.below(100) {
            0..40 => self.put(who),
            40..57 => self.delete(who),
            57..61 => self.enqueue(who),
            61..65 => self.dequeue(who),
            65..72 => self.look(who),
            72..76 => {
                let running = &mut self.running[who];
                running.savepoint = Some((running.txn.savepoint(), running.changes.clone()));
                Ok(())
            }
            76..80 => self.back_to_savepoint(who),
            80..87 => self.commit(who, true),
            87..90 => self.commit(who, false),
            90..94 => self.running.swap_remove(who).txn.rollback(),
            94 => self.prepare(who),
            95..97 => self.tell(),
            97 => self.engine.as_ref().unwrap().checkpoint(),
            98 => self.engine.as_ref().unwrap().tidy().map(drop),
            _ => {
                self.engine.as_ref().unwrap().sync()?;
                self.durable = self.states.len() - 1;
                Ok(())
            }
        }
    }

    fn key(&mut self) -> Vec<u8> {
        // A few that all want, and many.
        let number =
            if self.rng.chance(1, 3) { self.rng.below(12) } else { self.rng.below(self.keys) };
        let pad = if number.is_multiple_of(3) { 200 } else { 3 };
        format!("{number:04}{}", "k".repeat(pad)).into_bytes()
    }

    fn put(&mut self, who: usize) -> Result<(), Error> {
        let tree = self.tree()?;
        let key = self.key();
        let len = [0, 10, 100, 400, 900, 1500][self.rng.below(6) as usize];
        let value = vec![self.rng.below(250) as u8; len];
        let running = &mut self.running[who];
        let put = tree.put(&mut running.txn, &key, &value);
        if self.happened(put)? {
            self.running[who].changes.insert(key, Some(value));
        }
        Ok(())
    }

    fn delete(&mut self, who: usize) -> Result<(), Error> {
        let tree = self.tree()?;
        let key = self.key();
        let running = &mut self.running[who];
        let there = running.sees(&key).is_some();
        let deleted = tree.delete(&mut running.txn, &key).map(|was| assert_eq!(was, there));
        if self.happened(deleted)? {
            self.running[who].changes.insert(key, None);
        }
        Ok(())
    }

    fn enqueue(&mut self, who: usize) -> Result<(), Error> {
        let queue = self.queue()?;
        self.named += 1;
        let mut item = [&[ITEM], &self.named.to_be_bytes()[..]].concat();
        item.resize([9, 100, 1500, 4000][self.rng.below(4) as usize], 0);
        let put = queue.enqueue(&mut self.running[who].txn, &item);
        if self.happened(put)? {
            self.running[who].changes.insert(item, Some(Vec::new()));
        }
        Ok(())
    }

    /// What is taken was put there, by somebody who committed or by who takes it, and nobody else has it.
    fn dequeue(&mut self, who: usize) -> Result<(), Error> {
        let queue = self.queue()?;
        let taken = match queue.dequeue(&mut self.running[who].txn) {
            Err(Error::LogFull { .. }) => return Ok(()),
            taken => taken?,
        };
        let Some(item) = taken.map(|item| item.to_vec()) else { return Ok(()) };
        let is_there = self.states.last().unwrap().contains_key(&item);
        self.running[who].locked.insert(item.clone());
        let others = self.running.iter().enumerate().filter(|(at, _)| *at != who);
        let is_taken = others.into_iter().any(|(_, other)| other.changes.get(&item) == Some(&None));
        match self.running[who].changes.insert(item, None) {
            None => assert!(is_there && !is_taken, "an item that nobody put there, or twice"),
            Some(own) => assert!(own.is_some(), "its own item, twice"),
        }
        Ok(())
    }

    /// The queue is left out: what a prepared transaction has taken is not there for whoever looks at all of it.
    fn prepare(&mut self, who: usize) -> Result<(), Error> {
        if self.running[who].has_items() || self.prepared.len() > 1 {
            return Ok(());
        }
        let Running { txn, changes, .. } = self.running.swap_remove(who);
        self.named += 1;
        let name = format!("order {}", self.named).into_bytes();
        // A transaction that changes nothing is prepared all the same.
        self.prepared.insert(name.clone(), Waiting { changes, txn: None, is_sure: false });
        let prepared = txn.prepare(&name)?;
        let waiting = self.prepared.get_mut(&name).unwrap();
        (waiting.txn, waiting.is_sure) = (Some(prepared), true);
        // It made everything durable that was logged before it.
        self.durable = self.states.len() - 1;
        Ok(())
    }

    /// A prepared transaction is told what to do.
    fn tell(&mut self) -> Result<(), Error> {
        let Some(name) = self.prepared.keys().next().cloned() else { return Ok(()) };
        let commits = self.rng.chance(1, 2);
        let waiting = self.prepared.get_mut(&name).unwrap();
        waiting.is_sure = false;
        let txn = waiting.txn.take().unwrap();
        let changes = waiting.changes.clone();
        if commits {
            let mut rows = self.states.last().unwrap().clone();
            apply(&mut rows, &changes);
            self.states.push(rows);
            txn.commit()?;
        } else {
            txn.rollback()?;
        }
        let told = self.prepared.remove(&name);
        self.told.extend(told.map(|waiting| (name, waiting.changes)));
        self.durable = self.states.len() - 1;
        Ok(())
    }

    /// Whether a change was made; a refusal must have a reason.
    fn happened(&mut self, change: Result<(), Error>) -> Result<bool, Error> {
        match change {
            Ok(()) => Ok(true),
            Err(Error::Locked { .. } | Error::Conflict | Error::LogFull { .. }) => {
                self.refused += 1;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what the transaction sees: one row, or all.
    fn look(&mut self, who: usize) -> Result<(), Error> {
        let tree = self.tree()?;
        let key = self.key();
        let running = &self.running[who];
        let value = tree.get(&running.txn, &key)?;
        assert_eq!(value.as_deref(), running.sees(&key).map(Vec::as_slice));
        let back = self.rng.chance(1, 2);
        let (found, must) = (collect(tree, &running.txn, back)?, running.rows());
        assert!(found == must, "a snapshot: {:?}", differences(&must, &found));
        Ok(())
    }

    fn back_to_savepoint(&mut self, who: usize) -> Result<(), Error> {
        let running = &mut self.running[who];
        let Some((savepoint, changes)) = running.savepoint.take() else { return Ok(()) };
        running.txn.rollback_to(savepoint)?;
        running.changes = changes;
        Ok(())
    }

    fn commit(&mut self, who: usize, durably: bool) -> Result<(), Error> {
        let Running { txn, changes, .. } = self.running.swap_remove(who);
        let mut rows = self.states.last().unwrap().clone();
        apply(&mut rows, &changes);
        // What changes nothing logs nothing, and makes nothing durable that was committed lazily before.
        let changed = rows != *self.states.last().unwrap();
        // Should the disk fail, it may be there or not.
        self.states.push(rows);
        if durably {
            txn.commit()?;
            if changed {
                self.durable = self.states.len() - 1;
            }
        } else {
            txn.commit_lazily()?;
        }
        Ok(())
    }

    /// What is there now, without a crash.
    pub fn check(&mut self) {
        let found = self.all_rows().unwrap();
        let mut must = self.states.last().unwrap().clone();
        // What somebody has taken is not there for others, whether or not he commits.
        let locked = self.running.iter().flat_map(|running| &running.locked);
        locked.for_each(|item| drop(must.remove(item)));
        assert!(found == must, "{:?}", differences(&must, &found));
        self.tree().unwrap().check(self.engine.as_ref().unwrap()).unwrap();
    }
}

fn collect(tree: Tree, txn: &Transaction, back: bool) -> Result<Rows, Error> {
    let mut rows = if back { tree.range_back(txn, &[], None) } else { tree.range(txn, &[], None) };
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while let Some((key, value)) = rows.next()? {
        let ordered = all.last().is_none_or(|(last, _)| (last.as_slice() < key) != back);
        assert!(ordered, "rows are in order");
        all.push((key.to_vec(), value.to_vec()));
    }
    Ok(all.into_iter().collect())
}

fn differences(must: &Rows, found: &Rows) -> Vec<String> {
    let keys = must.keys().chain(found.keys());
    let mut all: Vec<String> = keys
        .filter(|key| must.get(*key) != found.get(*key))
        .map(|key| {
            let show =
                |rows: &Rows| rows.get(key).map(|value| (value.len(), value.first().copied()));
            let key_text = key[..key.len().min(9)].escape_ascii();
            format!("{key_text}: must {:?}, is {:?}", show(must), show(found))
        })
        .collect();
    all.dedup();
    all
}

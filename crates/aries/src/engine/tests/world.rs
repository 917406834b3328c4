//! A disk, an engine on it, transactions that run, and what must be there.

use std::collections::BTreeMap;
use std::io::IoSlice;

use ombak_base::{Disk, DiskFile, OpenMode};
use ombak_sim::{Rng, SimDisk};

use super::faulty::{Faults, Faulty};
use crate::engine::{Engine, EngineOptions, Restart};
use crate::error::Error;
use crate::log::Options;
use crate::page::{self, PAGE_BYTES, Page, PageId};
use crate::pool::offset_of;
use crate::tree::Tree;
use crate::txn::locks::Waits;
use crate::txn::{Savepoint, Transaction};

pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What became of keys; `None`: deleted.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

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
        managers: Vec::new(),
    }
}

/// A transaction that runs, and what it did.
struct Running {
    txn: Transaction,
    /// What it began with.
    seen: Rows,
    changes: Changes,
    savepoint: Option<(Savepoint, Changes)>,
}

impl Running {
    fn sees(&self, key: &[u8]) -> Option<&Vec<u8>> {
        match self.changes.get(key) {
            Some(change) => change.as_ref(),
            None => self.seen.get(key),
        }
    }

    fn rows(&self) -> Rows {
        let mut rows = self.seen.clone();
        apply(&mut rows, &self.changes);
        rows
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
    /// The rows after each commit, in order.
    states: Vec<Rows>,
    /// From this state on, one of them must be there.
    durable: usize,
    pub keys: u64,
    pub refused: u64,
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
            states: vec![Rows::new()],
            durable: 0,
            keys: 500,
            refused: 0,
        }
    }

    pub fn tree(&self) -> Result<Tree, Error> {
        self.engine.as_ref().unwrap().tree("rows")
    }

    /// Opens the engine as a new process would, and checks what is there.
    pub fn start(&mut self) -> Result<(), Error> {
        let disk = Faulty::new(self.disk.mount(), self.faults.clone());
        let (engine, restart) = Engine::open(disk, "db", small())?;
        self.engine = Some(engine);
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
    }

    fn all_rows(&self) -> Result<Rows, Error> {
        let engine = self.engine.as_ref().unwrap();
        let txn = engine.begin();
        collect(self.tree()?, &txn, false)
    }

    /// The process ends, and the machine does not: all that was written is there.
    pub fn stop(&mut self) {
        self.running.drain(..).for_each(|running| std::mem::forget(running.txn));
        self.engine = None;
        self.restart.take().into_iter().for_each(std::mem::forget);
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
            let running = Running { txn, seen, changes: BTreeMap::new(), savepoint: None };
            self.running.push(running);
        }
        let who = self.rng.below(self.running.len() as u64) as usize;
        match self.rng.below(100) {
            0..45 => self.put(who),
            45..65 => self.delete(who),
            65..72 => self.look(who),
            72..76 => {
                let running = &mut self.running[who];
                running.savepoint = Some((running.txn.savepoint(), running.changes.clone()));
                Ok(())
            }
            76..80 => self.back_to_savepoint(who),
            80..88 => self.commit(who, true),
            88..92 => self.commit(who, false),
            92..97 => self.running.swap_remove(who).txn.rollback(),
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
        let must = self.states.last().unwrap();
        assert!(found == *must, "{:?}", differences(must, &found));
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
            let key_text = String::from_utf8_lossy(&key[..4]);
            format!("{key_text}: must {:?}, is {:?}", show(must), show(found))
        })
        .collect();
    all.dedup();
    all
}

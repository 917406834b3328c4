//! Ombak's transactions on its B+tree (`ombak_aries::Engine`): group commit, snapshots, a pool of the memory that it is
//! given. A thread takes the checkpoints that are due, as a host of it does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use ombak_aries::{EngineOptions, Error, OsDisk, Transaction, Tree};

use super::{Engine, Session, Setup};
use crate::row::{Key, Row};

pub struct Ombak {
    engine: ombak_aries::Engine,
    tree: Tree,
    stop: Arc<AtomicBool>,
    tidier: Option<JoinHandle<()>>,
}

impl Ombak {
    pub fn open(dir: &Path, setup: Setup) -> Result<Ombak> {
        let options = EngineOptions { pool_bytes: setup.memory_bytes, ..EngineOptions::default() };
        let (engine, _) = ombak_aries::Engine::open(OsDisk::open(dir)?, "", options)?;
        let tree = engine.tree("rows")?;
        let stop = Arc::new(AtomicBool::new(false));
        let tidier = thread::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    match engine.tidy() {
                        Ok(true) => {}
                        Ok(false) => thread::park_timeout(Duration::from_millis(20)),
                        Err(error) => return eprintln!("tidying: {error}"),
                    }
                }
            }
        });
        Ok(Ombak { engine, tree, stop, tidier: Some(tidier) })
    }

    /// Puts rows; begins anew if another transaction was in the way.
    fn put(&self, rows: &[Row]) -> Result<Transaction> {
        loop {
            let mut txn = self.engine.begin();
            let mut put = |row: &Row| self.tree.put(&mut txn, &row.key, &row.value);
            match rows.iter().try_for_each(&mut put) {
                Ok(()) => return Ok(txn),
                Err(Error::Conflict | Error::Deadlock { .. }) => txn.rollback()?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Ombak {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(tidier) = self.tidier.take() {
            tidier.thread().unpark();
            drop(tidier.join());
        }
    }
}

impl Engine for Ombak {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.engine.checkpoint()?)
    }

    fn log_bytes(&self) -> Option<u64> {
        Some(self.engine.usage().log_written_bytes)
    }
}

impl Session for &Ombak {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        Ok(self.put(std::slice::from_ref(row))?.commit()?)
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        let txn = self.put(rows)?;
        match durable {
            true => txn.commit()?,
            false => drop(txn.commit_lazily()?),
        }
        Ok(())
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let txn = self.engine.begin();
        for key in keys {
            found(self.tree.get(&txn, key)?.as_deref());
        }
        Ok(txn.commit()?)
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let txn = self.engine.begin();
        let mut scan = self.tree.range(&txn, from, None);
        for _ in 0..rows {
            let Some((key, value)) = scan.next()? else { break };
            visit(key, value);
        }
        drop(scan);
        Ok(txn.commit()?)
    }
}

//! fjall: a log-structured merge tree with a journal. A row is durable after `insert` and
//! `persist(PersistMode::SyncAll)`, as its README shows; threads share the keyspace. `expect_point_read_hits` is
//! for work like this, where nearly every key that is asked for exists.

use std::path::Path;

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Engine, Session, Setup};
use crate::row::{Key, Row};

const MEMTABLE_BYTES_MIN: u64 = 8 * 1024 * 1024;
const MEMTABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub struct Fjall {
    database: Database,
    rows: Keyspace,
}

impl Fjall {
    /// An eighth of the memory, within what its documentation recommends, is for a memtable, since several may
    /// wait; half is for the cache of blocks.
    pub fn open(dir: &Path, setup: Setup) -> Result<Fjall> {
        let memtable_bytes = (setup.memory_bytes / 8).clamp(MEMTABLE_BYTES_MIN, MEMTABLE_BYTES_MAX);
        let database =
            Database::builder(dir.join("fjall")).cache_size(setup.memory_bytes / 2).open()?;
        let rows = database.keyspace("rows", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(memtable_bytes)
                .expect_point_read_hits(true)
        })?;
        Ok(Fjall { database, rows })
    }
}

impl Engine for Fjall {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.rows.rotate_memtable_and_wait()?)
    }
}

impl Session for &Fjall {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        self.rows.insert(row.key, row.value)?;
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        let mode = durable.then_some(PersistMode::SyncAll);
        let mut batch = self.database.batch().durability(mode);
        for row in rows {
            batch.insert(&self.rows, row.key, row.value);
        }
        Ok(batch.commit()?)
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let snapshot = self.database.snapshot();
        for key in keys {
            found(fjall::Readable::get(&snapshot, &self.rows, key)?.as_deref());
        }
        Ok(())
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        for row in self.rows.range(from.as_slice()..).take(rows) {
            let (key, value) = row.into_inner()?;
            visit(&key, &value);
        }
        Ok(())
    }
}

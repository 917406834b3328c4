//! What is compared: each engine behind one small face, set up the way its authors recommend.

mod fjall;
mod lmdb;
mod log;
mod ombak;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sqlite;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::row::{Key, Row};

/// An engine that is open in a directory. It is closed when it is dropped.
pub trait Engine: Sync {
    /// What one thread works with.
    fn session(&self) -> Result<Box<dyn Session + '_>>;

    /// Writes what the log holds to where it belongs, so that the log could begin anew. Nothing to do for
    /// engines without a log.
    fn checkpoint(&self) -> Result<()> {
        Ok(())
    }

    /// Bytes written to its log since it was opened, if the engine counts them.
    fn log_bytes(&self) -> Option<u64> {
        None
    }
}

/// One thread's way into an engine.
pub trait Session {
    /// One transaction that puts one row; it is on the disk when this returns.
    fn put_durable(&mut self, row: &Row) -> Result<()>;

    /// One transaction that puts many rows. If it is not `durable`, a power cut may lose it whole.
    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()>;

    /// One transaction that reads many rows: `found` is called for each key, in order, with its value.
    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()>;

    /// Visits up to `rows` rows, the first of which is the first at or after `from`, in order of their keys.
    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()>;
}

/// How an engine is opened, as far as the work decides it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Bytes for caches and write buffers.
    pub memory_bytes: u64,
    /// Sessions that will work at once.
    pub threads: usize,
    /// Whether transactions that are not durable are wanted: some engines decide that when they are opened.
    pub lazy: bool,
    /// Whether there is more data than memory.
    pub beyond_memory: bool,
    /// Whether the bare log keeps all records, so that they can be read again after it is opened anew.
    pub keep_log: bool,
}

/// Which engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum, Serialize, Deserialize)]
pub enum Kind {
    /// Ombak's commit log alone, the floor under durable transactions: it holds no tables
    Log,
    /// Ombak's transactions on its B+tree
    Ombak,
    /// redb
    Redb,
    /// fjall
    Fjall,
    /// SQLite, by rusqlite
    Sqlite,
    /// LMDB, by heed
    Lmdb,
    /// RocksDB, by rocksdb
    #[cfg(feature = "rocksdb")]
    Rocksdb,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Log => "log",
            Kind::Ombak => "ombak",
            Kind::Redb => "redb",
            Kind::Fjall => "fjall",
            Kind::Sqlite => "sqlite",
            Kind::Lmdb => "lmdb",
            #[cfg(feature = "rocksdb")]
            Kind::Rocksdb => "rocksdb",
        }
    }

    /// Whether it can look for a row while it runs.
    pub fn has_tables(self) -> bool {
        self != Kind::Log
    }

    /// Opens it in `dir`, which exists, or makes it.
    pub fn open(self, dir: &Path, setup: Setup) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Kind::Log => Box::new(log::Log::open(dir, setup)?),
            Kind::Ombak => Box::new(ombak::Ombak::open(dir, setup)?),
            Kind::Redb => Box::new(redb::Redb::open(dir, setup)?),
            Kind::Fjall => Box::new(fjall::Fjall::open(dir, setup)?),
            Kind::Sqlite => Box::new(sqlite::Sqlite::open(dir, setup)?),
            Kind::Lmdb => Box::new(lmdb::Lmdb::open(dir, setup)?),
            #[cfg(feature = "rocksdb")]
            Kind::Rocksdb => Box::new(rocksdb::Rocksdb::open(dir, setup)?),
        })
    }
}

#[cfg(test)]
mod tests;

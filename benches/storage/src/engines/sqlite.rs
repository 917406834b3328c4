//! SQLite in WAL mode with `synchronous=FULL`: each commit is on the disk when it returns. One connection for each
//! thread and prepared statements; a table without row ids, as its documentation advises for small rows with a key
//! that is no integer. Writers queue at a mutex: SQLite's own way to wait sleeps, and costs it more.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use rusqlite::{Connection, OptionalExtension};

use super::{Engine, Session, Setup};
use crate::row::{Key, Row};

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS data (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";
const PUT: &str = "INSERT OR REPLACE INTO data (key, value) VALUES (?1, ?2)";
const GET: &str = "SELECT value FROM data WHERE key = ?1";
const SCAN: &str = "SELECT key, value FROM data WHERE key >= ?1 ORDER BY key LIMIT ?2";
const STATEMENTS: usize = 16;
/// Without durability a checkpoint waits for 64 MiB of log, as the memtables of others do, not for 4.
const LAZY_CHECKPOINT_PAGES: u32 = 16_384;

pub struct Sqlite {
    path: PathBuf,
    setup: Setup,
    writer: Mutex<()>,
}

pub struct Connected<'a> {
    sqlite: &'a Sqlite,
    connection: Connection,
    durable: bool,
}

impl Sqlite {
    pub fn open(dir: &Path, setup: Setup) -> Result<Sqlite> {
        let sqlite = Sqlite { path: dir.join("sqlite"), setup, writer: Mutex::new(()) };
        sqlite.connect()?.execute(CREATE, [])?;
        Ok(sqlite)
    }

    fn connect(&self) -> Result<Connection> {
        let connection = Connection::open(&self.path)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        ensure!(mode == "wal", "SQLite answers {mode} when asked for its write-ahead log");
        connection.pragma_update(None, "synchronous", "FULL")?;
        if self.setup.lazy {
            connection.pragma_update(None, "wal_autocheckpoint", LAZY_CHECKPOINT_PAGES)?;
        }
        let cache_bytes = self.setup.memory_bytes / self.setup.threads.max(1) as u64;
        connection.pragma_update(None, "cache_size", -i64::try_from(cache_bytes / 1024)?)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }

    fn queue(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Sqlite {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        let connection = self.connect()?;
        Ok(Box::new(Connected { sqlite: self, connection, durable: true }))
    }

    fn checkpoint(&self) -> Result<()> {
        let _turn = self.queue();
        let busy: i64 =
            self.connect()?.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
        ensure!(busy == 0, "SQLite's checkpoint did not finish");
        Ok(())
    }
}

impl Connected<'_> {
    /// Without durability SQLite's `NORMAL`: the write-ahead log is synced only before a checkpoint.
    fn set_durable(&mut self, durable: bool) -> Result<()> {
        if self.durable != durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durable = durable;
        }
        Ok(())
    }
}

impl Session for Connected<'_> {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        self.set_durable(true)?;
        let _turn = self.sqlite.queue();
        self.connection.prepare_cached(PUT)?.execute((&row.key[..], &row.value[..]))?;
        Ok(())
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        self.set_durable(durable)?;
        let _turn = self.sqlite.queue();
        let transaction = self.connection.transaction()?;
        let mut statement = transaction.prepare_cached(PUT)?;
        for row in rows {
            statement.execute((&row.key[..], &row.value[..]))?;
        }
        drop(statement);
        Ok(transaction.commit()?)
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let transaction = self.connection.transaction()?;
        let mut statement = transaction.prepare_cached(GET)?;
        for key in keys {
            let seen = statement
                .query_row([&key[..]], |row| {
                    found(Some(row.get_ref(0)?.as_blob()?));
                    Ok(())
                })
                .optional()?;
            if seen.is_none() {
                found(None);
            }
        }
        Ok(())
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mut statement = self.connection.prepare_cached(SCAN)?;
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut found = statement.query((&from[..], limit))?;
        while let Some(row) = found.next()? {
            visit(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        }
        Ok(())
    }
}

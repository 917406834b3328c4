//! LMDB: a copy-on-write B+ tree in a memory map, and no cache but the system's. A commit syncs by default; writers
//! wait for each other. Without durability it is opened with `NO_SYNC`, and synced when durability is asked for.
//! When there is more data than memory, `NO_READ_AHEAD`, as its documentation advises for random reads.

use std::fs;
use std::ops::Bound;
use std::path::Path;

use anyhow::Result;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};

use super::{Engine, Session, Setup};
use crate::row::{Key, Row};

/// The map's size, which is the database's limit; it costs address space only.
const MAP_BYTES: usize = 64 << 30;
/// Reading transactions at once.
const READERS: u32 = 256;

type Options = EnvOpenOptions<WithoutTls>;
type Rows = Database<'static, Bytes, Bytes>;

pub struct Lmdb {
    env: Env<WithoutTls>,
    rows: Rows,
    lazy: bool,
}

impl Lmdb {
    pub fn open(dir: &Path, setup: Setup) -> Result<Lmdb> {
        let path = dir.join("lmdb");
        fs::create_dir_all(&path)?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_readers(READERS);
        let env = open_env(&mut options, &path, flags(setup))?;
        let rows = env
            .create_databases_and_commit(env.write_txn()?, |opener, transaction| {
                let rows = opener.create_database::<Bytes, Bytes>(transaction, None)?;
                heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(rows))
            })?
            .unwrap_commit();
        Ok(Lmdb { env, rows, lazy: setup.lazy })
    }

    fn put(&self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for row in rows {
            self.rows.put(&mut transaction, &row.key, &row.value)?;
        }
        Ok(transaction.commit()?)
    }
}

fn flags(setup: Setup) -> EnvFlags {
    let mut flags = EnvFlags::empty();
    flags.set(EnvFlags::NO_SYNC, setup.lazy);
    flags.set(EnvFlags::NO_READ_AHEAD, setup.beyond_memory);
    flags
}

/// The one place with `unsafe`: LMDB trusts that nobody else changes its files, which lie in a directory that was
/// made for this run, and with `NO_SYNC` that the machine does not stop, which would cost nothing but the run.
#[expect(unsafe_code, reason = "heed has no other way to open a memory map")]
fn open_env(options: &mut Options, path: &Path, flags: EnvFlags) -> Result<Env<WithoutTls>> {
    Ok(unsafe { options.flags(flags).open(path)? })
}

impl Engine for Lmdb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }
}

impl Session for &Lmdb {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        self.put_many(std::slice::from_ref(row), true)
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        self.put(rows)?;
        if durable && self.lazy {
            self.env.force_sync()?;
        }
        Ok(())
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let transaction = self.env.read_txn()?;
        for key in keys {
            found(self.rows.get(&transaction, key)?);
        }
        Ok(())
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let transaction = self.env.read_txn()?;
        let range = (Bound::Included(from.as_slice()), Bound::Unbounded);
        for row in self.rows.range(&transaction, &range)?.take(rows) {
            let (key, value) = row?;
            visit(key, value);
        }
        Ok(())
    }
}

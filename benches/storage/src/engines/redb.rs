//! redb: a copy-on-write B+ tree. A commit is durable by default (`Durability::Immediate`: one sync, one
//! phase, as the defaults are); writers wait for each other.

use std::path::Path;

use anyhow::Result;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::{Engine, Session, Setup};
use crate::row::{Key, Row};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");

pub struct Redb {
    database: Database,
}

impl Redb {
    pub fn open(dir: &Path, setup: Setup) -> Result<Redb> {
        let database = Database::builder()
            .set_cache_size(usize::try_from(setup.memory_bytes)?)
            .create(dir.join("redb"))?;
        let redb = Redb { database };
        redb.put(&[], Durability::Immediate)?; // creates the table
        Ok(redb)
    }

    fn put(&self, rows: &[Row], durability: Durability) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        let mut table = transaction.open_table(TABLE)?;
        for row in rows {
            table.insert(row.key.as_slice(), row.value.as_slice())?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }
}

impl Engine for Redb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }
}

impl Session for &Redb {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        self.put(std::slice::from_ref(row), Durability::Immediate)
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        self.put(rows, if durable { Durability::Immediate } else { Durability::None })
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        for key in keys {
            let value = redb::ReadableTable::get(&table, key.as_slice())?;
            found(value.as_ref().map(|value| value.value()));
        }
        Ok(())
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        for row in table.range(from.as_slice()..)?.take(rows) {
            let (key, value) = row?;
            visit(key.value(), value.value());
        }
        Ok(())
    }
}

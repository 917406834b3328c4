//! RocksDB: a log-structured merge tree with a write-ahead log. A row is durable after `put` with `sync=true`; threads
//! share the database, which writes waiting puts together. Bloom filters and a shared cache of blocks, as its tuning
//! guide advises; nothing is compressed, because the rows cannot be.

use std::path::Path;

use anyhow::Result;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::{Engine, Session, Setup};
use crate::row::{Key, Row};

const MEMTABLE_BYTES_MIN: u64 = 8 * 1024 * 1024;
const MEMTABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
const BLOOM_BITS: f64 = 10.0;

pub struct Rocksdb {
    database: DB,
}

impl Rocksdb {
    pub fn open(dir: &Path, setup: Setup) -> Result<Rocksdb> {
        let mut blocks = BlockBasedOptions::default();
        let cache = Cache::new_lru_cache(usize::try_from(setup.memory_bytes / 2)?)?;
        blocks.set_block_cache(&cache);
        blocks.set_bloom_filter(BLOOM_BITS, false);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.increase_parallelism(2);
        options.set_compression_type(DBCompressionType::None);
        options.set_level_compaction_dynamic_level_bytes(true);
        let memtable_bytes = (setup.memory_bytes / 8).clamp(MEMTABLE_BYTES_MIN, MEMTABLE_BYTES_MAX);
        options.set_write_buffer_size(usize::try_from(memtable_bytes)?);
        options.set_block_based_table_factory(&blocks);
        Ok(Rocksdb { database: DB::open(&options, dir.join("rocksdb"))? })
    }
}

fn write_options(durable: bool) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(durable);
    options
}

impl Engine for Rocksdb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.database.flush()?)
    }
}

impl Session for &Rocksdb {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        Ok(self.database.put_opt(row.key, row.value, &write_options(true))?)
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        let mut batch = WriteBatch::default();
        for row in rows {
            batch.put(row.key, row.value);
        }
        Ok(self.database.write_opt(batch, &write_options(durable))?)
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let snapshot = self.database.snapshot();
        for key in keys {
            let mut options = ReadOptions::default();
            options.set_snapshot(&snapshot);
            found(self.database.get_pinned_opt(key, &options)?.as_deref());
        }
        Ok(())
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mut found = self.database.raw_iterator();
        found.seek(from);
        for _ in 0..rows {
            let Some((key, value)) = found.item() else { break };
            visit(key, value);
            found.next();
        }
        Ok(found.status()?)
    }
}

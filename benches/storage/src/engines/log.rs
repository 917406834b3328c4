//! Ombak's commit log alone, the floor: the same bytes, made durable by group commit, and nothing else. Rows can be read
//! only after the log was opened anew: a bare log has nothing to look them up in.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use ombak_aries::{Options, OsDisk, SharedLog, StreamId};

use super::{Engine, Session, Setup};
use crate::row::{KEY_BYTES, Key, Row};

const STREAM: StreamId = StreamId(1);

pub struct Log {
    log: SharedLog<OsDisk>,
    keep_log: bool,
    replayed: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Log {
    pub fn open(dir: &Path, setup: Setup) -> Result<Log> {
        let disk = OsDisk::open(dir)?;
        let mut replayed = BTreeMap::new();
        let replay = |_, _, row: bytes::Bytes| {
            let (key, value) = row.split_at(KEY_BYTES.min(row.len()));
            replayed.insert(key.to_vec(), value.to_vec());
        };
        let (log, recovery) = SharedLog::open(disk, "wal", Options::default(), replay)?;
        ensure!(recovery.damaged.is_empty(), "the log is damaged: {:?}", recovery.damaged);
        if !setup.keep_log {
            log.set_mark(STREAM, log.next_lsn());
        }
        while log.tidy()? {}
        Ok(Log { log, keep_log: setup.keep_log, replayed })
    }
}

impl Engine for Log {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn log_bytes(&self) -> Option<u64> {
        Some(self.log.written_bytes())
    }
}

impl Session for &Log {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        self.put_many(std::slice::from_ref(row), true)
    }

    fn put_many(&mut self, rows: &[Row], durable: bool) -> Result<()> {
        let mut last = self.log.durable();
        for row in rows {
            last = self.log.append(STREAM, &[&row.key, &row.value])?;
        }
        if durable {
            self.log.force(last)?;
        }
        // Now and then: as seldom as an engine raises its mark.
        if !self.keep_log && last.0.is_multiple_of(10_000) {
            self.log.set_mark(STREAM, last);
        }
        Ok(())
    }

    fn read(&mut self, keys: &[Key], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        keys.iter().for_each(|key| found(self.replayed.get(key.as_slice()).map(Vec::as_slice)));
        Ok(())
    }

    fn scan(&mut self, from: &Key, rows: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let range = self.replayed.range(from.to_vec()..).take(rows);
        range.for_each(|(key, value)| visit(key, value));
        Ok(())
    }
}

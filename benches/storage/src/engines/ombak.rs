//! Ombak. So far its commit log alone, which is the floor: the same bytes, made durable, and nothing else.
//!
//! Threads put their rows into a queue. Whoever finds nobody writing takes the whole queue, writes it with one sync,
//! and wakes the others (group commit). Rows can be read only after the log was opened anew: a bare log has nothing
//! to look them up in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use ombak_aries::{CommitLog, Options, OsDisk, StreamId};

use super::{Engine, Session, Setup};
use crate::row::{KEY_BYTES, Key, Row};

const STREAM: StreamId = StreamId(1);

pub struct Log {
    queue: Mutex<Queue>,
    durable: Condvar,
    writer: Mutex<Writer>,
    replayed: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What waits, and how far the writing has come. Rows are counted in the order in which they came.
#[derive(Default)]
struct Queue {
    waiting: Vec<Row>,
    taken: u64,
    durable: u64,
    writing: bool,
    failed: bool,
}

struct Writer {
    log: CommitLog<OsDisk>,
    keep_log: bool,
    bytes: u64,
}

impl Log {
    pub fn open(dir: &Path, setup: Setup) -> Result<Log> {
        let disk = OsDisk::open(dir)?;
        let mut replayed = BTreeMap::new();
        let replay = |_, _, row: bytes::Bytes| {
            let (key, value) = row.split_at(KEY_BYTES.min(row.len()));
            replayed.insert(key.to_vec(), value.to_vec());
        };
        let (mut log, recovery) = CommitLog::open(disk, "wal", Options::default(), replay)?;
        ensure!(recovery.damaged.is_empty(), "the log is damaged: {:?}", recovery.damaged);
        if !setup.keep_log {
            log.set_mark(STREAM, log.next_lsn());
        }
        while log.tidy()? {}
        let writer = Writer { log, keep_log: setup.keep_log, bytes: 0 };
        Ok(Log {
            queue: Mutex::default(),
            durable: Condvar::new(),
            writer: Mutex::new(writer),
            replayed,
        })
    }

    fn put(&self, rows: &[Row]) -> Result<()> {
        let mut queue = lock(&self.queue);
        queue.waiting.extend_from_slice(rows);
        let ticket = queue.taken + queue.waiting.len() as u64;
        while queue.durable < ticket && !queue.failed {
            queue = if queue.writing { self.wait(queue) } else { self.write(queue) };
        }
        ensure!(queue.durable >= ticket, "the log failed");
        Ok(())
    }

    fn wait<'a>(&'a self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.durable.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all that waits. Others may queue meanwhile.
    fn write<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let rows = std::mem::take(&mut queue.waiting);
        queue.taken += rows.len() as u64;
        queue.writing = true;
        let upto = queue.taken;
        drop(queue);
        let written = lock(&self.writer).write(&rows);
        let mut queue = lock(&self.queue);
        queue.writing = false;
        match written {
            Ok(()) => queue.durable = upto,
            Err(error) => {
                eprintln!("{error:#}");
                queue.failed = true;
            }
        }
        self.durable.notify_all();
        queue
    }
}

impl Writer {
    fn write(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            self.log.append(STREAM, &[&row.key, &row.value])?;
        }
        self.bytes += self.log.pending_bytes();
        let durable = self.log.sync()?;
        if !self.keep_log {
            self.log.set_mark(STREAM, durable);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for Log {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }

    fn bytes_written(&self) -> Option<u64> {
        Some(lock(&self.writer).bytes)
    }
}

impl Session for &Log {
    fn put_durable(&mut self, row: &Row) -> Result<()> {
        self.put(std::slice::from_ref(row))
    }

    fn put_many(&mut self, rows: &[Row], _: bool) -> Result<()> {
        self.put(rows)
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

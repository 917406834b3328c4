//! openraft's log: entries in memory, and in the journal. The journal's thread says when they are durable.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{Entry, EntryPayload, LogId, LogState, RaftLogReader, StorageError, Vote};

use super::Types;
use crate::journal::Journal;

type Result<T> = std::result::Result<T, StorageError<u64>>;

#[derive(Clone)]
pub struct Log {
    journal: Journal,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    /// Those behind `purged`, without gaps.
    entries: VecDeque<Entry<Types>>,
}

impl Inner {
    /// How many entries are before this index.
    fn before(&self, index: u64) -> usize {
        let first = self.entries.front().map_or(0, |entry| entry.log_id.index);
        (index.saturating_sub(first) as usize).min(self.entries.len())
    }
}

impl Log {
    pub fn new(journal: Journal) -> Log {
        Log { journal, inner: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panicked")
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>> {
        let inner = self.lock();
        let from = match range.start_bound() {
            Bound::Included(index) => inner.before(*index),
            Bound::Excluded(index) => inner.before(index + 1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => inner.before(index + 1),
            Bound::Excluded(index) => inner.before(*index),
            Bound::Unbounded => inner.entries.len(),
        };
        Ok(inner.entries.range(from..to.max(from)).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>> {
        let inner = self.lock();
        let last = inner.entries.back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: inner.purged, last_log_id: last.or(inner.purged) })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<()> {
        self.journal.append(&[&vote.leader_id.term.to_le_bytes()]);
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>> {
        Ok(self.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, flushed: LogFlushed<Types>) -> Result<()>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut inner = self.lock();
        let from = inner.entries.len();
        inner.entries.extend(entries);
        let new = inner.entries.range(from..).map(|entry| bytes_of(&entry.payload));
        self.journal.append_entries(from as u64, new);
        drop(inner);
        self.journal.sync(|| flushed.log_io_completed(Ok(())));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<()> {
        let mut inner = self.lock();
        let kept = inner.before(from.index);
        inner.entries.truncate(kept);
        Ok(())
    }

    async fn purge(&mut self, through: LogId<u64>) -> Result<()> {
        let mut inner = self.lock();
        let purged = inner.before(through.index + 1);
        inner.entries.drain(..purged);
        inner.purged = Some(through);
        Ok(())
    }
}

fn bytes_of(payload: &EntryPayload<Types>) -> &[u8] {
    match payload {
        EntryPayload::Normal(command) => command,
        _ => &[],
    }
}

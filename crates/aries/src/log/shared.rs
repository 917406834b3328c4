//! A log that threads share: group commit.
//!
//! # Who writes
//!
//! There is no thread of the log's own. Whoever needs his record durable and finds nobody writing becomes the *leader*:
//! he takes the batch, lets go of the log, writes, syncs, and wakes whom that served. Meanwhile the others append to the
//! other of two batches, and wait. One of them leads next. So appending never waits for the disk, and one sync serves all
//! who came while the one before was under way.
//!
//! # Who is woken
//!
//! Waiters of even and of odd batches are kept apart, so that a batch that has become durable wakes its own, all of them, and of
//! the next ones a single one, before all others: the next leader. A thread that is woken looks at the durable LSN and goes its way. It takes no
//! lock: threads that all need the same one would wake each other, one by one.
//!
//! # Futures
//!
//! A poll must not block, so a future ([`SharedLog::wait`]) never leads. Who drives futures does: a round of his executor
//! ends with [`SharedLog::serve`], which writes what they wait for unless a thread is writing already. That is group commit
//! as well: whatever the tasks of one round appended goes out together. A leader that was a thread wakes, besides the futures
//! that he served, the first of the others, so that an executor that sleeps has a round, and serves.

mod bell;
mod lead;
mod tail;
mod turns;
mod wait;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use bytes::Bytes;
use ombak_base::Disk;
use parking_lot::{Condvar, Mutex, MutexGuard};

pub use tail::Tail;
pub use wait::Wait;

use bell::Bell;
use tail::Room;
use turns::{BELLS, Next, Turns};
use wait::Wakers;

use super::batch::Batch;
use super::format::BLOCK;
use super::lookup::Piece;
use super::segments::{Chore, Segments};
use super::streams::Streams;

use super::{BATCH_BYTES_MAX, CommitLog, LogError, Lsn, Options, Place, Recovery, StreamId};

/// A commit log for any number of threads. Clones are handles of the same one.
pub struct SharedLog<D: Disk>(Arc<Inner<D>>);

struct Inner<D: Disk> {
    end: Mutex<End>,
    /// Whoever leads has it; readers of the files, too.
    files: Mutex<Segments<D>>,
    /// Everything up to here is durable.
    durable: AtomicU64,
    /// Bytes in use, when the files were looked at last.
    used: AtomicU64,
    /// Where those wait who need the disk to be done with the batch that it has.
    written: Condvar,
    /// Where waiters of even and odd batches wait.
    served: [Bell; BELLS],
    record_bytes_max: u64,
    capacity: u64,
}

/// Where records are appended.
struct End {
    batch: Batch,
    /// Who writes and who is woken.
    turns: Turns,
    /// The other batch, while nobody writes it.
    spare: Option<Batch>,
    /// A batch that the disk had no room for: written before any other.
    stuck: VecDeque<Batch>,
    streams: Streams,
    room: Room,
    /// Futures that wait.
    wakers: Wakers<Waker>,
}

impl<D: Disk> Clone for SharedLog<D> {
    fn clone(&self) -> SharedLog<D> {
        SharedLog(self.0.clone())
    }
}

impl<D: Disk> fmt::Debug for SharedLog<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedLog up to {:?}", self.durable())
    }
}

impl<D: Disk> From<CommitLog<D>> for SharedLog<D> {
    fn from(log: CommitLog<D>) -> SharedLog<D> {
        let (record_bytes_max, capacity) = (log.record_bytes_max(), log.capacity());
        let CommitLog { segments, mut batch, streams, poisoned } = log;
        let incarnation = segments.incarnation;
        // What was appended and not synced would be in nobody's batch.
        let next = batch.next_lsn();
        let stuck = match batch.is_empty() {
            true => VecDeque::new(),
            false => VecDeque::from([std::mem::replace(&mut batch, Batch::new(next, incarnation))]),
        };
        let used = segments.used_bytes(streams.low_water());
        let durable = stuck.front().map_or(batch.lsn(), Batch::lsn).0 - 1;
        let end = End {
            batch,
            turns: Turns::poisoned(poisoned),
            spare: Some(Batch::new(next, incarnation)),
            stuck,
            room: Room::of(&segments),
            streams,
            wakers: Wakers::default(),
        };
        SharedLog(Arc::new(Inner {
            end: Mutex::new(end),
            files: Mutex::new(segments),
            durable: AtomicU64::new(durable),
            used: AtomicU64::new(used),
            written: Condvar::new(),
            served: Default::default(),
            record_bytes_max,
            capacity,
        }))
    }
}

impl<D: Disk> SharedLog<D> {
    /// Opens a log: see [`CommitLog::open`].
    pub fn open(
        disk: D,
        dir: &str,
        options: Options,
        replay: impl FnMut(StreamId, Lsn, Bytes),
    ) -> Result<(SharedLog<D>, Recovery), LogError> {
        let (log, recovery) = CommitLog::open(disk, dir, options, replay)?;
        Ok((log.into(), recovery))
    }

    /// Adds a record, whose payload is `parts` one after the other, to the batch that is written next. It becomes durable
    /// with the next [`force`](SharedLog::force) of anybody.
    pub fn append(&self, stream: StreamId, parts: &[&[u8]]) -> Result<Lsn, LogError> {
        self.hold().append(stream, parts)
    }

    /// Holds the end of the log: what is appended through the answer is consecutive.
    pub fn hold(&self) -> Tail<'_, D> {
        Tail { log: &self.0, end: self.0.end.lock() }
    }

    /// Blocks until everything up to `lsn` is durable. An LSN that was not given yet is as good as the last one that was.
    pub fn force(&self, lsn: Lsn) -> Result<(), LogError> {
        if self.durable() >= lsn {
            return Ok(());
        }
        let inner = &*self.0;
        let mut end = inner.end.lock();
        let lsn = lsn.min(Lsn(end.batch.next_lsn().0 - 1));
        loop {
            match end.turns.next(lsn, self.durable(), end.batch.lsn()) {
                Next::Served => return Ok(()),
                Next::Poisoned => return Err(LogError::Poisoned),
                Next::Lead => inner.lead(&mut end)?,
                Next::Wait { bell } => {
                    let bell = &inner.served[bell];
                    let rung = bell.rung();
                    drop(end);
                    bell.wait(rung);
                    if self.durable() >= lsn {
                        return Ok(());
                    }
                    // Leads next, or hears of a failure, or was woken by somebody else and waits again.
                    end = inner.end.lock();
                }
            }
        }
    }

    /// Makes everything durable that was appended so far.
    pub fn sync(&self) -> Result<Lsn, LogError> {
        let last = Lsn(self.next_lsn().0 - 1);
        self.force(last)?;
        Ok(self.durable())
    }

    /// Everything up to here is durable.
    pub fn durable(&self) -> Lsn {
        Lsn(self.0.durable.load(Ordering::Acquire))
    }

    /// Whether everything up to `lsn` is durable; `None`: not yet. Waits for nothing, and makes nobody write.
    pub fn poll(&self, lsn: Lsn) -> Option<Result<(), LogError>> {
        if self.durable() >= lsn {
            return Some(Ok(()));
        }
        self.0.end.lock().turns.is_poisoned().then_some(Err(LogError::Poisoned))
    }

    /// As [`force`](SharedLog::force), for tasks: [`LogError::Poisoned`] is the only error. Never writes: see
    /// [`serve`](SharedLog::serve).
    pub fn wait(&self, lsn: Lsn) -> Wait<D> {
        let last = Lsn(self.next_lsn().0 - 1);
        Wait::new(self.clone(), lsn.min(last))
    }

    /// Writes what futures wait for, if any does and nobody writes: a round of an executor ends with it. Takes as long as a
    /// sync. `false`: there was nothing to do. After [`LogError::Full`] the futures still wait: raise a mark, and call it
    /// again.
    pub fn serve(&self) -> Result<bool, LogError> {
        let mut end = self.0.end.lock();
        if end.turns.is_leading() || end.turns.is_poisoned() || end.wakers.is_empty() {
            return Ok(false);
        }
        self.0.lead(&mut end).map(|()| true)
    }

    /// The LSN that the next record will get.
    pub fn next_lsn(&self) -> Lsn {
        self.0.end.lock().batch.next_lsn()
    }

    /// One record by its LSN, durable or not.
    pub fn read(&self, lsn: Lsn) -> Result<(StreamId, Bytes), LogError> {
        if lsn > self.durable() {
            let end = self.0.end.lock();
            // What the disk had no room for is taken back all the same.
            let waiting = end.stuck.iter().chain([&end.batch]);
            if let Some((stream, payload)) = waiting.into_iter().find_map(|batch| batch.record(lsn))
            {
                return Ok((stream, Bytes::copy_from_slice(payload)));
            }
            if lsn >= end.batch.next_lsn() {
                return Err(LogError::Gone { lsn });
            }
            drop(end);
            self.force(lsn)?; // It is on its way.
        }
        self.0.files.lock().read(lsn)
    }

    /// Where a record stands, for people.
    pub(crate) fn place_of(&self, lsn: Lsn) -> Place {
        self.0.files.lock().place_of(lsn)
    }

    /// Where the log ends, for people.
    pub(crate) fn end(&self) -> Place {
        let files = self.0.files.lock();
        let (file, offset) = files
            .live
            .back()
            .map_or((files.dir.clone(), 0), |segment| (segment.path.clone(), segment.end));
        Place { file, offset }
    }

    /// Calls `f` with each record from `from` on that is durable now, in order, until it fails. Damaged ones are left out.
    /// The files are held while a piece of about 1 MiB is read, not while `f` is called: it may use the log. Segments
    /// that are used again meanwhile are left out, so who needs all of them keeps a mark.
    pub fn scan<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(Lsn, StreamId, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (lsn, stream, payload) in self.pieces(from).flat_map(Piece::into_records) {
            f(lsn, stream, &payload)?;
        }
        Ok(())
    }

    /// The same, a piece at a time, and not looked at yet.
    pub(crate) fn pieces(&self, from: Lsn) -> impl Iterator<Item = Piece> {
        let last = self.durable();
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let at = next.filter(|at| *at <= last)?;
            let piece = self.0.files.lock().piece(at, last)?;
            next = piece.next;
            Some(piece)
        })
    }

    /// Calls `f` with each record from `from` (or the last durable one) down to the oldest that the log has, until it fails.
    /// Otherwise as [`scan`](SharedLog::scan), but for the piece, which is a batch.
    pub fn scan_back<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(Lsn, StreamId, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = from.min(self.durable());
        while at > Lsn(0) {
            let Some(piece) = self.0.files.lock().piece_back(at) else { return Ok(()) };
            for (lsn, stream, payload) in piece.records.iter().rev() {
                if *lsn <= at {
                    f(*lsn, *stream, payload)?;
                }
            }
            at = Lsn(piece.first.0.saturating_sub(1));
        }
        Ok(())
    }

    /// The stream needs nothing below: see [`CommitLog::set_mark`].
    pub fn set_mark(&self, stream: StreamId, lsn: Lsn) {
        let mut end = self.0.end.lock();
        end.streams.set_mark(stream, lsn);
        drop(end);
        self.0.look();
    }

    /// Does a bounded piece of what would otherwise delay a sync: see [`CommitLog::tidy`]. Nobody waits for it meanwhile.
    pub fn tidy(&self) -> Result<bool, LogError> {
        let end = self.0.end.lock();
        if end.turns.is_poisoned() {
            return Err(LogError::Poisoned);
        }
        let low_water = end.low_water();
        drop(end);
        let mut files = self.0.files.lock();
        files.reclaim(low_water);
        let more = match files.next_chore()? {
            Chore::None => false,
            Chore::Done => true,
            Chore::Zero(place) => {
                // Milliseconds: whoever leads must not wait for them.
                let (mut spare, bytes) = (files.spares.swap_remove(place), files.bytes);
                files.out += 1;
                let zeroed = MutexGuard::unlocked(&mut files, || spare.zero_some(bytes));
                files.out -= 1;
                files.spares.push(spare);
                zeroed?
            }
        };
        drop(files);
        self.0.look();
        Ok(more)
    }

    /// Bytes of segments that hold what some stream still needs.
    pub fn used_bytes(&self) -> u64 {
        let low_water = self.0.end.lock().low_water();
        self.0.files.lock().used_bytes(low_water)
    }

    /// The same, when the files were looked at last: by a write, or when a mark was raised. Waits for nobody.
    pub fn used_bytes_lately(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes of all batches since it was opened, as they were written: records, headers, and what fills the last block.
    pub fn written_bytes(&self) -> u64 {
        self.0.files.lock().written_bytes
    }

    /// The bound of [`used_bytes`](SharedLog::used_bytes).
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// The largest payload of a record.
    pub fn record_bytes_max(&self) -> u64 {
        self.0.record_bytes_max
    }

    pub(super) fn files(&self) -> MutexGuard<'_, Segments<D>> {
        self.0.files.lock()
    }

    /// Segments may have become free.
    pub(super) fn recount(&self) {
        self.0.look();
    }

    /// The stream that reaches back farthest, and to where.
    pub fn oldest_needed(&self) -> Option<(StreamId, Lsn)> {
        self.0.end.lock().streams.oldest()
    }
}

#[cfg(test)]
mod tests;

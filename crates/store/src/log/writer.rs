//! The half of the `log` backend that makes things durable: one per node, for all shards.
//!
//! # What is where
//!
//! A record goes from the device's chunk into the commit log's buffer, is synced there with everything else of the
//! batch, and is then *gathered*: kept here (the same bytes, shared) until 256 KiB of its vnode have come together, or
//! a checkpoint wants it, and then written to the vnode's file with one vectored write. Its memory is free when the
//! device has heard of that. The file is synced only by a checkpoint, which then raises the stream's mark.
//!
//! # When `tidy` has nothing to do
//!
//! A small tail stays in memory and in the commit log: writing it early would cost a write each time and gain
//! nothing, for the log has it. So `tidy` answers `false` as soon as no vnode has gathered `flush_bytes`, all together
//! not more than `memory_bytes_max`, the log is not over half full, and less than `checkpoint_bytes` came since the
//! last checkpoint. An idle node writes nothing.
//!
//! # When there is no room
//!
//! What was handed over and is not durable *waits* here, in order: records that the log has no segment for, and the
//! stamps of their shards. The next call begins where this one stopped, so nothing is appended twice. What is gathered
//! stays gathered. See `room` for what may be tried again and what may not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use ombak_aries::{CommitLog, LogError, Lsn, StreamId};
use ombak_base::{Disk, DiskFile, Partition, ShardId, Stamp, Writer, WriterUsage};

use super::behind::{Behind, Written};
use super::commit::{Append, GivenUp, LogCommit, LogNotice, Notice, bytes_head};
use super::options::Options;
use super::room::{Room, Stop};
use super::shard_of;
use super::snapshot::Making;
use super::strand::Kind;
use super::tidy::Dropping;

/// Writes the commit log and the vnodes' files. Made by [`log::open`](super::open) with its [`LogDevice`]s.
///
/// After the first error of [`write`](Writer::write), [`tidy`](Writer::tidy) or
/// [`checkpoint`](LogWriter::checkpoint) every later call fails: what was not durable may or may not be found by the
/// next `open`. Devices go on answering reads. That the disk is full is no error.
///
/// [`LogDevice`]: super::LogDevice
pub struct LogWriter<D: Disk> {
    pub(super) disk: D,
    pub(super) log: CommitLog<D>,
    pub(super) options: Options,
    shards: u16,
    pub(super) vnodes: BTreeMap<Partition, Behind<D::File>>,
    /// Handed over, not known to be durable.
    waiting: Waiting,
    room: Room,
    /// The last piece of tidying found no room.
    is_stuck: bool,
    /// Handed to the commit log, not known to be durable.
    batch: VecDeque<(Lsn, Append)>,
    /// Vnodes that have gathered enough for a write.
    pub(super) ready: BTreeSet<Partition>,
    /// Files that are not needed any more, still to be removed.
    pub(super) dropping: BTreeMap<Partition, Dropping>,
    /// The first file of each vnode of which something was given up.
    pub(super) firsts: BTreeMap<Partition, u32>,
    pub(super) gathered_bytes: u64,
    pub(super) since_checkpoint_bytes: u64,
    /// The vnode that a checkpoint, if one is under way, comes to next.
    pub(super) checkpoint: Option<Partition>,
    pub(super) poisoned: bool,
    pub(super) snapshot: Option<Box<Making<D>>>,
    /// Totals since the start.
    pub(super) done: Done,
}

/// What the writer has done since the start.
#[derive(Default)]
pub(super) struct Done {
    written_bytes: u64,
    /// Of large values, which are not in the log.
    large_bytes: u64,
    pub(super) checkpoints: u64,
    pub(super) files_removed: u64,
}

/// What devices have handed over and have not been told of.
#[derive(Default)]
struct Waiting {
    /// What the log does not have yet.
    appends: VecDeque<Append>,
    drops: Vec<(Partition, GivenUp)>,
    /// What each shard hears once all of it is durable.
    stamps: BTreeMap<ShardId, Stamp>,
}

impl Waiting {
    fn take(&mut self, commits: Vec<(ShardId, LogCommit)>) {
        for (shard, commit) in commits {
            self.appends.extend(commit.appends);
            self.drops.extend(commit.drops);
            self.stamps.insert(shard, commit.last);
        }
    }
}

/// What [`LogWriter`] hands back, with the shards that it is for.
pub(super) type Notices<D> = Vec<(ShardId, LogNotice<<D as Disk>::File>)>;

impl<D: Disk> LogWriter<D> {
    pub(crate) fn new(disk: D, log: CommitLog<D>, options: Options, shards: u16) -> LogWriter<D> {
        let mut room = Room::new(options.reserve_bytes);
        room.ask(&disk);
        LogWriter {
            disk,
            log,
            options,
            shards,
            vnodes: BTreeMap::new(),
            waiting: Waiting::default(),
            room,
            is_stuck: false,
            batch: VecDeque::new(),
            ready: BTreeSet::new(),
            dropping: BTreeMap::new(),
            firsts: BTreeMap::new(),
            gathered_bytes: 0,
            since_checkpoint_bytes: 0,
            checkpoint: None,
            poisoned: false,
            snapshot: None,
            done: Done::default(),
        }
    }

    pub(crate) fn adopt(&mut self, partition: Partition, first: u32, behind: Behind<D::File>) {
        self.vnodes.insert(partition, behind);
        if first > 0 {
            self.firsts.insert(partition, first);
        }
    }

    /// These files are not needed, now that all that was written so far is durable.
    pub(crate) fn will_drop(&mut self, partition: Partition, drop: GivenUp) {
        let dropping = self.dropping.entry(partition).or_default();
        match drop {
            GivenUp::Before(file) => dropping.before = dropping.before.max(file),
            GivenUp::Large(file) => {
                dropping.larges.insert(file);
            }
        }
    }

    /// So much of the log belongs to no checkpoint yet.
    pub(crate) fn owes(&mut self, bytes: u64) {
        self.since_checkpoint_bytes += bytes;
    }

    /// Puts everything into the vnodes' files, syncs them and empties the commit log: before a clean stop, so that
    /// the next start has nothing to replay. Takes as long as it takes. `false`: there was no room for all of it.
    pub fn checkpoint(&mut self, notices: &mut Notices<D>) -> io::Result<bool> {
        let done = self.guarded(|writer| {
            writer.begin_checkpoint();
            while writer.checkpoint.is_some() {
                writer.checkpoint_some(notices)?;
            }
            writer.sync_log(notices)
        });
        unless_full(done.map(|()| true))
    }

    /// The vnode that comes after this one.
    pub(super) fn vnode_behind(&self, partition: Partition) -> Option<Partition> {
        let after = partition.0.checked_add(1).map(Partition)?;
        self.vnodes.range(after..).next().map(|(partition, _)| *partition)
    }

    /// Bytes that are durable in the commit log and kept in memory because no vnode's file has them.
    pub fn gathered_bytes(&self) -> u64 {
        self.gathered_bytes
    }

    /// Bytes of the commit log that cannot be reused yet, and how many there are in all.
    pub fn log_bytes(&self) -> (u64, u64) {
        (self.log.used_bytes(), self.log.capacity())
    }

    /// After a failure, nothing is tried again.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.poisoned {
            let poisoned = "the store is poisoned: an earlier write or sync failed";
            return Err(Stop::Failed(io::Error::other(poisoned)));
        }
        let result = act(self);
        self.poisoned = matches!(result, Err(Stop::Failed(_)));
        if self.poisoned {
            self.end_snapshot();
        }
        result
    }

    /// Makes durable what waits, from where the last call had come to.
    fn write_waiting(&mut self, notices: &mut Notices<D>) -> Result<(), Stop> {
        self.write_large(notices)?;
        while let Some(append) = self.waiting.appends.pop_front() {
            match self.append(&append, notices) {
                Ok(lsn) => self.batch.push_back((lsn, append)),
                Err(stop) => {
                    self.waiting.appends.push_front(append);
                    return Err(stop);
                }
            }
        }
        self.sync_log(notices)?;
        let Waiting { drops, stamps, .. } = std::mem::take(&mut self.waiting);
        drops.into_iter().for_each(|(partition, drop)| self.will_drop(partition, drop));
        let heard = stamps.into_iter();
        notices.extend(heard.map(|(shard, stamp)| (shard, LogNotice(Notice::Durable(stamp)))));
        Ok(())
    }

    /// Large values are in their files, synced, before the log says where they are. Those of a call that found no room
    /// are all written again: what it had written was not synced.
    fn write_large(&mut self, notices: &mut Notices<D>) -> Result<(), Stop> {
        let mut written: BTreeMap<(Partition, u32), Written<D::File>> = BTreeMap::new();
        for append in &self.waiting.appends {
            let Some(value) = &append.large else { continue };
            let partition = append.partition;
            let behind = self.vnodes.entry(partition).or_insert_with(|| Behind::new(partition));
            written.insert((partition, value.at.0), behind.write_large(&self.disk, value)?);
            self.done.large_bytes += value.bytes.len() as u64;
        }
        for ((partition, _), file) in written {
            file.handle.sync()?;
            if let Some(behind) = self.vnodes.get_mut(&partition) {
                behind.sync_names(&self.disk)?;
            }
            self.notice(partition, Kind::Large, file, notices);
        }
        self.waiting.appends.iter_mut().for_each(|append| append.large = None);
        Ok(())
    }

    fn append(&mut self, append: &Append, notices: &mut Notices<D>) -> Result<Lsn, Stop> {
        let head = bytes_head(append.file, append.offset);
        let stream = StreamId(append.partition.0);
        let parts = [&head, &append.bytes[..]];
        let lsn = match self.log.append(stream, &parts) {
            Err(LogError::Full) => {
                self.make_room(notices)?;
                self.log.append(stream, &parts)
            }
            other => other,
        };
        let lsn = lsn?;
        self.since_checkpoint_bytes += append.bytes.len() as u64;
        self.done.written_bytes += append.bytes.len() as u64;
        Ok(lsn)
    }

    fn sync_log(&mut self, notices: &mut Notices<D>) -> Result<(), Stop> {
        let synced = match self.log.sync() {
            Err(LogError::Full) => {
                self.make_room(notices)?;
                self.log.sync()
            }
            other => other,
        };
        synced?;
        self.gather();
        Ok(())
    }

    fn look_for_room(&mut self) {
        self.room.look(&self.disk, self.done.written_bytes + self.done.large_bytes);
    }

    /// What is durable in the commit log may go to files from now on, and not before.
    pub(super) fn gather(&mut self) {
        let durable = self.log.durable();
        while self.batch.front().is_some_and(|(lsn, _)| *lsn <= durable) {
            let Some((_, append)) = self.batch.pop_front() else { break };
            let Append { partition, file, offset, bytes, .. } = append;
            let behind = self.vnodes.entry(partition).or_insert_with(|| Behind::new(partition));
            self.gathered_bytes += bytes.len() as u64;
            behind.gather((file, offset.into()), bytes);
            if behind.gathered_bytes() >= self.options.flush_bytes {
                self.ready.insert(partition);
            }
        }
    }

    pub(super) fn notice(
        &self,
        partition: Partition,
        kind: Kind,
        written: Written<D::File>,
        notices: &mut Notices<D>,
    ) {
        let Written { upto, handle } = written;
        let notice = LogNotice(Notice::Flushed { partition, kind, upto, handle });
        notices.push((shard_of(partition, self.shards), notice));
    }
}

impl<D: Disk> Writer for LogWriter<D> {
    type Commit = LogCommit;
    type Notice = LogNotice<D::File>;

    fn write(
        &mut self,
        commits: Vec<(ShardId, LogCommit)>,
        notices: &mut Notices<D>,
    ) -> io::Result<()> {
        let is_question = commits.is_empty();
        self.waiting.take(commits);
        let done = self.guarded(|writer| writer.write_waiting(notices));
        match is_question {
            true => self.room.ask(&self.disk),
            false => self.look_for_room(),
        }
        unless_full(done)
    }

    fn tidy(&mut self, notices: &mut Notices<D>) -> io::Result<bool> {
        let done = self.guarded(|writer| writer.tidy_some(notices));
        self.is_stuck = matches!(done, Err(Stop::Full));
        if self.is_stuck {
            // Nothing can be written, but files that nobody needs can go.
            unless_full(self.guarded(Self::drop_files))?;
        }
        self.look_for_room();
        unless_full(done)
    }

    fn is_full(&self) -> bool {
        self.room.is_low() || self.is_stuck || !self.waiting.stamps.is_empty()
    }

    fn usage(&self) -> WriterUsage {
        let (log_used_bytes, log_bytes_max) = self.log_bytes();
        WriterUsage {
            log_used_bytes,
            log_bytes_max,
            log_written_bytes: self.done.written_bytes,
            gathered_bytes: self.gathered_bytes,
            checkpoints: self.done.checkpoints,
            files_removed: self.done.files_removed,
        }
    }
}

/// Want of room is no error. It leaves nothing to do before there is some.
fn unless_full<T: Default>(done: Result<T, Stop>) -> io::Result<T> {
    match done {
        Ok(done) => Ok(done),
        Err(Stop::Full) => Ok(T::default()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

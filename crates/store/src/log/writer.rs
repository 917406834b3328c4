//! The half of the `log` backend that makes things durable: one per node, for all shards.
//!
//! # What is where
//!
//! A record goes from the device's chunk into the commit log's buffer, is synced there with everything else of the
//! batch, and is then *gathered*: kept here (the same bytes, shared) until 64 KiB of its vnode have come together, or
//! a checkpoint wants it, and then written to the vnode's file with one vectored write. Its memory is free when the
//! device has heard of that. The file is synced only by a checkpoint, which then raises the stream's mark.
//!
//! # When `tidy` has nothing to do
//!
//! A small tail stays in memory and in the commit log: writing it early would cost a write each time and gain
//! nothing, for the log has it. So `tidy` answers `false` as soon as no vnode has gathered `flush_bytes`, all together
//! not more than `memory_bytes_max`, the log is not over half full, and less than `checkpoint_bytes` came since the
//! last checkpoint. An idle node writes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use ombak_aries::{CommitLog, LogError, Lsn, StreamId};
use ombak_base::{Disk, DiskFile, Partition, ShardId, Stamp, Writer, WriterUsage};

use super::behind::{Behind, Written};
use super::commit::{Append, GivenUp, LogCommit, LogNotice, Notice, bytes_head, end_record};
use super::manifest;
use super::options::Options;
use super::shard_of;
use super::snapshot::{Making, Snapshot, SnapshotError};
use super::strand::Kind;

/// Writes the commit log and the vnodes' files. Made by [`log::open`](super::open) with its [`LogDevice`]s.
///
/// After the first error of [`write`](Writer::write), [`tidy`](Writer::tidy) or
/// [`checkpoint`](LogWriter::checkpoint) every later call fails: what was not durable may or may not be found by the
/// next `open`. Devices go on answering reads.
///
/// [`LogDevice`]: super::LogDevice
pub struct LogWriter<D: Disk> {
    disk: D,
    log: CommitLog<D>,
    options: Options,
    shards: u16,
    vnodes: BTreeMap<Partition, Behind<D::File>>,
    /// Handed to the commit log, not known to be durable.
    batch: VecDeque<(Lsn, Append)>,
    /// Vnodes that have gathered enough for a write.
    ready: BTreeSet<Partition>,
    /// Files that are not needed any more, still to be removed.
    dropping: BTreeMap<Partition, Dropping>,
    /// The first file of each vnode of which something was given up.
    firsts: BTreeMap<Partition, u32>,
    gathered_bytes: u64,
    since_checkpoint_bytes: u64,
    /// The vnode that a checkpoint, if one is under way, comes to next.
    checkpoint: Option<Partition>,
    poisoned: bool,
    snapshot: Option<Box<Making<D>>>,
    /// Totals since the start.
    done: Done,
}

/// What the writer has done since the start.
#[derive(Default)]
struct Done {
    written_bytes: u64,
    checkpoints: u64,
    files_removed: u64,
}

/// Files of so many vnodes are removed together while there is other work: noting where vnodes begin takes syncs.
const DROPS_AT_ONCE: usize = 32;

/// The files of one vnode that are to be removed.
#[derive(Default)]
struct Dropping {
    /// Those of records before this one.
    before: u32,
    /// These of large values.
    larges: BTreeSet<u32>,
}

/// What [`LogWriter`] hands back, with the shards that it is for.
type Notices<D> = Vec<(ShardId, LogNotice<<D as Disk>::File>)>;

impl<D: Disk> LogWriter<D> {
    pub(crate) fn new(disk: D, log: CommitLog<D>, options: Options, shards: u16) -> LogWriter<D> {
        LogWriter {
            disk,
            log,
            options,
            shards,
            vnodes: BTreeMap::new(),
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
    /// the next start has nothing to replay. Takes as long as it takes.
    pub fn checkpoint(&mut self, notices: &mut Notices<D>) -> io::Result<()> {
        self.guarded(|writer| {
            writer.begin_checkpoint();
            while writer.checkpoint.is_some() {
                writer.checkpoint_some(notices)?;
            }
            writer.sync_log(notices)
        })
    }

    /// Begins to copy everything that is durable into a directory of its own, which another node can be started on.
    /// [`tidy`](Writer::tidy) goes on with it. A failure of the copy is told, and is none of the store.
    pub fn begin_snapshot(&mut self, wanted: Snapshot) {
        if self.poisoned {
            let why = "storage has failed: a copy of it would lack what was acknowledged";
            return (wanted.done)(Err(SnapshotError::Impossible(why)));
        }
        if self.snapshot.is_some() {
            return (wanted.done)(Err(SnapshotError::Busy));
        }
        let first = self.vnodes.first_key_value().map(|(partition, _)| *partition);
        match Making::begin(&self.disk, wanted, first) {
            Ok(making) => self.snapshot = Some(Box::new(making)),
            Err((wanted, error)) => (wanted.done)(Err(error)),
        }
    }

    /// Goes on with a snapshot. What fails of the copy ends it; what fails of the store is an error.
    fn snapshot_some(
        &mut self,
        mut making: Box<Making<D>>,
        notices: &mut Notices<D>,
    ) -> io::Result<()> {
        let step = match making.due() {
            Some(partition) => {
                self.settle(partition, notices)?;
                let end = self.vnodes.get(&partition).map_or((0, 0), Behind::end);
                let first = self.firsts.get(&partition).copied().unwrap_or(0);
                let next = self.vnode_behind(partition);
                making.take(&self.disk, partition, first, end, next).map(|()| false)
            }
            None => making.go_on(&self.disk),
        };
        match step {
            Ok(false) => self.snapshot = Some(making),
            Ok(true) => making.end(Ok(())),
            Err(error) => making.end(Err(error)),
        }
        Ok(())
    }

    fn vnode_behind(&self, partition: Partition) -> Option<Partition> {
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

    /// After an error, nothing is tried again.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.poisoned {
            return Err(io::Error::other("the store is poisoned: an earlier write or sync failed"));
        }
        let result = act(self);
        self.poisoned = result.is_err();
        if self.poisoned
            && let Some(making) = self.snapshot.take()
        {
            making.end(Err(io::Error::other("storage has failed meanwhile")));
        }
        result
    }

    fn write_all(
        &mut self,
        commits: Vec<(ShardId, LogCommit)>,
        notices: &mut Notices<D>,
    ) -> io::Result<()> {
        let mut durable: BTreeMap<ShardId, Stamp> = BTreeMap::new();
        self.write_large(&commits, notices)?;
        let mut drops = Vec::new();
        for (shard, commit) in commits {
            durable.insert(shard, commit.last);
            drops.extend(commit.drops);
            for append in commit.appends {
                self.append(append, notices)?;
            }
        }
        self.sync_log(notices)?;
        drops.into_iter().for_each(|(partition, drop)| self.will_drop(partition, drop));
        let heard = durable.into_iter();
        notices.extend(heard.map(|(shard, stamp)| (shard, LogNotice(Notice::Durable(stamp)))));
        Ok(())
    }

    /// Large values are in their files, synced, before the log says where they are.
    fn write_large(
        &mut self,
        commits: &[(ShardId, LogCommit)],
        notices: &mut Notices<D>,
    ) -> io::Result<()> {
        let mut written: BTreeMap<(Partition, u32), Written<D::File>> = BTreeMap::new();
        for append in commits.iter().flat_map(|(_, commit)| &commit.appends) {
            let Some(value) = &append.large else { continue };
            let partition = append.partition;
            let behind = self.vnodes.entry(partition).or_insert_with(|| Behind::new(partition));
            written.insert((partition, value.at.0), behind.write_large(&self.disk, value)?);
        }
        for ((partition, _), file) in written {
            file.handle.sync()?;
            if let Some(behind) = self.vnodes.get_mut(&partition) {
                behind.sync_names(&self.disk)?;
            }
            self.notice(partition, Kind::Large, file, notices);
        }
        Ok(())
    }

    fn append(&mut self, append: Append, notices: &mut Notices<D>) -> io::Result<()> {
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
        let lsn = lsn.map_err(io::Error::other)?;
        self.since_checkpoint_bytes += append.bytes.len() as u64;
        self.done.written_bytes += append.bytes.len() as u64;
        self.batch.push_back((lsn, append));
        Ok(())
    }

    fn sync_log(&mut self, notices: &mut Notices<D>) -> io::Result<()> {
        let synced = match self.log.sync() {
            Err(LogError::Full) => {
                self.make_room(notices)?;
                self.log.sync()
            }
            other => other,
        };
        synced.map_err(io::Error::other)?;
        self.gather();
        Ok(())
    }

    /// What is durable in the commit log may go to files from now on, and not before.
    fn gather(&mut self) {
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

    /// The log is full, because checkpoints lagged behind: does a whole one, now. Slow, and correct. Of the batch
    /// that found it full, some may be durable already (the log writes large batches in pieces); the rest stays in
    /// the log's buffer.
    fn make_room(&mut self, notices: &mut Notices<D>) -> io::Result<()> {
        self.gather();
        let needed_from = Lsn(self.log.durable().0 + 1);
        let partitions: Vec<Partition> = self.vnodes.keys().copied().collect();
        for partition in partitions {
            self.settle(partition, notices)?;
            self.log.set_mark(StreamId(partition.0), needed_from);
        }
        self.checkpoint = None;
        self.since_checkpoint_bytes = 0;
        Ok(())
    }

    fn begin_checkpoint(&mut self) {
        self.done.checkpoints += 1;
        self.since_checkpoint_bytes = 0;
        self.checkpoint = self.vnodes.first_key_value().map(|(partition, _)| *partition);
    }

    /// Checkpoints vnodes until one of them had something to sync.
    fn checkpoint_some(&mut self, notices: &mut Notices<D>) -> io::Result<()> {
        while let Some(partition) = self.checkpoint {
            self.checkpoint = self.vnode_behind(partition);
            let was_settled = self.vnodes.get(&partition).is_none_or(Behind::is_settled);
            self.settle(partition, notices)?;
            self.mark(partition)?;
            if !was_settled {
                break;
            }
        }
        Ok(())
    }

    /// Puts everything that is gathered for a vnode into its files, and syncs them.
    fn settle(&mut self, partition: Partition, notices: &mut Notices<D>) -> io::Result<()> {
        self.flush(partition, notices)?;
        match self.vnodes.get_mut(&partition) {
            Some(behind) => behind.sync(&self.disk),
            None => Ok(()),
        }
    }

    /// Removes the files that are not needed. What was moved out of them is durable in the log. First it is noted where
    /// each vnode begins now, which also tells a replay what to pass over.
    fn drop_files(&mut self) -> io::Result<()> {
        let dropping = std::mem::take(&mut self.dropping);
        let mut is_new = false;
        for (partition, Dropping { before, .. }) in &dropping {
            let first = self.firsts.get(partition).copied().unwrap_or(0);
            if *before > first {
                self.firsts.insert(*partition, *before);
                is_new = true;
            }
        }
        if is_new {
            manifest::write(&self.disk, &self.firsts)?;
        }
        for (partition, Dropping { before, larges }) in dropping {
            if let Some(behind) = self.vnodes.get_mut(&partition) {
                self.done.files_removed += behind.remove_files(&self.disk, before, &larges)?;
            }
        }
        Ok(())
    }

    /// Says in the log how far a settled vnode reaches, and that it needs nothing before that. Where there is no
    /// room to say it, the vnode merely cannot prove that later damage to the log is none of its own.
    fn mark(&mut self, partition: Partition) -> io::Result<()> {
        let Some(behind) = self.vnodes.get(&partition) else { return Ok(()) };
        let (file, offset) = behind.end();
        let stream = StreamId(partition.0);
        match self.log.append(stream, &[&end_record(file, offset as u32)]) {
            Ok(lsn) => self.log.set_mark(stream, lsn),
            Err(LogError::Full) => self.log.set_mark(stream, Lsn(self.log.durable().0 + 1)),
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }

    fn flush(&mut self, partition: Partition, notices: &mut Notices<D>) -> io::Result<()> {
        self.ready.remove(&partition);
        while let Some(behind) = self.vnodes.get_mut(&partition) {
            let before = behind.gathered_bytes();
            let Some(written) = behind.flush_some(&self.disk)? else { break };
            self.gathered_bytes -= before - behind.gathered_bytes();
            self.notice(partition, Kind::Data, written, notices);
        }
        Ok(())
    }

    fn notice(
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

    fn wants_checkpoint(&self) -> bool {
        let owed = self.since_checkpoint_bytes;
        let half_full = || self.log.used_bytes() > self.log.capacity() / 2;
        owed >= self.options.checkpoint_bytes || (owed > 0 && half_full())
    }

    /// The vnode that most is gathered for.
    fn fullest(&self) -> Option<Partition> {
        let most = self.vnodes.iter().max_by_key(|(_, behind)| behind.gathered_bytes());
        most.map(|(partition, _)| *partition)
    }

    /// What should be flushed now, if anything.
    fn due(&self) -> Option<Partition> {
        if self.gathered_bytes > self.options.memory_bytes_max {
            return self.fullest();
        }
        self.ready.first().copied()
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
        self.guarded(|writer| writer.write_all(commits, notices))
    }

    fn tidy(&mut self, notices: &mut Notices<D>) -> io::Result<bool> {
        self.guarded(|writer| {
            if let Some(partition) = writer.due() {
                return writer.flush(partition, notices).map(|()| true);
            }
            if writer.dropping.len() >= DROPS_AT_ONCE {
                return writer.drop_files().map(|()| true);
            }
            if let Some(making) = writer.snapshot.take() {
                return writer.snapshot_some(making, notices).map(|()| true);
            }
            if writer.checkpoint.is_none() && writer.wants_checkpoint() {
                writer.begin_checkpoint();
            }
            if writer.checkpoint.is_some() {
                return writer.checkpoint_some(notices).map(|()| true);
            }
            if !writer.dropping.is_empty() {
                return writer.drop_files().map(|()| true);
            }
            // The log is none the worse for a failure here. If the disk is, the next write says so.
            Ok(writer.log.tidy().unwrap_or(false))
        })
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

//! The writer's work behind the commit log: putting records into files, checkpoints, and removing files.

use std::collections::BTreeSet;

use ombak_aries::{LogError, Lsn, StreamId};
use ombak_base::{Disk, Partition};

use super::behind::Behind;
use super::commit::end_record;
use super::manifest;
use super::room::Stop;
use super::strand::Kind;
use super::writer::{LogWriter, Notices};

/// Files of so many vnodes are removed together while there is other work: noting where vnodes begin takes syncs.
const DROPS_AT_ONCE: usize = 32;

/// The files of one vnode that are to be removed.
#[derive(Default)]
pub(super) struct Dropping {
    /// Those of records before this one.
    pub(super) before: u32,
    /// These of large values.
    pub(super) larges: BTreeSet<u32>,
}

impl<D: Disk> LogWriter<D> {
    /// The log is full, because checkpoints lagged behind: does a whole one, now. Slow, and correct. Of the batch
    /// that found it full, some may be durable already (the log writes large batches in pieces); the rest stays in
    /// the log's buffer. A vnode whose file finds no room on the disk keeps its part of the log; others may free enough.
    pub(super) fn make_room(&mut self, notices: &mut Notices<D>) -> Result<(), Stop> {
        self.gather();
        let needed_from = Lsn(self.log.durable().0 + 1);
        let partitions: Vec<Partition> = self.vnodes.keys().copied().collect();
        for partition in partitions {
            match self.settle(partition, notices) {
                Ok(()) => self.log.set_mark(StreamId(partition.0), needed_from),
                Err(Stop::Full) => {}
                failed => return failed,
            }
        }
        self.checkpoint = None;
        self.since_checkpoint_bytes = 0;
        Ok(())
    }

    pub(super) fn begin_checkpoint(&mut self) {
        self.done.checkpoints += 1;
        self.since_checkpoint_bytes = 0;
        self.checkpoint = self.vnodes.first_key_value().map(|(partition, _)| *partition);
    }

    /// Checkpoints vnodes until one of them had something to sync. One that finds no room is the next to be tried.
    pub(super) fn checkpoint_some(&mut self, notices: &mut Notices<D>) -> Result<(), Stop> {
        while let Some(partition) = self.checkpoint {
            let was_settled = self.vnodes.get(&partition).is_none_or(Behind::is_settled);
            self.settle(partition, notices)?;
            self.mark(partition)?;
            self.checkpoint = self.vnode_behind(partition);
            if !was_settled {
                break;
            }
        }
        Ok(())
    }

    /// Puts everything that is gathered for a vnode into its files, and syncs them.
    pub(super) fn settle(
        &mut self,
        partition: Partition,
        notices: &mut Notices<D>,
    ) -> Result<(), Stop> {
        self.flush(partition, notices)?;
        match self.vnodes.get_mut(&partition) {
            Some(behind) => Ok(behind.sync(&self.disk)?),
            None => Ok(()),
        }
    }

    /// Removes the files that are not needed. What was moved out of them is durable in the log. First it is noted where
    /// each vnode begins now, which also tells a replay what to pass over. As long as that finds no room, none is removed.
    pub(super) fn drop_files(&mut self) -> Result<(), Stop> {
        let mut firsts = self.firsts.clone();
        for (partition, Dropping { before, .. }) in &self.dropping {
            let first = firsts.get(partition).copied().unwrap_or(0);
            if *before > first {
                firsts.insert(*partition, *before);
            }
        }
        if firsts != self.firsts {
            manifest::write(&self.disk, &firsts)?;
            self.firsts = firsts;
        }
        for (partition, Dropping { before, larges }) in std::mem::take(&mut self.dropping) {
            if let Some(behind) = self.vnodes.get_mut(&partition) {
                self.done.files_removed += behind.remove_files(&self.disk, before, &larges)?;
            }
        }
        Ok(())
    }

    /// Says in the log how far a settled vnode reaches, and that it needs nothing before that. Where there is no
    /// room to say it, the vnode merely cannot prove that later damage to the log is none of its own.
    fn mark(&mut self, partition: Partition) -> Result<(), Stop> {
        let Some(behind) = self.vnodes.get(&partition) else { return Ok(()) };
        let (file, offset) = behind.end();
        let stream = StreamId(partition.0);
        match self.log.append(stream, &[&end_record(file, offset as u32)]) {
            Ok(lsn) => self.log.set_mark(stream, lsn),
            Err(LogError::Full) => self.log.set_mark(stream, Lsn(self.log.durable().0 + 1)),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn flush(&mut self, partition: Partition, notices: &mut Notices<D>) -> Result<(), Stop> {
        while let Some(behind) = self.vnodes.get_mut(&partition) {
            let before = behind.gathered_bytes();
            let Some(written) = behind.flush_some(&self.disk)? else { break };
            self.gathered_bytes -= before - behind.gathered_bytes();
            self.notice(partition, Kind::Data, written, notices);
        }
        self.ready.remove(&partition);
        Ok(())
    }

    fn wants_checkpoint(&self) -> bool {
        let owed = self.since_checkpoint_bytes;
        let half_full = || self.log.used_bytes() > self.log.capacity() / 2;
        owed >= self.options.checkpoint_bytes || (owed > 0 && half_full())
    }

    /// Does one piece of what can wait. `false`: nothing is left.
    pub(super) fn tidy_some(&mut self, notices: &mut Notices<D>) -> Result<bool, Stop> {
        if let Some(partition) = self.due() {
            return self.flush(partition, notices).map(|()| true);
        }
        if self.dropping.len() >= DROPS_AT_ONCE {
            return self.drop_files().map(|()| true);
        }
        if let Some(making) = self.snapshot.take() {
            return self.snapshot_some(making, notices).map(|()| true);
        }
        if self.checkpoint.is_none() && self.wants_checkpoint() {
            self.begin_checkpoint();
        }
        if self.checkpoint.is_some() {
            return self.checkpoint_some(notices).map(|()| true);
        }
        if !self.dropping.is_empty() {
            return self.drop_files().map(|()| true);
        }
        match self.log.tidy() {
            Err(LogError::Full) => Err(Stop::Full),
            // The log is none the worse for another failure here. If the disk is, the next write says so.
            done => Ok(done.unwrap_or(false)),
        }
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

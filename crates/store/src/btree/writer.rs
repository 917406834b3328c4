//! The half of the `btree` backend that changes the tree and makes it durable: one for the node.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};

use ombak_aries::{Error, LogError};
use ombak_base::{Disk, Partition, ShardId, Stamp, Writer, WriterUsage};

use super::change::{Changer, is_damage};
use super::commit::{BtreeCommit, BtreeNotice, Change};
use crate::log::room::{Room, Stop};

type Notices = Vec<(ShardId, BtreeNotice)>;

/// Changes the tree. Made by [`btree::open`](super::open) with its devices.
pub struct BtreeWriter<D: Disk> {
    disk: D,
    changer: Changer,
    shards: u16,
    waiting: VecDeque<Waiting>,
    /// What is in the tree, and not durable yet.
    applied: Vec<Applied>,
    written_bytes: u64,
    room: Room,
    is_stuck: bool,
    failed: bool,
}

/// A commit of which not all is in the tree.
struct Waiting {
    shard: ShardId,
    changes: VecDeque<Change>,
    last: Stamp,
    damaged: BTreeSet<Partition>,
}

/// A commit that is in the tree.
struct Applied {
    shard: ShardId,
    last: Stamp,
    /// Partitions of which something is not, because a page can't be read.
    damaged: BTreeSet<Partition>,
}

impl<D: Disk> BtreeWriter<D> {
    pub(crate) fn new(
        disk: D,
        changer: Changer,
        shards: u16,
        reserve_bytes: u64,
    ) -> BtreeWriter<D> {
        BtreeWriter {
            disk,
            changer,
            shards,
            waiting: VecDeque::new(),
            applied: Vec::new(),
            written_bytes: 0,
            room: Room::new(reserve_bytes),
            is_stuck: false,
            failed: false,
        }
    }

    /// Writes all changed pages, so that the next start has next to nothing to repeat. `false`: for want of room there is
    /// something left.
    pub fn checkpoint(&mut self, notices: &mut Notices) -> io::Result<bool> {
        self.go_on(notices)?;
        let done = self.changer.engine().checkpoint().map_err(Stop::from);
        self.settle(done)?;
        Ok(!self.is_stuck)
    }

    /// Does what waits, as far as there is room.
    fn go_on(&mut self, notices: &mut Notices) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other(
                "an earlier write failed: nothing becomes durable any more",
            ));
        }
        self.is_stuck = false;
        let applied = self.apply();
        self.settle(applied)?;
        let forced = self.force(notices);
        self.settle(forced)
    }

    fn settle(&mut self, done: Result<(), Stop>) -> io::Result<()> {
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Full) => {
                self.is_stuck = true;
                Ok(())
            }
            Err(Stop::Failed(error)) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    fn apply(&mut self) -> Result<(), Stop> {
        self.changer.sweep()?;
        while let Some(first) = self.waiting.front_mut() {
            while let Some(change) = first.changes.front() {
                match self.changer.apply(change) {
                    // What belongs on a page that can't be read is lost with it, and its partition is told. Others go on.
                    Err(error) if is_damage(&error) => drop(first.damaged.insert(change.partition)),
                    applied => applied?,
                }
                self.written_bytes += change.bytes();
                first.changes.pop_front();
            }
            let Some(Waiting { shard, last, damaged, .. }) = self.waiting.pop_front() else {
                break;
            };
            self.applied.push(Applied { shard, last, damaged });
        }
        if self.applied.iter().all(|applied| applied.damaged.is_empty()) {
            self.changer.done();
        }
        Ok(())
    }

    fn force(&mut self, notices: &mut Notices) -> Result<(), Stop> {
        if self.applied.is_empty() {
            return Ok(());
        }
        self.changer.engine().force(self.changer.last())?;
        let counts = self.changer.counts();
        for Applied { shard, last, damaged } in self.applied.drain(..) {
            let keys = counts.of_shard(shard, self.shards);
            notices.push((shard, BtreeNotice { upto: last, damaged, keys }));
        }
        Ok(())
    }
}

impl<D: Disk> Writer for BtreeWriter<D> {
    type Commit = BtreeCommit;
    type Notice = BtreeNotice;

    fn write(
        &mut self,
        commits: Vec<(ShardId, BtreeCommit)>,
        notices: &mut Notices,
    ) -> io::Result<()> {
        let waiting = |(shard, commit): (ShardId, BtreeCommit)| Waiting {
            shard,
            changes: commit.changes.into(),
            last: commit.last,
            damaged: BTreeSet::new(),
        };
        self.waiting.extend(commits.into_iter().map(waiting));
        self.go_on(notices)
    }

    fn tidy(&mut self, notices: &mut Notices) -> io::Result<bool> {
        self.go_on(notices)?;
        self.room.look(&self.disk, self.written_bytes);
        match self.changer.engine().tidy() {
            Ok(more) => Ok(more && !self.is_stuck),
            Err(error) => {
                self.settle(Err(error.into()))?;
                Ok(false)
            }
        }
    }

    fn usage(&self) -> WriterUsage {
        let engine = self.changer.engine().usage();
        WriterUsage {
            log_used_bytes: engine.log_used_bytes,
            log_bytes_max: engine.log_bytes_max,
            log_written_bytes: self.written_bytes,
            checkpoints: engine.checkpoints,
            ..WriterUsage::default()
        }
    }

    fn is_full(&self) -> bool {
        self.is_stuck || self.room.is_low()
    }
}

/// Want of room is what the engine says before it has changed anything. All else is final: after it, what is in memory may
/// not be what the log says.
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        match error {
            Error::LogFull { .. } | Error::PagesFull { .. } | Error::Log(LogError::Full) => {
                Stop::Full
            }
            Error::Log(error) => error.into(),
            Error::Io { place, source } => {
                Stop::Failed(io::Error::new(source.kind(), format!("{place}: {source}")))
            }
            error @ (Error::Damaged { .. } | Error::Corrupt { .. } | Error::Malformed { .. }) => {
                Stop::Failed(io::Error::new(ErrorKind::InvalidData, error))
            }
            error => Stop::Failed(io::Error::other(error)),
        }
    }
}

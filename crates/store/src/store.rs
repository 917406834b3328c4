//! The choice of a backend, made once at start.

use std::io;

use ombak_base::{
    Chunk, Device, DeviceError, DeviceUsage, Disk, Entry, Load, Partition, Peek, Scan, ShardId,
    Stamp, Upkeep, Writer, WriterUsage,
};

use crate::btree::{self, BtreeCommit, BtreeDevice, BtreeNotice, BtreeOptions, BtreeWriter};
use crate::error::StoreError;
use crate::log::{
    self, LogCommit, LogDevice, LogNotice, LogWriter, Options, Recovered, Snapshot, SnapshotError,
};
use crate::memory::{Memory, MemoryWriter};
use crate::status::PartitionStatus;

/// One shard's storage, of the backend that was chosen.
pub enum Store<D: Disk> {
    /// In memory, for as long as the process.
    Memory(Memory),
    /// In files behind a commit log.
    Log(Box<LogDevice<D>>),
    /// In a tree of pages behind a log.
    Btree(Box<BtreeDevice>),
}

/// The writer of all shards' [`Store`]s.
pub enum StoreWriter<D: Disk> {
    /// Has nothing to do.
    Memory(MemoryWriter),
    /// Writes the commit log and the files.
    Log(Box<LogWriter<D>>),
    /// Changes the tree and writes its log.
    Btree(Box<BtreeWriter<D>>),
}

/// What goes to a [`StoreWriter`]: of the backend that was chosen.
pub enum StoreCommit {
    /// See [`LogCommit`].
    Log(LogCommit),
    /// See [`BtreeCommit`].
    Btree(BtreeCommit),
}

/// What comes back to a [`Store`].
pub enum StoreNotice<F> {
    /// See [`LogNotice`].
    Log(LogNotice<F>),
    /// See [`BtreeNotice`].
    Btree(BtreeNotice),
}

/// Notices of a [`StoreWriter`], each for a shard.
pub type StoreNotices<D> = Vec<(ShardId, StoreNotice<<D as Disk>::File>)>;

/// All of a node's storage, and what a start found.
pub type OpenedStore<D> = (Vec<Store<D>>, StoreWriter<D>, Recovered);

impl<D: Disk> Store<D> {
    /// Empty stores for `shards` shards, in memory.
    pub fn memory(shards: u16) -> (Vec<Store<D>>, StoreWriter<D>) {
        let stores = (0..shards).map(|_| Store::Memory(Memory::new())).collect();
        (stores, StoreWriter::Memory(MemoryWriter))
    }

    /// The stores on `disk` for `shards` shards: see [`log::open`].
    pub fn log(disk: D, shards: u16, options: Options) -> Result<OpenedStore<D>, StoreError> {
        let (devices, writer, recovered) = log::open(disk, shards, options)?;
        let stores = devices.into_iter().map(|device| Store::Log(Box::new(device))).collect();
        Ok((stores, StoreWriter::Log(Box::new(writer)), recovered))
    }

    /// The stores on `disk` for `shards` shards: see [`btree::open`].
    pub fn btree(
        disk: D,
        shards: u16,
        options: BtreeOptions,
    ) -> Result<OpenedStore<D>, StoreError> {
        let (devices, writer, recovered) = btree::open(disk, shards, options)?;
        let stores = devices.into_iter().map(|device| Store::Btree(Box::new(device))).collect();
        Ok((stores, StoreWriter::Btree(Box::new(writer)), recovered))
    }

    /// The partitions that something was ever stored in, in order.
    pub fn partitions(&self) -> Vec<Partition> {
        match self {
            Store::Memory(memory) => memory.partitions(),
            Store::Log(log) => log.partitions(),
            Store::Btree(btree) => btree.partitions(),
        }
    }

    /// What a partition takes; `None` if nothing was ever stored in it.
    pub fn status(&self, partition: Partition) -> Option<PartitionStatus> {
        match self {
            Store::Memory(memory) => memory.status(partition),
            Store::Log(log) => log.status(partition),
            Store::Btree(btree) => btree.status(partition),
        }
    }
}

impl<D: Disk> Device for Store<D> {
    type Commit = StoreCommit;
    type Notice = StoreNotice<D::File>;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        match self {
            Store::Memory(memory) => memory.load(partition, key),
            Store::Log(log) => log.load(partition, key),
            Store::Btree(btree) => btree.load(partition, key),
        }
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        match self {
            Store::Memory(memory) => memory.peek(partition, key),
            Store::Log(log) => log.peek(partition, key),
            Store::Btree(btree) => btree.peek(partition, key),
        }
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        match self {
            Store::Memory(memory) => memory.store(partition, key, entry),
            Store::Log(log) => log.store(partition, key, entry),
            Store::Btree(btree) => btree.store(partition, key, entry),
        }
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        match self {
            Store::Memory(memory) => memory.scan(scan),
            Store::Log(log) => log.scan(scan),
            Store::Btree(btree) => btree.scan(scan),
        }
    }

    fn take_commit(&mut self) -> Option<StoreCommit> {
        match self {
            Store::Memory(memory) => memory.take_commit().map(|never| match never {}),
            Store::Log(log) => log.take_commit().map(StoreCommit::Log),
            Store::Btree(btree) => btree.take_commit().map(StoreCommit::Btree),
        }
    }

    fn take_upkeep(&mut self) -> Option<Upkeep<StoreNotice<D::File>>> {
        match self {
            Store::Memory(_) => None, // It needs none.
            Store::Btree(btree) => Some(match btree.take_upkeep()? {
                Upkeep::Run(job) => Upkeep::Run(Box::new(|| StoreNotice::Btree(job()))),
                Upkeep::Damaged(partition) => Upkeep::Damaged(partition),
            }),
            Store::Log(log) => Some(match log.take_upkeep()? {
                Upkeep::Run(job) => Upkeep::Run(Box::new(|| StoreNotice::Log(job()))),
                Upkeep::Damaged(partition) => Upkeep::Damaged(partition),
            }),
        }
    }

    fn notice(&mut self, notice: StoreNotice<D::File>) {
        match (self, notice) {
            (Store::Log(log), StoreNotice::Log(notice)) => log.notice(notice),
            (Store::Btree(btree), StoreNotice::Btree(notice)) => btree.notice(notice),
            // No writer of memory ever says anything, and no other writer's notice comes here.
            (Store::Memory(_) | Store::Log(_) | Store::Btree(_), _) => {}
        }
    }

    fn durable(&self) -> Stamp {
        match self {
            Store::Memory(memory) => memory.durable(),
            Store::Log(log) => log.durable(),
            Store::Btree(btree) => btree.durable(),
        }
    }

    fn pending_bytes(&self) -> u64 {
        match self {
            Store::Memory(memory) => memory.pending_bytes(),
            Store::Log(log) => log.pending_bytes(),
            Store::Btree(btree) => btree.pending_bytes(),
        }
    }

    fn usage(&self) -> DeviceUsage {
        match self {
            Store::Memory(memory) => memory.usage(),
            Store::Log(log) => log.usage(),
            Store::Btree(btree) => btree.usage(),
        }
    }
}

impl<D: Disk> StoreWriter<D> {
    /// Leaves nothing for the next start to replay: see [`LogWriter::checkpoint`] and [`BtreeWriter::checkpoint`].
    pub fn checkpoint(&mut self, notices: &mut StoreNotices<D>) -> io::Result<bool> {
        match self {
            StoreWriter::Memory(_) => Ok(true),
            StoreWriter::Log(log) => of_log(notices, |notices| log.checkpoint(notices)),
            StoreWriter::Btree(btree) => of_btree(notices, |notices| btree.checkpoint(notices)),
        }
    }

    /// Copies everything into a directory of its own: see [`LogWriter::begin_snapshot`].
    pub fn begin_snapshot(&mut self, wanted: Snapshot) {
        let why = match self {
            StoreWriter::Log(log) => return log.begin_snapshot(wanted),
            StoreWriter::Memory(_) => {
                "this node keeps its data in memory: there is nothing on disk to copy"
            }
            StoreWriter::Btree(_) => {
                "the btree backend makes no copies while it runs: copy the directory of a stopped node"
            }
        };
        (wanted.done)(Err(SnapshotError::Impossible(why)));
    }
}

impl<D: Disk> Writer for StoreWriter<D> {
    type Commit = StoreCommit;
    type Notice = StoreNotice<D::File>;

    fn write(
        &mut self,
        commits: Vec<(ShardId, StoreCommit)>,
        notices: &mut StoreNotices<D>,
    ) -> io::Result<()> {
        match self {
            StoreWriter::Memory(_) => Ok(()),
            StoreWriter::Log(log) => {
                let commits = commits.into_iter().filter_map(|(shard, commit)| match commit {
                    StoreCommit::Log(commit) => Some((shard, commit)),
                    StoreCommit::Btree(_) => None, // No other backend's commit comes here.
                });
                of_log(notices, |notices| log.write(commits.collect(), notices))
            }
            StoreWriter::Btree(btree) => {
                let commits = commits.into_iter().filter_map(|(shard, commit)| match commit {
                    StoreCommit::Btree(commit) => Some((shard, commit)),
                    StoreCommit::Log(_) => None, // As above.
                });
                of_btree(notices, |notices| btree.write(commits.collect(), notices))
            }
        }
    }

    fn tidy(&mut self, notices: &mut StoreNotices<D>) -> io::Result<bool> {
        match self {
            StoreWriter::Memory(_) => Ok(false),
            StoreWriter::Log(log) => of_log(notices, |notices| log.tidy(notices)),
            StoreWriter::Btree(btree) => of_btree(notices, |notices| btree.tidy(notices)),
        }
    }

    fn usage(&self) -> WriterUsage {
        match self {
            StoreWriter::Memory(_) => WriterUsage::default(),
            StoreWriter::Log(log) => log.usage(),
            StoreWriter::Btree(btree) => btree.usage(),
        }
    }

    fn is_full(&self) -> bool {
        match self {
            // Memory has no disk.
            StoreWriter::Memory(_) => false,
            StoreWriter::Log(log) => log.is_full(),
            StoreWriter::Btree(btree) => btree.is_full(),
        }
    }
}

/// Acts, and passes the backend's own notices on.
fn of_log<F, T>(
    notices: &mut Vec<(ShardId, StoreNotice<F>)>,
    act: impl FnOnce(&mut Vec<(ShardId, LogNotice<F>)>) -> T,
) -> T {
    let mut own = Vec::new();
    let done = act(&mut own);
    notices.extend(own.into_iter().map(|(shard, notice)| (shard, StoreNotice::Log(notice))));
    done
}

/// The same.
fn of_btree<F, T>(
    notices: &mut Vec<(ShardId, StoreNotice<F>)>,
    act: impl FnOnce(&mut Vec<(ShardId, BtreeNotice)>) -> T,
) -> T {
    let mut own = Vec::new();
    let done = act(&mut own);
    notices.extend(own.into_iter().map(|(shard, notice)| (shard, StoreNotice::Btree(notice))));
    done
}

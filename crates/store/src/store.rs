//! The choice of a backend, made once at start.

use std::io;

use ombak_base::{
    Chunk, Device, DeviceError, DeviceUsage, Disk, Entry, Load, Partition, Peek, Scan, ShardId,
    Stamp, Upkeep, Writer, WriterUsage,
};

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
}

/// The writer of all shards' [`Store`]s.
pub enum StoreWriter<D: Disk> {
    /// Has nothing to do.
    Memory(MemoryWriter),
    /// Writes the commit log and the files.
    Log(Box<LogWriter<D>>),
}

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

    /// The partitions that something was ever stored in, in order.
    pub fn partitions(&self) -> Vec<Partition> {
        match self {
            Store::Memory(memory) => memory.partitions(),
            Store::Log(log) => log.partitions(),
        }
    }

    /// What a partition takes; `None` if nothing was ever stored in it.
    pub fn status(&self, partition: Partition) -> Option<PartitionStatus> {
        match self {
            Store::Memory(memory) => memory.status(partition),
            Store::Log(log) => log.status(partition),
        }
    }
}

impl<D: Disk> Device for Store<D> {
    type Commit = LogCommit;
    type Notice = LogNotice<D::File>;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        match self {
            Store::Memory(memory) => memory.load(partition, key),
            Store::Log(log) => log.load(partition, key),
        }
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        match self {
            Store::Memory(memory) => memory.peek(partition, key),
            Store::Log(log) => log.peek(partition, key),
        }
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        match self {
            Store::Memory(memory) => memory.store(partition, key, entry),
            Store::Log(log) => log.store(partition, key, entry),
        }
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        match self {
            Store::Memory(memory) => memory.scan(scan),
            Store::Log(log) => log.scan(scan),
        }
    }

    fn take_commit(&mut self) -> Option<LogCommit> {
        match self {
            Store::Memory(memory) => memory.take_commit().map(|never| match never {}),
            Store::Log(log) => log.take_commit(),
        }
    }

    fn take_upkeep(&mut self) -> Option<Upkeep<LogNotice<D::File>>> {
        match self {
            // Memory needs none.
            Store::Memory(_) => None,
            Store::Log(log) => log.take_upkeep(),
        }
    }

    fn notice(&mut self, notice: LogNotice<D::File>) {
        match self {
            // No writer of memory ever says anything.
            Store::Memory(_) => {}
            Store::Log(log) => log.notice(notice),
        }
    }

    fn durable(&self) -> Stamp {
        match self {
            Store::Memory(memory) => memory.durable(),
            Store::Log(log) => log.durable(),
        }
    }

    fn pending_bytes(&self) -> u64 {
        match self {
            Store::Memory(memory) => memory.pending_bytes(),
            Store::Log(log) => log.pending_bytes(),
        }
    }

    fn usage(&self) -> DeviceUsage {
        match self {
            Store::Memory(memory) => memory.usage(),
            Store::Log(log) => log.usage(),
        }
    }
}

impl<D: Disk> StoreWriter<D> {
    /// Leaves nothing for the next start to replay: see [`LogWriter::checkpoint`].
    pub fn checkpoint(
        &mut self,
        notices: &mut Vec<(ShardId, LogNotice<D::File>)>,
    ) -> io::Result<bool> {
        match self {
            StoreWriter::Memory(_) => Ok(true),
            StoreWriter::Log(log) => log.checkpoint(notices),
        }
    }
}

impl<D: Disk> StoreWriter<D> {
    /// Copies everything into a directory of its own: see [`LogWriter::begin_snapshot`].
    pub fn begin_snapshot(&mut self, wanted: Snapshot) {
        match self {
            StoreWriter::Memory(_) => {
                let why = "this node keeps its data in memory: there is nothing on disk to copy";
                (wanted.done)(Err(SnapshotError::Impossible(why)));
            }
            StoreWriter::Log(log) => log.begin_snapshot(wanted),
        }
    }
}

impl<D: Disk> Writer for StoreWriter<D> {
    type Commit = LogCommit;
    type Notice = LogNotice<D::File>;

    fn write(
        &mut self,
        commits: Vec<(ShardId, LogCommit)>,
        notices: &mut Vec<(ShardId, LogNotice<D::File>)>,
    ) -> io::Result<()> {
        match self {
            StoreWriter::Memory(_) => Ok(()),
            StoreWriter::Log(log) => log.write(commits, notices),
        }
    }

    fn tidy(&mut self, notices: &mut Vec<(ShardId, LogNotice<D::File>)>) -> io::Result<bool> {
        match self {
            StoreWriter::Memory(_) => Ok(false),
            StoreWriter::Log(log) => log.tidy(notices),
        }
    }

    fn usage(&self) -> WriterUsage {
        match self {
            StoreWriter::Memory(_) => WriterUsage::default(),
            StoreWriter::Log(log) => log.usage(),
        }
    }

    fn is_full(&self) -> bool {
        match self {
            // Memory has no disk.
            StoreWriter::Memory(_) => false,
            StoreWriter::Log(log) => log.is_full(),
        }
    }
}

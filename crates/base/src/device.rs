//! Storage, as a host offers it to a machine.
//!
//! A [`Device`] is the half that lives beside one shard: it answers reads and takes stores at once, in memory. Its
//! [`Writer`] is the half that makes them durable, one per node, on a thread of its own (in the simulator: a step of
//! its own). What passes between them is plain data, so that a host can carry it through a channel, delay it or lose
//! it in a crash.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Partition, ShardId, Stamp};

/// What is stored under a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Eight bytes for the service's own use, which scans and peeks report without reading the value.
    pub tag: u64,
    /// The value.
    pub bytes: Bytes,
}

/// Why a device could not answer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DeviceError {
    /// What is stored there does not match its checksum: the text names file and offset.
    Damaged(String),
    /// The operating system refused.
    Io(String),
}

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DeviceError::Damaged(place) => write!(f, "stored data is damaged: {place}"),
            DeviceError::Io(reason) => write!(f, "storage failed: {reason}"),
        }
    }
}

impl std::error::Error for DeviceError {}

/// A bounded read of one partition, in key order.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Scan {
    /// Which partition.
    pub partition: Partition,
    /// First key, inclusive.
    pub from: Bytes,
    /// Last key, exclusive; empty means to the end.
    pub to: Bytes,
    /// At most so many entries, at least 1.
    pub entries_max: u32,
    /// Stop after the entry that goes over so many bytes of keys and values.
    pub bytes_max: u32,
    /// Whether values are wanted, or keys and tags alone.
    pub values: bool,
}

/// One entry of a [`Chunk`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ScanEntry {
    /// The key.
    pub key: Bytes,
    /// The service's eight bytes.
    pub tag: u64,
    /// The value, where the scan asked for values.
    pub bytes: Option<Bytes>,
}

/// A piece of a partition.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Chunk {
    /// The entries, in key order.
    pub entries: Vec<ScanEntry>,
    /// Where the next piece begins; `None` at the end.
    pub next: Option<Bytes>,
}

/// A read that would block, to be run on another thread.
pub type ReadJob = Box<dyn FnOnce() -> Result<Option<Entry>, DeviceError> + Send>;

/// The answer to [`Device::load`].
pub enum Load {
    /// Had at once.
    Ready(Result<Option<Entry>, DeviceError>),
    /// Not in memory: run this elsewhere.
    Blocked(ReadJob),
}

/// The answer to [`Device::peek`]: what is known of a key without reading its value.
///
/// It tells what was stored, and does not promise that the value can still be read: rot is found by loads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Peek {
    /// Nothing is there.
    Absent,
    /// Something is there, under this tag.
    Tag(u64),
    /// The device would have to read to say: load instead.
    Unknown,
}

/// What a device wants of its host, besides carrying commits and notices.
pub enum Upkeep<N> {
    /// Work that would hold up the shard, to be run on another thread. Its outcome goes to [`Device::notice`].
    Run(UpkeepJob<N>),
    /// Something that was stored cannot be read any more, found outside of a load: the machine is to hear of it.
    Damaged(Partition),
}

/// See [`Upkeep::Run`].
pub type UpkeepJob<N> = Box<dyn FnOnce() -> N + Send>;

/// What a device holds and has done since it was opened, for operators. Its fields are totals of the shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DeviceUsage {
    /// Keys with a value.
    pub keys: u64,
    /// Bytes of the records that those keys point at (values in files of their own not included).
    pub live_bytes: u64,
    /// Bytes of all files, what was overwritten and removed included.
    pub file_bytes: u64,
    /// Bytes of values that are held in memory because no file has them yet.
    pub memory_bytes: u64,
    /// Records that compaction has stored again.
    pub moved_records: u64,
    /// Their bytes.
    pub moved_bytes: u64,
}

/// What a writer holds and has done since it was opened, for operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct WriterUsage {
    /// Bytes of the commit log that cannot be reused yet.
    pub log_used_bytes: u64,
    /// Bytes that the commit log may take.
    pub log_bytes_max: u64,
    /// Bytes of records that were given to the commit log.
    pub log_written_bytes: u64,
    /// Bytes that are durable in the commit log and that no vnode's file has yet.
    pub gathered_bytes: u64,
    /// Checkpoints that were begun.
    pub checkpoints: u64,
    /// Files that were removed, because what was alive in them is elsewhere.
    pub files_removed: u64,
}

/// One shard's storage.
///
/// Call order: any number of `load`, `peek`, `store` and `scan`, then `take_commit` at the end of the loop turn; what it
/// returns goes to the node's [`Writer`], and what the writer returns for this shard comes back to `notice`. After
/// `take_commit`, `take_upkeep` until it answers `None`.
pub trait Device {
    /// What goes to the writer.
    type Commit: Send;
    /// What comes back from the writer.
    type Notice: Send;

    /// Reads one entry, with every earlier store visible.
    fn load(&mut self, partition: Partition, key: &[u8]) -> Load;
    /// Says what is under a key as far as memory has it, with every earlier store visible.
    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek;
    /// Puts or removes an entry and gives it the next stamp.
    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp;
    /// Reads a piece of a partition, with every earlier store visible.
    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError>;
    /// Everything stored since the last call; `None` if nothing was.
    fn take_commit(&mut self) -> Option<Self::Commit>;
    /// What the device wants done now, if anything. At most one job is out at a time.
    fn take_upkeep(&mut self) -> Option<Upkeep<Self::Notice>> {
        None
    }
    /// Hears from the writer, or from a job. Never blocks.
    fn notice(&mut self, notice: Self::Notice);
    /// The highest stamp known to be durable.
    fn durable(&self) -> Stamp;
    /// Bytes taken by `store` that are not durable yet; hosts refuse work above a bound.
    fn pending_bytes(&self) -> u64;
    /// What it holds. May look at every vnode: not for every turn.
    fn usage(&self) -> DeviceUsage {
        DeviceUsage::default()
    }
}

/// The half that makes things durable: one for all shards of a node.
pub trait Writer: Send {
    /// What devices hand over.
    type Commit: Send;
    /// What devices get back.
    type Notice: Send;

    /// Makes all of `commits` durable with one write and one sync, and says so to each shard in `notices`. After an
    /// error nothing is durable any more, ever: the caller must not call again.
    ///
    /// What a disk had no room for is no error: the writer keeps it, in order, and every further call tries it first, one
    /// without commits too. Only a notice says that something is durable.
    fn write(
        &mut self,
        commits: Vec<(ShardId, Self::Commit)>,
        notices: &mut Vec<(ShardId, Self::Notice)>,
    ) -> io::Result<()>;

    /// Does a bounded piece of what can wait (flushing, checkpoints, recycling). `false`: nothing is left to do.
    fn tidy(&mut self, notices: &mut Vec<(ShardId, Self::Notice)>) -> io::Result<bool>;

    /// What it holds and has done.
    fn usage(&self) -> WriterUsage {
        WriterUsage::default()
    }

    /// Whether there is no room for new data. The host tells its machines of every change
    /// ([`Event::DeviceFull`](crate::Event::DeviceFull)), and goes on calling `write` and `tidy` now and then, so that
    /// the end is noticed.
    fn is_full(&self) -> bool {
        false
    }
}

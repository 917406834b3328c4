//! Where a node of a simulated cluster keeps its data: the backends of the server, either of them.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::num::NonZeroU32;
use std::str::FromStr;

use ombak_base::{
    Chunk, Device, DeviceError, DeviceUsage, Entry, Load, Partition, Peek, Scan, ShardId, Stamp,
    Upkeep, Writer, WriterUsage,
};
use ombak_sim::{SimDisk, SimFile};
use ombak_store::btree::{self, BtreeCommit, BtreeDevice, BtreeNotice, BtreeOptions, BtreeWriter};
use ombak_store::log::{self, LogCommit, LogDevice, LogNotice, LogWriter, Recovered};

use crate::script::Part;

/// Files so small that segments are recycled and checkpoints happen within a run.
pub const SMALL_STORE: log::Options = log::Options {
    log_segment_bytes: 256 * 1024,
    log_segments_max: 3,
    file_bytes: 64 * 1024,
    large_bytes: 2 * 1024,
    flush_bytes: 4 * 1024,
    memory_bytes_max: 64 * 1024,
    checkpoint_bytes: 64 * 1024,
    reserve_bytes: 32 * 1024,
};

/// The same of the other backend, with a pool that holds a part of what there is.
const SMALL_TREE: BtreeOptions = BtreeOptions {
    identity: 0,
    pool_bytes: 256 * 1024,
    log_segment_bytes: 64 * 1024,
    log_segments_max: 16,
    checkpoint_bytes: 64 * 1024,
    reserve_bytes: SMALL_STORE.reserve_bytes,
    // A run is the same each time.
    redo_threads: NonZeroU32::MIN,
};

/// Which backend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Backend {
    /// Files behind a commit log: the server's default.
    #[default]
    Log,
    /// A tree of pages behind a log.
    Btree,
}

/// A text that is no backend.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{0}\" is no backend: log or btree")]
pub struct BackendError(pub String);

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Backend, BackendError> {
        match text {
            "log" => Ok(Backend::Log),
            "btree" => Ok(Backend::Btree),
            _ => Err(BackendError(text.to_owned())),
        }
    }
}

impl Display for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Log => "log",
            Backend::Btree => "btree",
        })
    }
}

impl Backend {
    /// What the paths of those files begin with. There may be none; of pages, the `log` backend has none ever.
    pub(crate) fn files(self, part: Part) -> Option<&'static str> {
        match (self, part) {
            (_, Part::Vnodes) => Some("vnodes/"),
            (Backend::Log, Part::Log) => Some("commit-log/"),
            (Backend::Btree, Part::Log) => Some("btree/wal/"),
            (Backend::Btree, Part::Pages) => Some("btree/pages"),
            (Backend::Log, Part::Pages) => None,
        }
    }

    /// Opens a node's storage, as its server would.
    pub(crate) fn open(
        self,
        disk: &SimDisk,
        shards: u16,
    ) -> Result<(Vec<StoreDevice>, StoreWriter, Recovered), String> {
        match self {
            Backend::Log => {
                let opened = log::open(disk.clone(), shards, SMALL_STORE);
                let (devices, writer, recovered) = opened.map_err(|error| error.to_string())?;
                let devices = devices.into_iter().map(|each| StoreDevice::Log(Box::new(each)));
                Ok((devices.collect(), StoreWriter::Log(Box::new(writer)), recovered))
            }
            Backend::Btree => {
                let opened = btree::open(disk.clone(), shards, SMALL_TREE);
                let (devices, writer, recovered) = opened.map_err(|error| error.to_string())?;
                let devices = devices.into_iter().map(|each| StoreDevice::Btree(Box::new(each)));
                Ok((devices.collect(), StoreWriter::Btree(Box::new(writer)), recovered))
            }
        }
    }
}

/// A shard's device.
pub enum StoreDevice {
    Log(Box<LogDevice<SimDisk>>),
    Btree(Box<BtreeDevice>),
}

/// A node's writer.
pub enum StoreWriter {
    Log(Box<LogWriter<SimDisk>>),
    Btree(Box<BtreeWriter<SimDisk>>),
}

/// What goes to the writer.
pub enum StoreCommit {
    Log(LogCommit),
    Btree(BtreeCommit),
}

/// What comes back.
pub enum StoreNotice {
    Log(LogNotice<SimFile>),
    Btree(BtreeNotice),
}

/// Does the same with whichever it is.
macro_rules! either {
    ($it:expr, $each:ident => $does:expr) => {
        match $it {
            Self::Log($each) => $does,
            Self::Btree($each) => $does,
        }
    };
}

impl Device for StoreDevice {
    type Commit = StoreCommit;
    type Notice = StoreNotice;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        either!(self, device => device.load(partition, key))
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        either!(self, device => device.peek(partition, key))
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        either!(self, device => device.store(partition, key, entry))
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        either!(self, device => device.scan(scan))
    }

    fn take_commit(&mut self) -> Option<StoreCommit> {
        match self {
            StoreDevice::Log(device) => device.take_commit().map(StoreCommit::Log),
            StoreDevice::Btree(device) => device.take_commit().map(StoreCommit::Btree),
        }
    }

    fn take_upkeep(&mut self) -> Option<Upkeep<StoreNotice>> {
        match self {
            StoreDevice::Log(device) => device.take_upkeep().map(|job| told(job, StoreNotice::Log)),
            StoreDevice::Btree(device) => {
                device.take_upkeep().map(|job| told(job, StoreNotice::Btree))
            }
        }
    }

    /// Each hears from its own writer.
    fn notice(&mut self, notice: StoreNotice) {
        match (self, notice) {
            (StoreDevice::Log(device), StoreNotice::Log(notice)) => device.notice(notice),
            (StoreDevice::Btree(device), StoreNotice::Btree(notice)) => device.notice(notice),
            _ => {}
        }
    }

    fn durable(&self) -> Stamp {
        either!(self, device => device.durable())
    }

    fn pending_bytes(&self) -> u64 {
        either!(self, device => device.pending_bytes())
    }

    fn usage(&self) -> DeviceUsage {
        either!(self, device => device.usage())
    }
}

fn told<N: 'static>(upkeep: Upkeep<N>, as_notice: fn(N) -> StoreNotice) -> Upkeep<StoreNotice> {
    match upkeep {
        Upkeep::Run(job) => Upkeep::Run(Box::new(move || as_notice(job()))),
        Upkeep::Damaged(partition) => Upkeep::Damaged(partition),
    }
}

impl Writer for StoreWriter {
    type Commit = StoreCommit;
    type Notice = StoreNotice;

    fn write(
        &mut self,
        commits: Vec<(ShardId, StoreCommit)>,
        notices: &mut Vec<(ShardId, StoreNotice)>,
    ) -> io::Result<()> {
        let commits = commits.into_iter();
        match self {
            StoreWriter::Log(writer) => {
                let own = |(shard, commit)| match commit {
                    StoreCommit::Log(commit) => Some((shard, commit)),
                    StoreCommit::Btree(_) => None,
                };
                let commits = commits.filter_map(own).collect();
                hear(notices, StoreNotice::Log, |heard| writer.write(commits, heard))
            }
            StoreWriter::Btree(writer) => {
                let own = |(shard, commit)| match commit {
                    StoreCommit::Btree(commit) => Some((shard, commit)),
                    StoreCommit::Log(_) => None,
                };
                let commits = commits.filter_map(own).collect();
                hear(notices, StoreNotice::Btree, |heard| writer.write(commits, heard))
            }
        }
    }

    fn tidy(&mut self, notices: &mut Vec<(ShardId, StoreNotice)>) -> io::Result<bool> {
        match self {
            StoreWriter::Log(writer) => hear(notices, StoreNotice::Log, |heard| writer.tidy(heard)),
            StoreWriter::Btree(writer) => {
                hear(notices, StoreNotice::Btree, |heard| writer.tidy(heard))
            }
        }
    }

    fn usage(&self) -> WriterUsage {
        either!(self, writer => writer.usage())
    }

    fn is_full(&self) -> bool {
        either!(self, writer => writer.is_full())
    }
}

/// What a writer says, whatever it comes to.
fn hear<N, T>(
    notices: &mut Vec<(ShardId, StoreNotice)>,
    as_notice: fn(N) -> StoreNotice,
    act: impl FnOnce(&mut Vec<(ShardId, N)>) -> T,
) -> T {
    let mut heard = Vec::new();
    let done = act(&mut heard);
    notices.extend(heard.into_iter().map(|(shard, notice)| (shard, as_notice(notice))));
    done
}

#[cfg(test)]
mod tests;

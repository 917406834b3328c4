//! The half of the `log` backend that lives beside a shard: index, tails and reads. It writes to no file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use ombak_base::{
    Chunk, Device, DeviceError, DeviceUsage, Disk, Entry, Load, Partition, Peek, Scan, Stamp,
    Upkeep,
};

use super::commit::{Append, GivenUp, LogCommit, LogNotice, Notice};
use super::mover::Move;
use super::vnode::{Bounds, Vnode};
use crate::status::PartitionStatus;

/// Records are written into buffers of this size, and shared from there.
const CHUNK_BYTES: usize = 64 * 1024;

/// One shard of a store of the `log` backend. Made by [`log::open`](super::open) with its [`LogWriter`].
///
/// [`LogWriter`]: super::LogWriter
pub struct LogDevice<D: Disk> {
    pub(super) vnodes: BTreeMap<Partition, Vnode<D::File>>,
    pub(super) bounds: Bounds,
    pub(super) chunk: BytesMut,
    turn: Vec<Append>,
    turn_bytes: u64,
    last: Stamp,
    durable: Stamp,
    /// Files that the next commit says are not needed any more.
    pub(super) drops: Vec<(Partition, GivenUp)>,
    /// Vnodes whose files may have grown too large.
    pub(super) bloated: BTreeSet<Partition>,
    pub(super) moving: Option<Move>,
    /// Partitions in which something was found that cannot be read.
    pub(super) damaged: BTreeSet<Partition>,
    /// Commits that the writer has not reported, with their bytes.
    on_the_way: VecDeque<(Stamp, u64)>,
    pub(super) pending_bytes: u64,
    /// What compaction has stored again: records, bytes.
    moved: (u64, u64),
}

impl<D: Disk> LogDevice<D> {
    pub(crate) fn new(bounds: Bounds) -> LogDevice<D> {
        LogDevice {
            vnodes: BTreeMap::new(),
            bounds,
            chunk: BytesMut::new(),
            turn: Vec::new(),
            turn_bytes: 0,
            drops: Vec::new(),
            bloated: BTreeSet::new(),
            moving: None,
            damaged: BTreeSet::new(),
            last: Stamp::NONE,
            durable: Stamp::NONE,
            on_the_way: VecDeque::new(),
            pending_bytes: 0,
            moved: (0, 0),
        }
    }

    pub(crate) fn adopt(&mut self, partition: Partition, vnode: Vnode<D::File>) {
        self.vnodes.insert(partition, vnode);
        self.bloated.insert(partition);
    }

    /// The partitions that something was ever stored in, in order.
    pub fn partitions(&self) -> Vec<Partition> {
        self.vnodes.keys().copied().collect()
    }

    /// What a partition takes; `None` if nothing was ever stored in it.
    pub fn status(&self, partition: Partition) -> Option<PartitionStatus> {
        self.vnodes.get(&partition).map(Vnode::status)
    }

    /// Room for a record of this key, but for its value.
    pub(super) fn renew_chunk(&mut self, key_bytes: usize) {
        if self.chunk.capacity() < key_bytes + 256 {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES);
        }
    }

    /// What was appended goes with the next commit.
    pub(super) fn take(&mut self, append: Append) {
        let large = append.large.as_ref().map_or(0, |large| large.bytes.len());
        let bytes = (append.bytes.len() + large) as u64;
        self.turn.push(append);
        self.turn_bytes += bytes;
        self.pending_bytes += bytes;
    }

    /// What compaction stored again is counted, and goes with the next commit.
    pub(super) fn take_moved(&mut self, append: Append) {
        let large = append.large.as_ref().map_or(0, |large| large.bytes.len());
        self.moved.0 += 1;
        self.moved.1 += (append.bytes.len() + large) as u64;
        self.take(append);
    }

    fn made_durable(&mut self, upto: Stamp) {
        self.durable = self.durable.max(upto);
        while self.on_the_way.front().is_some_and(|(stamp, _)| *stamp <= upto) {
            let bytes = self.on_the_way.pop_front().map_or(0, |(_, bytes)| bytes);
            self.pending_bytes -= bytes;
        }
    }
}

impl<D: Disk> Device for LogDevice<D> {
    type Commit = LogCommit;
    type Notice = LogNotice<D::File>;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        match self.vnodes.get(&partition) {
            Some(vnode) => vnode.load(key),
            None => Load::Ready(Ok(None)),
        }
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        self.vnodes.get(&partition).map_or(Peek::Absent, |vnode| vnode.peek(key))
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        self.renew_chunk(key.len());
        let vnode = self.vnodes.entry(partition).or_insert_with(|| Vnode::new(partition));
        let append = vnode.store(key, entry, self.bounds, &mut self.chunk);
        if vnode.is_bloated(self.bounds) {
            self.bloated.insert(partition);
        }
        self.take(append);
        self.last = Stamp(self.last.0 + 1);
        self.last
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        match self.vnodes.get(&scan.partition) {
            Some(vnode) => vnode.scan(scan),
            None => Ok(Chunk::default()),
        }
    }

    fn take_commit(&mut self) -> Option<LogCommit> {
        if self.turn.is_empty() && self.drops.is_empty() {
            return None;
        }
        self.on_the_way.push_back((self.last, std::mem::take(&mut self.turn_bytes)));
        let (appends, drops) = (std::mem::take(&mut self.turn), std::mem::take(&mut self.drops));
        Some(LogCommit { appends, drops, last: self.last })
    }

    fn notice(&mut self, notice: LogNotice<D::File>) {
        match notice.0 {
            Notice::Durable(upto) => self.made_durable(upto),
            Notice::Flushed { partition, kind, upto, handle } => {
                if let Some(vnode) = self.vnodes.get_mut(&partition) {
                    vnode.flushed(kind, upto, &handle);
                    self.bloated.insert(partition);
                }
            }
            Notice::Read(partition, moving) => self.moved(partition, moving),
        }
    }

    fn take_upkeep(&mut self) -> Option<Upkeep<LogNotice<D::File>>> {
        if let Some(partition) = self.damaged.pop_first() {
            return Some(Upkeep::Damaged(partition));
        }
        self.next_job().map(Upkeep::Run)
    }

    fn durable(&self) -> Stamp {
        self.durable
    }

    fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    fn usage(&self) -> DeviceUsage {
        let (moved_records, moved_bytes) = self.moved;
        let mut usage = DeviceUsage { moved_records, moved_bytes, ..DeviceUsage::default() };
        for status in self.vnodes.values().map(Vnode::status) {
            usage.keys += status.keys;
            usage.live_bytes += status.live_bytes;
            usage.file_bytes += status.file_bytes + status.large_bytes;
            usage.memory_bytes += status.memory_bytes;
        }
        usage
    }
}

//! The simplest storage that keeps its promises: everything in memory, changes in a log.
//!
//! For machines that are tested alone. The log only grows and is read whole at boot; damage in its middle
//! ends it there, silently. A database needs a better one.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Bound;

use bytes::Bytes;
use ombak_base::{
    Chunk, DecodeError, Device, DeviceError, Disk, DiskFile, Entry, Load, OpenMode, Partition,
    Peek, Reader, Scan, ScanEntry, ShardId, Stamp, Writer, limits, put_bytes, put_varint,
};

use crate::Fingerprint;

const PATH: &str = "log";
/// Length and fingerprint.
const HEADER_BYTES: usize = 4 + 8;

/// One shard's entries.
#[derive(Default, Debug)]
pub struct LogDevice {
    entries: BTreeMap<(Partition, Bytes), Entry>,
    /// Encoded changes since the last commit.
    changes: Vec<u8>,
    last: Stamp,
    durable: Stamp,
    pending_bytes: u64,
}

/// Changes on their way to the log.
#[derive(Debug)]
pub struct LogCommit {
    changes: Vec<u8>,
    last: Stamp,
}

/// What has become durable.
#[derive(Debug)]
pub struct LogNotice {
    last: Stamp,
    bytes: u64,
}

/// Appends to a file called `log`.
#[derive(Debug)]
pub struct LogWriter<F> {
    file: F,
    end: u64,
}

/// Devices for so many shards, holding what the disk's log says, and the writer for all of them.
pub fn open_log<D: Disk>(
    disk: &D,
    shards: u16,
) -> io::Result<(Vec<LogDevice>, LogWriter<D::File>)> {
    let file = disk.open(PATH, OpenMode::Cached)?;
    disk.sync_dir("")?;
    let mut all = vec![0; file.len()? as usize];
    file.read_at(&mut all, 0)?;
    let mut devices: Vec<LogDevice> = (0..shards).map(|_| LogDevice::default()).collect();
    let end = replay(Bytes::from(all), &mut devices);
    // What lies behind a torn record must not be taken for its successor later.
    file.set_len(end)?;
    file.sync()?;
    Ok((devices, LogWriter { file, end }))
}

/// Returns where the whole records end.
fn replay(all: Bytes, devices: &mut [LogDevice]) -> u64 {
    let len = all.len();
    let mut reader = Reader::new(all);
    let mut end = 0;
    while let Ok((shard, changes)) = read_record(&mut reader) {
        let applied = devices.get_mut(shard).map(|device| device.replay(changes));
        if !matches!(applied, Some(Ok(()))) {
            break;
        }
        end = len - reader.remaining();
    }
    end as u64
}

fn read_record(reader: &mut Reader) -> Result<(usize, Bytes), DecodeError> {
    let len = reader.u32()? as usize;
    let sum = reader.u64()?;
    let body = reader.take(len)?;
    if sum != checksum(&body) {
        return Err(DecodeError::Invalid("checksum"));
    }
    let mut body = Reader::new(body);
    Ok((body.varint()? as usize, body.rest()))
}

fn put_record(out: &mut Vec<u8>, shard: ShardId, changes: &[u8]) {
    let mut body = Vec::with_capacity(changes.len() + 2);
    put_varint(&mut body, shard.0.into());
    body.extend_from_slice(changes);
    out.reserve(HEADER_BYTES + body.len());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum(&body).to_le_bytes());
    out.extend_from_slice(&body);
}

fn checksum(body: &[u8]) -> u64 {
    let mut fingerprint = Fingerprint::new();
    fingerprint.bytes(body);
    fingerprint.value() as u64
}

impl LogDevice {
    fn replay(&mut self, changes: Bytes) -> Result<(), DecodeError> {
        let mut reader = Reader::new(changes);
        while reader.remaining() > 0 {
            let partition = Partition(reader.u32()?);
            let key = reader.bytes(limits::FRAME_BYTES_MAX)?;
            let entry = match reader.u8()? {
                0 => None,
                _ => Some(Entry {
                    tag: reader.u64()?,
                    bytes: reader.bytes(limits::FRAME_BYTES_MAX)?,
                }),
            };
            self.change(partition, key, entry);
        }
        Ok(())
    }

    fn change(&mut self, partition: Partition, key: Bytes, entry: Option<Entry>) {
        match entry {
            Some(entry) => self.entries.insert((partition, key), entry),
            None => self.entries.remove(&(partition, key)),
        };
    }
}

fn put_change(out: &mut Vec<u8>, partition: Partition, key: &[u8], entry: Option<&Entry>) {
    out.extend_from_slice(&partition.0.to_le_bytes());
    put_bytes(out, key);
    out.push(entry.is_some().into());
    if let Some(entry) = entry {
        out.extend_from_slice(&entry.tag.to_le_bytes());
        put_bytes(out, &entry.bytes);
    }
}

impl Device for LogDevice {
    type Commit = LogCommit;
    type Notice = LogNotice;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        let key = (partition, Bytes::copy_from_slice(key));
        Load::Ready(Ok(self.entries.get(&key).cloned()))
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        let entry = self.entries.get(&(partition, Bytes::copy_from_slice(key)));
        entry.map_or(Peek::Absent, |entry| Peek::Tag(entry.tag))
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        let before = self.changes.len();
        put_change(&mut self.changes, partition, key, entry);
        self.pending_bytes += (self.changes.len() - before) as u64;
        self.change(partition, Bytes::copy_from_slice(key), entry.cloned());
        self.last = Stamp(self.last.0 + 1);
        self.last
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        let from = Bound::Included((scan.partition, scan.from.clone()));
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        for ((partition, key), entry) in self.entries.range((from, Bound::Unbounded)) {
            let is_over = *partition != scan.partition || (!scan.to.is_empty() && *key >= scan.to);
            if is_over {
                break;
            }
            if chunk.entries.len() as u32 >= scan.entries_max.max(1)
                || bytes > scan.bytes_max as usize
            {
                chunk.next = Some(key.clone());
                break;
            }
            let value = scan.values.then(|| entry.bytes.clone());
            bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            chunk.entries.push(ScanEntry { key: key.clone(), tag: entry.tag, bytes: value });
        }
        Ok(chunk)
    }

    fn take_commit(&mut self) -> Option<LogCommit> {
        let changes = std::mem::take(&mut self.changes);
        (!changes.is_empty()).then_some(LogCommit { changes, last: self.last })
    }

    fn notice(&mut self, notice: LogNotice) {
        self.durable = self.durable.max(notice.last);
        self.pending_bytes -= notice.bytes;
    }

    fn durable(&self) -> Stamp {
        self.durable
    }

    fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }
}

impl<F: DiskFile> Writer for LogWriter<F> {
    type Commit = LogCommit;
    type Notice = LogNotice;

    fn write(
        &mut self,
        commits: Vec<(ShardId, LogCommit)>,
        notices: &mut Vec<(ShardId, LogNotice)>,
    ) -> io::Result<()> {
        let mut records = Vec::new();
        for (shard, commit) in &commits {
            put_record(&mut records, *shard, &commit.changes);
        }
        self.file.write_at(&[IoSlice::new(&records)], self.end)?;
        self.file.sync()?;
        self.end += records.len() as u64;
        notices.extend(commits.into_iter().map(|(shard, commit)| {
            (shard, LogNotice { last: commit.last, bytes: commit.changes.len() as u64 })
        }));
        Ok(())
    }

    fn tidy(&mut self, _notices: &mut Vec<(ShardId, LogNotice)>) -> io::Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests;

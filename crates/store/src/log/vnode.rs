//! One partition's replica, as the device sees it: which keys, where, and what is still in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ombak_base::{
    Chunk, DeviceError, DiskFile, Entry, Load, Partition, Peek, Scan, ScanEntry, always,
};

use super::commit::{Append, GivenUp, LargeValue};
use super::compact::{LargeMove, Moved, is_bloated};
use super::header::{HEADER_BYTES, Header};
use super::index::{Index, Location};
use super::large::Larges;
use super::read::{EntryRead, entry_of, read_large};
use super::record::{self, Body, KEY_BYTES_MAX, Place, Pointer};
use super::strand::{Files, Kind, Strand};
use super::tail::Position;
use crate::budget::{Budget, range_of};
use crate::status::PartitionStatus;

/// What a device tells its vnodes of the options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// A file that is longer takes no more records.
    pub(crate) file_bytes: u64,
    /// Values from here on go to a file of their own.
    pub(crate) large_bytes: usize,
}

/// A vnode's files are so many times smaller than what is alive in it, so that giving one up moves little at once.
const FILES: u64 = 10;
/// But not smaller than this.
const FILE_BYTES_MIN: u64 = 1024 * 1024;
const LARGE_FILE_BYTES_MIN: u64 = 1024 * 1024;

impl Bounds {
    /// How long a file of records becomes.
    fn file_bytes_for(&self, live_bytes: u64) -> u64 {
        (live_bytes / FILES).max(FILE_BYTES_MIN).min(self.file_bytes)
    }

    /// How long a file of large values becomes, but for the last value.
    fn large_file_bytes(&self, live_bytes: u64) -> u64 {
        (live_bytes / FILES).max(LARGE_FILE_BYTES_MIN).min(self.file_bytes)
    }
}

/// A record is alive, and cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flawed;

pub(crate) struct Vnode<F> {
    partition: Partition,
    index: Index,
    larges: Larges,
    data: Strand<F>,
    large: Strand<F>,
    /// Files of which something cannot be read: they are kept as they are until the next start.
    kept: BTreeSet<(Kind, u32)>,
}

impl<F: DiskFile> Vnode<F> {
    /// An empty one.
    pub(crate) fn new(partition: Partition) -> Vnode<F> {
        let (index, larges) = (Index::default(), Larges::default());
        Vnode::reopen(partition, index, larges, Strand::default(), Strand::default())
    }

    /// One that recovery found.
    pub(crate) fn reopen(
        partition: Partition,
        index: Index,
        larges: Larges,
        data: Strand<F>,
        large: Strand<F>,
    ) -> Vnode<F> {
        Vnode { partition, index, larges, data, large, kept: BTreeSet::new() }
    }

    /// Puts or removes, and returns what must become durable. The record is written to `chunk`, once, and shared.
    pub(crate) fn store(
        &mut self,
        key: &[u8],
        entry: Option<&Entry>,
        bounds: Bounds,
        chunk: &mut BytesMut,
    ) -> Append {
        always!(key.len() <= KEY_BYTES_MAX, "a stored key is within its limit", "{}", key.len());
        let tag = entry.map_or(0, |entry| entry.tag);
        let (body, large) = self.place_value(entry, bounds);
        self.append(key, tag, &body, large, bounds, chunk)
    }

    /// Writes a record behind all others and points the index at it.
    fn append(
        &mut self,
        key: &[u8],
        tag: u64,
        body: &Body,
        large: Option<Box<LargeValue>>,
        bounds: Bounds,
        chunk: &mut BytesMut,
    ) -> Append {
        let len = record::record_len(key, body);
        let (file, start) = self.place_record(len, bounds);
        chunk.reserve(HEADER_BYTES + len);
        if start == 0 {
            self.header(file).encode(chunk);
        }
        let header_len = chunk.len();
        let place =
            Place { partition: self.partition, file, offset: (start + header_len as u64) as u32 };
        record::encode(chunk, place, key, tag, body);
        let bytes = chunk.split().freeze();
        self.data.advance(bytes.len() as u64);
        self.data.remember((file, u64::from(place.offset)), bytes.slice(header_len..));
        self.point(key, tag, body, place, len);
        Append { partition: self.partition, file, offset: start as u32, bytes, large }
    }

    /// The key is what the record at `place` says, from now on.
    fn point(&mut self, key: &[u8], tag: u64, body: &Body, place: Place, len: usize) {
        let (before, is_pointer) = match body {
            Body::Removed => (self.index.remove(key), false),
            Body::Value(_) => {
                (self.index.insert(key, Location::new(place, len, tag, false)), false)
            }
            Body::Pointer(pointer) => {
                self.larges.insert(key, *pointer);
                (self.index.insert(key, Location::new(place, len, tag, true)), true)
            }
        };
        if !is_pointer && before.is_some_and(|before| before.is_pointer()) {
            self.larges.remove(key);
        }
    }

    /// What the record will say, and the value that goes elsewhere.
    fn place_value(
        &mut self,
        entry: Option<&Entry>,
        bounds: Bounds,
    ) -> (Body, Option<Box<LargeValue>>) {
        let Some(entry) = entry else { return (Body::Removed, None) };
        if entry.bytes.len() < bounds.large_bytes {
            return (Body::Value(entry.bytes.clone()), None);
        }
        if self.large.end().1 >= bounds.large_file_bytes(self.larges.live_bytes()) {
            self.large.roll();
        }
        let at = self.large.end();
        self.large.advance(entry.bytes.len() as u64);
        self.large.remember(at, entry.bytes.clone());
        let pointer = Pointer {
            file: at.0,
            len: entry.bytes.len() as u32,
            offset: at.1,
            crc: crc32fast::hash(&entry.bytes),
        };
        (Body::Pointer(pointer), Some(Box::new(LargeValue { at, bytes: entry.bytes.clone() })))
    }

    /// Where the next record (with the file's header, if it is the first) goes.
    fn place_record(&mut self, len: usize, bounds: Bounds) -> Position {
        let (_, end) = self.data.end();
        let most = bounds.file_bytes_for(self.index.live_bytes());
        if end > 0 && end + len as u64 > most {
            self.data.roll();
        }
        self.data.end()
    }

    fn header(&self, file: u32) -> Header {
        let previous_len = self.data.previous_len() as u32;
        Header { partition: self.partition, file, previous_len }
    }

    /// See [`Device::load`](ombak_base::Device::load).
    pub(crate) fn load(&self, key: &[u8]) -> Load {
        match self.index.get(key) {
            Some(location) => self.read(key, location),
            None => Load::Ready(Ok(None)),
        }
    }

    /// See [`Device::peek`](ombak_base::Device::peek). A value that the last start found damaged is not vouched for.
    pub(crate) fn peek(&self, key: &[u8]) -> Peek {
        match self.index.get(key) {
            Some(location) if location.is_flawed() => Peek::Unknown,
            Some(location) => Peek::Tag(location.tag()),
            None => Peek::Absent,
        }
    }

    fn read(&self, key: &[u8], location: Location) -> Load {
        let place = location.place(self.partition);
        if let Some(record) = self.data.remembered((place.file, u64::from(place.offset))) {
            return self.read_remembered(place, &record);
        }
        let Some(data) = self.data.files().get(&place.file) else {
            let path = Kind::Data.path(self.partition, place.file);
            return Load::Ready(Err(DeviceError::Damaged(format!("{path} is missing"))));
        };
        let read = EntryRead {
            place,
            len: location.len(),
            key: Bytes::copy_from_slice(key),
            data: data.clone(),
            large: self.large.files().clone(),
        };
        // A large value is worth another thread even when it is cached: copying it takes longer than the switch.
        let cached = if location.is_pointer() { None } else { read.try_cached() };
        match cached {
            Some(result) => Load::Ready(result),
            None => Load::Blocked(Box::new(move || read.run())),
        }
    }

    /// A record in memory: nothing is copied.
    fn read_remembered(&self, place: Place, bytes: &Bytes) -> Load {
        let Some(record) = record::decode(place, bytes) else {
            let path = Kind::Data.path(self.partition, place.file);
            return Load::Ready(Err(DeviceError::Damaged(format!("{path}, in memory"))));
        };
        let Body::Pointer(pointer) = record.body else {
            return Load::Ready(entry_of(record, |_| Ok(Bytes::new())));
        };
        if let Some(value) = self.large.remembered((pointer.file, pointer.offset)) {
            return Load::Ready(Ok(Some(Entry { tag: record.tag, bytes: value })));
        }
        let files = self.large.files().clone();
        let read = move || entry_of(record, |pointer| read_large(&files, place, pointer));
        Load::Blocked(Box::new(read))
    }

    /// See [`Device::scan`](ombak_base::Device::scan). A value that cannot be read ends the piece in front of it; if
    /// it is the first, the scan fails.
    pub(crate) fn scan(&self, scan: &Scan) -> Result<Chunk, DeviceError> {
        let mut chunk = Chunk::default();
        let Some(range) = range_of(scan) else { return Ok(chunk) };
        let mut budget = Budget::new(scan);
        for (key, location) in self.index.range(range) {
            let next = Bytes::from(key);
            if budget.is_spent() {
                chunk.next = Some(next);
                break;
            }
            let bytes = match self.value_for(scan, &next, location) {
                Ok(bytes) => bytes,
                Err(error) if chunk.entries.is_empty() => return Err(error),
                Err(_) => {
                    chunk.next = Some(next);
                    break;
                }
            };
            budget.spend(next.len() + bytes.as_ref().map_or(0, Bytes::len));
            chunk.entries.push(ScanEntry { key: next, tag: location.tag(), bytes });
        }
        Ok(chunk)
    }

    fn value_for(
        &self,
        scan: &Scan,
        key: &[u8],
        location: Location,
    ) -> Result<Option<Bytes>, DeviceError> {
        if !scan.values {
            return Ok(None);
        }
        let entry = match self.read(key, location) {
            Load::Ready(result) => result?,
            Load::Blocked(job) => job()?,
        };
        Ok(entry.map(|entry| entry.bytes))
    }

    /// The writer has put everything before `upto` into files.
    pub(crate) fn flushed(&mut self, kind: Kind, upto: Position, handle: &Arc<F>) {
        match kind {
            Kind::Data => self.data.flushed(upto, handle),
            Kind::Large => self.large.flushed(upto, handle),
        }
    }

    /// Whether the files of records are too large for what is alive in them.
    pub(crate) fn is_bloated(&self, bounds: Bounds) -> bool {
        let live = self.index.live_bytes();
        is_bloated(self.data.bytes(), live, bounds.file_bytes_for(live))
    }

    /// The oldest file of records, with its length, if it should be given up and can be read.
    pub(crate) fn bloated(&self, bounds: Bounds) -> Option<(u32, u64, Arc<F>)> {
        if !self.is_bloated(bounds) {
            return None;
        }
        let (file, len, handle) = self.data.closed().next()?;
        (self.data.first() == Some(file) && !self.kept.contains(&(Kind::Data, file)))
            .then(|| (file, len, handle.clone()))
    }

    /// The file of large values of which the least is alive, if it should be given up.
    pub(crate) fn bloated_large(&self, bounds: Bounds) -> Option<u32> {
        let live = self.larges.live_bytes();
        let bloated = is_bloated(self.large.bytes(), live, bounds.large_file_bytes(live));
        let share = |(file, len): (u32, u64)| self.larges.live_in(file) * 1_000 / len.max(1);
        let closed = self.large.closed().map(|(file, len, _)| (file, len));
        let closed = closed.filter(|(file, _)| !self.kept.contains(&(Kind::Large, *file)));
        let least = closed.min_by_key(|each| share(*each))?;
        (bloated || share(least) == 0).then_some(least.0)
    }

    /// Stores a record again if the index still points at it. `Err`: it is alive, and its value cannot be read.
    pub(crate) fn relocate(
        &mut self,
        moved: Moved,
        bounds: Bounds,
        chunk: &mut BytesMut,
    ) -> Result<Option<Append>, Flawed> {
        let here = |location: &Location| location.place(self.partition) == moved.place;
        if !self.index.get(&moved.key).is_some_and(|location| here(&location)) {
            return Ok(None);
        }
        let body = moved.body.ok_or(Flawed)?;
        Ok(Some(self.append(&moved.key, moved.tag, &body, None, bounds, chunk)))
    }

    /// Stores a large value again, elsewhere, if it is still the key's.
    pub(crate) fn relocate_large(
        &mut self,
        moved: LargeMove,
        bounds: Bounds,
        chunk: &mut BytesMut,
    ) -> Result<Option<Append>, Flawed> {
        let location = self.index.get(&moved.key);
        let Some(location) =
            location.filter(|_| self.larges.get(&moved.key) == Some(moved.pointer))
        else {
            return Ok(None);
        };
        let entry = Entry { tag: location.tag(), bytes: moved.value.ok_or(Flawed)? };
        Ok(Some(self.store(&moved.key, Some(&entry), bounds, chunk)))
    }

    /// The keys with values in a file of large values.
    pub(crate) fn keys_in_large(&self, file: u32) -> Vec<Bytes> {
        self.larges.keys_in(file)
    }

    /// Where the large value of a key is, and the files to read it from.
    pub(crate) fn large_of(&self, key: &[u8]) -> Option<(Pointer, Files<F>)> {
        Some((self.larges.get(key)?, self.large.files().clone()))
    }

    /// Nothing in the file is alive any more.
    pub(crate) fn give_up(&mut self, kind: Kind, file: u32) -> GivenUp {
        match kind {
            Kind::Data => {
                self.data.forget(file);
                GivenUp::Before(file + 1)
            }
            Kind::Large => {
                always!(
                    self.larges.live_in(file) == 0,
                    "a file is given up when nothing in it is alive"
                );
                self.large.forget(file);
                self.larges.forget(file);
                GivenUp::Large(file)
            }
        }
    }

    /// A closed file of records, with its length.
    pub(crate) fn closed_file(&self, file: u32) -> Option<(u32, u64, Arc<F>)> {
        let mut closed = self.data.closed();
        closed.find(|(number, ..)| *number == file).map(|(file, len, f)| (file, len, f.clone()))
    }

    /// Whether nothing in a file of large values is alive.
    pub(crate) fn is_dead_large(&self, file: u32) -> bool {
        self.larges.live_in(file) == 0
    }

    /// Something in the file cannot be read: it stays.
    pub(crate) fn keep(&mut self, kind: Kind, file: u32) {
        self.kept.insert((kind, file));
    }

    pub(crate) fn status(&self) -> PartitionStatus {
        PartitionStatus {
            keys: self.index.keys(),
            live_bytes: self.index.live_bytes(),
            file_bytes: self.data.bytes(),
            large_bytes: self.large.bytes(),
            memory_bytes: self.data.memory_bytes() + self.large.memory_bytes(),
        }
    }
}

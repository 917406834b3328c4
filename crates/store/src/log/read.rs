//! Reading one entry from a vnode's files, checked.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{DeviceError, DiskFile, Entry};

use super::record::{Body, Place, Pointer, Record, decode};
use super::strand::{Files, Kind};
use crate::error::read_failed;

/// Everything that is needed to read one entry, on whatever thread.
pub(crate) struct EntryRead<F> {
    pub(crate) place: Place,
    pub(crate) len: usize,
    pub(crate) key: Bytes,
    pub(crate) data: Arc<F>,
    pub(crate) large: Files<F>,
}

/// What a read ends with: the entry, or why there is none.
pub(crate) type ReadResult = Result<Option<Entry>, DeviceError>;

impl<F: DiskFile> EntryRead<F> {
    /// Reads from the page cache alone; `None` if that would wait for the disk.
    pub(crate) fn try_cached(&self) -> Option<ReadResult> {
        match self.read_record(F::read_cached_at) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            bytes => Some(self.finish(bytes)),
        }
    }

    /// Reads and waits as long as it takes.
    pub(crate) fn run(self) -> ReadResult {
        self.finish(self.read_record(F::read_at))
    }

    fn read_record(
        &self,
        read: impl Fn(&F, &mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<Bytes> {
        let mut buffer = vec![0; self.len];
        let offset = u64::from(self.place.offset);
        let len =
            read_full(&mut buffer, offset, |buffer, offset| read(&self.data, buffer, offset))?;
        buffer.truncate(len);
        Ok(buffer.into())
    }

    fn finish(&self, bytes: io::Result<Bytes>) -> ReadResult {
        let bytes = bytes.map_err(|error| read_failed(&self.data_path(), &error))?;
        let record = decode(self.place, &bytes).filter(|record| record.key == self.key);
        match record {
            Some(record) => entry_of(record, |pointer| self.read_large(pointer)),
            None => Err(DeviceError::Damaged(self.describe())),
        }
    }

    fn read_large(&self, pointer: Pointer) -> Result<Bytes, DeviceError> {
        read_large(&self.large, self.place, pointer)
    }

    fn data_path(&self) -> String {
        Kind::Data.path(self.place.partition, self.place.file)
    }

    fn describe(&self) -> String {
        format!("{} at offset {}", self.data_path(), self.place.offset)
    }
}

/// Turns a record into what a machine sees; `large` fetches a value that is elsewhere.
pub(crate) fn entry_of(
    record: Record,
    large: impl FnOnce(Pointer) -> Result<Bytes, DeviceError>,
) -> ReadResult {
    let bytes = match record.body {
        Body::Value(bytes) => bytes,
        Body::Pointer(pointer) => large(pointer)?,
        Body::Removed => return Ok(None),
    };
    Ok(Some(Entry { tag: record.tag, bytes }))
}

/// Reads the value that `pointer`, which stands at `place`, points at.
pub(crate) fn read_large<F: DiskFile>(
    files: &Files<F>,
    place: Place,
    pointer: Pointer,
) -> Result<Bytes, DeviceError> {
    let path = Kind::Large.path(place.partition, pointer.file);
    let Some(file) = files.get(&pointer.file) else {
        return Err(DeviceError::Damaged(format!("{path} is missing")));
    };
    let mut buffer = vec![0; pointer.len as usize];
    let read =
        read_full(&mut buffer, pointer.offset, |buffer, offset| file.read_at(buffer, offset));
    let len = read.map_err(|error| read_failed(&path, &error))?;
    if len < buffer.len() || crc32fast::hash(&buffer) != pointer.crc {
        return Err(DeviceError::Damaged(format!("{path} at offset {}", pointer.offset)));
    }
    Ok(buffer.into())
}

/// Fills `buffer` from `offset` on, in as many reads as it takes; returns how much was there.
pub(crate) fn read_full(
    buffer: &mut [u8],
    offset: u64,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;

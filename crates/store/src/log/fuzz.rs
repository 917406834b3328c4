//! What any bytes at all must satisfy where a store is read.
//!
//! The fuzz targets in `fuzz/` and this crate's property tests call the same functions. They panic where a promise is
//! broken. Checksums would keep nearly all bytes out, so most functions also put the right ones in and look again.

use std::io::{self, IoSlice};

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;
use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::commit::{Redo, bytes_head, end_record};
use super::format::{FORMAT_FILE, check};
use super::header::{HEADER_BYTES, Header};
use super::keys;
use super::manifest::{self, FIRSTS_FILE, Firsts};
use super::record::{HEAD_BYTES, Head, Place, decode, encode};
use super::scan::scan;

const PARTITION: Partition = Partition(7);
const FILE: u32 = 2;
const FILE_BYTES: u32 = 91;

/// The first byte says where the rest stands: a record, or what passes for one.
pub fn record(input: &[u8]) {
    let Some((&offset, bytes)) = input.split_first() else { return };
    let place = Place { partition: PARTITION, file: FILE, offset: u32::from(offset) };
    check_record(place, bytes.to_vec());
    let mut bytes = bytes.to_vec();
    let len = sign_record(place, &mut bytes).unwrap_or_default();
    check_record(place, bytes[..len].to_vec());
}

fn check_record(place: Place, bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    let Some(record) = decode(place, &bytes) else { return };
    let mut again = BytesMut::new();
    encode(&mut again, place, &record.key, record.tag, &record.body);
    assert_eq!(again, bytes);
}

/// Puts in the sums that belong to the record at the front, if there is all of one; its length.
fn sign_record(place: Place, bytes: &mut [u8]) -> Option<usize> {
    let head = Head::read(bytes).filter(|head| head.record_len() <= bytes.len())?;
    let (prefix, whole) = (head.prefix_len(), head.record_len());
    let value = crc(&[&bytes[prefix..whole]]);
    bytes[4..8].copy_from_slice(&value.to_le_bytes());
    let Place { partition, file, offset } = place;
    let place = [partition.0.to_le_bytes(), file.to_le_bytes(), offset.to_le_bytes()].concat();
    let sum = crc(&[&place, &bytes[4..prefix]]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    Some(whole)
}

/// The beginning of a vnode's file.
pub fn header(input: &[u8]) {
    check_header(input);
    if let Some(bytes) = input.first_chunk::<HEADER_BYTES>() {
        let mut bytes = *bytes;
        sign_header(&mut bytes);
        check_header(&bytes);
    }
}

fn check_header(bytes: &[u8]) {
    let Some(header) = Header::decode(bytes) else { return };
    let mut again = BytesMut::new();
    header.encode(&mut again);
    assert_eq!(Header::decode(&again), Some(header));
}

/// Puts in the mark, the version and the sum.
fn sign_header(bytes: &mut [u8]) {
    let mut some = BytesMut::new();
    Header { partition: PARTITION, file: FILE, previous_len: 0 }.encode(&mut some);
    bytes[..12].copy_from_slice(&some[..12]);
    let sum = crc(&[&bytes[..28]]);
    bytes[28..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// A record that the commit log holds for the store.
pub fn redo(input: &[u8]) {
    let again = match Redo::decode(&Bytes::copy_from_slice(input)) {
        Some(Redo::Bytes { file, offset, bytes }) => {
            [&bytes_head(file, offset), &bytes[..]].concat()
        }
        Some(Redo::End { file, offset }) => end_record(file, offset).to_vec(),
        None => return,
    };
    assert_eq!(again, input);
}

/// A whole file of a vnode: every byte is in a record or in a gap, in order.
pub fn file(input: &[u8]) {
    check_file(input.to_vec());
    let mut bytes = input.to_vec();
    if bytes.len() < HEADER_BYTES {
        return;
    }
    sign_header(&mut bytes[..HEADER_BYTES]);
    let mut at = HEADER_BYTES;
    while at + HEAD_BYTES <= bytes.len() {
        let place = Place { partition: PARTITION, file: FILE, offset: at as u32 };
        // Where there is no record, one may begin a little later.
        at += sign_record(place, &mut bytes[at..]).unwrap_or(7);
    }
    check_file(bytes);
}

fn check_file(bytes: Vec<u8>) {
    let len = bytes.len() as u64;
    let mut parts = Vec::new();
    let found = scan(PARTITION, FILE, &Memory(bytes), len, 0, |seen| {
        parts.push((u64::from(seen.place.offset), seen.len as u64));
    });
    parts.extend(found.gaps.iter().map(|(from, to)| (*from, to - from)));
    parts.sort_unstable();
    let header = if found.previous_len.is_some() { HEADER_BYTES as u64 } else { 0 };
    let mut end = header.min(len);
    for (from, bytes) in parts {
        assert_eq!(from, end);
        end = from + bytes;
    }
    assert!(end == len || !found.ends_clean, "{end} of {len}");
}

/// The file `format` of a store.
pub fn format(input: &[u8]) {
    let taken = check(&Memory(input.to_vec())).is_ok();
    let mut words = input.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    assert!(!taken || words.next() == Some(b"ombak-log"));
}

/// The file `firsts`, and the same bytes with the sum that belongs to them.
pub fn manifest(input: &[u8]) {
    check_manifest(input);
    check_manifest(&[input, &crc(&[input]).to_le_bytes()].concat());
}

fn check_manifest(bytes: &[u8]) {
    // Nothing that is not a whole file of ours is believed.
    if let Firsts::Known(firsts) = manifest::read(&Memory(bytes.to_vec())) {
        assert!(bytes.starts_with(b"ombak-1s"));
        assert!(bytes.len() >= 20 + 8 * firsts.len());
    }
}

/// A list of keys: the bytes as they are, and behind a head and in front of a sum that are right.
pub fn keys(input: &[u8]) {
    check_keys(input);
    let words = [input.len() as u32, PARTITION.0, FILE, HEADER_BYTES as u32, FILE_BYTES, 0];
    let head = words.map(u32::to_le_bytes).concat();
    let body = [b"oks1", &head[..], input].concat();
    check_keys(&[&body, &crc(&[&body]).to_le_bytes()[..]].concat());
}

fn check_keys(bytes: &[u8]) {
    let (sections, end) = keys::decode(PARTITION, &Bytes::copy_from_slice(bytes));
    assert!(end <= bytes.len() as u64);
    for (stretch, records) in sections {
        let len: usize = records.iter().map(|record| record.len).sum();
        assert_eq!(len, (stretch.to - stretch.from) as usize);
        assert!(records.iter().all(|record| record.len >= HEAD_BYTES + record.key.len()));
    }
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// A disk with one file, which is the store's `format` and its `firsts`. Nothing can be written.
#[derive(Clone)]
struct Memory(Vec<u8>);

impl Disk for Memory {
    type File = Memory;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Memory> {
        let is_there = path == FORMAT_FILE || path == FIRSTS_FILE;
        if is_there && mode == OpenMode::Read { Ok(self.clone()) } else { unwritable() }
    }

    fn list(&self, _path: &str) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn remove(&self, _path: &str) -> io::Result<()> {
        unwritable()
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        unwritable()
    }

    fn link(&self, _from: &str, _to: &str) -> io::Result<()> {
        unwritable()
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        unwritable()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl DiskFile for Memory {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..));
        let rest = rest.unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, _buffers: &[IoSlice<'_>], _offset: u64) -> io::Result<()> {
        unwritable()
    }

    fn sync(&self) -> io::Result<()> {
        unwritable()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        unwritable()
    }
}

fn unwritable<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Heads of short records with whatever behind them, which get further than any bytes do.
    fn likely_records() -> impl Strategy<Value = Vec<u8>> {
        let record = (0u8..5, 0u8..30, 0u8..20, vec(any::<u8>(), 0..60));
        vec(record, 0..6).prop_map(|records| {
            let mut out = Vec::new();
            for (kind, value, key, rest) in records {
                out.extend([0; 8]);
                out.extend([value, 0, 0, kind, key, 0, 0, 0]);
                out.extend([9; 8]);
                out.extend(rest);
            }
            out
        })
    }

    fn any_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![3 => Just(0u8), 2 => 0u8..9, 1 => any::<u8>()], 0..len)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_as_a_record(at: u8, input in prop_oneof![any_bytes(100), likely_records()]) {
            record(&[&[at], &input[..]].concat());
        }

        #[test]
        fn any_bytes_as_a_header(input in any_bytes(40)) {
            header(&input);
        }

        #[test]
        fn any_bytes_as_redo(input in any_bytes(40)) {
            redo(&input);
        }

        #[test]
        fn any_bytes_as_a_file(head in vec(any::<u8>(), HEADER_BYTES), records in likely_records()) {
            file(&[head, records].concat());
        }

        #[test]
        fn any_bytes_as_a_short_file(input in any_bytes(100)) {
            file(&input);
        }

        #[test]
        fn any_bytes_as_a_manifest(
            input in prop_oneof![
                any_bytes(60),
                (0..3u8, 0..4u8, any_bytes(30)).prop_map(|(version, count, rest)| {
                    let head = [version, 0, 0, 0, count, 0, 0, 0];
                    [&b"ombak-1s"[..], &head, &rest].concat()
                }),
            ],
        ) {
            manifest(&input);
        }

        #[test]
        fn any_bytes_as_a_list_of_keys(
            input in prop_oneof![
                any_bytes(60),
                // Two records that fill the file.
                (28..32u8, any::<u64>(), 0..5u8).prop_map(|(len, tag, shared)| {
                    let tag = tag.to_le_bytes();
                    let first = [&[len << 2, 0, 4], &b"key1"[..], &tag].concat();
                    let second = [&[(59 - len) << 2, shared, 0][..], &tag].concat();
                    [first, second].concat()
                }),
            ],
        ) {
            keys(&input);
        }

        #[test]
        fn any_bytes_as_a_format(input in prop_oneof![any_bytes(80), "ombak-log [0-9x +-]{0,12}".prop_map(String::into_bytes)]) {
            format(&input);
        }
    }
}

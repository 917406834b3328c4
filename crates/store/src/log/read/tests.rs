use std::collections::BTreeMap;
use std::io::IoSlice;

use bytes::BytesMut;
use ombak_base::Partition;

use super::*;
use crate::log::record::encode;

const PLACE: Place = Place { partition: Partition(0), file: 0, offset: 3 };

/// Gives a byte or two at a time, and has only so many bytes in the page cache.
struct Stutter {
    content: Vec<u8>,
    cached: u64,
}

impl DiskFile for Stutter {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len()).min(1 + offset as usize % 2);
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.cached {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.len() as u64)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

fn value() -> Entry {
    Entry { tag: 4, bytes: Bytes::from_static(b"value") }
}

/// A read of the record of "key" from a file of which `cut` bytes are missing and `cached` in memory.
fn read(cut: usize, cached: u64) -> EntryRead<Stutter> {
    let mut content = BytesMut::from(&b"xxx"[..]);
    encode(&mut content, PLACE, b"key", 4, &Body::Value(value().bytes));
    let len = content.len() - 3;
    content.truncate(content.len() - cut);
    let data = Arc::new(Stutter { content: content.to_vec(), cached });
    let large = Arc::new(BTreeMap::new());
    EntryRead { place: PLACE, len, key: Bytes::from_static(b"key"), data, large }
}

#[test]
fn short_reads_are_put_together() {
    assert_eq!(read(0, 1000).try_cached(), Some(Ok(Some(value()))));
    assert_eq!(read(0, 0).run(), Ok(Some(value())));
}

#[test]
fn what_is_cached_in_part_blocks() {
    assert_eq!(read(0, 10).try_cached(), None);
}

#[test]
fn a_file_that_ends_early_is_damaged() {
    for cut in 1..36 {
        let damaged = Err(DeviceError::Damaged("vnodes/0/0.data at offset 3".to_string()));
        assert_eq!(read(cut, 1000).run(), damaged);
    }
}

#[test]
fn the_record_of_another_key_is_damage() {
    let other = EntryRead { key: Bytes::from_static(b"other"), ..read(0, 1000) };
    assert!(matches!(other.run(), Err(DeviceError::Damaged(_))));
}

#[test]
fn an_interrupted_read_goes_on() {
    let interrupted = std::cell::Cell::new(false);
    let mut buffer = [0; 4];
    let len = read_full(&mut buffer, 0, |part, _| {
        if !interrupted.replace(!interrupted.get()) {
            return Err(ErrorKind::Interrupted.into());
        }
        part[0] = 7;
        Ok(1)
    });
    assert_eq!((len.unwrap(), buffer), (4, [7; 4]));
}

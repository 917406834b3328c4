//! What any bytes at all must satisfy where a log is read.
//!
//! The fuzz targets in `fuzz/` and this crate's property tests call the same functions. They panic where a promise is
//! broken. Checksums would keep nearly all bytes out, so each function also puts the right ones in and looks again.

use crc32fast::Hasher;

use super::format::{
    BATCH_HEADER_BYTES, BLOCK, BatchHeader, RECORD_HEADER_BYTES, SegmentHeader, record_header,
    records,
};
use super::{Lsn, StreamId};

/// The bytes that a segment header's checksum covers, and those before the checksum.
const HEADER_BYTES: usize = 512;
const HEADER_CRC_AT: usize = 12;
const BATCH_CRC_AT: usize = 4;

/// The first block of a segment: a header survives being written again.
pub fn segment_header(input: &[u8]) {
    let mut block = vec![0; BLOCK as usize];
    let there = input.len().min(block.len());
    block[..there].copy_from_slice(&input[..there]);
    check_segment_header(&block);
    let some = SegmentHeader {
        sequence: 1,
        first_lsn: Lsn(1),
        oldest: 1,
        oldest_lsn: Lsn(1),
        incarnation: 1,
        bytes: BLOCK,
    };
    block[..HEADER_CRC_AT].copy_from_slice(&some.encode()[..HEADER_CRC_AT]);
    let crc = crc(&[&block[..HEADER_CRC_AT], &block[HEADER_CRC_AT + 4..HEADER_BYTES]]);
    block[HEADER_CRC_AT..HEADER_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    check_segment_header(&block);
}

fn check_segment_header(block: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(block) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
}

/// The first byte says at which block the rest stands: a batch, or what passes for one.
pub fn batch(input: &[u8]) {
    let Some((&block, bytes)) = input.split_first() else { return };
    let offset = BLOCK * (1 + u64::from(block));
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(BATCH_HEADER_BYTES), 0);
    check_batch(&bytes, offset);
    let some =
        BatchHeader { sequence: 1, lsn: Lsn(1), incarnation: 1, records: 1, bytes: u32::MAX };
    bytes[..BATCH_CRC_AT].copy_from_slice(&some.encode(offset)[..BATCH_CRC_AT]);
    let crc = crc(&[&offset.to_le_bytes(), &bytes[8..BATCH_HEADER_BYTES]]);
    bytes[BATCH_CRC_AT..BATCH_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    check_batch(&bytes, offset);
}

fn check_batch(bytes: &[u8], offset: u64) {
    let end = offset + (1 << 20);
    BatchHeader::is_trace(bytes, 1, Lsn(1));
    let Some(header) = BatchHeader::decode(bytes, offset, end) else { return };
    assert!(offset + header.padded() <= end);
    assert_eq!(BatchHeader::decode(&header.encode(offset), offset, end), Some(header));
    assert!(BatchHeader::is_trace(bytes, header.sequence, header.lsn));
    check_records(bytes, &header);
}

/// Two bytes for the number of records, the rest are records, or what passes for them.
pub fn batch_records(input: &[u8]) {
    let Some((count, records)) = input.split_first_chunk::<2>() else { return };
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    bytes.extend_from_slice(records);
    let (count, len) = (u16::from_le_bytes(*count), bytes.len() as u32);
    let header =
        BatchHeader { sequence: 1, lsn: Lsn(7), incarnation: 3, records: count.into(), bytes: len };
    check_records(&bytes, &header);
}

/// They touch, they stay inside, and a sound one is what would have been written.
fn check_records(bytes: &[u8], header: &BatchHeader) {
    let mut sound = bytes.to_vec();
    let mut end = BATCH_HEADER_BYTES;
    let mut count = 0;
    for record in records(bytes, header) {
        assert_eq!((record.lsn, record.start), (Lsn(header.lsn.0 + count), end));
        assert_eq!(record.payload.start, record.start + RECORD_HEADER_BYTES);
        let written = written(bytes, header, record.lsn, record.stream, record.payload.clone());
        assert_eq!(record.sound, bytes[record.start..record.payload.start] == written);
        sound[record.start..record.payload.start].copy_from_slice(&written);
        end = record.payload.end;
        count += 1;
    }
    assert!(count <= u64::from(header.records) && end <= bytes.len());
    let again: Vec<_> = records(&sound, header).collect();
    assert!(again.len() as u64 == count && again.iter().all(|record| record.sound));
}

fn written(
    bytes: &[u8],
    header: &BatchHeader,
    lsn: Lsn,
    stream: StreamId,
    payload: std::ops::Range<usize>,
) -> [u8; RECORD_HEADER_BYTES] {
    record_header(header.incarnation, lsn, stream, &[&bytes[payload]])
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Small numbers get further than any numbers do.
    fn likely(len: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![4 => Just(0u8), 3 => 0u8..20, 1 => any::<u8>()], 0..len)
    }

    /// Numbers that are near something, where a segment header has them.
    fn likely_header() -> impl Strategy<Value = Vec<u8>> {
        let number =
            prop_oneof![6 => 1..4u64, 1 => Just(0), 2 => Just(2 * BLOCK), 1 => any::<u64>()];
        vec(number, 6).prop_map(|numbers| {
            let numbers = numbers.into_iter().flat_map(u64::to_le_bytes);
            [0; 16].into_iter().chain(numbers).collect()
        })
    }

    fn likely_batch() -> impl Strategy<Value = Vec<u8>> {
        (any::<u8>(), 1..4u64, 0..4u32, 0..200u32, likely_records()).prop_map(
            |(block, number, count, bytes, records)| {
                let mut out = vec![block, 0, 0, 0, 0, 0, 0, 0, 0];
                [number; 3].iter().for_each(|number| out.extend(number.to_le_bytes()));
                [count, bytes].iter().for_each(|number| out.extend(number.to_le_bytes()));
                out.extend(records);
                out
            },
        )
    }

    fn likely_records() -> impl Strategy<Value = Vec<u8>> {
        let record = (any::<u32>(), 0u8..20, vec(any::<u8>(), 20), 0..21usize);
        vec(record, 0..6).prop_map(|records| {
            let mut out = Vec::new();
            for (crc, len, payload, exact) in records {
                out.extend(crc.to_le_bytes());
                out.extend([len, 0, 0, 0, 1, 0, 0, 0]);
                // Some do not end where they say.
                let len = if exact == 20 { 20 } else { usize::from(len) };
                out.extend(&payload[..len]);
            }
            out
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_as_a_segment_header(input in prop_oneof![likely_header(), vec(any::<u8>(), 0..600)]) {
            segment_header(&input);
        }

        #[test]
        fn any_bytes_as_a_batch(input in prop_oneof![likely_batch(), likely(200)]) {
            batch(&input);
        }

        #[test]
        fn any_bytes_as_records(count in 0..8u16, input in prop_oneof![likely_records(), likely(400)]) {
            batch_records(&[&count.to_le_bytes(), &input[..]].concat());
        }
    }
}

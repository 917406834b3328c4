use proptest::prelude::*;

use super::*;

fn batch(payloads: &[Vec<u8>]) -> (Vec<u8>, BatchHeader) {
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    for (i, payload) in payloads.iter().enumerate() {
        bytes.extend(record_header(3, Lsn(10 + i as u64), StreamId(i as u32), &[payload]));
        bytes.extend(payload);
    }
    let (records, len) = (payloads.len() as u32, bytes.len() as u32);
    let header = BatchHeader { sequence: 2, lsn: Lsn(10), incarnation: 3, records, bytes: len };
    (bytes, header)
}

#[test]
fn a_batch_header_holds_at_its_place_alone() {
    let (_, header) = batch(&[vec![1; 100]]);
    let block = header.encode(8192);
    assert_eq!(BatchHeader::decode(&block, 8192, 1 << 20), Some(header));
    assert_eq!(BatchHeader::decode(&block, 4096, 1 << 20), None, "elsewhere");
    assert_eq!(BatchHeader::decode(&block, 8192, 8192 + 4095), None, "past the end");
}

#[test]
fn a_record_holds_in_its_incarnation_and_at_its_lsn_alone() {
    let (bytes, header) = batch(&[vec![1; 100]]);
    let sound = |header: BatchHeader| records(&bytes, &header).all(|record| record.sound);
    assert!(sound(header));
    assert!(!sound(BatchHeader { incarnation: 4, ..header }));
    assert!(!sound(BatchHeader { lsn: Lsn(11), ..header }));
}

#[test]
fn a_trace_needs_two_marks() {
    let (_, header) = batch(&[vec![1; 100]]);
    for byte in 0..BATCH_HEADER_BYTES {
        let mut block = header.encode(4096);
        block[byte] ^= 1;
        assert!(BatchHeader::is_trace(&block, 2, Lsn(10)), "{byte}");
        assert!(!BatchHeader::is_trace(&block, 1, Lsn(9)), "{byte}");
    }
    assert!(!BatchHeader::is_trace(&[0; BATCH_HEADER_BYTES], 2, Lsn(10)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_read_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..10)) {
        let (bytes, header) = batch(&payloads);
        let read: Vec<_> = records(&bytes, &header).collect();
        prop_assert_eq!(read.len(), payloads.len());
        for (i, (record, payload)) in read.iter().zip(&payloads).enumerate() {
            prop_assert!(record.sound);
            prop_assert_eq!((record.stream, record.lsn), (StreamId(i as u32), Lsn(10 + i as u64)));
            prop_assert_eq!(&bytes[record.payload.clone()], &payload[..]);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in prop::collection::vec(any::<u8>(), BATCH_HEADER_BYTES..600),
        records_claimed: u32,
        len: u32,
    ) {
        let header = BatchHeader { sequence: 1, lsn: Lsn(1), incarnation: 1, records: records_claimed, bytes: len };
        prop_assert!(records(&bytes, &header).count() <= bytes.len());
        prop_assert_eq!(BatchHeader::decode(&bytes, 4096, 1 << 20), None);
    }
}

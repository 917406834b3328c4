use proptest::prelude::*;

use super::*;

const PARTITION: Partition = Partition(7);

fn seen(key: &'static str, len: usize, value: Option<Value>) -> Seen {
    let is_pointer = matches!(value, Some(Value::Pointer(_)));
    Seen {
        place: Place { partition: PARTITION, file: 3, offset: 0 },
        key: Bytes::from_static(key.as_bytes()),
        tag: 0x0807_0605_0403_0201,
        len,
        value_len: len - record::HEAD_BYTES - key.len(),
        is_removed: false,
        is_pointer,
        value,
    }
}

fn pointer() -> Pointer {
    Pointer { file: 1, len: 100_000, offset: 7, crc: 9 }
}

/// A value, a removal of the same key, and a large value.
fn three() -> (KeyList, ListOf) {
    let mut list = KeyList::default();
    list.push(&seen("key1", 600, Some(Value::Inline)));
    list.push(&Seen { is_removed: true, tag: 0, ..seen("key1", 28, Some(Value::Inline)) });
    list.push(&seen("key22", 49, Some(Value::Pointer(pointer()))));
    (list, ListOf { partition: PARTITION, file: 3, len: 32 + 600 + 28 + 49, previous_len: 5 })
}

#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let (list, of) = three();
    let mut golden = b"ombak-ks\x01\0\0\0\x07\0\0\0\x03\0\0\0\xc5\x02\0\0\x05\0\0\0".to_vec();
    golden.extend_from_slice(b"\xe0\x12\x00\x04key1\x01\x02\x03\x04\x05\x06\x07\x08");
    golden.extend_from_slice(b"\x72\x04\x00");
    golden.extend_from_slice(b"\xc5\x01\x03\x0222\x01\x02\x03\x04\x05\x06\x07\x08");
    golden.extend_from_slice(b"\x01\0\0\0\xa0\x86\x01\0\x07\0\0\0\0\0\0\0\x09\0\0\0");
    let crc = crc32fast::hash(&golden);
    golden.extend_from_slice(&crc.to_le_bytes());
    assert_eq!(list.encode(of), golden);
    let (previous_len, found) = decode(PARTITION, 3, of.len, Bytes::from(golden)).unwrap();
    let offsets: Vec<u32> = found.iter().map(|seen| seen.place.offset).collect();
    let removed: Vec<bool> = found.iter().map(|seen| seen.is_removed).collect();
    assert_eq!((previous_len, offsets), (5, vec![32, 632, 660]));
    assert_eq!(removed, [false, true, false]);
    assert_eq!((found[2].key.as_ref(), found[2].tag), (&b"key22"[..], 0x0807_0605_0403_0201));
    assert!(matches!(found[2].value, Some(Value::Pointer(found)) if found == pointer()));
}

#[test]
fn a_list_of_another_file_is_not_believed() {
    let (list, of) = three();
    let bytes = Bytes::from(list.encode(of));
    assert!(decode(PARTITION, 3, of.len, bytes.clone()).is_some());
    assert!(decode(Partition(8), 3, of.len, bytes.clone()).is_none());
    assert!(decode(PARTITION, 4, of.len, bytes.clone()).is_none());
    assert!(decode(PARTITION, 3, of.len + 1, bytes.clone()).is_none());
    let more = KeyList { listed: 0, ..list }.encode(ListOf { len: of.len + 1, ..of });
    assert!(decode(PARTITION, 3, of.len + 1, Bytes::from(more)).is_none(), "records fill the file");
}

#[test]
fn small_records_are_not_listed() {
    let mut list = KeyList::default();
    for _ in 0..10_000 {
        list.push(&seen("key", 60, Some(Value::Inline)));
    }
    assert!(list.is_vain() && list.entries.is_empty());
}

#[test]
fn a_file_with_a_damaged_value_is_not_listed() {
    let mut list = KeyList::default();
    list.push(&seen("key", 600, None));
    assert!(list.is_vain());
}

proptest! {
    #[test]
    fn one_wrong_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let (list, of) = three();
        let mut bytes = list.encode(of);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(decode(PARTITION, 3, of.len, Bytes::from(bytes)).is_none());
    }
}

use proptest::prelude::*;

use super::*;

const PARTITION: Partition = Partition(7);

fn record(key: &'static str, len: usize) -> Listed<'static> {
    let key = key.as_bytes();
    Listed { key, tag: 0x0807_0605_0403_0201, len, is_removed: false, pointer: None }
}

fn pointer() -> Pointer {
    Pointer { file: 1, len: 100_000, offset: 7, crc: 9 }
}

/// A value, a removal of the same key, and a large value.
fn three() -> Section {
    let mut section = Section::behind(Stretch::begin(PARTITION, 3, 5));
    section.push(record("key1", 1600));
    section.push(Listed { is_removed: true, ..record("key1", 28) });
    section.push(Listed { pointer: Some(pointer()), ..record("key22", 49) });
    section
}

fn only(partition: Partition, bytes: Vec<u8>) -> Option<Read> {
    decode(partition, &Bytes::from(bytes)).0.pop()
}

#[test]
fn the_bytes_of_version_1_are_kept_for_ever() {
    let mut golden = b"oks1\x35\0\0\0\x07\0\0\0\x03\0\0\0\x20\0\0\0\xad\x06\0\0\x05\0\0\0".to_vec();
    golden.extend_from_slice(b"\x80\x32\x00\x04key1\x01\x02\x03\x04\x05\x06\x07\x08");
    golden.extend_from_slice(b"\x72\x04\x00");
    golden.extend_from_slice(b"\xc5\x01\x03\x0222\x01\x02\x03\x04\x05\x06\x07\x08");
    golden.extend_from_slice(b"\x01\0\0\0\xa0\x86\x01\0\x07\0\0\0\0\0\0\0\x09\0\0\0");
    let crc = crc32fast::hash(&golden);
    golden.extend_from_slice(&crc.to_le_bytes());
    assert_eq!(three().take().unwrap(), golden);
    let (stretch, found) = only(PARTITION, golden).unwrap();
    assert_eq!(stretch, Stretch { to: 1709, ..Stretch::begin(PARTITION, 3, 5) });
    let offsets: Vec<u32> = found.iter().map(|seen| seen.place.offset).collect();
    let removed: Vec<bool> = found.iter().map(|seen| seen.is_removed).collect();
    assert_eq!((offsets, removed), (vec![32, 1632, 1660], vec![false, true, false]));
    assert_eq!((found[2].key.as_ref(), found[2].tag), (&b"key22"[..], 0x0807_0605_0403_0201));
    assert!(matches!(found[2].value, Some(Value::Pointer(found)) if found == pointer()));
}

#[test]
fn a_list_is_read_up_to_what_is_not_whole() {
    let mut section = three();
    let mut list = section.take().unwrap();
    section.push(record("key3", 500));
    assert_eq!(
        section.stretch(),
        Stretch { from: 1709, to: 2209, ..Stretch::begin(PARTITION, 3, 5) }
    );
    list.extend(section.take().unwrap());
    let end = list.len() as u64;
    list.extend_from_slice(&three().take().unwrap()[..50]);
    let (sections, found_end) = decode(PARTITION, &Bytes::from(list.clone()));
    let stretches: Vec<(u32, u32)> = sections.iter().map(|(s, _)| (s.from, s.to)).collect();
    assert_eq!((stretches, found_end), (vec![(32, 1709), (1709, 2209)], end));
    assert!(only(Partition(8), list).is_none(), "of another vnode");
}

#[test]
fn records_fill_their_stretch() {
    let mut section = three();
    section.stretch.to += 1;
    assert!(only(PARTITION, section.take().unwrap()).is_none());
    let mut section = three();
    section.stretch.to -= 1;
    assert!(only(PARTITION, section.take().unwrap()).is_none());
}

#[test]
fn small_records_are_not_listed() {
    let mut section = Section::behind(Stretch::begin(PARTITION, 3, 5));
    (0..10_000).for_each(|_| section.push(record("key", 60)));
    assert_eq!((section.bytes(), section.take()), (0, None));
    let mut section = Section::behind(Stretch::begin(PARTITION, 3, 5));
    section.push(record("key", 60));
    assert_eq!(section.take(), None, "nor are few");
    section.push(record("key", 6000));
    assert_eq!(section.take(), None, "nor is anything behind them: there would be a gap");
}

proptest! {
    #[test]
    fn one_wrong_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = three().take().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(only(PARTITION, bytes).is_none());
    }
}

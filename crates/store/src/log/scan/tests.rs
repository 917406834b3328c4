use std::io::IoSlice;

use bytes::BytesMut;
use ombak_base::{Disk, OpenMode};
use ombak_sim::SimDisk;

use super::*;
use crate::log::record::{Body, encode};

const PARTITION: Partition = Partition(3);

/// A file of ten records with keys 0 to 9, and where they begin; and where it ends.
fn ten_records() -> (BytesMut, Vec<usize>) {
    let mut out = BytesMut::new();
    Header { partition: PARTITION, file: 0, previous_len: 0 }.encode(&mut out);
    let mut starts = Vec::new();
    for key in 0..10u8 {
        starts.push(out.len());
        let place = Place { partition: PARTITION, file: 0, offset: out.len() as u32 };
        let value = Bytes::from(vec![key; 100 * usize::from(key)]);
        encode(&mut out, place, &[key], 0, &Body::Value(value));
    }
    starts.push(out.len());
    (out, starts)
}

/// What is found: the keys of sound records, the keys of damaged ones, and the rest.
fn scanned(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Found) {
    let disk = SimDisk::new();
    let file = disk.open("file", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    let (mut sound, mut flawed) = (Vec::new(), Vec::new());
    let found = scan(PARTITION, 0, &file, bytes.len() as u64, 0, |seen| match seen.value {
        Some(_) => sound.push(seen.key[0]),
        None => flawed.push(seen.key[0]),
    });
    (sound, flawed, found)
}

#[test]
fn a_sound_file_is_read_whole() {
    let (bytes, _) = ten_records();
    let (sound, flawed, found) = scanned(&bytes);
    assert_eq!((sound, flawed), ((0..10).collect(), vec![]));
    assert!(found.gaps.is_empty() && found.ends_clean);
    assert_eq!(found.previous_len, Some(0));
}

#[test]
fn a_damaged_value_costs_itself_and_its_key_is_known() {
    let (mut bytes, starts) = ten_records();
    bytes[starts[6] - 1] ^= 1;
    let (sound, flawed, found) = scanned(&bytes);
    assert_eq!((sound.len(), flawed), (9, vec![5]));
    assert!(found.gaps.is_empty() && found.ends_clean);
}

#[test]
fn a_damaged_head_costs_its_record() {
    let (mut bytes, starts) = ten_records();
    // The value's length: believed, it would lead far astray.
    bytes[starts[5] + 10] ^= 0x07;
    let (sound, flawed, found) = scanned(&bytes);
    assert_eq!((sound, flawed), (vec![0, 1, 2, 3, 4, 6, 7, 8, 9], vec![]));
    assert_eq!(found.gaps, [(starts[5] as u64, starts[6] as u64)]);
    assert!(found.ends_clean);
}

#[test]
fn a_hole_of_zeros_is_a_gap() {
    let (mut bytes, starts) = ten_records();
    bytes[starts[2]..starts[4] + 3].fill(0);
    let (sound, _, found) = scanned(&bytes);
    assert_eq!(sound, [0, 1, 5, 6, 7, 8, 9]);
    assert_eq!(found.gaps, [(starts[2] as u64, starts[5] as u64)]);
}

#[test]
fn a_cut_end_is_not_clean() {
    let (bytes, starts) = ten_records();
    for cut in 1..starts[10] - starts[9] {
        let (sound, flawed, found) = scanned(&bytes[..starts[10] - cut]);
        assert_eq!(sound.len(), 9, "cut {cut}");
        assert!(!found.ends_clean, "cut {cut}");
        assert!(flawed == [9] || found.gaps.len() == 1, "cut {cut}");
    }
}

#[test]
fn a_file_of_another_partition_holds_nothing() {
    let (bytes, _) = ten_records();
    let disk = SimDisk::new();
    let file = disk.open("file", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    let found = scan(Partition(4), 0, &file, bytes.len() as u64, 0, |_| panic!("a record"));
    assert_eq!(found.gaps, [(0, 32), (32, bytes.len() as u64)]);
}

#[test]
fn a_value_that_holds_a_copy_of_a_file_is_no_file() {
    let (copy, _) = ten_records();
    let mut bytes = BytesMut::new();
    Header { partition: PARTITION, file: 0, previous_len: 0 }.encode(&mut bytes);
    let place = Place { partition: PARTITION, file: 0, offset: 32 };
    encode(&mut bytes, place, b"copy", 0, &Body::Value(copy.freeze()));
    // Its head is damaged, so the search goes through the value.
    bytes[32] ^= 1;
    let (sound, flawed, found) = scanned(&bytes);
    assert_eq!((sound, flawed), (vec![], vec![]));
    assert_eq!(found.gaps, [(32, bytes.len() as u64)]);
}

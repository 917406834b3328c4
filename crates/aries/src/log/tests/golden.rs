//! The bytes of version 1, for ever: what this version writes, and what every later one must read.

use std::io::IoSlice;

use ombak_base::{DiskFile, OpenMode};

use super::*;

/// The first segment of a log that was given the two records of `write_golden`: the places that are not
/// zero.
const SEGMENT_V1: [(u64, &str); 2] = [(0, HEADER_V1), (BLOCK, BATCH_V1)];

/// Magic, version and checksum; sequence, first LSN; oldest and its LSN; incarnation, bytes.
const HEADER_V1: &str = "\
        4f4d42414b4c4f4701000000957fcc02 \
        01000000000000000100000000000000 \
        01000000000000000100000000000000 \
        01000000000000000020000000000000";

/// Magic, checksum, sequence; LSN, incarnation; records, bytes; then two records.
const BATCH_V1: &str = "\
        4f424154646be58d0100000000000000 \
        01000000000000000100000000000000 \
        0200000050000000665f5e0310000000 \
        070000006f6d62616b206d65616e7320 \
        776176657ef1516d0000000004030201";

fn write_golden(disk: &SimDisk) {
    let options = Options { segment_bytes: 8192, segments_max: 2 };
    let (mut log, ..) = open_with(disk, options).unwrap();
    log.append(StreamId(7), &[b"ombak ", b"means wave"]).unwrap();
    log.append(StreamId(0x0102_0304), &[]).unwrap();
    log.sync().unwrap();
}

fn unhex(hex: &str) -> Vec<u8> {
    let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.chunks(2).map(byte).collect()
}

fn golden() -> Vec<u8> {
    let mut segment = vec![0; 8192];
    for (offset, hex) in SEGMENT_V1 {
        let bytes = unhex(hex);
        segment[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
    }
    segment
}

fn place(disk: &SimDisk, segment: &[u8]) {
    let file = disk.open("wal/segment-000001", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(segment)], 0).unwrap();
}

#[test]
fn this_version_writes_these_bytes() {
    let disk = SimDisk::new();
    write_golden(&disk);
    let written = disk.contents("wal/segment-000001").unwrap();
    assert!(written == golden(), "{}", hex_of(&written));
}

fn hex_of(segment: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("header {}\nbatch {}", hex(&segment[..64]), hex(&segment[4096..4096 + 80]))
}

#[test]
fn version_1_is_read() {
    let disk = SimDisk::new();
    place(&disk, &golden());
    let (_, recovery, records) = open(&disk);
    let first = (StreamId(7), Lsn(1), b"ombak means wave".to_vec());
    assert_eq!(records, [first, (StreamId(0x0102_0304), Lsn(2), vec![])]);
    assert_eq!((recovery.torn_tail, recovery.damaged), (None, vec![]));
}

#[test]
fn a_newer_version_is_refused_and_nothing_is_touched() {
    let disk = SimDisk::new();
    let mut segment = golden();
    segment[8] = 2;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment[..12]);
    hasher.update(&segment[16..512]);
    segment[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    place(&disk, &segment);
    let before = disk.counters();
    let refused = open_with(&disk, SMALL).map(drop);
    assert!(matches!(refused, Err(LogError::Version { version: 2, .. })), "{refused:?}");
    assert_eq!(disk.counters().changes(), before.changes());
}

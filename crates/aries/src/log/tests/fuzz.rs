//! Recovery of bytes that nobody wrote, or that somebody wrote with care.

use std::io::IoSlice;

use ombak_base::{DiskFile, OpenMode};
use ombak_sim::Rng;
use proptest::prelude::*;

use super::format::{BatchHeader, SegmentHeader, record_header};
use super::*;

/// Puts bytes somewhere into a segment file.
fn place(disk: &SimDisk, file: u64, offset: u64, bytes: &[u8]) {
    let file = disk.open(&format!("wal/segment-{file:06}"), OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(bytes)], offset).unwrap();
}

/// It opens or refuses, it can be written to, and after that it is in order.
fn check(disk: &SimDisk) {
    let Ok((mut log, recovery, _)) = open_with(disk, SMALL) else { return };
    assert_eq!(log.next_lsn(), recovery.end);
    let Ok(lsn) = put(&mut log, A, b"still works") else { return };
    drop(log);
    let (_, again, records) = open(disk);
    assert_eq!(records.last().unwrap(), &(A, lsn, b"still works".to_vec()));
    assert_eq!(again.end, Lsn(lsn.0 + 1));
}

/// Checksums alone cannot tell forged blocks from a log, nor make sense of them; but they do no harm.
fn survive(disk: &SimDisk) {
    for _ in 0..2 {
        let Ok((mut log, ..)) = open_with(disk, SMALL) else { return };
        let Ok(_) = put(&mut log, A, b"still works") else { return };
        while log.tidy().unwrap() {}
    }
}

/// Numbers that are near something.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..12u64, 1 => 4090..4110u64, 1 => (1u64 << 61)..(1 << 63), 1 => any::<u64>()]
}

/// A block with a valid checksum and any contents.
#[derive(Clone, Debug)]
enum Block {
    Segment(SegmentHeader),
    Batch(BatchHeader, u64, Vec<u16>),
}

fn segment_header() -> impl Strategy<Value = Block> {
    let numbers = (number(), number(), number(), number(), number(), number());
    numbers.prop_map(|(sequence, first, oldest, oldest_lsn, incarnation, bytes)| {
        let (first_lsn, oldest_lsn) = (Lsn(first), Lsn(oldest_lsn));
        let bytes = bytes.wrapping_mul(BLOCK) % (1 << 40);
        Block::Segment(SegmentHeader {
            sequence,
            first_lsn,
            oldest,
            oldest_lsn,
            incarnation,
            bytes,
        })
    })
}

fn batch() -> impl Strategy<Value = Block> {
    let lens = prop::collection::vec(0..3000u16, 0..4);
    (number(), number(), number(), 0..6u32, 0..9000u32, 1..4u64, lens).prop_map(
        |(sequence, lsn, incarnation, records, bytes, block, lens)| {
            let header = BatchHeader { sequence, lsn: Lsn(lsn), incarnation, records, bytes };
            Block::Batch(header, block, lens)
        },
    )
}

impl Block {
    fn place(&self, disk: &SimDisk, file: u64) {
        match self {
            Block::Segment(header) => place(disk, file, 0, &header.encode()),
            Block::Batch(header, block, lens) => {
                let mut bytes = header.encode(block * BLOCK).to_vec();
                for (i, len) in lens.iter().enumerate() {
                    let payload = vec![1; *len as usize];
                    let lsn = Lsn(header.lsn.0.wrapping_add(i as u64));
                    bytes.extend(record_header(header.incarnation, lsn, A, &[&payload]));
                    bytes.extend(payload);
                }
                place(disk, file, block * BLOCK, &bytes);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(seed: u64, files in prop::collection::vec(0..20_000usize, 1..4)) {
        let disk = SimDisk::new();
        let mut rng = Rng::new(seed);
        for (i, len) in files.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
            place(&disk, i as u64, 0, &bytes);
        }
        check(&disk);
    }

    #[test]
    fn forged_blocks(blocks in prop::collection::vec((1..5u64, prop_oneof![segment_header(), batch()]), 1..12)) {
        let disk = SimDisk::new();
        blocks.iter().for_each(|(file, block)| block.place(&disk, *file));
        survive(&disk);
    }

    #[test]
    fn a_sound_log_with_random_wounds(
        wounds in prop::collection::vec((1..4u64, 0..16_000u64, prop::collection::vec(any::<u8>(), 1..600)), 1..5),
    ) {
        let disk = SimDisk::new();
        let (mut log, ..) = open(&disk);
        let mut sound = Vec::new();
        for i in 0..9u8 {
            let lsn = put(&mut log, A, &[i; 900]).unwrap();
            sound.push((A, lsn, vec![i; 900]));
        }
        drop(log);
        wounds.iter().for_each(|(file, offset, bytes)| place(&disk, *file, *offset, bytes));
        let (_, recovery, records) = open(&disk);
        for record in &sound {
            let lost = recovery.damaged.iter().any(|d| (d.first_lsn..d.next_lsn).contains(&record.1));
            prop_assert!(records.contains(record) || lost || record.1 >= recovery.end);
        }
        prop_assert!(records.iter().all(|record| sound.contains(record)));
    }
}

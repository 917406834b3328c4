//! Logs that another thread reads ahead. That it sees the same is checked wherever a log is opened: here, what is longer than a piece.

use std::io::IoSlice;
use std::thread;

use ombak_base::{DiskFile, OpenMode};

use super::*;
use crate::aligned::AlignedBuffer;
use crate::log::ahead::Ahead;
use crate::log::reader::SegmentReader;

const LARGE: Options = Options { segment_bytes: 6 << 20, segments_max: 4 };
const PIECE: u64 = 1 << 20;

/// A log of two segments. Its batches end anywhere in a piece, and one is longer than two.
fn large() -> SimDisk {
    let disk = SimDisk::new();
    let (mut log, ..) = open_with(&disk, LARGE).unwrap();
    for kilobytes in [300, 700, 2500, 100, 1024, 900, 600, 1500] {
        for part in 0..10 {
            log.append(A, &[&vec![part; kilobytes * 100]]).unwrap();
        }
        log.sync().unwrap();
    }
    disk
}

#[test]
fn batches_lie_across_pieces() {
    let (_, recovery, records) = open_with(&large(), LARGE).unwrap();
    assert_eq!((recovery.end, recovery.torn_tail, recovery.damaged), (Lsn(81), None, vec![]));
    assert_eq!(records.len(), 80);
    assert!(
        records.iter().all(|(_, lsn, bytes)| bytes.iter().all(|b| *b == (lsn.0 - 1) as u8 % 10))
    );
}

#[test]
fn what_one_thread_cannot_read_the_other_loses_alone() {
    for piece in 0..6 {
        let disk = large();
        assert!(disk.break_sector("wal/segment-000001", piece * PIECE + 70 * BLOCK));
        let (_, recovery, records) = open_with(&disk, LARGE).unwrap();
        assert_eq!(recovery.end, Lsn(81));
        assert!((70..80).contains(&records.len()), "{piece}: {} records", records.len());
        assert!(!recovery.damaged.is_empty());
    }
}

fn file(bytes: usize) -> (SimDisk, <SimDisk as Disk>::File) {
    let disk = SimDisk::new();
    let file = disk.open("file", OpenMode::Direct).unwrap();
    let mut buffer = AlignedBuffer::with_capacity(bytes);
    buffer.resize(bytes);
    let words = buffer.as_mut_slice().chunks_mut(8).zip(0u64..);
    words.for_each(|(word, i)| word.copy_from_slice(&i.to_le_bytes()));
    file.write_at(&[IoSlice::new(buffer.as_slice())], 0).unwrap();
    (disk, file)
}

#[test]
fn pieces_come_in_order_and_end_with_the_first_that_is_not_whole() {
    let (disk, file) = file(3 << 20);
    let read = |from: u64, end: u64| -> Vec<(u64, usize)> {
        let mut at = from;
        thread::scope(|scope| {
            let mut ahead = Ahead::of(scope, &file, from, end);
            let next = || {
                let piece = ahead.next(at)?;
                assert_eq!(piece.as_slice()[..8], (at / 8).to_le_bytes());
                at += piece.len() as u64;
                Some((at, piece.len()))
            };
            std::iter::from_fn(next).collect()
        })
    };
    let piece = PIECE as usize;
    let all = [(PIECE, piece), (2 * PIECE, piece), (3 * PIECE, piece)];
    assert_eq!(read(0, 3 * PIECE), all);
    assert_eq!(read(0, 3 * PIECE - BLOCK), [all[0], all[1], (3 * PIECE - BLOCK, piece - 4096)]);
    assert_eq!(read(0, 3 * PIECE + BLOCK), all, "the file is shorter");
    assert_eq!(read(PIECE, PIECE), []);
    disk.break_sector("file", PIECE + 5);
    assert_eq!(read(0, 3 * PIECE), all[..1]);
    assert_eq!(read(2 * PIECE, 3 * PIECE), all[2..]);
}

#[test]
fn whoever_wants_another_place_reads_it_alone() {
    let (_disk, file) = file(3 << 20);
    thread::scope(|scope| {
        let mut ahead = Ahead::of(scope, &file, 0, 3 * PIECE);
        assert!(ahead.next(PIECE).is_none());
        let ahead = Ahead::of(scope, &file, BLOCK, 3 * PIECE);
        let mut reader = SegmentReader::new(&file, 3 * PIECE).behind(ahead);
        assert_eq!(reader.header_block()[..8], 0u64.to_le_bytes());
    });
}

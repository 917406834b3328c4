//! The promises of `Disk` and `DiskFile`, on a real directory.

use super::*;
use crate::aligned::AlignedBuffer;

fn disk() -> (tempfile::TempDir, OsDisk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = OsDisk::open(directory.path().join("data")).unwrap();
    (directory, disk)
}

fn put(file: &OsFile, parts: &[&[u8]], offset: u64) {
    let parts: Vec<IoSlice> = parts.iter().map(|part| IoSlice::new(part)).collect();
    file.write_at(&parts, offset).unwrap();
}

#[test]
fn several_buffers_are_written_one_after_the_other() {
    let (_directory, disk) = disk();
    let file = disk.open("a/b/file", OpenMode::Cached).unwrap();
    put(&file, &[b"", b"one", b"", b"two"], 2);
    file.sync().unwrap();
    disk.sync_dir("a/b").unwrap();
    let mut buffer = [9; 16];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"\0\0onetwo");
    assert_eq!(file.read_at(&mut buffer, 100).unwrap(), 0);
}

#[test]
fn more_buffers_than_the_kernel_takes_are_written() {
    let (_directory, disk) = disk();
    let file = disk.open("file", OpenMode::Cached).unwrap();
    put(&file, &[&b"xy"[..]; 3000], 0);
    assert_eq!(file.len().unwrap(), 6000);
}

#[test]
fn direct_files_hold_what_was_written() {
    let (_directory, disk) = disk();
    let file = disk.open("file", OpenMode::Direct).unwrap();
    let mut buffer = AlignedBuffer::with_capacity(8192);
    buffer.extend(&[7; 8192]);
    put(&file, &[buffer.as_slice()], 4096);
    file.sync().unwrap();
    buffer.resize(0);
    buffer.resize(8192);
    assert_eq!(file.read_at(buffer.as_mut_slice(), 8192).unwrap(), 4096);
    assert_eq!(buffer.as_slice()[4095..4097], [7, 0]);
}

#[test]
fn the_end_of_a_direct_file_need_not_be_aligned() {
    let (_directory, disk) = disk();
    put(&disk.open("file", OpenMode::Cached).unwrap(), &[&[5; 5000]], 0);
    let file = disk.open("file", OpenMode::Direct).unwrap();
    let mut buffer = AlignedBuffer::with_capacity(8192);
    buffer.resize(8192);
    assert_eq!(file.read_at(buffer.as_mut_slice(), 0).unwrap(), 5000);
    assert_eq!(buffer.as_slice()[4999..5001], [5, 0]);
}

#[test]
fn growth_gives_zeros_and_what_was_cut_stays_cut() {
    let (_directory, disk) = disk();
    for mode in [OpenMode::Cached, OpenMode::Direct] {
        let file = disk.open("file", mode).unwrap();
        file.set_len(4096).unwrap();
        assert_eq!(file.len().unwrap(), 4096);
        file.set_len(0).unwrap();
        assert!(file.is_empty().unwrap());
    }
    let file = disk.open("file", OpenMode::Cached).unwrap();
    put(&file, &[b"secret"], 0);
    file.set_len(2).unwrap();
    file.set_len(6).unwrap();
    let mut buffer = [9; 6];
    file.read_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"se\0\0\0\0");
}

#[test]
fn a_cached_read_answers_or_would_block() {
    let (_directory, disk) = disk();
    let file = disk.open("file", OpenMode::Cached).unwrap();
    put(&file, &[b"warm"], 0);
    let mut buffer = [0; 10];
    match file.read_cached_at(&mut buffer, 0) {
        Ok(read) => assert_eq!(&buffer[..read], b"warm"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}

#[test]
fn names_come_sorted_move_and_go() {
    let (_directory, disk) = disk();
    assert_eq!(disk.list("none").unwrap(), [""; 0]);
    for name in ["d/b", "d/a", "d/c"] {
        disk.open(name, OpenMode::Cached).unwrap();
    }
    disk.rename("d/c", "d/a").unwrap();
    disk.rename("d/b", "new/b").unwrap();
    disk.sync_dir("d").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.list("d").unwrap(), ["a"]);
    assert_eq!(disk.list("").unwrap(), ["d", "new"]);
    disk.remove("d/a").unwrap();
    assert!(disk.remove("d/a").is_err());
    assert!(disk.open("d/a", OpenMode::Read).is_err());
}

#[test]
fn no_path_leads_out() {
    let (directory, disk) = disk();
    for path in ["../x", "a/../../x", "/etc/x", "./x"] {
        let refused = disk.open(path, OpenMode::Cached).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{path}");
        assert!(disk.rename("a", path).is_err() && disk.remove(path).is_err());
    }
    assert!(!directory.path().join("x").exists());
}

#[test]
fn a_file_open_for_reading_is_not_written() {
    let (_directory, disk) = disk();
    disk.open("file", OpenMode::Cached).unwrap();
    let file = disk.open("file", OpenMode::Read).unwrap();
    assert!(file.write_at(&[IoSlice::new(b"x")], 0).is_err());
}

use ombak_sim::SimDisk;

use std::io::IoSlice;

use super::*;

fn disk_with(path: &str, text: &str) -> SimDisk {
    let disk = SimDisk::new();
    let file = disk.open(path, OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(text.as_bytes())], 0).unwrap();
    disk
}

#[test]
fn an_empty_directory_becomes_a_store() {
    let disk = SimDisk::new();
    check(&disk).unwrap();
    assert_eq!(disk.contents(FORMAT_FILE).unwrap(), b"ombak-log 2\n");
    assert_eq!(disk.unsynced(), []);
    check(&disk).unwrap();
}

#[test]
fn an_older_format_becomes_the_present_one() {
    let disk = disk_with(FORMAT_FILE, "ombak-log 1\n");
    check(&disk).unwrap();
    assert_eq!(disk.contents(FORMAT_FILE).unwrap(), b"ombak-log 2\n");
}

#[test]
fn a_newer_format_is_refused() {
    let disk = disk_with(FORMAT_FILE, "ombak-log 3\nand more");
    let refused = check(&disk);
    assert!(matches!(refused, Err(StoreError::NewerFormat { found: 3, known: 2 })));
}

#[test]
fn what_is_no_store_is_refused() {
    for text in ["", "ombak", "ombak-log", "ombak-log x", "ombak-log 0", "\u{ff}\0"] {
        let refused = check(&disk_with(FORMAT_FILE, text));
        assert!(matches!(refused, Err(StoreError::NotAStore(_))), "{text:?}");
    }
    let refused = check(&disk_with("vnodes/0/0.data", "data"));
    assert!(matches!(refused, Err(StoreError::NotAStore(_))));
}

/// Wherever the power goes, the next start sees no file or a whole one.
#[test]
fn it_is_never_half_written() {
    for change in 1..10 {
        let disk = SimDisk::new();
        disk.cut_power(change);
        let _ = check(&disk.mount());
        disk.crash_with(|_| change % 2 == 0);
        check(&disk).unwrap();
    }
}

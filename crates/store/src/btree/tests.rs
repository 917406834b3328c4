//! What the conformance suite does not reach: keys of any length, what crashes leave loose, and who may open what.

use bytes::Bytes;
use ombak_base::{Device, Entry, Load, Partition, Scan, ShardId, Writer};
use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::Store;
use crate::error::StoreError;
use crate::log;

const P: Partition = Partition(3);

fn options() -> BtreeOptions {
    BtreeOptions {
        pool_bytes: 1024 * 1024,
        log_segment_bytes: 64 * 1024,
        log_segments_max: 16,
        checkpoint_bytes: 128 * 1024,
        reserve_bytes: 0,
    }
}

fn start(disk: &SimDisk) -> (BtreeDevice, BtreeWriter<SimDisk>) {
    let (mut devices, writer, _) = open(disk.mount(), 1, options()).unwrap();
    (devices.remove(0), writer)
}

fn entry(tag: u64, len: usize) -> Entry {
    Entry { tag, bytes: Bytes::from(vec![tag as u8; len]) }
}

fn load(device: &mut BtreeDevice, key: &[u8]) -> Option<Entry> {
    match device.load(P, key) {
        Load::Ready(found) => found.unwrap(),
        Load::Blocked(job) => job().unwrap(),
    }
}

fn write(device: &mut BtreeDevice, writer: &mut BtreeWriter<SimDisk>) {
    let mut notices = Vec::new();
    let commits = device.take_commit().map(|commit| (ShardId(0), commit));
    writer.write(commits.into_iter().collect(), &mut notices).unwrap();
    while writer.tidy(&mut notices).unwrap() {}
    notices.into_iter().for_each(|(_, notice)| device.notice(notice));
}

fn keys(device: &mut BtreeDevice, from: &[u8], at_once: u32) -> Vec<Bytes> {
    let mut keys = Vec::new();
    let mut from = Some(Bytes::copy_from_slice(from));
    while let Some(first) = from {
        let (to, entries_max) = (Bytes::new(), at_once);
        let scan =
            Scan { partition: P, from: first, to, entries_max, bytes_max: u32::MAX, values: false };
        let chunk = device.scan(&scan).unwrap();
        keys.extend(chunk.entries.into_iter().map(|entry| entry.key));
        from = chunk.next;
    }
    keys
}

/// Keys around the lengths at which they go on in another space, most of them with much in common.
fn awkward_keys(count: usize) -> Vec<Bytes> {
    let mut rng = Rng::new(7);
    let mut key = || {
        let parts = rng.below(4) as usize * rows::PART_BYTES_MAX;
        let mut key = vec![b'k'; parts];
        if parts > 0 && rng.below(3) == 0 {
            let at = rng.below(parts as u64) as usize;
            key[at] = [0, b'a', b'z', u8::MAX][rng.below(4) as usize];
        }
        key.extend((0..rng.below(4)).map(|_| [0, b'k', u8::MAX][rng.below(3) as usize]));
        Bytes::from(key)
    };
    (0..count).map(|_| key()).collect()
}

#[test]
fn keys_of_any_length_are_in_order() {
    let (mut device, mut writer) = start(&SimDisk::new());
    let mut expected = awkward_keys(400);
    for key in &expected {
        device.store(P, key, Some(&entry(key.len() as u64, 10)));
    }
    write(&mut device, &mut writer);
    expected.sort();
    expected.dedup();
    for from in awkward_keys(60) {
        let rest = &expected[expected.partition_point(|key| *key < from)..];
        assert_eq!(keys(&mut device, &from, 7), rest);
    }
    for key in &expected {
        assert_eq!(load(&mut device, key), Some(entry(key.len() as u64, 10)));
        device.store(P, key, None);
    }
    write(&mut device, &mut writer);
    assert_eq!(keys(&mut device, b"", 7), Vec::<Bytes>::new());
}

#[test]
fn the_largest_key_is_kept() {
    let disk = SimDisk::new();
    let (mut device, mut writer) = start(&disk);
    let key = vec![b'x'; 70_000];
    device.store(P, &key, Some(&entry(1, 5000)));
    write(&mut device, &mut writer);
    disk.crash_with(|_| false);
    let (mut device, _) = start(&disk);
    assert_eq!(load(&mut device, &key), Some(entry(1, 5000)));
    assert_eq!(load(&mut device, &key[1..]), None);
}

/// So many rows are in the store's own trees.
fn rows_of(disk: &SimDisk, tree: &str) -> usize {
    let (engine, _) = ombak_aries::Engine::open(disk.mount(), "btree", Default::default()).unwrap();
    let tree = engine.find_tree(tree).unwrap().unwrap();
    let mut rows = tree.range_latest(&engine, &[], None);
    let mut count = 0;
    while rows.next().unwrap().is_some() {
        count += 1;
    }
    count
}

#[test]
fn a_large_value_is_there_whole_or_not_at_all_and_leaves_nothing_behind() {
    for cut_at in 1..200 {
        let disk = SimDisk::new();
        let (mut device, mut writer) = start(&disk);
        device.store(P, b"k", Some(&entry(1, 30_000)));
        write(&mut device, &mut writer);
        disk.cut_power(cut_at);
        let mut notices = Vec::new();
        for tag in 2..5 {
            device.store(P, b"k", Some(&entry(tag, 30_000)));
            let commit = device.take_commit().unwrap();
            let written = writer.write(vec![(ShardId(0), commit)], &mut notices);
            if written.is_err() || writer.checkpoint(&mut notices).is_err() {
                break;
            }
        }
        notices.drain(..).for_each(|(_, notice)| device.notice(notice));
        disk.crash(&mut Rng::new(cut_at));
        let announced = device.durable().0;
        let (mut device, mut writer) = start(&disk);
        let found = load(&mut device, b"k").unwrap();
        assert!(found.tag >= announced, "what was announced is there");
        assert_eq!(found, entry(found.tag, 30_000));
        while writer.tidy(&mut notices).unwrap() {}
        writer.checkpoint(&mut notices).unwrap();
        drop((device, writer));
        assert_eq!(rows_of(&disk, "pieces"), 30_000usize.div_ceil(rows::PIECE_BYTES));
        assert_eq!(rows_of(&disk, "notes"), 1, "nothing is loose");
    }
}

#[test]
fn a_full_disk_keeps_what_waits_and_goes_on_when_there_is_room() {
    let disk = SimDisk::new();
    let (mut device, mut writer) = start(&disk);
    write(&mut device, &mut writer);
    disk.fill_after(0);
    let mut stored = 0u64;
    while device.durable().0 == stored {
        stored += 1;
        assert!(stored < 100_000, "it never says that it is full");
        device.store(P, &stored.to_be_bytes(), Some(&entry(stored, 1800)));
        write(&mut device, &mut writer);
    }
    assert!(writer.is_full());
    for number in 1..=stored {
        assert_eq!(load(&mut device, &number.to_be_bytes()), Some(entry(number, 1800)));
    }
    disk.set_capacity(None);
    write(&mut device, &mut writer);
    assert!(!writer.is_full());
    assert_eq!(device.durable().0, stored);
    disk.crash_with(|_| false);
    let (mut device, _) = start(&disk);
    assert_eq!(keys(&mut device, b"", 100).len() as u64, stored);
}

#[test]
fn what_is_not_in_memory_is_read_elsewhere() {
    let disk = SimDisk::new();
    let (mut device, mut writer) = start(&disk);
    for number in 0..2000u64 {
        device.store(P, &number.to_be_bytes(), Some(&entry(number, 1800)));
        write(&mut device, &mut writer);
    }
    let blocked = |number: &u64| matches!(device.load(P, &number.to_be_bytes()), Load::Blocked(_));
    let blocked = (0..2000).filter(blocked).count();
    assert!((1000..2000).contains(&blocked), "{blocked} of 3.6 MB do not fit into 1 MiB");
}

#[test]
fn another_backends_directory_is_refused() {
    let disk = SimDisk::new();
    drop(start(&disk));
    let log = Store::log(disk.mount(), 1, log::Options::default());
    assert!(matches!(log, Err(StoreError::NotAStore(_))));
    let disk = SimDisk::new();
    drop(Store::log(disk.mount(), 1, log::Options::default()).unwrap());
    assert!(matches!(open(disk.mount(), 1, options()), Err(StoreError::NotAStore(_))));
}

//! What the conformance suite does not reach: keys of any length, what crashes leave loose, and who may open what.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use bytes::Bytes;
use ombak_base::{
    Device, DeviceError, Entry, Load, Partition, Scan, ShardId, Stamp, Upkeep, Writer,
};
use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::Store;
use crate::error::StoreError;
use crate::log;

const P: Partition = Partition(3);

fn options() -> BtreeOptions {
    BtreeOptions {
        identity: 5,
        pool_bytes: 1024 * 1024,
        log_segment_bytes: 64 * 1024,
        log_segments_max: 16,
        checkpoint_bytes: 128 * 1024,
        reserve_bytes: 0,
        redo_threads: NonZeroU32::MIN,
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

fn engine_options() -> ombak_aries::EngineOptions {
    ombak_aries::EngineOptions { identity: options().identity, ..Default::default() }
}

/// So many rows are in the store's own trees.
fn rows_of(disk: &SimDisk, tree: &str) -> usize {
    let (engine, _) = ombak_aries::Engine::open(disk.mount(), "btree", engine_options()).unwrap();
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
        assert_eq!(rows_of(&disk, "notes"), 2, "a number, a count, and nothing that is loose");
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

#[test]
fn another_databases_directory_is_refused_and_left_alone() {
    let disk = SimDisk::new();
    drop(start(&disk));
    let before = disk.counters().changes();
    let other = BtreeOptions { identity: 6, ..options() };
    let refused = open(disk.mount(), 1, other).map(drop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "format at offset 0: the data is of database 0000000000000005, not of 0000000000000006; nothing was changed"
    );
    assert_eq!(disk.counters().changes(), before);
    // Who has no name opens what is there, under its own.
    drop(open(disk.mount(), 1, BtreeOptions { identity: 0, ..options() }).unwrap());
    drop(start(&disk));
}

#[test]
fn another_databases_pages_are_refused_by_name() {
    let (disk, other) = (SimDisk::new(), SimDisk::new());
    drop(start(&disk));
    drop(open(other.mount(), 1, BtreeOptions { identity: 6, ..options() }).unwrap());
    // The directory of the engine is swapped, and the file `format` is not.
    for (path, _) in other.files().into_iter().filter(|(path, _)| path.starts_with("btree/")) {
        crate::log::write_whole(&disk, &path, &other.contents(&path).unwrap()).unwrap();
    }
    let refused = open(disk.mount(), 1, options()).map(drop).unwrap_err();
    let why = "btree/pages at offset 40: it is of database 6, not 5; nothing was changed";
    assert_eq!(refused.to_string(), why);
}

/// Version 1: its file `format` names no database, and nobody has counted its keys.
#[test]
fn a_store_of_version_1_is_opened_and_counted() {
    let disk = SimDisk::new();
    let (mut devices, mut writer, _) =
        open(disk.mount(), 1, BtreeOptions { identity: 0, ..options() }).unwrap();
    for number in 0..300u64 {
        devices[0].store(Partition(number as u32 % 7), &number.to_be_bytes(), Some(&entry(1, 10)));
    }
    devices[0].store(P, &[b'x'; 3000], Some(&entry(1, 10)));
    write(&mut devices[0], &mut writer);
    drop((devices, writer));
    let (engine, _) = ombak_aries::Engine::open(disk.mount(), "btree", Default::default()).unwrap();
    let notes = engine.find_tree("notes").unwrap().unwrap();
    for partition in 0..7u32 {
        let key = [&b"keys"[..], &partition.to_be_bytes()].concat();
        assert!(notes.delete_now(&engine, &key).unwrap().is_some());
    }
    engine.checkpoint().unwrap();
    drop(engine);
    crate::log::write_whole(&disk, "format", b"ombak-btree 1\n").unwrap();
    let (devices, _, recovered) = open(disk.mount(), 1, options()).unwrap();
    assert_eq!((devices[0].usage().keys, recovered.keys), (301, 301));
    let format = disk.contents("format").unwrap();
    assert_eq!(format, b"ombak-btree 2 0000000000000000\n");
    drop(devices);
    let (devices, ..) = open(disk.mount(), 1, options()).unwrap();
    assert_eq!(devices[0].usage().keys, 301);
}

/// Stores and removals at random, in several partitions.
fn churn(rng: &mut Rng) -> Vec<(Partition, Vec<u8>, Option<Entry>)> {
    let mut one = || {
        let (partition, key) = (Partition(rng.below(9) as u32), rng.below(40));
        let len = [10, 10, 5000][rng.below(3) as usize];
        (partition, key.to_be_bytes().to_vec(), rng.chance(2, 3).then(|| entry(key, len)))
    };
    (0..20).map(|_| one()).collect()
}

#[test]
fn keys_are_counted_through_restarts() {
    let disk = SimDisk::new();
    let mut rng = Rng::new(1);
    let mut there = 0;
    for round in 0..40 {
        // The number of shards may change.
        let shards = 1 + round % 3;
        let (mut devices, mut writer, recovered) = open(disk.mount(), shards, options()).unwrap();
        assert_eq!(recovered.keys, there);
        for (partition, key, entry) in churn(&mut rng) {
            let own = usize::from(log::shard_of(partition, shards).0);
            devices[own].store(partition, &key, entry.as_ref());
        }
        let mut notices = Vec::new();
        for (shard, device) in devices.iter_mut().enumerate() {
            let commit = device.take_commit().map(|commit| (ShardId(shard as u16), commit));
            writer.write(commits(commit), &mut notices).unwrap();
        }
        notices.drain(..).for_each(|(shard, notice)| devices[usize::from(shard.0)].notice(notice));
        there = count(&devices[0]);
        let counted: u64 = devices.iter().map(|device| device.usage().keys).sum();
        assert_eq!(counted, there, "round {round}");
        if round % 2 == 0 {
            writer.checkpoint(&mut notices).unwrap();
        }
        drop((devices, writer));
        disk.crash(&mut rng);
    }
    assert!(there > 100);
}

fn commits(commit: Option<(ShardId, BtreeCommit)>) -> Vec<(ShardId, BtreeCommit)> {
    commit.into_iter().collect()
}

/// Keys in the tree, whichever shard's.
fn count(device: &BtreeDevice) -> u64 {
    (0..9).filter_map(|partition| device.status(Partition(partition))).map(|found| found.keys).sum()
}

/// A row and its count are two changes, and any of them may be the last.
#[test]
fn a_count_is_exact_after_any_crash() {
    for cut_at in 1..120 {
        let disk = SimDisk::new();
        let mut rng = Rng::new(cut_at);
        let (mut device, mut writer) = start(&disk);
        disk.cut_power(cut_at);
        let mut notices = Vec::new();
        loop {
            for (partition, key, entry) in churn(&mut rng) {
                device.store(partition, &key, entry.as_ref());
            }
            let commit = device.take_commit().map(|commit| (ShardId(0), commit));
            if writer.write(commits(commit), &mut notices).is_err() {
                break;
            }
        }
        disk.crash(&mut rng);
        let (device, _) = start(&disk);
        let (counted, there) = (device.usage().keys, count(&device));
        assert_eq!(counted, there, "cut at {cut_at}");
    }
}

/// One page is damaged: what belongs on it is told of, partition by partition, and all else goes on.
#[test]
fn a_damaged_page_does_not_stop_the_writer() {
    let disk = SimDisk::new();
    let (mut device, mut writer) = start(&disk);
    let store = |device: &mut BtreeDevice, tag: u64| {
        for partition in 0..8u32 {
            for key in 0..30u64 {
                let entry = entry(tag, 400);
                device.store(Partition(partition), &key.to_be_bytes(), Some(&entry));
            }
        }
    };
    store(&mut device, 1);
    write(&mut device, &mut writer);
    writer.checkpoint(&mut Vec::new()).unwrap();
    drop((device, writer));
    let pages = disk.contents("btree/pages").unwrap();
    let used = pages.chunks(8192).filter(|page| page.iter().any(|byte| *byte != 0)).count();
    // No copies: what is damaged stays so.
    let file = ombak_base::Disk::open(&disk, "btree/pages.double", ombak_base::OpenMode::Cached);
    ombak_base::DiskFile::set_len(&file.unwrap(), 0).unwrap();
    let image = disk.snapshot();
    let mut contained = 0;
    for page in 1..used as u64 {
        disk.restore(&image);
        disk.flip_bit("btree/pages", page * 8192 + 5000, 1);
        let Ok((mut devices, mut writer, _)) = open(disk.mount(), 1, options()) else { continue };
        let device = &mut devices[0];
        store(device, 2);
        write(device, &mut writer);
        assert_eq!(device.durable(), Stamp(240));
        let damaged: BTreeSet<Partition> = std::iter::from_fn(|| device.take_upkeep())
            .map(|upkeep| match upkeep {
                Upkeep::Damaged(partition) => partition,
                Upkeep::Run(_) => panic!("there is no work"),
            })
            .collect();
        disk.crash_with(|_| false);
        let (mut device, mut writer) = start(&disk);
        for partition in (0..8).map(Partition) {
            for key in 0..30u64 {
                let found = match device.load(partition, &key.to_be_bytes()) {
                    Load::Ready(found) => found,
                    Load::Blocked(job) => job(),
                };
                match found {
                    Ok(found) => assert_eq!(found, Some(entry(2, 400)), "{partition} {key}"),
                    Err(DeviceError::Damaged(what)) => {
                        assert!(damaged.contains(&partition));
                        let place = format!("btree/pages is damaged at offset {}", page * 8192);
                        assert!(what.starts_with(&place), "{what}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        contained += u64::from(!damaged.is_empty() && damaged.len() < 8);
        store(&mut device, 3);
        write(&mut device, &mut writer);
        assert_eq!(device.durable(), Stamp(240), "and on");
    }
    assert!(contained > 3, "{contained} of {used}");
}

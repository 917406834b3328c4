use super::*;
use crate::{Rng, SimDisk};

fn entry(byte: u8) -> Entry {
    Entry { tag: byte.into(), bytes: vec![byte; 700].into() }
}

fn load(device: &mut LogDevice, key: &[u8]) -> Option<Entry> {
    match device.load(Partition(1), key) {
        Load::Ready(entry) => entry.unwrap(),
        Load::Blocked(_) => panic!("everything is in memory"),
    }
}

fn commit(devices: &mut [LogDevice], writer: &mut LogWriter<crate::SimFile>) -> io::Result<()> {
    let shards = (0..).map(ShardId);
    let commits = shards
        .zip(devices.iter_mut())
        .filter_map(|(shard, device)| Some((shard, device.take_commit()?)));
    let mut notices = Vec::new();
    writer.write(commits.collect(), &mut notices)?;
    notices.into_iter().for_each(|(shard, notice)| devices[usize::from(shard.0)].notice(notice));
    Ok(())
}

/// The power goes at every change in turn; what was acknowledged is there, in any crash.
#[test]
fn what_is_durable_survives_every_power_cut() {
    for cut in 1..60 {
        let disk = SimDisk::new();
        let (mut devices, mut writer) = open_log(&disk, 2).unwrap();
        disk.cut_power(cut);
        let mut acknowledged = 0;
        for key in 0..20u8 {
            devices[usize::from(key % 2)].store(Partition(1), &[key], Some(&entry(key)));
            if commit(&mut devices, &mut writer).is_err() {
                break;
            }
            acknowledged = key + 1;
        }
        disk.crash(&mut Rng::new(cut));
        let (mut devices, _) = open_log(&disk, 2).unwrap();
        for key in 0..acknowledged {
            assert_eq!(
                load(&mut devices[usize::from(key % 2)], &[key]),
                Some(entry(key)),
                "cut {cut}"
            );
        }
    }
}

/// The first of two records written together is lost, and another of its length takes its place.
#[test]
fn what_lay_behind_a_torn_record_stays_lost() {
    let disk = SimDisk::new();
    let (mut devices, mut writer) = open_log(&disk, 2).unwrap();
    devices[0].store(Partition(1), b"a", Some(&entry(1)));
    devices[1].store(Partition(1), b"b", Some(&entry(2)));
    disk.cut_power(2);
    commit(&mut devices, &mut writer).unwrap_err();
    disk.crash_with(|what| what.part != crate::Part::Sector(0));

    let (mut devices, mut writer) = open_log(&disk, 2).unwrap();
    devices[0].store(Partition(1), b"c", Some(&entry(3)));
    commit(&mut devices, &mut writer).unwrap();
    let (mut devices, _writer) = open_log(&disk, 2).unwrap();
    assert_eq!(load(&mut devices[0], b"c"), Some(entry(3)));
    assert_eq!(load(&mut devices[1], b"b"), None);
}

#[test]
fn stamps_become_durable_with_their_commit() {
    let disk = SimDisk::new();
    let (mut devices, mut writer) = open_log(&disk, 1).unwrap();
    let stamps = [1, 2].map(|byte| devices[0].store(Partition(1), b"k", Some(&entry(byte))));
    assert_eq!((stamps, devices[0].durable()), ([Stamp(1), Stamp(2)], Stamp::NONE));
    assert!(devices[0].pending_bytes() > 1400);
    commit(&mut devices, &mut writer).unwrap();
    assert_eq!((devices[0].durable(), devices[0].pending_bytes()), (Stamp(2), 0));
    assert!(devices[0].take_commit().is_none());
    devices[0].store(Partition(1), b"k", None);
    assert_eq!(load(&mut devices[0], b"k"), None);
}

#[test]
fn a_scan_goes_on_where_it_stopped() {
    let (mut devices, _writer) = open_log(&SimDisk::new(), 1).unwrap();
    let device = &mut devices[0];
    for key in 0..5u8 {
        device.store(Partition(1), &[key], Some(&entry(key)));
        device.store(Partition(2), &[key], Some(&entry(key)));
    }
    let mut scan = Scan {
        partition: Partition(1),
        from: Bytes::new(),
        to: Bytes::from_static(&[4]),
        entries_max: 3,
        bytes_max: 10_000,
        values: false,
    };
    let first = device.scan(&scan).unwrap();
    assert_eq!((first.entries.len(), first.next.as_deref()), (3, Some(&[3][..])));
    scan.from = first.next.unwrap();
    let second = device.scan(&scan).unwrap();
    assert_eq!((second.entries[0].tag, second.entries.len(), second.next), (3, 1, None));
    scan = Scan { from: Bytes::new(), values: true, bytes_max: 800, ..scan };
    assert_eq!(device.scan(&scan).unwrap().entries.len(), 2);
}

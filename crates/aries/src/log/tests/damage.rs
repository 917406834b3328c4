//! What was durable is spoilt: it is reported, and the rest is still there.

use ombak_sim::DiskImage;

use super::*;

/// Three segments with nine batches of two records each, and nothing recycled.
fn sound() -> (SimDisk, DiskImage, Vec<Record>) {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    for i in 0..9u8 {
        log.append(A, &[&[i; 600]]).unwrap();
        put(&mut log, B, &[i; 700]).unwrap();
    }
    drop(log);
    let image = disk.snapshot();
    let records = open(&disk).2;
    (disk, image, records)
}

/// Opens a damaged log: every record is replayed as it was or is among those reported.
fn check(disk: &SimDisk, sound: &[Record]) -> Recovery {
    let (_, recovery, records) = open(disk);
    for (record, before) in records.iter().zip(records.iter().skip(1)) {
        assert!(record.1 < before.1, "in order");
    }
    for record in sound {
        let lost = recovery.damaged.iter().any(|d| (d.first_lsn..d.next_lsn).contains(&record.1));
        let torn = record.1 >= recovery.end && recovery.torn_tail.is_some();
        assert!(records.contains(record) != (lost || torn), "{:?} with {recovery:?}", record.1);
    }
    assert!(records.iter().all(|record| sound.contains(record)), "nothing new");
    recovery
}

#[test]
fn a_flipped_bit_anywhere_is_survived_and_what_it_costs_is_reported() {
    let (disk, image, sound) = sound();
    let mut reported = 0;
    for file in ["wal/segment-000001", "wal/segment-000002", "wal/segment-000003"] {
        for offset in
            (0..SMALL.segment_bytes).filter(|offset| offset % 4096 < 60 || offset % 13 == 0)
        {
            disk.restore(&image);
            assert!(disk.flip_bit(file, offset, offset as u8));
            let recovery = check(&disk, &sound);
            reported += u32::from(recovery.torn_tail.is_some() || !recovery.damaged.is_empty());
        }
    }
    assert!(reported > 1000);
}

#[test]
fn one_record_of_a_batch_costs_one_record() {
    let (disk, _, sound) = sound();
    disk.flip_bit("wal/segment-000001", BLOCK + 40 + 12 + 100, 0);
    let recovery = check(&disk, &sound);
    let file = "wal/segment-000001".to_string();
    let damage = Damage { file, offset: BLOCK + 40, first_lsn: Lsn(1), next_lsn: Lsn(2) };
    assert_eq!((recovery.damaged, recovery.torn_tail), (vec![damage], None));
}

#[test]
fn a_lost_batch_header_costs_the_batch() {
    let (disk, _, sound) = sound();
    disk.flip_bit("wal/segment-000001", 3 * BLOCK + 9, 0);
    let recovery = check(&disk, &sound);
    let file = "wal/segment-000001".to_string();
    let offset = 4 * BLOCK;
    let damage = Damage { file, offset: offset - BLOCK, first_lsn: Lsn(5), next_lsn: Lsn(7) };
    assert_eq!((recovery.damaged, recovery.torn_tail), (vec![damage], None));
}

#[test]
fn a_lost_segment_header_costs_no_record() {
    let (disk, image, sound) = sound();
    for file in 1..=3 {
        disk.restore(&image);
        disk.flip_bit(&format!("wal/segment-00000{file}"), 20, 0);
        let recovery = check(&disk, &sound);
        let lost: Vec<_> = recovery.damaged.iter().filter(|d| d.first_lsn < d.next_lsn).collect();
        assert_eq!((lost.len(), recovery.damaged.len(), recovery.end), (0, 1, Lsn(19)));
    }
}

#[test]
fn a_lost_file_costs_its_records() {
    let (disk, image, sound) = sound();
    for (file, first, next) in [(1, 1, 7), (2, 7, 13)] {
        disk.restore(&image);
        disk.remove(&format!("wal/segment-00000{file}")).unwrap();
        let recovery = check(&disk, &sound);
        assert_eq!(recovery.damaged.len(), 1, "{recovery:?}");
        assert_eq!(
            recovery.damaged[0].first_lsn..recovery.damaged[0].next_lsn,
            Lsn(first)..Lsn(next)
        );
        assert!(recovery.damaged[0].file.starts_with("(missing"));
    }
}

#[test]
fn damage_is_reported_again_until_its_segment_is_used_again() {
    let (disk, _, sound) = sound();
    disk.flip_bit("wal/segment-000002", BLOCK, 0);
    let first = check(&disk, &sound);
    assert_eq!(check(&disk, &sound), first);
    let (mut log, ..) = open(&disk);
    for lsn in 19..40 {
        log.set_mark(A, Lsn(lsn));
        log.set_mark(B, Lsn(lsn));
        put(&mut log, A, b"later").unwrap();
    }
    drop(log);
    assert_eq!(open(&disk).1.damaged, []);
}

#[test]
fn an_unreadable_block_in_the_middle_is_damage() {
    let (disk, _, sound) = sound();
    disk.break_sector("wal/segment-000002", 2 * BLOCK + 1024);
    let recovery = check(&disk, &sound);
    assert_eq!(recovery.damaged[0].first_lsn..recovery.damaged[0].next_lsn, Lsn(9)..Lsn(11));
}

#[test]
fn an_unreadable_block_at_the_end_is_no_guess() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    put(&mut log, A, b"acknowledged").unwrap();
    put(&mut log, A, b"this too").unwrap();
    drop(log);
    disk.break_sector("wal/segment-000001", 2 * BLOCK);
    let before = disk.contents("wal/segment-000001");
    let refused = open_with(&disk, SMALL).map(drop).unwrap_err();
    assert!(matches!(refused, LogError::Io { .. }), "{refused}");
    assert!(refused.to_string().contains("wal/segment-000001: offset 8192: "), "{refused}");
    assert_eq!(disk.contents("wal/segment-000001"), before, "nothing was touched");
}

#[test]
fn a_broken_disk_is_not_an_empty_log() {
    let (disk, image, _) = sound();
    disk.set_broken(Some(ErrorKind::Other));
    assert!(matches!(open_with(&disk, SMALL), Err(LogError::Io { .. })));
    disk.set_broken(None);
    for file in 1..=3 {
        for block in 0..4 {
            disk.break_sector(&format!("wal/segment-00000{file}"), block * BLOCK);
        }
    }
    assert!(matches!(open_with(&disk, SMALL), Err(LogError::Io { .. })));
    disk.restore(&image);
    assert_eq!(open(&disk).1.records, 18);
}

#[test]
fn a_torn_batch_keeps_its_first_records_and_is_reported_once() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    put(&mut log, A, b"before").unwrap();
    for i in 0..6 {
        log.append(A, &[&[i; 400]]).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    disk.flip_bit("wal/segment-000001", 2 * BLOCK + 1024, 0);
    let (mut log, recovery, records) = open(&disk);
    assert_eq!((recovery.end, records.len(), &recovery.damaged), (Lsn(4), 3, &vec![]));
    let torn = Place { file: "wal/segment-000001".to_string(), offset: 2 * BLOCK + 40 + 2 * 412 };
    assert_eq!(recovery.torn_tail, Some(torn));
    put(&mut log, A, b"after").unwrap();
    let (_, recovery, records) = open(&disk);
    assert_eq!((recovery.torn_tail, records[3].2.as_slice()), (None, &b"after"[..]));
}

#[test]
fn a_torn_header_is_reported_once() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    put(&mut log, A, b"only").unwrap();
    drop(log);
    disk.flip_bit("wal/segment-000001", BLOCK + 30, 0);
    let recovery = open(&disk).1;
    let torn = Place { file: "wal/segment-000001".to_string(), offset: BLOCK };
    assert_eq!((recovery.torn_tail, recovery.end, recovery.damaged), (Some(torn), Lsn(1), vec![]));
    assert_eq!(open(&disk).1.torn_tail, None);
}

#[test]
fn files_of_other_names_are_left_alone() {
    let (disk, _, sound) = sound();
    for name in ["wal/segment-1", "wal/segment-00000x", "wal/notes", "wal/segment-000001.old"] {
        ombak_base::Disk::open(&disk, name, ombak_base::OpenMode::Cached).unwrap();
    }
    assert_eq!(check(&disk, &sound).damaged, []);
    assert_eq!(disk.contents("wal/notes"), Some(vec![]));
}

//! Records by their LSN, and in order.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        stream: u32,
        len: usize,
    },
    Sync,
    /// All streams but for the last `keep` records.
    Mark {
        keep: u64,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop::sample::select(vec![0, 1, 150, 500, 1900, 5000]);
    prop_oneof![
        8 => (0..3u32, len).prop_map(|(stream, len)| Step::Append { stream, len }),
        4 => Just(Step::Sync),
        2 => (0..6u64).prop_map(|keep| Step::Mark { keep }),
        1 => Just(Step::Reopen),
    ]
}

fn scanned(log: &Log, from: Lsn) -> Vec<Record> {
    let mut found = Vec::new();
    let scanned = log.scan(from, |lsn, stream, bytes| {
        found.push((stream, lsn, bytes.to_vec()));
        Ok::<(), Infallible>(())
    });
    scanned.unwrap();
    found
}

/// Every record that was ever appended is read as it was, or gone with all before it; a scan from anywhere gives the
/// durable ones.
fn check(log: &Log, all: &[Record], needed_from: Lsn) {
    let readable = |(_, lsn, _): &&Record| match log.read(*lsn) {
        Ok(_) => true,
        Err(LogError::Gone { .. }) => false,
        Err(error) => panic!("{lsn:?}: {error}"),
    };
    let gone = all.iter().take_while(|record| !readable(record)).count();
    assert!(gone as u64 <= needed_from.0.saturating_sub(1), "{gone} gone, {needed_from:?} needed");
    for (stream, lsn, bytes) in &all[gone..] {
        assert_eq!(log.read(*lsn).unwrap(), (*stream, Bytes::from(bytes.clone())));
    }
    assert!(matches!(log.read(log.next_lsn()), Err(LogError::Gone { .. })));
    let durable = log.durable().0 as usize;
    for from in 0..=all.len() + 1 {
        let first = gone.max(from.saturating_sub(1)).min(durable);
        assert_eq!(scanned(log, Lsn(from as u64)), all[first..durable.max(first)], "from {from}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn reads_and_scans_are_those_of_a_list(steps in prop::collection::vec(step(), 1..60)) {
        let disk = SimDisk::new();
        let (mut log, mut all, mut needed_from) = (open(&disk).0, Vec::new(), Lsn(1));
        for step in steps {
            match step {
                Step::Append { stream, len } => {
                    let bytes = vec![all.len() as u8; len];
                    match log.append(StreamId(stream), &[&bytes]) {
                        Ok(lsn) => all.push((StreamId(stream), lsn, bytes)),
                        Err(error) => assert!(matches!(error, LogError::Full), "{error}"),
                    }
                }
                Step::Sync => assert_eq!(log.sync().unwrap().0, log.next_lsn().0 - 1),
                Step::Mark { keep } => {
                    let mark = Lsn(log.next_lsn().0.saturating_sub(keep));
                    (0..3).for_each(|stream| log.set_mark(StreamId(stream), mark));
                    needed_from = needed_from.max(mark);
                }
                Step::Reopen => {
                    log.sync().unwrap();
                    drop(log);
                    log = open(&disk).0;
                }
            }
            check(&log, &all, needed_from);
        }
    }
}

#[test]
fn a_damaged_record_names_its_place() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    put(&mut log, A, &[1; 100]).unwrap();
    put(&mut log, A, &[2; 100]).unwrap();
    disk.flip_bit("wal/segment-000001", 2 * 4096 + 100, 3);
    assert!(log.read(Lsn(1)).is_ok());
    match log.read(Lsn(2)) {
        Err(LogError::Damaged { file, offset, lsn }) => {
            assert_eq!((file.as_str(), offset, lsn), ("wal/segment-000001", 2 * 4096, Lsn(2)));
        }
        other => panic!("{other:?}"),
    }
}

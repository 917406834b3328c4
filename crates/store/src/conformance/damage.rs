//! Rotten bits: whatever is damaged, a load answers what was stored or says that it cannot.
//!
//! After a start, that holds for every partition that the start did not report. In one that it reports with unknown
//! keys an older value may have come back (the record that replaced it is unreadable), but never one that the key
//! did not have.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{Device, DeviceError, Entry, Load, Partition, ShardId, Writer};
use ombak_sim::SimDisk;
use proptest::prelude::*;

use super::config;
use super::ops::{self, Op};
use super::subjects::small_options;
use crate::log::{self, LogDevice, LogWriter, Recovered};

/// Everything that a key ever held, latest last.
type Past = BTreeMap<(Partition, Bytes), Vec<Option<Entry>>>;

struct Rot {
    disk: SimDisk,
    device: LogDevice<SimDisk>,
    writer: LogWriter<SimDisk>,
    past: Past,
}

impl Rot {
    fn new() -> Rot {
        let disk = SimDisk::new();
        let (mut devices, writer, _) = log::open(disk.mount(), 1, small_options()).unwrap();
        Rot { disk, device: devices.remove(0), writer, past: Past::new() }
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) {
        self.device.store(partition, key, entry.as_ref());
        let past = self.past.entry((partition, key.clone())).or_insert_with(|| vec![None]);
        past.push(entry);
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Store { partition, key, value } => self.store(*partition, key, Some(value.entry())),
            Op::Remove { partition, key } => self.store(*partition, key, None),
            Op::Write { .. } => self.write(),
            Op::Tidy => self.act(|writer, notices| writer.tidy(notices).map(|_| ())),
            Op::Checkpoint => self.act(|writer, notices| writer.checkpoint(notices).map(|_| ())),
            _ => {}
        }
    }

    fn write(&mut self) {
        if let Some(commit) = self.device.take_commit() {
            self.act(|writer, notices| writer.write(vec![(ShardId(0), commit)], notices));
        }
    }

    fn act(
        &mut self,
        act: impl FnOnce(
            &mut LogWriter<SimDisk>,
            &mut Vec<(ShardId, log::LogNotice<ombak_sim::SimFile>)>,
        ) -> std::io::Result<()>,
    ) {
        let mut notices = Vec::new();
        act(&mut self.writer, &mut notices).expect("the disk works");
        notices.into_iter().for_each(|(_, notice)| self.device.notice(notice));
    }

    /// Flips bits in files whose path begins with `dir`.
    fn rot(&mut self, dir: &str, places: &[(u64, u64)]) {
        let files: Vec<_> = self.disk.files();
        let files: Vec<_> =
            files.iter().filter(|(path, len)| path.starts_with(dir) && *len > 0).collect();
        for (file, place) in places.iter().filter(|_| !files.is_empty()) {
            let (path, len) = files[(*file % files.len() as u64) as usize];
            assert!(self.disk.flip_bit(path, place % len, (place / len % 8) as u8));
        }
    }

    /// A clean restart: nothing is lost that the disk had.
    fn restart(&mut self) -> Recovered {
        self.disk.crash_with(|_| true);
        let opened = log::open(self.disk.mount(), 1, small_options());
        let (mut devices, writer, recovered) = opened.expect("damage is no error");
        (self.device, self.writer) = (devices.remove(0), writer);
        recovered
    }

    fn load(&mut self, partition: Partition, key: &[u8]) -> Result<Option<Entry>, DeviceError> {
        match self.device.load(partition, key) {
            Load::Ready(result) => result,
            Load::Blocked(job) => job(),
        }
    }

    /// Every key has its latest value, or is reported; where `is_lax`, an older one will do.
    fn check(&mut self, is_lax: impl Fn(Partition) -> bool) {
        let past = std::mem::take(&mut self.past);
        for ((partition, key), values) in &past {
            match self.load(*partition, key) {
                Err(DeviceError::Damaged(place)) => assert!(place.contains("vnodes/"), "{place}"),
                Err(error) => panic!("{error}"),
                Ok(found) if is_lax(*partition) => assert!(values.contains(&found)),
                Ok(found) => {
                    assert_eq!(Some(&found), values.last(), "{partition} {key:?}");
                    let peeked = self.device.peek(*partition, key);
                    assert_eq!(peeked, super::peek_of(found.as_ref()), "{partition} {key:?}");
                }
            }
        }
        self.past = past;
    }
}

fn places() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..100u64, 0..1_000_000u64), 1..6)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn rot_in_vnodes_files_is_reported(
        ops in ops::without_faults(120),
        is_settled: bool,
        places in places(),
    ) {
        let mut rot = Rot::new();
        ops.iter().for_each(|op| rot.apply(op));
        rot.write();
        if is_settled {
            rot.act(|writer, notices| writer.checkpoint(notices).map(|_| ()));
        }
        rot.rot("vnodes/", &places);
        rot.check(|_| false);
        let incomplete = rot.restart().incomplete();
        rot.check(|partition| incomplete.contains_key(&partition));
        // It goes on: what is stored now is found by the next start.
        for op in &ops {
            rot.apply(op);
        }
        rot.write();
        let incomplete = rot.restart().incomplete();
        rot.check(|partition| incomplete.contains_key(&partition));
    }

    #[test]
    fn rot_in_the_commit_log_is_reported(ops in ops::without_faults(120), places in places()) {
        let mut rot = Rot::new();
        ops.iter().for_each(|op| rot.apply(op));
        rot.write();
        rot.rot("commit-log/", &places);
        rot.check(|_| false);
        let recovered = rot.restart();
        let incomplete = recovered.incomplete();
        // Rot in the last batch cannot be told from a write that was torn.
        let is_lax = |partition| {
            recovered.torn_tail
                || recovered.may_miss_partitions() && !rot.device.partitions().contains(&partition)
                || incomplete.contains_key(&partition)
        };
        let lax: Vec<_> = ops::partitions().into_iter().filter(|p| is_lax(*p)).collect();
        rot.check(|partition| lax.contains(&partition));
    }

    #[test]
    fn unreadable_sectors_are_reported(ops in ops::without_faults(80), places in places()) {
        let mut rot = Rot::new();
        ops.iter().for_each(|op| rot.apply(op));
        rot.write();
        rot.act(|writer, notices| writer.checkpoint(notices).map(|_| ()));
        let files: Vec<_> = rot.disk.files();
        let files: Vec<_> = files.iter().filter(|(path, _)| path.ends_with(".data")).collect();
        for (file, place) in places.iter().filter(|_| !files.is_empty()) {
            let (path, len) = files[(*file % files.len() as u64) as usize];
            rot.disk.break_sector(path, place % len);
        }
        let recovered = rot.restart();
        let incomplete = recovered.incomplete();
        rot.past.retain(|(partition, _), _| !incomplete.contains_key(partition));
        let known: Vec<_> = recovered.damage.iter().filter_map(|damage| damage.key.clone()).collect();
        rot.past.retain(|(_, key), _| !known.contains(key));
        rot.check(|_| false);
    }
}

//! Scripts: one situation each, where the conformance suite draws them all.

mod lists;
mod snapshots;

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{Device, DeviceError, Disk, Entry, Load, Peek, Upkeep, Writer};
use ombak_sim::{Rng, SimDisk, SimFile};

use super::*;
use crate::StoreError;

mod full;

const P: Partition = Partition(0);

struct Node {
    disk: SimDisk,
    device: LogDevice<SimDisk>,
    writer: LogWriter<SimDisk>,
    recovered: Recovered,
    options: Options,
}

impl Node {
    fn start(disk: SimDisk, options: Options) -> Node {
        let (mut devices, writer, recovered) = open(disk.mount(), 1, options).unwrap();
        Node { disk, device: devices.remove(0), writer, recovered, options }
    }

    fn new() -> Node {
        Node::start(SimDisk::new(), Options::default())
    }

    /// Files so short that little has to be written for many of them.
    fn with_short_files() -> Node {
        let options = Options { file_bytes: 128 * 1024, ..Options::default() };
        Node::start(SimDisk::new(), options)
    }

    /// Everything that was written stays, synced or not.
    fn restart(self) -> Node {
        self.disk.crash_with(|_| true);
        Node::start(self.disk, self.options)
    }

    /// Only what was synced stays.
    fn lose_power(self) -> Node {
        self.disk.crash_with(|_| false);
        Node::start(self.disk, self.options)
    }

    fn put(&mut self, key: &str, bytes: impl Into<Bytes>) {
        let entry = Entry { tag: 0, bytes: bytes.into() };
        self.device.store(P, key.as_bytes(), Some(&entry));
        self.write();
    }

    fn write(&mut self) {
        let commit = self.device.take_commit().unwrap();
        self.act(|writer, notices| writer.write(vec![(ShardId(0), commit)], notices));
    }

    fn act<T>(
        &mut self,
        act: impl FnOnce(
            &mut LogWriter<SimDisk>,
            &mut Vec<(ShardId, LogNotice<SimFile>)>,
        ) -> std::io::Result<T>,
    ) -> T {
        let mut notices = Vec::new();
        let result = act(&mut self.writer, &mut notices).unwrap();
        notices.into_iter().for_each(|(_, notice)| self.device.notice(notice));
        result
    }

    /// Writes, tidies and does upkeep until nothing is left. `false`: the disk does not work any more.
    fn try_to_rest(&mut self) -> bool {
        loop {
            let mut notices = Vec::new();
            let commit = self.device.take_commit().map(|commit| (ShardId(0), commit));
            let wrote = commit.is_some();
            let written = match commit {
                Some(commit) => self.writer.write(vec![commit], &mut notices),
                None => Ok(()),
            };
            let tidied = written.and_then(|()| self.writer.tidy(&mut notices));
            notices.into_iter().for_each(|(_, notice)| self.device.notice(notice));
            let Ok(tidied) = tidied else { return false };
            let mut jobs = 0;
            while let Some(upkeep) = self.device.take_upkeep() {
                let Upkeep::Run(job) = upkeep else { return false };
                self.device.notice(job());
                jobs += 1;
            }
            if !wrote && !tidied && jobs == 0 {
                return true;
            }
        }
    }

    fn checkpoint(&mut self) {
        self.act(LogWriter::checkpoint);
    }

    fn tidy_all(&mut self) -> u32 {
        (0..).find(|_| !self.act(Writer::tidy)).unwrap()
    }

    fn read(&mut self, key: &str) -> Result<Option<Bytes>, DeviceError> {
        let entry = match self.device.load(P, key.as_bytes()) {
            Load::Ready(result) => result,
            Load::Blocked(job) => job(),
        };
        entry.map(|entry| entry.map(|entry| entry.bytes))
    }

    #[track_caller]
    fn expect(&mut self, key: &str, bytes: impl Into<Bytes>) {
        assert_eq!(self.read(key), Ok(Some(bytes.into())));
    }
}

fn large(byte: u8) -> Vec<u8> {
    vec![byte; 100_000]
}

#[test]
fn an_idle_node_writes_nothing() {
    let mut node = Node::new();
    node.put("key", "value");
    node.tidy_all();
    let before = node.disk.counters().changes();
    for _ in 0..10 {
        assert_eq!(node.tidy_all(), 0);
    }
    assert_eq!(node.disk.counters().changes(), before);
    // The record is in the log and in memory; no file of the vnode was touched.
    assert_eq!(node.disk.contents("vnodes/0/0.data"), None);
}

#[test]
fn a_put_is_one_write_and_one_sync() {
    let mut node = Node::new();
    node.put("first", "value");
    node.tidy_all();
    let before = node.disk.counters();
    node.put("key", "value");
    let after = node.disk.counters();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1));
}

#[test]
fn a_tail_is_read_without_a_copy() {
    let mut node = Node::new();
    node.put("key", "value");
    let (one, other) = (node.read("key").unwrap().unwrap(), node.read("key").unwrap().unwrap());
    assert_eq!(one.as_ptr(), other.as_ptr());
    assert_eq!(node.disk.counters().reads, Node::new().disk.counters().reads);
}

#[test]
fn a_flushed_value_leaves_memory_and_is_read_from_the_file() {
    let mut node = Node::new();
    node.put("key", "value");
    node.put("large", large(1));
    node.checkpoint();
    assert_eq!(node.device.status(P).unwrap().memory_bytes, 0);
    assert_eq!(node.writer.gathered_bytes(), 0);
    node.expect("key", "value");
    node.expect("large", large(1));
    node.disk.set_cold(true);
    assert!(matches!(node.device.load(P, b"key"), Load::Blocked(_)));
    node.expect("key", "value");
}

impl Node {
    /// Everything that can be done without a put: writing behind, jobs, removals.
    fn rest(&mut self) {
        loop {
            let tidied = self.tidy_all();
            let jobs = self.upkeep();
            if let Some(commit) = self.device.take_commit() {
                self.act(|writer, notices| writer.write(vec![(ShardId(0), commit)], notices));
            } else if tidied == 0 && jobs == 0 {
                return;
            }
        }
    }

    /// Does what the device wants done; returns how much that was.
    fn upkeep(&mut self) -> u32 {
        let mut jobs = 0;
        while let Some(upkeep) = self.device.take_upkeep() {
            match upkeep {
                Upkeep::Run(job) => self.device.notice(job()),
                Upkeep::Damaged(partition) => panic!("{partition} is damaged"),
            }
            jobs += 1;
        }
        jobs
    }

    fn data_files(&self) -> Vec<u32> {
        let files = self.disk.files();
        let numbers = files.iter().filter_map(|(path, _)| {
            path.strip_prefix("vnodes/0/")?.strip_suffix(".data")?.parse().ok()
        });
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort();
        numbers
    }
}

fn value_of(key: u64, round: u64, len: usize) -> Bytes {
    (0..len).map(|at| (at as u64 ^ key ^ round) as u8).collect()
}

/// Overwrites keys at random, and says how many times what is alive the files were at most, in percent.
fn overwrite(node: &mut Node, keys: u64, rounds: u64, len: usize) -> (u64, BTreeMap<u64, u64>) {
    let mut rng = Rng::new(1);
    let (mut latest, mut most) = (BTreeMap::new(), 0);
    for round in 0..rounds {
        let key = if round < keys { round } else { rng.below(keys) };
        let entry = Entry { tag: round, bytes: value_of(key, round, len) };
        node.device.store(P, format!("key {key}").as_bytes(), Some(&entry));
        latest.insert(key, round);
        if round.is_multiple_of((64_000 / len as u64).max(1)) {
            node.rest();
        }
        if round > 2 * keys {
            let status = node.device.status(P).unwrap();
            let live = status.live_bytes + keys * if len > 64 * 1024 { len as u64 } else { 0 };
            most = most.max((status.file_bytes + status.large_bytes) * 100 / live);
        }
    }
    node.rest();
    (most, latest)
}

fn has_all(node: &mut Node, latest: &BTreeMap<u64, u64>, len: usize) {
    for (key, round) in latest {
        node.expect(&format!("key {key}"), value_of(*key, *round, len));
    }
}

#[test]
fn space_is_given_back_under_random_overwrite() {
    let mut node = Node::with_short_files();
    let (most, latest) = overwrite(&mut node, 2_000, 20_000, 1_000);
    assert!(most < 160, "{most} % of what is alive");
    let files = node.data_files();
    assert!(files[0] > 10, "nothing was given up: {files:?}");
    has_all(&mut node, &latest, 1_000);
    for restart in [Node::restart, Node::lose_power] {
        node = restart(node);
        assert_eq!(node.recovered.damage, []);
        has_all(&mut node, &latest, 1_000);
    }
    // It goes on where it was.
    let (most, latest) = overwrite(&mut node, 2_000, 10_000, 1_000);
    assert!(most < 160, "{most} % of what is alive");
    has_all(&mut node, &latest, 1_000);
}

#[test]
fn space_of_large_values_is_given_back() {
    let mut node = Node::new();
    let len = 100_000;
    let (most, latest) = overwrite(&mut node, 200, 1_600, len);
    assert!(most < 160, "{most} % of what is alive");
    has_all(&mut node, &latest, len);
    node = node.lose_power();
    assert_eq!(node.recovered.damage, []);
    has_all(&mut node, &latest, len);
}

#[test]
fn what_was_removed_gives_its_space_back_and_stays_removed() {
    let mut node = Node::with_short_files();
    let (_, latest) = overwrite(&mut node, 2_000, 4_000, 1_000);
    for key in latest.keys() {
        node.device.store(P, format!("key {key}").as_bytes(), None);
    }
    node.write();
    node.put("last", "value");
    node.rest();
    let left = node.device.status(P).unwrap().file_bytes;
    assert!(left < 3 * 128 * 1024, "{left} bytes for one key");
    for restart in [Node::restart, Node::lose_power] {
        node = restart(node);
        assert_eq!(node.recovered.damage, []);
        assert_eq!(node.recovered.keys, 1);
        node.expect("last", "value");
    }
}

/// Removing the files is interrupted at every change of the disk: nothing is lost, nothing is taken for damage.
#[test]
fn giving_space_back_survives_a_power_cut_at_any_change() {
    let mut node = Node::with_short_files();
    let (_, latest) = overwrite(&mut node, 200, 1_000, 1_000);
    node.checkpoint();
    let (before, image) = (node.data_files(), node.disk.snapshot());
    let mut done = 0;
    for cut_at in 1.. {
        node.disk.restore(&image);
        node = Node::start(node.disk, node.options);
        node.disk.cut_power(cut_at);
        let mut rng = Rng::new(cut_at);
        let mut acknowledged = latest.clone();
        let mut round = 10_000;
        let survived = loop {
            round += 1;
            let key = rng.below(200);
            let entry = Entry { tag: round, bytes: value_of(key, round, 1_000) };
            node.device.store(P, format!("key {key}").as_bytes(), Some(&entry));
            if !node.try_to_rest() {
                break false;
            }
            acknowledged.insert(key, round);
            if node.data_files()[0] > before[0] + 1 {
                break true;
            }
        };
        done += u32::from(survived);
        let last = round;
        node = node.lose_power();
        assert_eq!(node.recovered.damage, [], "cut at {cut_at}");
        for (key, round) in &acknowledged {
            let found = node.read(&format!("key {key}")).unwrap().unwrap();
            // The last put was not acknowledged: it may be there or not.
            let fits = [*round, last].iter().any(|r| found == value_of(*key, *r, 1_000));
            assert!(fits, "cut at {cut_at}: key {key}");
        }
        if done > 0 {
            return;
        }
    }
}

#[test]
fn a_vnode_whose_beginning_is_not_known_is_reported_and_goes_on() {
    // Small enough that the log has forgotten the beginning, and a replay does not make it anew.
    let log = Options {
        log_segment_bytes: 1 << 20,
        log_segments_max: 2,
        file_bytes: 128 * 1024,
        ..Options::default()
    };
    let mut node = Node::start(SimDisk::new(), log);
    let (_, latest) = overwrite(&mut node, 1_000, 4_000, 1_000);
    assert!(node.data_files()[0] > 0);
    node.checkpoint();
    assert!(node.disk.flip_bit("firsts", 20, 0));
    for starts in 0..3 {
        node = node.restart();
        assert_eq!(node.recovered.damage.len(), usize::from(starts == 0), "start {starts}");
        has_all(&mut node, &latest, 1_000);
        // Something is given up, and the file is written anew.
        overwrite(&mut node, 1_000, 4_000, 1_000);
    }
}

#[test]
fn memory_of_tails_is_bounded() {
    let options = Options { memory_bytes_max: 100_000, ..Options::default() };
    let mut node = Node::start(SimDisk::new(), options);
    for partition in 0..50 {
        let entry = Entry { tag: 0, bytes: vec![0; 20_000].into() };
        node.device.store(Partition(partition), b"key", Some(&entry));
        node.write();
        node.tidy_all();
        assert!(node.writer.gathered_bytes() <= 100_000);
    }
}

#[test]
fn a_large_value_is_written_once() {
    let mut node = Node::new();
    node.put("key", "value");
    node.tidy_all();
    let before = node.disk.counters().bytes_written;
    node.put("large", large(7));
    node.checkpoint();
    let written = node.disk.counters().bytes_written - before;
    assert!((100_000..120_000).contains(&written), "{written}");
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay_but_marks() {
    let mut node = Node::new();
    node.put("key", "value");
    node.checkpoint();
    let mut node = node.lose_power();
    assert_eq!(node.recovered.damage, []);
    node.expect("key", "value");
}

/// A large value that was written, but whose pointer was not: nobody ever sees it, and its place is used again.
#[test]
fn a_large_value_without_its_pointer_is_written_over() {
    let mut node = Node::new();
    node.put("large", large(1));
    let entry = Entry { tag: 0, bytes: large(2).into() };
    node.device.store(P, b"lost", Some(&entry));
    // The large file is written and synced; the sync of the commit log fails.
    node.disk.fail_sync(2, std::io::ErrorKind::Other, ombak_sim::SyncFault::Drops);
    let commit = node.device.take_commit().unwrap();
    assert!(node.writer.write(vec![(ShardId(0), commit)], &mut Vec::new()).is_err());
    assert_eq!(node.disk.contents("vnodes/0/0.large").unwrap()[100_000..], large(2));
    let mut node = node.lose_power();
    assert_eq!(node.read("lost"), Ok(None));
    node.put("next", large(3));
    let len = node.disk.contents("vnodes/0/0.large").unwrap().len();
    assert_eq!(len, 200_000);
    let mut node = node.lose_power();
    node.expect("large", large(1));
    node.expect("next", large(3));
}

#[test]
fn a_failed_sync_poisons() {
    let mut node = Node::new();
    node.put("before", "value");
    let durable = node.device.durable();
    let entry = Entry { tag: 0, bytes: Bytes::from_static(b"value") };
    node.device.store(P, b"after", Some(&entry));
    let commit = node.device.take_commit().unwrap();
    node.disk.fail_sync(1, std::io::ErrorKind::Other, ombak_sim::SyncFault::Drops);
    let mut notices = Vec::new();
    assert!(node.writer.write(vec![(ShardId(0), commit)], &mut notices).is_err());
    assert!(node.writer.write(vec![], &mut notices).is_err());
    assert!(node.writer.tidy(&mut notices).is_err());
    assert!(node.writer.checkpoint(&mut notices).is_err());
    assert!(notices.is_empty());
    assert_eq!(node.device.durable(), durable);
    assert!(node.device.pending_bytes() > 0);
    node.expect("after", "value");
}

#[test]
fn pending_bytes_come_back_to_zero() {
    let mut node = Node::new();
    let entry = Entry { tag: 0, bytes: large(1).into() };
    node.device.store(P, b"large", Some(&entry));
    assert!(node.device.pending_bytes() > 100_000);
    node.write();
    assert_eq!(node.device.pending_bytes(), 0);
}

#[test]
fn partitions_move_with_the_number_of_shards() {
    let disk = SimDisk::new();
    for shards in [1, 3, 2] {
        let (mut devices, mut writer, _) = open(disk.mount(), shards, Options::default()).unwrap();
        for partition in [Partition(0), Partition(4), Partition(5), NODE_PARTITION] {
            let shard = shard_of(partition, shards);
            let device = &mut devices[usize::from(shard.0)];
            assert_eq!(device.partitions().contains(&partition), shards != 1);
            let entry = Entry { tag: 0, bytes: Bytes::new() };
            device.store(partition, &shards.to_le_bytes(), Some(&entry));
            let commit = device.take_commit().unwrap();
            writer.write(vec![(shard, commit)], &mut Vec::new()).unwrap();
            let keys = device.status(partition).unwrap().keys;
            assert_eq!(keys, [0, 1, 3, 2][usize::from(shards)]);
        }
        disk.crash_with(|_| false);
    }
}

#[test]
fn damage_is_reported_by_every_start_until_it_is_overwritten() {
    let mut node = Node::new();
    node.put("key", "value");
    node.put("other", "value");
    node.checkpoint();
    // Away from the log, so that the replay does not heal it.
    let mut node = forget_the_log(node);
    let at = node.device.status(P).unwrap().file_bytes - 1;
    assert!(node.disk.flip_bit("vnodes/0/0.data", at, 0));
    for _ in 0..2 {
        node = node.restart();
        let damage = &node.recovered.damage;
        assert_eq!(damage.len(), 1);
        assert_eq!((damage[0].key.as_deref(), damage[0].flaw), (Some(&b"other"[..]), Flaw::Value));
        assert_eq!(damage[0].file, "vnodes/0/0.data");
        assert!(node.recovered.incomplete().is_empty());
        assert!(matches!(node.read("other"), Err(DeviceError::Damaged(_))));
        node.expect("key", "value");
        let peeked = ["key", "other", "none"].map(|key| node.device.peek(P, key.as_bytes()));
        assert_eq!(peeked, [Peek::Tag(0), Peek::Unknown, Peek::Absent]);
    }
    node.put("other", "again");
    assert_eq!(node.device.peek(P, b"other"), Peek::Tag(0));
    let mut node = node.restart();
    assert_eq!(node.recovered.damage, []);
    node.expect("other", "again");
}

/// A store whose commit log is new, and whose files are all there is.
fn forget_the_log(node: Node) -> Node {
    use ombak_base::Disk;
    for name in node.disk.list("commit-log").unwrap() {
        node.disk.remove(&format!("commit-log/{name}")).unwrap();
    }
    node.restart()
}

#[test]
fn nothing_is_written_over_a_damaged_end() {
    let mut node = Node::new();
    node.put("key", "value");
    node.checkpoint();
    let mut node = forget_the_log(node);
    // The only record's head.
    node.disk.flip_bit("vnodes/0/0.data", 33, 0);
    node = node.restart();
    assert_eq!(node.recovered.incomplete().into_keys().collect::<Vec<_>>(), [P]);
    node.put("new", "value");
    node.checkpoint();
    let mut node = forget_the_log(node);
    assert_eq!(node.recovered.incomplete().into_keys().collect::<Vec<_>>(), [P]);
    node.expect("new", "value");
    assert!(node.disk.contents("vnodes/0/1.data").is_some());
}

#[test]
fn a_missing_file_is_reported() {
    use ombak_base::Disk;
    let options = Options { file_bytes: 100, ..Options::default() };
    let mut node = Node::start(SimDisk::new(), options);
    for key in ["a", "b", "c", "d", "e", "f"] {
        node.put(key, "value");
    }
    node.checkpoint();
    let node = forget_the_log(node);
    node.disk.remove("vnodes/0/0.data").unwrap();
    let node = node.restart();
    assert_eq!(node.recovered.damage.len(), 1);
    assert_eq!(node.recovered.damage[0].flaw, Flaw::Missing);
    assert_eq!(node.recovered.damage[0].file, "vnodes/0/0.data");
}

/// Two vnodes; the log loses a record between. The one that has written since proves that it lacks nothing, or sees
/// the gap; the quiet one cannot.
#[test]
fn a_damaged_log_makes_those_incomplete_that_prove_nothing() {
    let (quiet, busy) = (Partition(1), Partition(2));
    let mut node = Node::new();
    let entry = Entry { tag: 0, bytes: vec![7; 3000].into() };
    for (partition, key) in [(quiet, b"a"), (busy, b"a"), (P, b"a"), (busy, b"b")] {
        node.device.store(partition, key, Some(&entry));
        node.write();
    }
    // The third batch: one record of P, whose value is told from the others by nothing but its place.
    let (path, _) = node.disk.files().into_iter().find(|(p, _)| p.contains("segment")).unwrap();
    let third = 4096 * (1 + 2);
    assert!(node.disk.flip_bit(&path, third + 2000, 3));
    let node = node.restart();
    let incomplete: Vec<_> = node.recovered.incomplete().into_keys().collect();
    assert_eq!(incomplete, [quiet]);
    // P has no record and no file: it is not there at all, and that is said.
    assert!(node.recovered.may_miss_partitions());
    assert!(!node.device.partitions().contains(&P));
}

#[test]
fn bad_options_are_refused() {
    let refused = |options| {
        matches!(open(SimDisk::new(), 1, options).map(|_| ()), Err(StoreError::Options(_)))
    };
    assert!(refused(Options { large_bytes: 0, ..Options::default() }));
    assert!(refused(Options { file_bytes: u64::MAX, ..Options::default() }));
    assert!(refused(Options { log_segment_bytes: 8192, ..Options::default() }));
    assert!(refused(Options { log_segments_max: 1, ..Options::default() }));
    assert!(matches!(
        open(SimDisk::new(), 0, Options::default()).map(|_| ()),
        Err(StoreError::Options(_))
    ));
}

#[test]
fn it_runs_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let disk = ombak_aries::OsDisk::open(dir.path()).unwrap();
        let options = Options { log_segment_bytes: 1 << 20, ..Options::default() };
        open(disk, 1, options).unwrap()
    };
    let entry = |bytes: Vec<u8>| Entry { tag: 3, bytes: bytes.into() };
    let (mut devices, mut writer, _) = start();
    for i in 0..500u32 {
        let bytes = if i % 100 == 0 { large(i as u8) } else { vec![i as u8; 1000] };
        devices[0].store(Partition(i % 3), &i.to_le_bytes(), Some(&entry(bytes)));
        let mut notices = Vec::new();
        writer.write(vec![(ShardId(0), devices[0].take_commit().unwrap())], &mut notices).unwrap();
        while writer.tidy(&mut notices).unwrap() {}
        notices.into_iter().for_each(|(_, notice)| devices[0].notice(notice));
    }
    drop((devices, writer));
    let (mut devices, _writer, recovered) = start();
    assert_eq!((recovered.damage, recovered.keys), (vec![], 500));
    for i in 0..500u32 {
        let found = match devices[0].load(Partition(i % 3), &i.to_le_bytes()) {
            Load::Ready(found) => found,
            Load::Blocked(job) => job(),
        };
        let bytes = if i % 100 == 0 { large(i as u8) } else { vec![i as u8; 1000] };
        assert_eq!(found, Ok(Some(entry(bytes))));
    }
}

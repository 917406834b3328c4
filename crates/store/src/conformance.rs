//! One suite for every backend: sequences of operations, drawn by proptest, against a naive oracle.
//!
//! The oracle is the list of everything that was stored, and an ordered map. After a crash each shard's data must be
//! what some prefix of its stores leaves, and the prefix must hold every store that was announced as durable. (A
//! backend that does not survive must then be empty.) Beyond that: loads, peeks and scans always agree with the map,
//! errors or not; stamps count; `durable` never falls, and never rises again after an error; and a crash is never mistaken
//! for damage.

mod damage;
mod ops;
mod subjects;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ombak_base::{
    Chunk, Device, DeviceError, Entry, Load, Partition, Peek, Scan, ShardId, Stamp, Upkeep,
    UpkeepJob, Writer,
};
use proptest::prelude::*;

use crate::log::{NODE_PARTITION, shard_of};
use ops::{Fault, Op, Value};
use subjects::{
    BtreeSubject, EitherBtreeSubject, EitherSubject, LogSubject, MemorySubject, Subject,
};

/// What is stored, naively.
type Model = BTreeMap<(Partition, Bytes), Entry>;

/// One store or removal.
struct Stored {
    partition: Partition,
    key: Bytes,
    entry: Option<Entry>,
}

impl Stored {
    fn apply(&self, model: &mut Model) {
        let at = (self.partition, self.key.clone());
        match &self.entry {
            Some(entry) => model.insert(at, entry.clone()),
            None => model.remove(&at),
        };
    }
}

type Commit<S> = <<S as Subject>::Device as Device>::Commit;
type Notice<S> = <<S as Subject>::Device as Device>::Notice;

/// One life of a process, and what was there before.
struct Run<S: Subject> {
    subject: S,
    devices: Vec<S::Device>,
    writer: S::Writer,
    /// What was there at the start.
    before: Model,
    model: Model,
    /// Everything stored since, by shard.
    history: Vec<Vec<Stored>>,
    commits: VecDeque<(ShardId, Commit<S>)>,
    notices: VecDeque<(ShardId, Notice<S>)>,
    /// Upkeep that is being done elsewhere.
    jobs: VecDeque<(ShardId, UpkeepJob<Notice<S>>)>,
    failed: bool,
    /// Whether reads may fail because nothing works any more.
    may_be_cut: bool,
    /// Whether they may because there is no room now.
    is_full: bool,
}

impl<S: Subject> Run<S> {
    fn new(mut subject: S) -> Run<S> {
        let shards = 2;
        let (devices, writer) = subject.open(shards).expect("an empty disk opens");
        Run {
            subject,
            devices,
            writer,
            before: Model::new(),
            model: Model::new(),
            history: (0..shards).map(|_| Vec::new()).collect(),
            commits: VecDeque::new(),
            notices: VecDeque::new(),
            jobs: VecDeque::new(),
            failed: false,
            may_be_cut: false,
            is_full: false,
        }
    }

    fn device(&mut self, partition: Partition) -> &mut S::Device {
        let shard = shard_of(partition, self.devices.len() as u16);
        &mut self.devices[usize::from(shard.0)]
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Store { partition, key, value } => {
                self.store(*partition, key, Some(&value.entry()));
            }
            Op::Remove { partition, key } => self.store(*partition, key, None),
            Op::Burst { seed, stores, at_once } => self.burst(*seed, *stores, *at_once),
            Op::Load { partition, key } => self.check_load(*partition, key),
            Op::Scan(scan) => self.check_scan(scan),
            Op::Commit => self.take_commits(),
            Op::Write { batches } => self.write(*batches),
            Op::Tidy => self.tidy(),
            Op::Checkpoint => self.checkpoint(),
            Op::Upkeep => self.upkeep(),
            Op::Hear { notices } => self.hear(*notices),
            Op::Fault(fault) => self.inject(*fault),
            Op::Crash { seed, shards, cut_at } => self.crash(*seed, *shards, *cut_at),
        }
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<&Entry>) {
        let shard = usize::from(shard_of(partition, self.devices.len() as u16).0);
        let stamp = self.devices[shard].store(partition, key, entry);
        let stored = Stored { partition, key: key.clone(), entry: entry.cloned() };
        stored.apply(&mut self.model);
        self.history[shard].push(stored);
        assert_eq!(stamp, Stamp(self.history[shard].len() as u64), "stamps count stores");
        self.check_load(partition, key);
    }

    fn burst(&mut self, seed: u64, stores: u64, at_once: bool) {
        for (partition, key, value) in ops::burst(seed, stores) {
            self.store(partition, &key, Some(&value.entry()));
            if !at_once {
                self.take_commits();
                self.write(1);
            }
        }
        self.take_commits();
        self.write(usize::MAX);
    }

    fn inject(&mut self, fault: Fault) {
        let fails_writes = matches!(fault, Fault::Write(_) | Fault::NoRoom(_) | Fault::Sync(..));
        // While no page can be written, none can be read once all frames have changes.
        if let (Fault::Full(is_full), true) = (fault, S::READS_PAGES) {
            self.is_full = is_full;
        }
        self.may_be_cut |= matches!(fault, Fault::CutPower(_)) || (S::READS_PAGES && fails_writes);
        self.subject.inject(fault);
    }

    fn may_fail(&self) -> bool {
        self.may_be_cut || self.is_full
    }

    fn check_load(&mut self, partition: Partition, key: &Bytes) {
        let expected = self.model.get(&(partition, key.clone())).cloned();
        let peeked = self.device(partition).peek(partition, key);
        if !(S::READS_PAGES && peeked == Peek::Unknown) {
            assert_eq!(peeked, peek_of(expected.as_ref()), "{key:?}");
        }
        match self.load(partition, key) {
            Err(DeviceError::Io(_)) if self.may_fail() => {}
            found => assert_eq!(found, Ok(expected), "{key:?}"),
        }
    }

    fn load(&mut self, partition: Partition, key: &Bytes) -> Result<Option<Entry>, DeviceError> {
        match self.device(partition).load(partition, key) {
            Load::Ready(result) => result,
            Load::Blocked(job) => job(),
        }
    }

    fn check_scan(&mut self, scan: &Scan) {
        let expected = expected_chunk(&self.model, scan);
        match self.device(scan.partition).scan(scan) {
            Err(DeviceError::Io(_)) if self.may_fail() => {}
            // A value that cannot be read ends the piece in front of it.
            Ok(found) if self.may_fail() => assert!(expected.entries.starts_with(&found.entries)),
            found => assert_eq!(found, Ok(expected), "{scan:?}"),
        }
    }

    fn take_commits(&mut self) {
        for (shard, device) in self.devices.iter_mut().enumerate() {
            let commit = device.take_commit();
            self.commits.extend(commit.map(|commit| (ShardId(shard as u16), commit)));
        }
    }

    fn write(&mut self, batches: usize) {
        let count = batches.min(self.commits.len());
        let batch: Vec<_> = self.commits.drain(..count).collect();
        if !batch.is_empty() {
            self.guarded(|writer, notices| writer.write(batch, notices));
        }
    }

    fn tidy(&mut self) {
        self.guarded(|writer, notices| writer.tidy(notices).map(|_| ()));
    }

    fn checkpoint(&mut self) {
        self.guarded(S::checkpoint);
    }

    /// After one error there are only errors.
    fn guarded(
        &mut self,
        act: impl FnOnce(&mut S::Writer, &mut Vec<(ShardId, Notice<S>)>) -> std::io::Result<()>,
    ) {
        let mut notices = Vec::new();
        let result = act(&mut self.writer, &mut notices);
        assert!(!self.failed || (result.is_err() && notices.is_empty()), "a poisoned writer acts");
        self.failed |= result.is_err();
        self.notices.extend(notices);
    }

    fn upkeep(&mut self) {
        for (shard, device) in self.devices.iter_mut().enumerate() {
            while let Some(upkeep) = device.take_upkeep() {
                match upkeep {
                    Upkeep::Run(job) => self.jobs.push_back((ShardId(shard as u16), job)),
                    Upkeep::Damaged(_) => assert!(self.may_be_cut, "nothing was damaged"),
                }
            }
        }
    }

    fn hear(&mut self, count: usize) {
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        self.notices.extend(jobs.map(|(shard, job)| (shard, job())));
        let count = count.min(self.notices.len());
        for (shard, notice) in self.notices.drain(..count) {
            let device = &mut self.devices[usize::from(shard.0)];
            let before = device.durable();
            device.notice(notice);
            assert!(device.durable() >= before, "durable never falls");
        }
    }

    /// The process dies; another one starts, perhaps on the second try, and perhaps with other shards.
    fn crash(&mut self, seed: u64, shards: u16, cut_at: Option<u64>) {
        self.hear(usize::MAX);
        self.jobs.clear();
        self.commits.clear();
        self.subject.crash(seed);
        if let Some(cut_at) = cut_at {
            self.subject.inject(Fault::CutPower(cut_at));
            drop(self.subject.open(shards));
            self.subject.crash(seed ^ 1);
        }
        let announced: Vec<Stamp> = self.devices.iter().map(Device::durable).collect();
        let (devices, writer) = self.subject.open(shards).expect("the disk is sound");
        (self.devices, self.writer) = (devices, writer);
        let found = self.everything();
        self.check_survivors(&found, &announced);
        self.before = found.clone();
        self.model = found;
        self.history = (0..shards).map(|_| Vec::new()).collect();
        self.failed = false;
        (self.may_be_cut, self.is_full) = (false, false);
    }

    fn everything(&mut self) -> Model {
        let mut model = Model::new();
        for partition in ops::partitions() {
            let (from, to) = (Bytes::new(), Bytes::new());
            let scan =
                Scan { partition, from, to, entries_max: 1000, bytes_max: u32::MAX, values: true };
            let chunk = self.device(partition).scan(&scan).expect("nothing was damaged");
            assert_eq!(chunk.next, None);
            for entry in chunk.entries {
                let bytes = entry.bytes.expect("values were asked for");
                model.insert((partition, entry.key), Entry { tag: entry.tag, bytes });
            }
        }
        for partition in ops::partitions() {
            for key in ops::keys() {
                let found = self.load(partition, &key).expect("nothing was damaged");
                let peeked = self.device(partition).peek(partition, &key);
                if !(S::READS_PAGES && peeked == Peek::Unknown) {
                    assert_eq!(peeked, peek_of(found.as_ref()), "peek and load agree");
                }
                assert_eq!(found.as_ref(), model.get(&(partition, key)), "load and scan agree");
            }
        }
        model
    }

    /// Each shard's data is what a prefix of its stores left, and the prefix holds all that was announced.
    fn check_survivors(&self, found: &Model, announced: &[Stamp]) {
        if !S::SURVIVES {
            assert!(found.is_empty());
            return;
        }
        let shards = self.history.len() as u16;
        for (shard, history) in self.history.iter().enumerate() {
            let mine = |at: &Partition| usize::from(shard_of(*at, shards).0) == shard;
            let part = |model: &Model| -> Model {
                let own = model.iter().filter(|((partition, _), _)| mine(partition));
                own.map(|(at, entry)| (at.clone(), entry.clone())).collect()
            };
            let found = part(found);
            let mut model = part(&self.before);
            let announced = announced[shard].0 as usize;
            history[..announced].iter().for_each(|stored| stored.apply(&mut model));
            let mut rest = history[announced..].iter();
            while model != found {
                let next = rest.next();
                let next = next.unwrap_or_else(|| panic!("shard {shard}: no prefix leaves this"));
                next.apply(&mut model);
            }
        }
    }
}

/// What a peek says where nothing is damaged.
fn peek_of(entry: Option<&Entry>) -> Peek {
    entry.map_or(Peek::Absent, |entry| Peek::Tag(entry.tag))
}

/// What a scan finds, written as plainly as it can be.
fn expected_chunk(model: &Model, scan: &Scan) -> Chunk {
    let within = model.iter().filter(|((partition, key), _)| {
        *partition == scan.partition && *key >= scan.from && (scan.to.is_empty() || *key < scan.to)
    });
    let mut chunk = Chunk::default();
    let mut bytes = 0;
    for ((_, key), entry) in within {
        let is_full = chunk.entries.len() >= scan.entries_max.max(1) as usize;
        if is_full || bytes > scan.bytes_max as usize {
            chunk.next = Some(key.clone());
            break;
        }
        let value = scan.values.then(|| entry.bytes.clone());
        bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        chunk.entries.push(ombak_base::ScanEntry {
            key: key.clone(),
            tag: entry.tag,
            bytes: value,
        });
    }
    chunk
}

fn run<S: Subject>(subject: S, ops: &[Op]) {
    let mut run = Run::new(subject);
    ops.iter().for_each(|op| run.apply(op));
    run.crash(0, 3, None);
}

/// `of_256` cases of every 256 that proptest would run, so that `PROPTEST_CASES` makes all of them run longer.
fn config(of_256: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = (default.cases * of_256 / 256).max(1);
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn memory_is_an_ordered_map(ops in ops::sequence(200)) {
        run(MemorySubject, &ops);
    }

    #[test]
    fn the_choice_changes_nothing(ops in ops::sequence(100)) {
        run(EitherSubject::new(), &ops);
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn log_keeps_what_it_announced(ops in ops::sequence(200)) {
        run(LogSubject::new(), &ops);
    }

    #[test]
    fn log_survives_a_power_cut_at_any_change(
        ops in ops::without_faults(120),
        cut_at in 1..400u64,
        seed: u64,
    ) {
        let mut run = Run::new(LogSubject::new());
        run.inject(Fault::CutPower(cut_at));
        ops.iter().for_each(|op| run.apply(op));
        run.crash(seed, 2, None);
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn btree_keeps_what_it_announced(ops in ops::sequence(200)) {
        run(BtreeSubject::new(), &ops);
    }

    #[test]
    fn btree_survives_a_power_cut_at_any_change(
        ops in ops::without_faults(120),
        cut_at in 1..400u64,
        seed: u64,
    ) {
        let mut run = Run::new(BtreeSubject::new());
        run.inject(Fault::CutPower(cut_at));
        ops.iter().for_each(|op| run.apply(op));
        run.crash(seed, 2, None);
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn the_choice_changes_nothing_of_a_btree(ops in ops::sequence(100)) {
        run(EitherBtreeSubject::new(), &ops);
    }
}

fn store(partition: u32, key: &'static str, len: usize) -> Op {
    let (partition, key) = (Partition(partition), Bytes::from_static(key.as_bytes()));
    Op::Store { partition, key, value: Value { tag: 0, len, seed: 0 } }
}

fn burst(seed: u64, stores: u64, at_once: bool) -> Op {
    Op::Burst { seed, stores, at_once }
}

/// The write of a page found no room. What was on it was given away, and told as damaged when it was read again: what belonged there was
/// left out, and what came later was kept.
#[test]
fn a_full_disk_is_no_damage() {
    let ops = [
        store(5, "key", 1_633),
        Op::Commit,
        store(0, "a", 2_016),
        burst(5_264_525_909_620_940_880, 66, false),
        burst(10_412_527_059_674_058_761, 86, false),
        Op::Fault(Fault::NoRoom(1)),
        burst(3_939_509_734_004_924_188, 42, true),
        store(0, "", 0),
    ];
    run(BtreeSubject::new(), &ops);
}

/// The log found no room when pages were to be written behind it, and the engine stopped for good.
#[test]
fn a_disk_that_is_filled_between_two_bursts_has_room_again() {
    let crash = || Op::Crash { seed: 0, shards: 3, cut_at: None };
    let ops = [
        crash(),
        burst(6_850_195_856_429_590_835, 86, true),
        store(2, "aa", 3_429),
        store(1, "", 0),
        store(0, "a", 0),
        Op::Commit,
        burst(16_679_941_082_938_821_825, 37, false),
        burst(12_637_971_320_283_545_224, 18, true),
        crash(),
        Op::Commit,
        store(0, "b", 4_094),
        Op::Commit,
        Op::Write { batches: 1 },
        Op::Fault(Fault::Full(true)),
        burst(9_096_041_228_145_694_600, 85, true),
        Op::Tidy,
        Op::Tidy,
        Op::Fault(Fault::Full(false)),
        Op::Tidy,
        Op::Tidy,
    ];
    let mut run = Run::new(BtreeSubject::new());
    ops.iter().for_each(|op| run.apply(op));
    let keys: Vec<_> = run.model.keys().cloned().collect();
    assert!(keys.len() > 20);
    keys.iter().for_each(|(partition, key)| run.check_load(*partition, key));
    run.crash(1, 2, None);
}

#[test]
fn the_node_has_a_partition_of_its_own() {
    assert_eq!(shard_of(NODE_PARTITION, 4), ShardId(0));
    assert_eq!(shard_of(Partition(7), 4), ShardId(3));
}

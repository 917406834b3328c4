//! The shared log on a simulated disk.

mod crash;
mod explored;
mod gate;
mod threads;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::{future::Future, pin::pin};

use ombak_sim::{Rng, SimDisk, SyncFault};

use super::*;
use crate::seeds::seeds;
use gate::GateDisk;

type Log = SharedLog<SimDisk>;
type Record = (Lsn, StreamId, Vec<u8>);

const SMALL: Options = Options { segment_bytes: 16 * 1024, segments_max: 3 };
const A: StreamId = StreamId(1);
const B: StreamId = StreamId(2);

/// Opens the log as a new process would.
fn open_with(disk: &SimDisk, options: Options) -> Result<(Log, Vec<Record>), LogError> {
    let mut records = Vec::new();
    let (log, recovery) = SharedLog::open(disk.mount(), "wal", options, |stream, lsn, bytes| {
        records.push((lsn, stream, bytes.to_vec()));
    })?;
    assert_eq!(recovery.damaged, []);
    Ok((log, records))
}

fn open(disk: &SimDisk) -> (Log, Vec<Record>) {
    open_with(disk, SMALL).unwrap()
}

/// Appends a record in a batch of its own.
fn put<D: Disk>(log: &SharedLog<D>, stream: StreamId, bytes: &[u8]) -> Result<Lsn, LogError> {
    let lsn = log.append(stream, &[bytes])?;
    log.force(lsn).map(|()| lsn)
}

fn forward(log: &Log, from: Lsn) -> Vec<Record> {
    let mut all = Vec::new();
    let each = |lsn, stream, bytes: &[u8]| {
        all.push((lsn, stream, bytes.to_vec()));
        Ok::<(), ()>(())
    };
    log.scan(from, each).unwrap();
    all
}

fn backward(log: &Log, from: Lsn) -> Vec<Record> {
    let mut all = Vec::new();
    let each = |lsn, stream, bytes: &[u8]| {
        all.push((lsn, stream, bytes.to_vec()));
        Ok::<(), ()>(())
    };
    log.scan_back(from, each).unwrap();
    all.reverse();
    all
}

/// A log, and all records that it was given, in order, from LSN 1 on.
struct Model {
    disk: SimDisk,
    log: Log,
    records: Vec<Record>,
    /// What must still be there, from here on.
    floor: Lsn,
    rng: Rng,
}

impl Model {
    fn new(seed: u64) -> Model {
        let disk = SimDisk::new();
        let (log, _) = open(&disk);
        Model { disk, log, records: Vec::new(), floor: Lsn(1), rng: Rng::new(seed) }
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0..10 => self.append(),
            10..13 => assert_eq!(self.log.sync().unwrap().0, self.records.len() as u64),
            13 => drop(self.log.tidy().unwrap()),
            14 => self.mark(),
            15 => self.reopen(),
            _ => self.look(),
        }
    }

    fn append(&mut self) {
        let len = [0, 30, 600, 2500, 9000][self.rng.below(5) as usize];
        let bytes = vec![self.records.len() as u8; len];
        let stream = StreamId(self.rng.below(3) as u32);
        match self.log.append(stream, &[&bytes]) {
            Ok(lsn) => {
                assert_eq!(lsn.0, self.records.len() as u64 + 1);
                self.records.push((lsn, stream, bytes));
            }
            Err(LogError::Full) => self.mark(),
            Err(error) => panic!("{error}"),
        }
    }

    fn mark(&mut self) {
        let durable = self.log.durable();
        let mark = Lsn((durable.0 + 1).saturating_sub(self.rng.below(4)).max(self.floor.0));
        (0..3).for_each(|stream| self.log.set_mark(StreamId(stream), mark));
        self.floor = mark;
    }

    fn reopen(&mut self) {
        self.records.truncate(self.log.durable().0 as usize);
        let (log, found) = open(&self.disk);
        self.log = log;
        let first = self.records.len() - found.len();
        assert_eq!(found, self.records[first..]);
        assert!((first as u64) < self.floor.0, "{first} but {:?}", self.floor);
    }

    fn look(&mut self) {
        let some = self.floor.0 + self.rng.below(12);
        let durable = self.log.durable().0 as usize;
        let must = |from: u64, to: usize| &self.records[(from as usize - 1).min(to)..to];
        assert_eq!(forward(&self.log, Lsn(some)), must(some, durable));
        let all = backward(&self.log, Lsn(some));
        let last = durable.min(some as usize);
        assert_eq!(all, self.records[last - all.len()..last]);
        assert!(all.len() as u64 >= (last as u64 + 1).saturating_sub(self.floor.0));
        match (self.log.read(Lsn(some)), self.records.get(some as usize - 1)) {
            (Ok((stream, bytes)), Some(must)) => {
                assert_eq!((Lsn(some), stream, bytes.to_vec()), *must);
            }
            (Err(LogError::Gone { .. }), None) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Two records that share a block cost that block, one that fills two costs two more; segments that are begun cost nothing.
#[test]
fn what_was_written_is_counted_as_blocks() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    assert_eq!(log.written_bytes(), 0);
    log.append(A, &[b"one"]).unwrap();
    put(&log, B, b"two").unwrap();
    assert_eq!(log.written_bytes(), 4096);
    put(&log, A, &[7; 5000]).unwrap();
    assert_eq!(log.written_bytes(), 3 * 4096);
    drop(log);
    assert_eq!(open(&disk).0.written_bytes(), 0, "since it was opened");
}

#[test]
fn it_is_a_list_through_reopening_and_recycling() {
    let mut recycled = 0;
    for seed in seeds(60) {
        let mut model = Model::new(seed);
        (0..400).for_each(|_| model.step());
        recycled += u64::from(model.log.read(Lsn(1)).is_err());
    }
    assert!(recycled > 50, "only {recycled} logs went round");
}

#[test]
fn one_thread_does_the_same_twice() {
    let run = || {
        let mut model = Model::new(5);
        (0..300).for_each(|_| model.step());
        let files = model.disk.files();
        let contents: Vec<_> = files.iter().map(|(path, _)| model.disk.contents(path)).collect();
        (model.disk.counters(), files, contents)
    };
    assert!(run() == run());
}

#[test]
fn a_full_log_stays_usable_and_a_mark_makes_room() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let full = (0..).find_map(|i| put(&log, A, &[i; 100]).err());
    assert!(matches!(full, Some(LogError::Full)));
    let last = log.durable();
    assert_eq!(last, Lsn(9), "three segments of three batches");
    assert!(matches!(log.append(A, &[b"more"]), Err(LogError::Full)));
    assert_eq!((log.sync().unwrap(), forward(&log, Lsn(1)).len()), (last, 9));
    log.set_mark(A, Lsn(4));
    assert_eq!(put(&log, A, b"more").unwrap(), Lsn(10));
    let (_, found) = open(&disk);
    assert_eq!((found[0].0, found.len()), (Lsn(4), 7));
}

/// The disk has no room for the next segment, although the log has: what waits is written first, and in order.
#[test]
fn a_batch_that_the_disk_refused_is_written_once_there_is_room() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    for i in 0..3 {
        put(&log, A, &[i; 100]).unwrap();
    }
    let last = log.durable();
    disk.set_capacity(Some(disk.used_bytes()));
    log.append(A, &[b"four"]).unwrap();
    for _ in 0..2 {
        assert!(matches!(log.sync(), Err(LogError::Full)));
        assert_eq!(log.durable(), last);
        // Whoever has to take it back can read it.
        assert_eq!(log.read(Lsn(last.0 + 1)).unwrap(), (A, Bytes::from_static(b"four")));
        log.append(B, &[b"more"]).unwrap();
    }
    let mut wait = pin!(log.wait(Lsn(6)));
    let (waker, woken) = counting();
    let mut context = Context::from_waker(&waker);
    assert!(wait.as_mut().poll(&mut context).is_pending());
    assert!(matches!(log.serve(), Err(LogError::Full)));
    assert!(wait.as_mut().poll(&mut context).is_pending(), "it is no reason to give up");
    disk.set_capacity(None);
    while !matches!(wait.as_mut().poll(&mut context), Poll::Ready(Ok(()))) {
        assert!(log.serve().unwrap());
    }
    assert!(woken.0.load(Ordering::Relaxed) > 0);
    let found: Vec<u64> = open(&disk).1.iter().map(|record| record.0.0).collect();
    assert_eq!(found, [1, 2, 3, 4, 5, 6]);
}

/// A mark as old as it was when nobody needed anything must not give away what was appended since.
#[test]
fn an_old_low_water_mark_spares_what_was_appended_since() {
    let (log, _) = open(&SimDisk::new());
    put(&log, A, b"one").unwrap();
    log.set_mark(A, Lsn(2));
    let old = log.0.end.lock().low_water();
    for i in 0..4 {
        put(&log, A, &[i; 3000]).unwrap();
    }
    log.0.files.lock().reclaim(old);
    assert_eq!(forward(&log, Lsn(2)).len(), 4);
}

#[test]
fn a_scan_may_use_the_log() {
    let (log, _) = open(&SimDisk::new());
    for _ in 0..3 {
        put(&log, A, b"before").unwrap();
    }
    let mut seen = 0;
    log.scan(Lsn(1), |lsn, _, _| {
        seen += 1;
        log.set_mark(A, lsn);
        put(&log, B, b"while it is read").map(drop)
    })
    .unwrap();
    assert_eq!((seen, log.durable()), (3, Lsn(6)), "it ends where the log did");
}

struct Counting(AtomicU32);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (Waker, Arc<Counting>) {
    let counting = Arc::new(Counting(AtomicU32::new(0)));
    (counting.clone().into(), counting)
}

#[test]
fn futures_are_served_together() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let (waker, woken) = counting();
    let mut context = Context::from_waker(&waker);
    assert!(!log.serve().unwrap(), "nobody waits");
    let mut waits: Vec<_> =
        (0..5).map(|_| Box::pin(log.wait(log.append(A, &[b"one of five"]).unwrap()))).collect();
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut context).is_pending());
    }
    let before = disk.counters();
    drop(waits.pop());
    assert!(log.serve().unwrap());
    assert_eq!(disk.counters().syncs, before.syncs + 1);
    assert_eq!(woken.0.load(Ordering::Relaxed), 4, "the fifth was dropped");
    for wait in &mut waits {
        assert!(matches!(wait.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
    }
    assert!(!log.serve().unwrap());
}

#[test]
fn futures_learn_of_a_failed_sync() {
    let disk = SimDisk::new();
    let (log, _) = open(&disk);
    let (waker, woken) = counting();
    let mut context = Context::from_waker(&waker);
    let mut wait = pin!(log.wait(log.append(A, &[b"unsure"]).unwrap()));
    assert!(wait.as_mut().poll(&mut context).is_pending());
    disk.fail_sync(1, ErrorKind::Other, SyncFault::Keeps);
    assert!(matches!(log.serve(), Err(LogError::Io { .. })));
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(matches!(wait.as_mut().poll(&mut context), Poll::Ready(Err(LogError::Poisoned))));
    assert!(matches!(log.append(A, &[b"more"]), Err(LogError::Poisoned)));
    assert!(matches!(log.tidy(), Err(LogError::Poisoned)));
}

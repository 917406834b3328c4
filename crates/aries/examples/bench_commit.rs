//! How many records a second become durable, when each of N writers waits for its own before it goes on. Two ways:
//! one thread owns the log and the others send to it (*channel*), or all append to a shared log and one of them
//! writes (*shared*).
//!
//! `cargo run --release -p ombak-aries --example bench_commit -- [DIR] [SECONDS]`
//!
//! The two take turns, five times; the medians are shown. On an otherwise idle machine a sync may take a timer tick
//! (4 ms) because the processor sleeps too deeply, so one busy loop of the lowest priority runs beside it.

#![expect(clippy::disallowed_methods, reason = "this is a host: it has threads and a clock")]

use std::error::Error;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ombak_aries::{CommitLog, Options, OsDisk, SharedLog, StreamId};

const RECORD: [u8; 240] = [7; 240];
const STREAM: StreamId = StreamId(1);
const ROUNDS: usize = 5;

type Writer = SyncSender<()>;

/// Ends the loop when it goes out of scope.
struct Spinner(Child);

impl Spinner {
    fn start() -> std::io::Result<Spinner> {
        let spin = ["-n", "19", "sh", "-c", "while :; do :; done"];
        Ok(Spinner(Command::new("nice").args(spin).spawn()?))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Records and syncs of one run, and how long it took.
struct Run {
    records: u64,
    syncs: u64,
    seconds: f64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let root = args.next().unwrap_or_else(|| "bench-commit-data".to_string());
    let seconds: f64 = args.next().map_or(Ok(2.0), |text| text.parse())?;
    let length = Duration::from_secs_f64(seconds);
    let disk = OsDisk::open(&root)?;
    let _spinner = Spinner::start()?;
    for writers in [1, 16, 64] {
        let (mut channel, mut shared) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            channel.push(by_channel(&mut open(&disk)?, writers, length)?);
            shared.push(by_sharing(&open(&disk)?.into(), writers, length)?);
        }
        show("channel", writers, channel);
        show("shared", writers, shared);
    }
    Ok(())
}

fn open(disk: &OsDisk) -> Result<CommitLog<OsDisk>, Box<dyn Error>> {
    let (mut log, _) = CommitLog::open(disk.clone(), "wal", Options::default(), |_, _, _| {})?;
    log.set_mark(STREAM, log.next_lsn());
    while log.tidy()? {}
    Ok(log)
}

/// The median run.
fn show(way: &str, writers: usize, mut runs: Vec<Run>) {
    runs.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    let Run { records, syncs, seconds } = runs[ROUNDS / 2];
    println!(
        "{way:>7}, {writers:>2} writers: {:>7.0} records/s ({:.0} to {:.0}), {:>5.1} records a sync, {:>6.0} us a sync",
        records as f64 / seconds,
        runs[0].rate(),
        runs[ROUNDS - 1].rate(),
        records as f64 / syncs as f64,
        seconds * 1e6 / syncs as f64,
    );
}

/// Every writer appends and forces. Syncs are told by how often what is durable was seen to change.
fn by_sharing(
    log: &SharedLog<OsDisk>,
    writers: usize,
    length: Duration,
) -> Result<Run, Box<dyn Error>> {
    let (stop, syncs) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let records: Result<u64, _> = thread::scope(|scope| {
        let write = || {
            let mut records = 0;
            while !stop.load(Ordering::Relaxed) {
                let lsn = log.append(STREAM, &[&RECORD])?;
                log.force(lsn)?;
                records += 1;
                if log.durable() == lsn {
                    // The last of its batch: nobody else says so.
                    syncs.fetch_add(1, Ordering::Relaxed);
                    log.set_mark(STREAM, lsn);
                }
            }
            Ok::<u64, ombak_aries::LogError>(records)
        };
        let all: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        all.into_iter().map(|writer| writer.join().unwrap_or(Ok(0))).sum()
    });
    let seconds = started.elapsed().as_secs_f64();
    Ok(Run { records: records?, syncs: syncs.into_inner().max(1), seconds })
}

/// One thread owns the log and drains what has come in; the writers wait for it.
fn by_channel(
    log: &mut CommitLog<OsDisk>,
    writers: usize,
    length: Duration,
) -> Result<Run, Box<dyn Error>> {
    let (to_log, from_writers) = sync_channel::<Writer>(writers);
    for _ in 0..writers {
        let to_log = to_log.clone();
        thread::spawn(move || write(&to_log));
    }
    drop(to_log);
    let started = Instant::now();
    let (mut records, mut syncs) = (0, 0);
    while started.elapsed() < length {
        records += commit(log, &from_writers)?;
        syncs += 1;
    }
    Ok(Run { records, syncs, seconds: started.elapsed().as_secs_f64() })
}

/// Writes until nobody listens any more.
fn write(to_log: &SyncSender<Writer>) {
    let (done, durable) = sync_channel(1);
    while to_log.send(done.clone()).is_ok() && durable.recv().is_ok() {}
}

fn commit(
    log: &mut CommitLog<OsDisk>,
    from_writers: &Receiver<Writer>,
) -> Result<u64, Box<dyn Error>> {
    let first = from_writers.recv()?;
    let waiting: Vec<Writer> = std::iter::once(first).chain(from_writers.try_iter()).collect();
    for _ in &waiting {
        log.append(STREAM, &[&RECORD])?;
    }
    let durable = log.sync()?;
    log.set_mark(STREAM, durable);
    for writer in &waiting {
        writer.send(())?;
    }
    Ok(waiting.len() as u64)
}

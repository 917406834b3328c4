//! How many records a second become durable, when each of N writers waits for its own before it goes on.
//!
//! `cargo run --release -p ombak-aries --example bench_commit -- [DIR] [SECONDS]`
//!
//! On an otherwise idle machine a sync may take a timer tick (4 ms) because the processor sleeps too deeply. Run one
//! busy loop of the lowest priority beside it (`nice -n 19 sh -c 'while :; do :; done'`), and say so.

#![expect(clippy::disallowed_methods, reason = "this is a host: it has threads and a clock")]

use std::error::Error;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ombak_aries::{CommitLog, Options, OsDisk, StreamId};

const RECORD: [u8; 240] = [7; 240];
const STREAM: StreamId = StreamId(1);

type Writer = SyncSender<()>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let root = args.next().unwrap_or_else(|| "bench-commit-data".to_string());
    let seconds: u64 = args.next().map_or(Ok(3), |text| text.parse())?;
    let disk = OsDisk::open(&root)?;
    for writers in [1, 4, 16, 64] {
        let (mut log, _) = CommitLog::open(disk.clone(), "wal", Options::default(), |_, _, _| {})?;
        log.set_mark(STREAM, log.next_lsn());
        while log.tidy()? {}
        measure(&mut log, writers, Duration::from_secs(seconds))?;
    }
    Ok(())
}

/// One thread owns the log and drains what has come in; the writers wait for it.
fn measure(
    log: &mut CommitLog<OsDisk>,
    writers: usize,
    length: Duration,
) -> Result<(), Box<dyn Error>> {
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
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{writers:>3} writers: {:>8.0} records/s, {:>6.0} syncs/s, {:>5.1} records a sync, {:>6.0} us a sync",
        records as f64 / seconds,
        syncs as f64 / seconds,
        records as f64 / syncs as f64,
        seconds * 1e6 / syncs as f64,
    );
    Ok(())
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

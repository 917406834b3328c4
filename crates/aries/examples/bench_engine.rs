//! How fast the engine is where you are, without competitors: those are in `benches/storage`.
//!
//! `cargo run --release -p ombak-aries --example bench_engine -- [DIR] [ROWS]`

#![expect(clippy::disallowed_methods, reason = "this is a host: it has threads and a clock")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use ombak_aries::{Engine, EngineOptions, OsDisk, Tree};

const VALUE: [u8; 84] = [7; 84];

/// Numbers that look random, from their place in a row.
fn mixed(number: u64) -> u64 {
    let x = (number ^ number >> 31).wrapping_mul(0x7fb5_d329_728e_a185);
    (x ^ x >> 27).wrapping_mul(0x81da_def4_bc2d_d44d) ^ x >> 33
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed(number).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn timed(
    what: &str,
    count: u64,
    f: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (started, before) = (Instant::now(), cpu_seconds());
    f()?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds() - before;
    let count = count as f64;
    println!("{what:<28} {:>10.0} /s  {:>7.3} us of CPU", count / seconds, cpu * 1e6 / count);
    Ok(())
}

/// What this process has used, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let root = args.next().unwrap_or_else(|| "bench-engine-data".to_string());
    let rows: u64 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let options = EngineOptions { pool_bytes: 512 << 20, ..EngineOptions::default() };
    let (engine, _) = Engine::open(OsDisk::open(&root)?, "", options)?;
    let tree = engine.tree("rows")?;
    timed("puts, 1000 a transaction", rows, || fill(&engine, tree, rows))?;
    timed("puts again", rows, || fill(&engine, tree, rows))?;
    timed("puts at once", rows, || {
        (0..rows).try_for_each(|i| tree.put_now(&engine, &key(i), &VALUE).map(drop))?;
        Ok(())
    })?;
    timed("gets", rows, || {
        for i in 0..rows {
            let number = mixed(i) % rows;
            assert!(tree.get_latest(&engine, &key(number))?.is_some());
        }
        Ok(())
    })?;
    timed("rows of a scan", rows, || {
        let txn = engine.begin();
        let mut scan = tree.range(&txn, &[], None);
        let mut bytes = 0;
        while let Some((key, value)) = scan.next()? {
            bytes += key.len() + value.len();
        }
        assert_eq!(bytes as u64, rows * 100);
        Ok(())
    })?;
    engine.checkpoint()?;
    for threads in [1, 16, 64] {
        durable(&engine, tree, threads, rows)?;
    }
    println!("{:?}", engine.usage());
    drop(engine);
    restart(&root, rows)
}

/// A log without checkpoints, and the time that a restart takes for it.
fn restart(root: &str, rows: u64) -> Result<(), Box<dyn Error>> {
    let options = || EngineOptions {
        pool_bytes: 512 << 20,
        checkpoint_bytes: u64::MAX,
        log: ombak_aries::Options { segments_max: 128, ..Default::default() },
        ..EngineOptions::default()
    };
    let disk = OsDisk::open(root)?;
    let (engine, _) = Engine::open(disk.clone(), "", options())?;
    fill(&engine, engine.tree("rows")?, rows)?;
    engine.sync()?;
    std::mem::forget(engine); // The process ends here, as far as the disk knows.
    let (started, before) = (Instant::now(), cpu_seconds());
    let (_, restart) = Engine::open(disk, "", options())?;
    let seconds = started.elapsed().as_secs_f64();
    let megabytes = restart.log.bytes as f64 / 1e6;
    println!(
        "restart: {megabytes:.0} MB of log, {} changes redone, {seconds:.2} s, {:.0} MB/s, {:.2} s of CPU",
        restart.redone,
        megabytes / seconds,
        cpu_seconds() - before
    );
    Ok(())
}

fn fill(engine: &Engine, tree: Tree, rows: u64) -> Result<(), Box<dyn Error>> {
    for from in (0..rows).step_by(1000) {
        let mut txn = engine.begin();
        for i in from..rows.min(from + 1000) {
            tree.put(&mut txn, &key(i), &VALUE)?;
        }
        txn.commit_lazily()?;
    }
    Ok(())
}

/// Each thread commits single rows and waits for each.
fn durable(engine: &Engine, tree: Tree, threads: u64, rows: u64) -> Result<(), Box<dyn Error>> {
    let length = Duration::from_secs(3);
    let started = Instant::now();
    let counts: Vec<u64> = thread::scope(|scope| {
        let work = |thread: u64| {
            scope.spawn(move || {
                let mut count = 0;
                while started.elapsed() < length {
                    let mut txn = engine.begin();
                    let number = mixed(thread << 40 | count) % rows;
                    match tree.put(&mut txn, &key(number), &VALUE).and_then(|()| txn.commit()) {
                        Ok(()) => count += 1,
                        Err(ombak_aries::Error::Conflict | ombak_aries::Error::Deadlock { .. }) => {
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                count
            })
        };
        let workers: Vec<_> = (0..threads).map(work).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    });
    let total: u64 = counts.iter().sum();
    let seconds = started.elapsed().as_secs_f64();
    println!("durable, {threads:>2} threads          {:>10.0} /s", total as f64 / seconds);
    Ok(())
}

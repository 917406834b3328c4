//! How often this machine takes a core away: a thread that does nothing but read the clock, on each core.
//!
//! ```console
//! $ cargo run --release -p ombak-runtime --example stalls
//! ```
//!
//! Run it while nothing else runs. What it misses, every thread of every node misses too: no latency can be better.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::thread;
use std::time::{Duration, Instant};

const LASTS: Duration = Duration::from_secs(10);
const GAP: Duration = Duration::from_millis(1);

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..cores).map(|_| thread::spawn(gaps)).collect();
    for gaps in threads.into_iter().filter_map(|thread| thread.join().ok()) {
        let total: Duration = gaps.iter().sum();
        println!(
            "{} gaps of more than {GAP:?} in {LASTS:?}, {total:?} together, the longest {:?}",
            gaps.len(),
            gaps.iter().max().copied().unwrap_or_default()
        );
    }
}

fn gaps() -> Vec<Duration> {
    let begun = Instant::now();
    let (mut last, mut gaps) = (begun, Vec::new());
    while last.duration_since(begun) < LASTS {
        let now = Instant::now();
        gaps.extend(Some(now.duration_since(last)).filter(|gap| *gap > GAP));
        last = now;
    }
    gaps
}

//! Requests that come when they come, whether or not the server has answered the ones before: an open loop.
//!
//! The times are those of a Poisson process, as of many users who know nothing of each other. A thread of its own
//! sleeps until each is due and wakes the driver; what finds no connection free waits in a queue. A latency is counted
//! from the time that was *intended*, so a server that stops for a second has everything that came in that second
//! against it ("coordinated omission" leaves that out). A sleeping thread is late by some 50 µs, which is in the
//! latencies as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::Waker;
use serde::Serialize;

use super::rng::Rng;

/// More than these don't wait: they are counted and not sent.
pub(super) const QUEUE_MAX: usize = 1 << 16;
/// The thread looks so often whether it is to stop.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// The times of a Poisson process.
struct Schedule {
    rng: Rng,
    per_second: f64,
    next: Instant,
}

impl Schedule {
    fn new(per_second: u32, seed: u64, start: Instant) -> Schedule {
        let rng = Rng::new(seed ^ 0x6172_7269);
        let mut schedule = Schedule { rng, per_second: per_second.into(), next: start };
        schedule.advance();
        schedule
    }

    /// Distances are exponentially distributed.
    fn advance(&mut self) {
        let seconds = -(1.0 - self.rng.unit()).ln() / self.per_second;
        self.next += Duration::from_secs_f64(seconds);
    }
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    came: AtomicU64,
    overflowed: AtomicU64,
}

/// The queue, and the thread that fills it until this is dropped.
pub(super) struct Arrivals {
    queue: Receiver<Instant>,
    taken: u64,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Arrivals {
    /// The first are due from now on.
    pub(super) fn start(per_second: u32, seed: u64, waker: Waker) -> io::Result<Arrivals> {
        let (sender, queue) = sync_channel(QUEUE_MAX);
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let mut schedule = Schedule::new(per_second, seed, Instant::now());
        let body = move || {
            while !seen.stop.load(Ordering::Relaxed) {
                if arrive(&mut schedule, &sender, &seen, Instant::now()) && waker.wake().is_err() {
                    return;
                }
                let left = schedule.next.saturating_duration_since(Instant::now());
                thread::sleep(left.min(SLEEP_MAX));
            }
        };
        let thread = thread::Builder::new().name("arrivals".into()).spawn(body)?;
        Ok(Arrivals { queue, taken: 0, shared, thread: Some(thread) })
    }

    /// When the one that has waited longest was to start.
    pub(super) fn take(&mut self) -> Option<Instant> {
        let intended = self.queue.try_recv().ok()?;
        self.taken += 1;
        Some(intended)
    }

    /// Counts so far.
    pub(super) fn counts(&self) -> Counts {
        let overflowed = self.shared.overflowed.load(Ordering::Relaxed);
        let came = self.shared.came.load(Ordering::Relaxed);
        Counts { came, overflowed, waiting: came.saturating_sub(overflowed + self.taken) }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Queues all that are due; whether there were any.
fn arrive(
    schedule: &mut Schedule,
    queue: &SyncSender<Instant>,
    shared: &Shared,
    now: Instant,
) -> bool {
    let mut any = false;
    while schedule.next <= now && !shared.stop.load(Ordering::Relaxed) {
        shared.came.fetch_add(1, Ordering::Relaxed);
        if queue.try_send(schedule.next).is_err() {
            shared.overflowed.fetch_add(1, Ordering::Relaxed);
        }
        schedule.advance();
        any = true;
    }
    any
}

/// How many there have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub came: u64,
    pub overflowed: u64,
    /// In the queue.
    pub waiting: u64,
}

/// Whether the rate was held, and by which counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct OpenLoop {
    /// Operations a second that were to start.
    pub rate: u32,
    /// That were to start within the window.
    pub arrivals: u64,
    /// Found the queue full within the window and were not sent.
    pub overflowed: u64,
    /// In the queue at its end.
    pub waiting: u64,
    /// Nothing overflowed, and of what came at most 1 % waits.
    pub held: bool,
}

impl OpenLoop {
    /// The verdict on a window, by the counts at its beginning and end.
    pub(super) fn of(rate: u32, before: Counts, after: Counts) -> OpenLoop {
        let arrivals = after.came - before.came;
        let overflowed = after.overflowed - before.overflowed;
        let waiting = after.waiting;
        let held = overflowed == 0 && waiting <= (arrivals / 100).max(1);
        OpenLoop { rate, arrivals, overflowed, waiting, held }
    }

    /// The verdict in words.
    pub(super) fn text(&self) -> String {
        let OpenLoop { rate, arrivals, overflowed, waiting, held } = self;
        let counts = format!("{rate}/s wanted, {arrivals} came, {waiting} waiting at the end");
        if *held {
            return format!("held: {counts}");
        }
        format!(
            "NOT HELD: {counts}, {overflowed} not sent as {QUEUE_MAX} were waiting. Lower --rate; if the server is not \
             busy, raise --connections or --depth"
        )
    }
}

#[cfg(test)]
mod tests;

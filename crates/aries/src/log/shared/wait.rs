//! Waiting without a thread.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ombak_base::Disk;

use super::{LogError, Lsn, SharedLog};

/// Futures that wait, in order of what they wait for. Each has a number, so that one that is polled again, or dropped, finds
/// its place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Wakers<W> {
    waiting: BTreeMap<(Lsn, u64), W>,
    next: u64,
}

impl<W> Default for Wakers<W> {
    fn default() -> Wakers<W> {
        Wakers { waiting: BTreeMap::new(), next: 0 }
    }
}

impl<W: Clone> Wakers<W> {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A future waits, for the first time or again; `number` is its own from now on.
    pub fn wait(&mut self, lsn: Lsn, number: &mut Option<u64>, waker: W) {
        let number = *number.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.waiting.insert((lsn, number), waker);
    }

    /// Those that are served by what is durable, and the first of the others: his executor is to have the rest written.
    /// After a failure all.
    pub fn take(&mut self, durable: Lsn, failed: bool) -> Vec<W> {
        let rest = self.waiting.split_off(&(Lsn(durable.0 + 1), 0));
        let mut woken: Vec<W> = std::mem::replace(&mut self.waiting, rest).into_values().collect();
        let others = if failed { usize::MAX } else { 1 };
        woken.extend(self.waiting.values().take(others).cloned());
        woken
    }
}

/// Waits until everything up to an LSN is durable: see [`SharedLog::wait`].
#[must_use = "a future does nothing until it is polled"]
pub struct Wait<D: Disk> {
    log: SharedLog<D>,
    lsn: Lsn,
    number: Option<u64>,
}

impl<D: Disk> Wait<D> {
    pub(super) fn new(log: SharedLog<D>, lsn: Lsn) -> Wait<D> {
        Wait { log, lsn, number: None }
    }
}

impl<D: Disk> Future for Wait<D> {
    type Output = Result<(), LogError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut end = this.log.0.end.lock();
        if this.log.durable() >= this.lsn {
            return Poll::Ready(Ok(()));
        }
        if end.turns.is_poisoned() {
            return Poll::Ready(Err(LogError::Poisoned));
        }
        end.wakers.wait(this.lsn, &mut this.number, context.waker().clone());
        Poll::Pending
    }
}

impl<D: Disk> Drop for Wait<D> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.log.0.end.lock().wakers.waiting.remove(&(self.lsn, number));
        }
    }
}

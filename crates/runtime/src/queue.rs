//! Bounded queues between threads, and the bell that wakes the one who reads them.
//!
//! The queue is `std::sync::mpsc::sync_channel`: its array flavour is lock-free for senders and receiver as long as
//! nobody blocks in it, needs no dependency, and allocates once. What it lacks is here: a reader that sleeps in
//! `epoll_wait` or `park` instead of in the channel (whose receive spins and yields first, on cores that others
//! need), a wake-up that costs a system call only if the reader does sleep, and news for a sender that found the
//! queue full.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

enum Sleeper {
    Poll(mio::Waker),
    Thread(OnceLock<Thread>),
}

/// Wakes one thread. The sleeper says [`lie_down`](Bell::lie_down), then looks once more at its queues, then sleeps;
/// a ringer has put something into a queue, then rings. The two fences make it impossible that neither sees the other.
pub(crate) struct Bell {
    asleep: AtomicBool,
    sleeper: Sleeper,
}

impl Bell {
    pub fn of_poll(waker: mio::Waker) -> Arc<Bell> {
        Arc::new(Bell { asleep: AtomicBool::new(false), sleeper: Sleeper::Poll(waker) })
    }

    /// For a thread that sleeps in [`Bell::park`].
    pub fn of_thread() -> Arc<Bell> {
        let sleeper = Sleeper::Thread(OnceLock::new());
        Arc::new(Bell { asleep: AtomicBool::new(false), sleeper })
    }

    /// Costs a system call only if the other thread sleeps and nobody else has rung.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.wake();
        }
    }

    fn wake(&self) {
        match &self.sleeper {
            Sleeper::Poll(waker) => {
                if let Err(error) = waker.wake() {
                    tracing::error!(%error, "cannot wake an event loop");
                }
            }
            Sleeper::Thread(thread) => {
                if let Some(thread) = thread.get() {
                    thread.unpark();
                }
            }
        }
    }

    pub fn lie_down(&self) {
        if let Sleeper::Thread(thread) = &self.sleeper {
            thread.get_or_init(thread::current);
        }
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub fn rise(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Sleeps until rung, after `lie_down`.
    pub fn park(&self) {
        while self.asleep.load(Ordering::Acquire) {
            thread::park();
        }
    }

    /// As `park`, but not for longer than `most`, and perhaps for less.
    pub fn park_for(&self, most: Duration) {
        if self.asleep.load(Ordering::Acquire) {
            thread::park_timeout(most);
        }
    }
}

/// Why something was not taken.
pub(crate) enum Rejected<T> {
    Full(T),
    /// The reader is gone.
    Closed,
}

impl<T> From<TrySendError<T>> for Rejected<T> {
    fn from(error: TrySendError<T>) -> Self {
        match error {
            TrySendError::Full(item) => Rejected::Full(item),
            TrySendError::Disconnected(_) => Rejected::Closed,
        }
    }
}

pub(crate) struct Sender<T> {
    channel: SyncSender<T>,
    bell: Arc<Bell>,
    starved: Arc<AtomicBool>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender {
            channel: self.channel.clone(),
            bell: self.bell.clone(),
            starved: self.starved.clone(),
        }
    }
}

impl<T> Sender<T> {
    /// Never waits. After [`Rejected::Full`] nobody tells the caller when there is room.
    pub fn try_send(&self, item: T) -> Result<(), Rejected<T>> {
        self.channel.try_send(item)?;
        self.bell.ring();
        Ok(())
    }

    /// Never waits. After [`Rejected::Full`] the reader's [`Receiver::take_starved`] is true once it has made room.
    pub fn try_send_or_starve(&self, item: T) -> Result<(), Rejected<T>> {
        match self.try_send(item) {
            Err(Rejected::Full(item)) => {
                self.starved.store(true, Ordering::SeqCst);
                // The reader may have emptied the queue before it could see that.
                self.try_send(item)
            }
            done => done,
        }
    }

    /// Waits while the queue is full. Only for threads that no event loop waits for; `false`: the reader is gone.
    pub fn send(&self, item: T) -> bool {
        match self.try_send(item) {
            Ok(()) => true,
            Err(Rejected::Closed) => false,
            Err(Rejected::Full(item)) => {
                self.bell.ring();
                let sent = self.channel.send(item).is_ok();
                self.bell.ring();
                sent
            }
        }
    }
}

pub(crate) struct Receiver<T> {
    channel: mpsc::Receiver<T>,
    peeked: Option<T>,
    starved: Arc<AtomicBool>,
}

impl<T> Receiver<T> {
    pub fn pop(&mut self) -> Option<T> {
        self.peeked.take().or_else(|| self.channel.try_recv().ok())
    }

    pub fn is_empty(&mut self) -> bool {
        if self.peeked.is_none() {
            self.peeked = self.channel.try_recv().ok();
        }
        self.peeked.is_none()
    }

    /// Whether a sender was turned away and waits to hear that there is room. Ask after popping.
    pub fn take_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed) && self.starved.swap(false, Ordering::SeqCst)
    }
}

/// A queue of at most `capacity` items (and one that was peeked at), whose reader `bell` wakes.
pub(crate) fn queue<T>(capacity: usize, bell: Arc<Bell>) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::sync_channel(capacity);
    let starved = Arc::new(AtomicBool::new(false));
    let sender = Sender { channel: sender, bell, starved: starved.clone() };
    (sender, Receiver { channel: receiver, peeked: None, starved })
}

#[cfg(test)]
mod tests;

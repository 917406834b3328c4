//! The busy loop that keeps a virtual machine's timer from sleeping.
//!
//! On an otherwise idle machine a disk sync was measured at 4 ms, one timer tick; with one thread of the lowest
//! priority spinning, at 58 µs. A durable benchmark is run with exactly one and says so.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// Gives way to everything else.
const NICE: i32 = 19;

/// Spins until it is dropped.
pub(super) struct Spinner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Spinner {
    /// Starts the thread; it spins, at the lowest priority, when this returns.
    pub(super) fn start() -> io::Result<Spinner> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let seen = Arc::clone(&stop);
        let body = move || {
            // On Linux the priority belongs to the thread, and "this process" means the thread that calls.
            let lowered = rustix::process::setpriority_process(None, NICE);
            let go_on = lowered.is_ok() && ready.send(lowered).is_ok();
            while go_on && !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let thread = thread::Builder::new().name("spinner".into()).spawn(body)?;
        let spinner = Spinner { stop, thread: Some(thread) };
        match is_ready.recv() {
            Ok(_) => Ok(spinner),
            Err(_) => Err(io::Error::other("the spinner's priority cannot be lowered")),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It cannot panic, and if it did, the benchmark's result would still be valid.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_when_dropped_and_leaves_other_priorities_alone() {
        let before = rustix::process::getpriority_process(None).unwrap();
        drop(Spinner::start().unwrap());
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
    }
}

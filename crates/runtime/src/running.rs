//! A node that runs: what its threads share, and how they end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::config::{Hosted, RuntimeError};
use crate::counters::{Counters, Gauges, LogBoard, ShardBoard};
use crate::handle::Handle;
use crate::queue::Bell;

/// What the threads of a node share: three flags, a count, the bells of the shards.
pub(crate) struct Shared {
    /// Write out what is queued, then end.
    pub stopping: AtomicBool,
    /// End at once.
    pub aborting: AtomicBool,
    /// The shards have ended; the other threads are to follow.
    pub finished: AtomicBool,
    /// Client connections of the node.
    pub clients: AtomicUsize,
    shards: Vec<Arc<Bell>>,
    helpers: [Arc<Bell>; 2],
    failure: Mutex<Option<RuntimeError>>,
}

impl Shared {
    pub fn new(shards: Vec<Arc<Bell>>, helpers: [Arc<Bell>; 2]) -> Arc<Shared> {
        Arc::new(Shared {
            stopping: AtomicBool::new(false),
            aborting: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            clients: AtomicUsize::new(0),
            shards,
            helpers,
            failure: Mutex::new(None),
        })
    }

    pub fn ring_shards(&self) {
        self.shards.iter().for_each(|bell| bell.ring());
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.ring_shards();
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::SeqCst);
        self.helpers.iter().for_each(|bell| bell.ring());
    }

    /// The first failure is the one that is reported; the others follow from it.
    fn fail(&self, error: RuntimeError) {
        tracing::error!(%error, "the node goes down");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        drop(failure);
        self.aborting.store(true, Ordering::SeqCst);
        self.stop();
    }

    fn take_failure(&self) -> Option<RuntimeError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A node that runs. Dropping it stops it.
pub struct Running<M: Hosted> {
    handle: Handle<M>,
    stopper: Stopper,
    shards: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
    gauges: Gauges,
}

/// Asks a node to stop, from any thread.
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

impl Stopper {
    /// The node writes out what is queued, for at most `Limits::stop_ms`, and ends. Returns at once.
    pub fn stop(&self) {
        self.shared.stop();
    }
}

impl<M: Hosted> Running<M> {
    /// A node whose threads have yet to be started.
    pub(crate) fn new(
        handle: Handle<M>,
        shared: Arc<Shared>,
        boards: &[Arc<ShardBoard>],
    ) -> Running<M> {
        let (shards, helpers) = (Vec::new(), Vec::new());
        let gauges = Gauges { shards: boards.into(), log: Arc::default() };
        Running { handle, stopper: Stopper { shared }, shards, helpers, gauges }
    }

    pub(crate) fn start_shard(
        &mut self,
        index: usize,
        body: impl FnOnce() -> Result<(), RuntimeError> + Send + 'static,
    ) -> Result<(), RuntimeError> {
        self.shards.push(spawn(format!("ombak-shard-{index}"), &self.stopper.shared, body)?);
        Ok(())
    }

    /// A thread that ends after the shards.
    pub(crate) fn start_helper(
        &mut self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), RuntimeError> {
        let body = || {
            body();
            Ok(())
        };
        self.helpers.push(spawn(name.into(), &self.stopper.shared, body)?);
        Ok(())
    }

    pub(crate) fn log_board(&self) -> Arc<LogBoard> {
        self.gauges.log.clone()
    }

    /// For clients in this process.
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }

    /// For a signal handler's thread, say.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// What the node counts.
    pub fn counters(&self) -> Counters {
        self.gauges.read()
    }

    /// Reads what the node counts, from elsewhere.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Stops, and waits until every thread has ended.
    pub fn stop(self) -> Result<(), RuntimeError> {
        self.stopper.stop();
        self.join()
    }

    /// Waits until the node ends: because it was told to stop, or because a thread failed, which is the error.
    pub fn join(mut self) -> Result<(), RuntimeError> {
        self.join_threads();
        self.stopper.shared.take_failure().map_or(Ok(()), Err)
    }

    fn join_threads(&mut self) {
        // Panics were caught and recorded inside the threads.
        self.shards.drain(..).for_each(|thread| drop(thread.join()));
        self.stopper.shared.finish();
        self.helpers.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl<M: Hosted> Drop for Running<M> {
    fn drop(&mut self) {
        self.stopper.stop();
        self.join_threads();
    }
}

/// Starts a thread whose failure brings the node down.
fn spawn(
    name: String,
    shared: &Arc<Shared>,
    body: impl FnOnce() -> Result<(), RuntimeError> + Send + 'static,
) -> Result<JoinHandle<()>, RuntimeError> {
    let (shared, thread_name) = (shared.clone(), name.clone());
    let guarded = move || match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.fail(error),
        Err(panic) => {
            let message = message_of(panic.as_ref());
            shared.fail(RuntimeError::Panicked { thread: thread_name, message });
        }
    };
    thread::Builder::new().name(name).spawn(guarded).map_err(RuntimeError::io("starting a thread"))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no message)".into())
}

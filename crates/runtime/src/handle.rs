//! Clients in the same process: other threads, whatever they run on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use ombak_base::{Machine, RequestId, ShardId};

use crate::queue::{Rejected, Sender};

/// Takes the parts of one answer, on the shard's thread: it must not wait. It is dropped when the request is over,
/// or when the node stops; a channel's sending end in it tells the other end so.
///
/// With each part comes what the machine calls the request; 0 if it has not said.
pub type Sink<R> = Box<dyn FnMut(R, RequestId) -> Flow + Send>;

/// What a [`Sink`] wants after a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Nothing: the request is over.
    Last,
    /// The next part.
    More,
    /// The next part, but not before [`Handle::more`] asks for it.
    Wait,
    /// Nothing more; the machine is told that the client is gone.
    Stop,
}

/// Names a request that was sent through a [`Handle`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asked {
    shard: ShardId,
    id: u64,
}

/// Why a request was not taken, or not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AskError {
    /// The shard's queue is full: try later, with less.
    Overload,
    /// The node has no such shard.
    NoShard,
    /// The node has stopped, or stopped before it answered.
    Stopped,
    /// No answer came in time. The request may still be carried out.
    Late,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AskError::Overload => "the shard's queue is full",
            AskError::NoShard => "there is no such shard",
            AskError::Stopped => "the node has stopped",
            AskError::Late => "no answer came in time",
        })
    }
}

impl std::error::Error for AskError {}

/// What a handle says to a shard.
pub(crate) enum Ask<M: Machine> {
    Request { id: u64, request: M::Request, sink: Sink<M::Reply> },
    More(u64),
    Gone(u64),
}

/// Speaks to the shards of a node from any thread. Cheap to clone.
pub struct Handle<M: Machine> {
    shards: Arc<[Sender<Ask<M>>]>,
    next: Arc<AtomicU64>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle { shards: self.shards.clone(), next: self.next.clone() }
    }
}

impl<M: Machine> Handle<M> {
    pub(crate) fn new(shards: Vec<Sender<Ask<M>>>) -> Handle<M> {
        Handle { shards: shards.into(), next: Arc::default() }
    }

    /// How many shards the node runs.
    pub fn shards(&self) -> u16 {
        self.shards.len() as u16
    }

    /// Asks a shard; never waits. `sink` gets the answer, part by part.
    pub fn send(
        &self,
        shard: ShardId,
        request: M::Request,
        sink: Sink<M::Reply>,
    ) -> Result<Asked, AskError> {
        let queue = self.shards.get(usize::from(shard.0)).ok_or(AskError::NoShard)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        match queue.try_send(Ask::Request { id, request, sink }) {
            Ok(()) => Ok(Asked { shard, id }),
            Err(Rejected::Full(_)) => Err(AskError::Overload),
            Err(Rejected::Closed) => Err(AskError::Stopped),
        }
    }

    /// Asks for the next part, after [`Flow::Wait`]. May wait a moment for room in the shard's queue, and so must not
    /// be called by a sink.
    pub fn more(&self, asked: Asked) {
        self.note(asked, Ask::More(asked.id));
    }

    /// Gives a request up. Waits and warns as [`more`](Handle::more) does.
    pub fn gone(&self, asked: Asked) {
        self.note(asked, Ask::Gone(asked.id));
    }

    fn note(&self, asked: Asked, note: Ask<M>) {
        if let Some(queue) = self.shards.get(usize::from(asked.shard.0)) {
            queue.send(note);
        }
    }
}

impl<M: Machine<Reply: Send + 'static>> Handle<M> {
    /// Asks a shard and waits for an answer of one part. For threads that may wait.
    pub fn call(
        &self,
        shard: ShardId,
        request: M::Request,
        within: Duration,
    ) -> Result<M::Reply, AskError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let sink = move |reply, _| {
            // Nobody listens any more once `within` is over.
            let _ = sender.try_send(reply);
            Flow::Last
        };
        let asked = self.send(shard, request, Box::new(sink))?;
        receiver.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Disconnected => AskError::Stopped,
            RecvTimeoutError::Timeout => {
                self.gone(asked);
                AskError::Late
            }
        })
    }
}

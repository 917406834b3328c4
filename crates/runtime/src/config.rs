//! What a node is started with.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use ombak_base::{Machine, NodeId};
use ombak_tape::Recorder;

use crate::Handshake;
use crate::errands::ErrandList;

/// A machine whose parts may move between threads. Implemented by every machine of which that is true.
pub trait Hosted:
    Machine<
        Message: Send + 'static,
        Request: Send + 'static,
        Reply: Send + 'static,
        Timer: Send + 'static,
    > + Send
    + 'static
{
}

impl<M> Hosted for M where
    M: Machine<
            Message: Send + 'static,
            Request: Send + 'static,
            Reply: Send + 'static,
            Timer: Send + 'static,
        > + Send
        + 'static
{
}

/// One node's place in the world.
pub struct Config<F> {
    /// This node.
    pub node: NodeId,
    /// The other nodes and where their peer ports are. Each shard dials each of them and keeps dialling.
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// Where peers connect. A node that is alone needs none.
    pub peer_listener: Option<TcpListener>,
    /// Where clients connect, and what is spoken there.
    pub face_listeners: Vec<(TcpListener, F)>,
    /// Who may be a peer.
    pub handshake: Arc<dyn Handshake>,
    /// Every bound that the runtime keeps.
    pub limits: Limits,
}

/// What acts and decides on a node.
pub struct Boot<M: Machine, D, W> {
    /// One machine and its storage per shard; as many threads are started.
    pub shards: Vec<(M, D)>,
    /// What makes the stores of all shards durable.
    pub writer: W,
    /// What is asked of the thread that owns it, if anything ever is.
    pub errands: Option<ErrandList<W>>,
    /// What is told all that passes between each machine and its host, in the order of shards; empty: nobody.
    pub recorders: Vec<Box<dyn Recorder<M>>>,
}

/// The bounds of one node. What happens at a bound is said here; nothing is dropped without somebody being told.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Client connections of the node; one more is closed at once.
    pub client_connections_max: usize,
    /// Unsent output at which a client's connection is no longer read.
    pub client_output_bytes_max: usize,
    /// Input of all clients of a shard that makes no whole request yet, at which the next one that sends more is refused.
    pub clients_input_bytes_max: usize,
    /// Time without a byte in the middle of a request, after which the connection is refused.
    pub unfinished_ms: u64,
    /// Unsent output below which a streamed answer goes on.
    pub more_below_bytes: usize,
    /// Unsent output to a peer at which sends are refused with `Full`.
    pub peer_output_bytes_max: usize,
    /// Messages waiting for another shard's inbox, at which sends to it are refused with `Full` and peers whose
    /// frames would go there are not read.
    pub local_messages_max: usize,
    /// Requests of local clients waiting per shard, at which [`Handle::send`](crate::Handle::send) is refused.
    pub asks_max: usize,
    /// How long stores that nobody waits for are gathered before they go to the log thread.
    pub gather_us: u64,
    /// Stored bytes that are not gathered any longer.
    pub gather_bytes: u64,
    /// Commits waiting for the log thread, at which the shards stop reading from clients.
    pub commits_max: usize,
    /// Blocked reads waiting for the reader thread, at which a shard runs the next one itself.
    pub reads_max: usize,
    /// Stored bytes not yet durable, per shard, at which clients are no longer read.
    pub pending_bytes_clients: u64,
    /// The same for peers. Larger, because their work was admitted elsewhere already.
    pub pending_bytes_peers: u64,
    /// Connections that have yet to say their hello; one more is closed at once.
    pub greetings_max: usize,
    /// Time for connecting and for the handshake.
    pub greeting_ms: u64,
    /// The first pause before dialling again. It doubles, with jitter.
    pub redial_ms_min: u64,
    /// The longest pause before dialling again.
    pub redial_ms_max: u64,
    /// Silence of the network after which a connection to a peer is given up.
    pub peer_silence_ms: u64,
    /// Time for writing out what is queued when the node is stopped.
    pub stop_ms: u64,
    /// Steps between two calls of `Machine::check`.
    pub check_every_steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            client_connections_max: 10_000,
            client_output_bytes_max: 1024 * 1024,
            clients_input_bytes_max: 256 * 1024 * 1024,
            unfinished_ms: 30_000,
            more_below_bytes: 256 * 1024,
            peer_output_bytes_max: 64 * 1024 * 1024,
            local_messages_max: 16 * 1024,
            asks_max: 1024,
            gather_us: 5_000,
            gather_bytes: 64 * 1024,
            commits_max: 64,
            reads_max: 256,
            pending_bytes_clients: 64 * 1024 * 1024,
            pending_bytes_peers: 256 * 1024 * 1024,
            greetings_max: 256,
            greeting_ms: 3_000,
            redial_ms_min: 50,
            redial_ms_max: 1_000,
            peer_silence_ms: 10_000,
            stop_ms: 5_000,
            check_every_steps: if cfg!(debug_assertions) { 16 } else { 1024 },
        }
    }
}

/// Why a node could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The configuration contradicts itself; nothing was started.
    #[error("the configuration is wrong: {0}")]
    Config(String),
    /// The operating system refused what the node cannot do without.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// A thread panicked: a bug, here, in the machine or in the storage. The whole node has stopped.
    #[error("the node is down because thread {thread} panicked: {message}")]
    Panicked {
        /// The thread's name.
        thread: String,
        /// What it said.
        message: String,
    },
}

impl RuntimeError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> RuntimeError {
        move |source| RuntimeError::Io { what, source }
    }
}

//! What a node counts of itself. Each thread counts in plain numbers of its own and publishes them once a turn;
//! reading them costs the threads nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::{Histogram, HistogramCells};
use crate::meters::{MeterCells, Meters};

macro_rules! counters {
    ($(#[$about:meta])* $snapshot:ident, $cells:ident: $($(#[$doc:meta])* $name:ident,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct $snapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Default)]
        pub(crate) struct $cells {
            $($name: AtomicU64,)*
        }

        impl $cells {
            pub fn publish(&self, counted: &$snapshot) {
                $(self.$name.store(counted.$name, Ordering::Relaxed);)*
            }

            pub fn snapshot(&self) -> $snapshot {
                $snapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// One shard, since it was started.
    ShardCounters, ShardCells:
    /// Turns of the event loop.
    turns,
    /// Steps of the machine.
    steps,
    /// Properties of the machine's code that broke, each time.
    broken,
    /// Requests of clients, remote and local.
    requests,
    /// Parts of answers that the machine gave.
    replies,
    /// Reads from sockets, empty ones included.
    reads,
    /// Writes to sockets, empty ones included.
    writes,
    /// Bytes read from clients.
    client_bytes_in,
    /// Bytes queued for clients.
    client_bytes_out,
    /// Frames read from peers.
    frames_in,
    /// Frames queued for peers.
    frames_out,
    /// Bytes read from peers.
    peer_bytes_in,
    /// Messages to other shards of this node.
    local_messages,
    /// Sends that were refused because there is no connection.
    refused_down,
    /// Sends that were refused because a queue was full.
    refused_full,
    /// Reads that went to the reader thread.
    loads_blocked,
    /// Connections of peers that were refused: no peer's, or of another cluster or version.
    peers_refused,
    /// Connections of peers that were closed because what came could not be read: of a newer version, or spoilt.
    peers_broken,
    /// Client connections that were accepted.
    clients_accepted,
    /// Client connections now.
    clients,
    /// Connections from peers now.
    peers_in,
    /// Peers that this shard is connected to now.
    peers_up,
    /// Requests that are not over now.
    outstanding,
    /// Messages and replies that wait for a sync now.
    held,
    /// Timers armed now.
    timers,
    /// Commits that found no room in the log thread's queue now.
    commits_waiting,
    /// Bytes stored and not durable now.
    pending_bytes,
    /// Keys with a value, of all vnodes of the shard, as of the last second; so are the next three.
    keys,
    /// Bytes of the records that those keys point at.
    live_bytes,
    /// Bytes of all files of the vnodes.
    file_bytes,
    /// Bytes of values that are in memory because no file has them yet.
    memory_bytes,
    /// Records that compaction has stored again.
    moved_records,
    /// Their bytes.
    moved_bytes,
}

counters! {
    /// The log thread, since it was started.
    LogCounters, LogCells:
    /// Writes with their syncs.
    writes,
    /// Commits that they carried.
    commits,
    /// Pieces of tidying.
    tidies,
    /// Microseconds that tidying took: writing vnodes' files, checkpoints, removing files.
    tidy_us,
    /// Whether the log has failed: 1, and nothing becomes durable any more.
    failed,
    /// Bytes of the commit log that cannot be reused yet.
    log_used_bytes,
    /// Bytes that the commit log may take.
    log_bytes_max,
    /// Bytes of records that were given to the commit log.
    log_written_bytes,
    /// Bytes that are durable in the commit log and that no vnode's file has yet.
    gathered_bytes,
    /// Checkpoints that were begun.
    checkpoints,
    /// Files that were removed, because what was alive in them is elsewhere.
    files_removed,
}

/// Everything that a node counts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// One per shard, in order.
    pub shards: Vec<ShardCounters>,
    /// What they measure, together.
    pub meters: Meters,
    /// The log thread.
    pub log: LogCounters,
    /// How long its writes with their syncs took, in microseconds.
    pub syncs: Histogram,
}

/// Where one shard publishes.
#[derive(Default)]
pub(crate) struct ShardBoard {
    pub cells: ShardCells,
    pub meters: MeterCells,
}

/// Where the log thread publishes.
#[derive(Default)]
pub(crate) struct LogBoard {
    pub cells: LogCells,
    pub syncs: HistogramCells,
}

/// Reads what the threads of a node count, from any thread, at no cost to them.
#[derive(Clone)]
pub struct Gauges {
    pub(crate) shards: Arc<[Arc<ShardBoard>]>,
    pub(crate) log: Arc<LogBoard>,
}

impl Gauges {
    /// As of the last turn of each thread, or nearly so.
    pub fn read(&self) -> Counters {
        let mut meters = Meters::default();
        self.shards.iter().for_each(|board| meters.add(&board.meters.read()));
        Counters {
            shards: self.shards.iter().map(|board| board.cells.snapshot()).collect(),
            meters,
            log: self.log.cells.snapshot(),
            syncs: self.log.syncs.read(),
        }
    }
}

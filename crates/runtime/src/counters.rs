//! What a node counts of itself. Each thread counts in plain numbers of its own and publishes them once a turn;
//! reading them costs the threads nothing.

use std::sync::atomic::{AtomicU64, Ordering};

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
}

/// Everything that a node counts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// One per shard, in order.
    pub shards: Vec<ShardCounters>,
    /// The log thread.
    pub log: LogCounters,
}

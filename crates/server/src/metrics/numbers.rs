//! `/ombak/numbers`: totals since the start, of which two readings make a rate. Fields are only ever added.

use std::collections::BTreeMap;

use ombak_node::ShardStatus;
use ombak_runtime::{Histogram, ShardCounters};
use serde::{Deserialize, Serialize};

use super::{OPERATIONS, Reading};

/// What a node has done since its start, and what it holds now.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Its name.
    pub node: String,
    /// Milliseconds since its start: less than before means that it was started again.
    pub up_ms: u64,
    /// Operations of its clients, by kind.
    pub operations: BTreeMap<String, OperationNumbers>,
    /// Protocol Buffers connections now.
    pub connections: u64,
    /// What waits, by queue, of all shards together.
    pub queues: BTreeMap<String, u64>,
    /// The commit log.
    pub log: LogNumbers,
    /// What is stored.
    pub store: StoreNumbers,
    /// Other members of the cluster.
    pub peers: u64,
    /// Those that every shard sends requests to; `None` if the shards did not say in time.
    pub peers_up: Option<u64>,
    /// Milliseconds of CPU.
    pub cpu_ms: Option<u64>,
    /// Memory.
    pub resident_bytes: Option<u64>,
}

/// One kind of operation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OperationNumbers {
    /// Microseconds from the turn in which a request was read to the one in which it was answered.
    pub time_us: HistogramReport,
    /// Those that were answered with an error.
    pub failed: u64,
    /// Those under way.
    pub active: u64,
}

/// How many values there were of each size.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HistogramReport {
    /// Buckets that are not empty: number and count.
    pub buckets: Vec<(u32, u64)>,
    /// Of all values.
    pub sum: u64,
}

/// The commit log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogNumbers {
    /// Microseconds that each write with its sync took.
    pub sync_us: HistogramReport,
    /// Commits that they carried.
    pub commits: u64,
    /// Bytes of records.
    pub written_bytes: u64,
    /// Bytes that cannot be reused yet.
    pub used_bytes: u64,
    /// Bytes that it may take.
    pub bytes_max: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Whether it has failed, so that no writes are taken.
    pub failed: bool,
}

/// What is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreNumbers {
    /// Keys of all vnodes.
    pub keys: u64,
    /// Bytes of the records that those keys point at.
    pub live_bytes: u64,
    /// Bytes of all files.
    pub file_bytes: u64,
    /// Bytes in memory that no file has yet.
    pub memory_bytes: u64,
    /// Bytes that compaction has stored again.
    pub compacted_bytes: u64,
    /// Files that were removed.
    pub files_removed: u64,
    /// Reads that went to disk.
    pub reads_blocked: u64,
}

impl From<&Histogram> for HistogramReport {
    fn from(histogram: &Histogram) -> HistogramReport {
        let (buckets, sum) = histogram.parts();
        HistogramReport { buckets, sum }
    }
}

impl HistogramReport {
    /// To be asked for quantiles.
    pub fn histogram(&self) -> Histogram {
        Histogram::from_parts(&self.buckets, self.sum)
    }
}

impl Numbers {
    pub(crate) fn of(reading: &Reading) -> Numbers {
        let sum = |of: fn(&ShardCounters) -> u64| reading.total.shards.iter().map(of).sum::<u64>();
        let log = &reading.total.log;
        Numbers {
            node: reading.node.name.clone(),
            up_ms: reading.up_ms,
            operations: operations(reading),
            connections: sum(|shard| shard.clients),
            queues: queues(reading),
            log: LogNumbers {
                sync_us: (&reading.total.syncs).into(),
                commits: log.commits,
                written_bytes: log.log_written_bytes,
                used_bytes: log.log_used_bytes,
                bytes_max: log.log_bytes_max,
                checkpoints: log.checkpoints,
                failed: log.failed > 0,
            },
            store: StoreNumbers {
                keys: sum(|shard| shard.keys),
                live_bytes: sum(|shard| shard.live_bytes),
                file_bytes: sum(|shard| shard.file_bytes),
                memory_bytes: sum(|shard| shard.memory_bytes),
                compacted_bytes: sum(|shard| shard.moved_bytes),
                files_removed: log.files_removed,
                reads_blocked: sum(|shard| shard.loads_blocked),
            },
            peers: reading.node.members.len() as u64 - 1,
            peers_up: reading.shards.as_deref().map(|shards| peers_up(shards).count() as u64),
            cpu_ms: reading.process.cpu_ms,
            resident_bytes: reading.process.resident_bytes,
        }
    }
}

fn operations(reading: &Reading) -> BTreeMap<String, OperationNumbers> {
    let meters = OPERATIONS.iter().zip(&reading.total.meters.operations);
    let numbers = meters.map(|(name, meters)| {
        let (time_us, failed, active) = ((&meters.time).into(), meters.failed, meters.active);
        ((*name).to_string(), OperationNumbers { time_us, failed, active })
    });
    numbers.collect()
}

fn queues(reading: &Reading) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (shard, counters) in reading.total.shards.iter().enumerate() {
        let status = reading.shards.as_ref().and_then(|shards| shards.get(shard));
        for (queue, depth) in queues_of(counters, status) {
            *sums.entry(queue.to_string()).or_default() += depth;
        }
    }
    sums
}

/// What waits in one shard, by queue. Some only the shard's machine knows.
pub(crate) fn queues_of(
    counters: &ShardCounters,
    status: Option<&ShardStatus>,
) -> Vec<(&'static str, u64)> {
    let mut queues = vec![
        ("requests", counters.outstanding),
        ("held", counters.held),
        ("commits", counters.commits_waiting),
    ];
    if let Some(status) = status {
        queues.extend([
            ("operations", status.operations as u64),
            ("forwarded", status.forwarded as u64),
            ("loading", status.loading as u64),
            ("unsynced", status.unsynced),
        ]);
    }
    queues
}

/// Peers that every shard sends requests to.
pub(crate) fn peers_up(shards: &[ShardStatus]) -> impl Iterator<Item = ombak_base::NodeId> + '_ {
    let first = shards.first().into_iter().flat_map(|shard| &shard.peers);
    let is_up = |node| {
        shards.iter().all(|shard| shard.peers.iter().any(|peer| peer.node == node && peer.up))
    };
    first.map(|peer| peer.node).filter(move |node| is_up(*node))
}

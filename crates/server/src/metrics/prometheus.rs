//! `/metrics`: OpenMetrics text. Times are in seconds and sizes in bytes; what is counted is counted since the start.

use std::fmt;

use ombak_base::NodeId;
use ombak_node::{RootStatus, ShardStatus, places};
use ombak_runtime::{Histogram, ShardCounters};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::numbers::{peers_up, queues_of};
use super::process::disk_space;
use super::{GET, OPERATIONS, Reading};

/// The type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Edges of times: powers of two of microseconds, from 32 µs to 34 s.
const TIME_BITS: std::ops::RangeInclusive<u32> = 5..=25;
/// Edges of sizes, from 64 B to 64 MiB.
const SIZE_BITS: std::ops::RangeInclusive<u32> = 6..=26;
/// Edges of numbers of siblings.
const SIBLING_BITS: std::ops::RangeInclusive<u32> = 1..=7;
const MICROS: f64 = 1e6;

/// All of it.
pub(crate) fn text(reading: Reading) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Report(reading)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Report(Reading);

impl Collector for Report {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let reading = &self.0;
        page.node(reading)?;
        page.operations(reading)?;
        page.shards(reading)?;
        page.log(reading)?;
        page.store(reading)?;
        page.process(reading)
    }
}

type Labels = Vec<(&'static str, String)>;

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn node(&mut self, reading: &Reading) -> fmt::Result {
        let node = &reading.node;
        let about = vec![
            ("node", node.name.clone()),
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("backend", node.backend.into()),
        ];
        self.gauges("ombak_node", "The node that says all this.", None, [(about, 1)])?;
        self.gauge("ombak_uptime", "Since the start.", Some(Unit::Seconds), reading.up_ms / 1_000)?;
        self.gauge("ombak_epoch", "The version of the topology.", None, node.epoch)?;
        let Some(shards) = &reading.shards else { return Ok(()) };
        self.cluster(reading, shards)
    }

    /// What only the machines know.
    fn cluster(&mut self, reading: &Reading, shards: &[ShardStatus]) -> fmt::Result {
        let up: Vec<NodeId> = peers_up(shards).collect();
        let name = |node: NodeId| reading.node.members.get(node.0 as usize).cloned();
        let peers = shards.first().into_iter().flat_map(|shard| &shard.peers);
        let rows = peers.filter_map(|peer| {
            let is_up = up.contains(&peer.node);
            Some((vec![("peer", name(peer.node)?)], u64::from(is_up)))
        });
        self.gauges("ombak_up", "Whether every shard sends requests to the peer.", None, rows)?;
        let vnodes = || shards.iter().flat_map(|shard| &shard.vnodes);
        let count = |is: &dyn Fn(&ombak_node::VnodeStatus) -> bool| {
            vnodes().filter(|vnode| is(vnode)).count() as u64
        };
        let state = |name: &str| vec![("state", name.to_string())];
        let rows = [
            (state("complete"), count(&|vnode| vnode.complete)),
            (state("incomplete"), count(&|vnode| !vnode.complete)),
            (state("unready"), count(&|vnode| !vnode.ready)),
            (state("stopped"), count(&|vnode| vnode.stopped)),
        ];
        self.gauges("ombak_vnodes", "Vnodes of this node.", None, rows)?;
        let graves = vnodes().map(|vnode| vnode.graves as u64).sum();
        self.gauge("ombak_graves", "Deleted keys that are remembered.", None, graves)?;
        let failed = shards.iter().any(|shard| shard.failed);
        let help = "Whether storage has failed, so that no writes are taken.";
        self.gauge("ombak_storage_failed", help, None, u64::from(failed))?;
        match shards.iter().find_map(|shard| shard.root.as_ref()) {
            Some(root) => self.root(reading, root),
            None => Ok(()),
        }
    }

    /// The group that manages the cluster's locks.
    fn root(&mut self, reading: &Reading, root: &RootStatus) -> fmt::Result {
        let help = "Whether this node knows who leads the root group.";
        self.gauge("ombak_root_led", help, None, u64::from(root.leader.is_some()))?;
        let help = "Whether this node cannot take part in the root group.";
        self.gauge("ombak_root_failed", help, None, u64::from(root.failure.is_some()))?;
        let help = "Entries of the root group's log that are decided, as far as this node knows.";
        self.counter("ombak_root_decided", help, None, root.decided)?;
        let help = "Clients of this node that wait for an answer about locks.";
        self.gauge("ombak_root_clients", help, None, root.clients as u64)?;
        let help = "Whether this node keeps registers, and answers for them.";
        self.gauge("ombak_registers_kept", help, None, u64::from(root.keeps_registers))?;
        let help = "Operations on registers that this node has under way.";
        self.gauge("ombak_register_clients", help, None, root.register_clients as u64)?;
        let passed = &reading.total.meters.places;
        let refused = places::root_refusals()
            .map(|(place, what)| (vec![("what", what.into())], passed[usize::from(place.number)]));
        let help = "What the root group refused here, and was changed by in nothing.";
        self.counters("ombak_root_refused", help, None, refused)
    }

    fn operations(&mut self, reading: &Reading) -> fmt::Result {
        let meters = &reading.total.meters;
        let by_name = || OPERATIONS.iter().zip(&meters.operations);
        let label = |name: &str| vec![("operation", name.to_string())];
        let times = by_name().map(|(name, meters)| (label(name), &meters.time));
        let help =
            "From the turn in which a request was read to the turn in which it was answered.";
        self.times("ombak_request_duration", help, times)?;
        let failed = by_name().map(|(name, meters)| (label(name), meters.failed));
        self.counters("ombak_requests_failed", "Requests answered with an error.", None, failed)?;
        let active = by_name().map(|(name, meters)| (label(name), meters.active));
        self.gauges("ombak_requests_active", "Requests under way.", None, active)?;
        let gets = &meters.operations[usize::from(GET)];
        let help = "Values of an object that a get found, together.";
        self.histogram("ombak_get_object", help, Some(Unit::Bytes), SIZE_BITS, &gets.bytes)?;
        let help = "How many values an object had that a get found.";
        self.histogram("ombak_get_siblings", help, None, SIBLING_BITS, &gets.siblings)?;
        let help = "From the question to the vnode's storage to its answer.";
        self.times("ombak_load_duration", help, [(vec![], &meters.loads)])?;
        let help = "From a vnode's store until it was durable.";
        self.times("ombak_store_duration", help, [(vec![], &meters.stores)])?;
        let passed = places::ALL.iter().map(|place| {
            let label = vec![("place", place.name.replace(' ', "_"))];
            (label, meters.places[usize::from(place.number)])
        });
        self.counters("ombak_passed", "How often operations passed a place.", None, passed)
    }

    fn shards(&mut self, reading: &Reading) -> fmt::Result {
        let all = &reading.total.shards;
        let queues = all.iter().enumerate().flat_map(|(shard, counters)| {
            let status = reading.shards.as_ref().and_then(|shards| shards.get(shard));
            let label =
                move |queue: &str| vec![("shard", shard.to_string()), ("queue", queue.into())];
            queues_of(counters, status).into_iter().map(move |(queue, n)| (label(queue), n))
        });
        self.gauges("ombak_queue_depth", "What waits in a shard.", None, queues)?;
        for (name, help, unit, of) in SHARD_GAUGES {
            self.gauges(name, help, unit.clone(), by_shard(all, *of))?;
        }
        for (name, help, unit, of) in SHARD_COUNTERS {
            self.counters(name, help, unit.clone(), by_shard(all, *of))?;
        }
        Ok(())
    }

    fn log(&mut self, reading: &Reading) -> fmt::Result {
        let log = &reading.total.log;
        let help = "One write of the commit log with its sync.";
        self.times("ombak_log_sync_duration", help, [(vec![], &reading.total.syncs)])?;
        let bytes = || Some(Unit::Bytes);
        self.counter("ombak_log_commits", "Commits that they carried.", None, log.commits)?;
        let written = log.log_written_bytes;
        self.counter("ombak_log_written", "Records given to the log.", bytes(), written)?;
        let help = "What of the log cannot be reused yet.";
        self.gauge("ombak_log_used", help, bytes(), log.log_used_bytes)?;
        self.gauge("ombak_log_capacity", "What the log may take.", bytes(), log.log_bytes_max)?;
        let help = "Durable in the log, and in no vnode's file yet.";
        self.gauge("ombak_log_gathered", help, bytes(), log.gathered_bytes)?;
        self.counter("ombak_log_checkpoints", "Checkpoints begun.", None, log.checkpoints)?;
        let help = "Spent on vnodes' files, checkpoints and removing files.";
        self.seconds("ombak_log_tidy", help, log.tidy_us as f64 / MICROS)?;
        self.gauge("ombak_log_failed", "Whether a write or sync has failed.", None, log.failed)
    }

    fn store(&mut self, reading: &Reading) -> fmt::Result {
        let sum = |of: fn(&ShardCounters) -> u64| reading.total.shards.iter().map(of).sum::<u64>();
        self.gauge("ombak_store_keys", "Keys of all vnodes.", None, sum(|shard| shard.keys))?;
        let kind = |name: &str| vec![("kind", name.to_string())];
        let rows = [
            (kind("live"), sum(|shard| shard.live_bytes)),
            (kind("file"), sum(|shard| shard.file_bytes)),
            (kind("memory"), sum(|shard| shard.memory_bytes)),
        ];
        let help = "Records that keys point at, all files, and what is in memory alone.";
        self.gauges("ombak_store", help, Some(Unit::Bytes), rows)?;
        let help = "Records that compaction has stored again.";
        self.counter("ombak_compaction_records", help, None, sum(|shard| shard.moved_records))?;
        let moved = sum(|shard| shard.moved_bytes);
        self.counter("ombak_compaction_rewritten", help, Some(Unit::Bytes), moved)?;
        let help = "Files removed, because what was alive in them is elsewhere.";
        let removed = reading.total.log.files_removed;
        self.counter("ombak_compaction_files_removed", help, None, removed)?;
        let Some(space) = reading.node.dir.as_deref().and_then(disk_space) else { return Ok(()) };
        let rows = [(kind("size"), space.bytes), (kind("free"), space.free_bytes)];
        self.gauges("ombak_disk", "The disk of the data directory.", Some(Unit::Bytes), rows)
    }

    /// Under the names that all programs have.
    fn process(&mut self, reading: &Reading) -> fmt::Result {
        let process = &reading.process;
        if let Some(cpu_ms) = process.cpu_ms {
            self.seconds("process_cpu", "CPU time, user and system.", cpu_ms as f64 / 1e3)?;
        }
        if let Some(bytes) = process.resident_bytes {
            self.gauge("process_resident_memory", "Memory.", Some(Unit::Bytes), bytes)?;
        }
        if let Some(files) = process.open_files {
            self.gauge("process_open_fds", "Open files and sockets.", None, files)?;
        }
        match process.threads {
            Some(threads) => self.gauge("process_threads", "Threads.", None, threads),
            None => Ok(()),
        }
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, value: u64) -> fmt::Result {
        self.gauges(name, help, unit, [(vec![], value)])
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        rows: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.family(name, help, unit, MetricType::Gauge, rows, |value, encoder| {
            ConstGauge::new(value).encode(encoder)
        })
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<Unit>, value: u64) -> fmt::Result {
        self.counters(name, help, unit, [(vec![], value)])
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        rows: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.family(name, help, unit, MetricType::Counter, rows, |value, encoder| {
            ConstCounter::new(value).encode(encoder)
        })
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let (unit, rows) = (Some(Unit::Seconds), [(vec![], value)]);
        self.family(name, help, unit, MetricType::Counter, rows, |value, encoder| {
            ConstCounter::new(value).encode(encoder)
        })
    }

    fn times<'h>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels, &'h Histogram)>,
    ) -> fmt::Result {
        let (unit, kind) = (Some(Unit::Seconds), MetricType::Histogram);
        self.family(name, help, unit, kind, rows, |histogram, encoder| {
            put_histogram(histogram, TIME_BITS, MICROS, encoder)
        })
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        bits: std::ops::RangeInclusive<u32>,
        histogram: &Histogram,
    ) -> fmt::Result {
        let (kind, rows) = (MetricType::Histogram, [(vec![], histogram)]);
        self.family(name, help, unit, kind, rows, |histogram, encoder| {
            put_histogram(histogram, bits.clone(), 1.0, encoder)
        })
    }

    fn family<T>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        kind: MetricType,
        rows: impl IntoIterator<Item = (Labels, T)>,
        put: impl Fn(T, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in rows {
            put(value, family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The edges are powers of two, which the histogram's own buckets end at, so the counts are exact. A value that is an
/// edge itself is counted above it: values are whole, so the edge that is written is the one before.
fn put_histogram(
    histogram: &Histogram,
    bits: std::ops::RangeInclusive<u32>,
    per_unit: f64,
    mut encoder: MetricEncoder<'_>,
) -> fmt::Result {
    let (count, mut below) = (histogram.count(), 0);
    let mut buckets = Vec::new();
    for bound in bits.map(|bit| 1_u64 << bit) {
        let upto = histogram.below(bound);
        buckets.push(((bound - 1) as f64 / per_unit, upto - below));
        below = upto;
    }
    buckets.push((f64::INFINITY, count - below));
    encoder.encode_histogram::<NoLabelSet>(histogram.sum() as f64 / per_unit, count, &buckets, None)
}

fn by_shard(
    all: &[ShardCounters],
    of: fn(&ShardCounters) -> u64,
) -> impl Iterator<Item = (Labels, u64)> + '_ {
    all.iter()
        .enumerate()
        .map(move |(shard, counters)| (vec![("shard", shard.to_string())], of(counters)))
}

type OfShard = (&'static str, &'static str, Option<Unit>, fn(&ShardCounters) -> u64);

const SHARD_GAUGES: &[OfShard] = &[
    ("ombak_pending", "Stored and not durable.", Some(Unit::Bytes), |shard| shard.pending_bytes),
    ("ombak_timers", "Timers armed.", None, |shard| shard.timers),
    ("ombak_client_connections", "Protocol Buffers connections.", None, |shard| shard.clients),
    ("ombak_peers_connected", "Peers that the shard can send to.", None, |shard| shard.peers_up),
];

const SHARD_COUNTERS: &[OfShard] = &[
    ("ombak_clients_accepted", "Protocol Buffers connections.", None, |shard| {
        shard.clients_accepted
    }),
    ("ombak_client_received", "From clients.", Some(Unit::Bytes), |shard| shard.client_bytes_in),
    ("ombak_client_sent", "To clients.", Some(Unit::Bytes), |shard| shard.client_bytes_out),
    ("ombak_peer_received", "From peers.", Some(Unit::Bytes), |shard| shard.peer_bytes_in),
    ("ombak_peer_frames_received", "Messages of peers.", None, |shard| shard.frames_in),
    ("ombak_peer_frames_sent", "Messages to peers.", None, |shard| shard.frames_out),
    ("ombak_peers_refused", "Connections of no peer.", None, |shard| shard.peers_refused),
    ("ombak_peers_broken", "Peers whose messages can't be read.", None, |shard| shard.peers_broken),
    ("ombak_sends_refused_down", "No connection.", None, |shard| shard.refused_down),
    ("ombak_sends_refused_full", "A queue was full.", None, |shard| shard.refused_full),
    ("ombak_reads_blocked", "Reads that went to disk.", None, |shard| shard.loads_blocked),
    ("ombak_turns", "Turns of the event loop.", None, |shard| shard.turns),
    ("ombak_steps", "Steps of the machine.", None, |shard| shard.steps),
    ("ombak_properties_broken", "Each stopped a vnode.", None, |shard| shard.broken),
];

//! What happened between two readings of a node.

use std::collections::BTreeMap;
use std::time::Duration;

use ombak_server::report::{Numbers, OperationNumbers};
use serde::Serialize;

/// One node within an interval. Latencies are microseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Rates {
    pub node: String,
    pub seconds: f64,
    pub operations: BTreeMap<String, OperationRates>,
    pub connections: u64,
    pub queues: BTreeMap<String, u64>,
    pub peers: u64,
    pub peers_up: Option<u64>,
    pub log: LogRates,
    pub store: StoreRates,
    pub cpu_percent: Option<f64>,
    pub resident_bytes: Option<u64>,
}

/// One kind of operation.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct OperationRates {
    pub per_second: f64,
    pub failed_per_second: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
    pub active: u64,
}

/// The commit log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LogRates {
    pub syncs_per_second: f64,
    pub sync_p99_us: u64,
    pub commits_per_sync: f64,
    pub bytes_per_second: f64,
    pub used_bytes: u64,
    pub bytes_max: u64,
    pub failed: bool,
}

/// What is stored.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StoreRates {
    pub keys: u64,
    pub live_bytes: u64,
    pub file_bytes: u64,
    pub compacted_bytes_per_second: f64,
    pub disk_reads_per_second: f64,
}

impl Rates {
    /// From two readings of one life of a node, `within` apart.
    pub fn between(earlier: &Numbers, now: &Numbers, within: Duration) -> Rates {
        let seconds = within.as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let operations = now.operations.iter().map(|(name, now)| {
            let nothing = OperationNumbers::default();
            let then = earlier.operations.get(name).unwrap_or(&nothing);
            (name.clone(), OperationRates::between(then, now, seconds))
        });
        let cpu = now.cpu_ms.zip(earlier.cpu_ms);
        Rates {
            node: now.node.clone(),
            seconds,
            operations: operations.collect(),
            connections: now.connections,
            queues: now.queues.clone(),
            peers: now.peers,
            peers_up: now.peers_up,
            log: LogRates::between(earlier, now, seconds),
            store: StoreRates {
                keys: now.store.keys,
                live_bytes: now.store.live_bytes,
                file_bytes: now.store.file_bytes,
                compacted_bytes_per_second: rate(
                    now.store.compacted_bytes,
                    earlier.store.compacted_bytes,
                ),
                disk_reads_per_second: rate(now.store.reads_blocked, earlier.store.reads_blocked),
            },
            cpu_percent: cpu.map(|(now, then)| rate(now, then) / 10.0),
            resident_bytes: now.resident_bytes,
        }
    }

    /// Of all kinds but these.
    pub fn others_per_second(&self, but: &[&str]) -> f64 {
        let others = self.operations.iter().filter(|(name, _)| !but.contains(&name.as_str()));
        others.map(|(_, rates)| rates.per_second).sum()
    }

    pub fn failed_per_second(&self) -> f64 {
        self.operations.values().map(|rates| rates.failed_per_second).sum()
    }
}

impl OperationRates {
    fn between(then: &OperationNumbers, now: &OperationNumbers, seconds: f64) -> OperationRates {
        let times = now.time_us.histogram().since(&then.time_us.histogram());
        OperationRates {
            per_second: times.count() as f64 / seconds,
            failed_per_second: now.failed.saturating_sub(then.failed) as f64 / seconds,
            p50_us: times.quantile(500),
            p99_us: times.quantile(990),
            max_us: times.quantile(1000),
            active: now.active,
        }
    }
}

impl LogRates {
    fn between(earlier: &Numbers, now: &Numbers, seconds: f64) -> LogRates {
        let (then, now) = (&earlier.log, &now.log);
        let syncs = now.sync_us.histogram().since(&then.sync_us.histogram());
        let commits = now.commits.saturating_sub(then.commits);
        LogRates {
            syncs_per_second: syncs.count() as f64 / seconds,
            sync_p99_us: syncs.quantile(990),
            commits_per_sync: commits as f64 / syncs.count().max(1) as f64,
            bytes_per_second: now.written_bytes.saturating_sub(then.written_bytes) as f64 / seconds,
            used_bytes: now.used_bytes,
            bytes_max: now.bytes_max,
            failed: now.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ombak_server::report::HistogramReport;

    fn numbers(gets: &[(u32, u64)], commits: u64, cpu_ms: u64) -> Numbers {
        let time_us = HistogramReport { buckets: gets.to_vec(), sum: 0 };
        let get = OperationNumbers { time_us, failed: gets.len() as u64, active: 1 };
        let mut numbers = Numbers { cpu_ms: Some(cpu_ms), ..Numbers::default() };
        numbers.operations.insert("get".into(), get);
        numbers.log.commits = commits;
        numbers.log.sync_us = HistogramReport { buckets: vec![(3, commits / 2)], sum: 0 };
        numbers
    }

    #[test]
    fn only_what_came_between_counts() {
        let then = numbers(&[(15, 1_000)], 10, 100);
        let now = numbers(&[(4, 198), (15, 1_002)], 50, 1_100);
        let rates = Rates::between(&then, &now, Duration::from_secs(2));
        let get = &rates.operations["get"];
        assert_eq!((get.per_second, get.failed_per_second, get.active), (100.0, 0.5, 1));
        assert_eq!((get.p50_us, get.p99_us, get.max_us), (4, 4, 15));
        assert_eq!((rates.log.syncs_per_second, rates.log.commits_per_sync), (10.0, 2.0));
        assert_eq!((rates.log.sync_p99_us, rates.cpu_percent), (3, Some(50.0)));
        assert_eq!(rates.others_per_second(&["get"]), 0.0);
    }

    #[test]
    fn an_idle_node_has_zeros() {
        let same = numbers(&[(4, 7)], 10, 100);
        let rates = Rates::between(&same, &same, Duration::ZERO);
        let get = &rates.operations["get"];
        assert_eq!((get.per_second, get.p99_us, rates.log.commits_per_sync), (0.0, 0, 0.0));
    }
}

//! What was measured: as a table for people (`text`), as JSON for everything else.

mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::BenchError;
use super::floor::FloorReport;
use super::frames::Kind;
use super::open_loop::OpenLoop;
use super::options::BenchArgs;
use super::plot::{self, Curves};
use super::probe::ServerFacts;
use super::procstat::ProcessReport;
use super::tally::Tally;

/// Everything that a run found out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// The command line.
    pub command: Vec<String>,
    /// The options, defaults included.
    pub options: BenchArgs,
    /// The servers, as they see themselves.
    pub servers: Vec<ServerFacts>,
    /// Seconds that preloading took.
    pub preload_seconds: Option<f64>,
    /// Whether Ctrl-C ended the window early.
    pub interrupted: bool,
    /// Length of the measured window.
    pub seconds: f64,
    /// Answered operations within it.
    pub operations: u64,
    /// The same for each second.
    pub operations_per_second: f64,
    /// With --rate: whether it was held.
    pub open_loop: Option<OpenLoop>,
    /// Gets.
    pub gets: Latencies,
    /// Puts.
    pub puts: Latencies,
    /// Deletes.
    pub deletes: Latencies,
    /// Puts of new keys, of the mix D; they are not in `puts`.
    pub inserts: Latencies,
    /// A get and a put together, of the mix F; they are in neither `gets` nor `puts`.
    pub read_modify_writes: Latencies,
    /// Gets, among the others, that found nothing; those of read-modify-writes too.
    pub not_found: u64,
    /// Refused requests by the server's words.
    pub errors: BTreeMap<String, u64>,
    /// Requests whose connection was lost, by the reason.
    pub lost: BTreeMap<String, u64>,
    /// Connections lost.
    pub disconnects: u64,
    /// Connections that were lost and not back at the end of the window.
    pub not_connected: usize,
    /// Requests under way at the end of the window.
    pub under_way: usize,
    /// How long the oldest of them had waited; with --rate, the time in the queue included.
    pub oldest_under_way_seconds: f64,
    /// Those of them that were not answered well within 10 s either.
    pub unanswered: usize,
    /// The server processes that were named.
    pub processes: Vec<ProcessReport>,
    /// Their CPU seconds together.
    pub server_cpu_seconds: Option<f64>,
    /// What a second of their CPU time is worth.
    pub operations_per_server_cpu_second: Option<f64>,
    /// CPU seconds of this program's own thread.
    pub bench_cpu_seconds: f64,
    /// What a second of the servers' and this program's CPU time together is worth.
    pub operations_per_cpu_second: Option<f64>,
    /// With --floor: what the loopback can do.
    pub floor: Option<FloorReport>,
    /// For --plot; too much for the JSON.
    #[serde(skip)]
    pub curves: Curves,
}

/// Latencies of one kind of operation, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Latencies {
    /// Operations.
    pub count: u64,
    /// Operations a second.
    pub per_second: f64,
    /// Arithmetic mean.
    pub mean_us: f64,
    /// Half are faster.
    pub p50_us: u64,
    /// 90 % are faster.
    pub p90_us: u64,
    /// 99 % are faster.
    pub p99_us: u64,
    /// 99.9 % are faster.
    pub p999_us: u64,
    /// The slowest.
    pub max_us: u64,
}

impl Latencies {
    /// The percentiles of `histogram`.
    pub(super) fn of(histogram: &Histogram<u64>, window: Duration) -> Latencies {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Latencies {
            count: histogram.len(),
            per_second: rate(histogram.len(), window.as_secs_f64()),
            mean_us: histogram.mean(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max(),
        }
    }
}

impl Report {
    /// A report of what `tally` holds; the caller fills in what stands around it.
    pub(super) fn new(options: BenchArgs, tally: Tally, window: Duration) -> Report {
        let operations = tally.operations();
        let mut distributions = Vec::new();
        let mut report = Report {
            command: std::env::args().collect(),
            options,
            servers: Vec::new(),
            preload_seconds: None,
            interrupted: false,
            seconds: window.as_secs_f64(),
            operations,
            operations_per_second: rate(operations, window.as_secs_f64()),
            open_loop: None,
            gets: Latencies::of(tally.of(Kind::Get), window),
            puts: Latencies::of(tally.of(Kind::Put), window),
            deletes: Latencies::of(tally.of(Kind::Delete), window),
            inserts: Latencies::of(tally.of(Kind::Insert), window),
            read_modify_writes: Latencies::of(tally.of(Kind::ReadModifyWrite), window),
            not_found: tally.not_found,
            errors: tally.errors.clone(),
            lost: tally.lost.clone(),
            disconnects: 0,
            not_connected: 0,
            under_way: 0,
            oldest_under_way_seconds: 0.0,
            unanswered: 0,
            processes: Vec::new(),
            server_cpu_seconds: None,
            operations_per_server_cpu_second: None,
            bench_cpu_seconds: 0.0,
            operations_per_cpu_second: None,
            floor: None,
            curves: Curves::default(),
        };
        report.curves.slices = tally.timeline.slices().to_vec();
        for ((name, latencies), kind) in report.kinds().into_iter().zip(Kind::ALL) {
            if latencies.count > 0 {
                distributions.push((name, plot::distribution(tally.of(kind))));
            }
        }
        report.curves.distributions = distributions;
        report
    }

    /// Adds what server processes and this program used, and the floor.
    pub(super) fn with_usage(
        mut self,
        processes: Vec<ProcessReport>,
        bench_cpu_seconds: f64,
        floor: Option<FloorReport>,
    ) -> Report {
        self.bench_cpu_seconds = bench_cpu_seconds;
        if !processes.is_empty() {
            let cpu: f64 = processes.iter().map(|process| process.cpu_seconds).sum();
            let worth = |cpu: f64| (cpu > 0.0).then(|| self.operations as f64 / cpu);
            self.operations_per_server_cpu_second = worth(cpu);
            self.operations_per_cpu_second = worth(cpu + bench_cpu_seconds);
            self.server_cpu_seconds = Some(cpu);
        }
        self.processes = processes;
        let (all, servers) =
            (self.operations_per_cpu_second, self.operations_per_server_cpu_second);
        self.floor = floor.map(|floor| floor.beside(all, servers));
        self
    }

    /// What went wrong, in one line: nobody should take such a run for a measurement.
    pub(super) fn failure(&self) -> Option<String> {
        let mut what = Vec::new();
        let mut failed = |count: u64, text: &str| {
            if count > 0 {
                what.push(format!("{count} {text}"));
            }
        };
        let missing = if self.options.all_keys_are_there() { self.not_found } else { 0 };
        failed(missing, "gets found nothing, although every key was put before");
        failed(self.errors.values().sum(), "requests were refused");
        failed(
            self.lost.values().sum::<u64>() + self.unanswered as u64,
            "requests were not answered",
        );
        failed(self.not_connected as u64, "connections were lost and did not come back");
        (!what.is_empty()).then(|| what.join(", "))
    }

    /// Writes all of it.
    pub(super) fn write_json(&self, path: &Path) -> Result<(), BenchError> {
        let failed = |error| BenchError::Json(path.to_owned(), error);
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        json.push(b'\n');
        std::fs::write(path, json).map_err(failed)
    }

    /// What was timed, by name.
    fn kinds(&self) -> [(&'static str, &Latencies); 5] {
        [
            ("get", &self.gets),
            ("put", &self.puts),
            ("delete", &self.deletes),
            ("insert", &self.inserts),
            ("read-modify-write", &self.read_modify_writes),
        ]
    }
}

fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests;

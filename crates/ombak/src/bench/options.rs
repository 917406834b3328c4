//! The command line of `ombak bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use ombak_wire::quorum;
use serde::{Serialize, Serializer};

use super::BenchError;
use super::compare::CompareArgs;
use super::floor::FloorNodeArgs;
use super::frames::Kind;
use crate::duration::duration;

/// Keys are `key` and eight digits.
pub(super) const KEYS_MAX: u32 = 100_000_000;
/// An object of this size still fits into a frame with its envelope.
const VALUE_BYTES_MAX: usize = 50_000_000;
/// Sockets that one process may reasonably hold.
const CONNECTIONS_MAX: usize = 20_000;
/// Requests under way on one connection.
const DEPTH_MAX: usize = 10_000;
/// Operations a second; one thread does not drive more.
const RATE_MAX: i64 = 1_000_000;

const EXAMPLES: &str = "\
Examples:
  ombak bench --preload                       the node on Riak's port; every key is put first
  ombak bench --preload --addr 127.0.0.1:8087,127.0.0.1:8097,127.0.0.1:8107     all nodes of `ombak demo`
  ombak bench --gets 0 --dw 2                 puts alone, each on two disks before its answer
  ombak bench --preload --keys-distribution zipf --gets 90 --deletes 2          few keys are popular, some are deleted
  ombak bench --preload --mix b               YCSB's workload B; a, b, c, d and f are there
  ombak bench --preload --rate 2000           2000 operations a second, come what may: is that held, and how fast?
  ombak bench --depth 16 --duration 1m --pid 2001 --json result.json
  ombak bench --preload --duration 1m --plot run.html                           how it went, as curves
  ombak bench --gets 0 --floor --pid 2001,2002,2003                             beside what the loopback could do
  ombak bench compare before.json after.json  two results side by side

Exit code 3, after the report, if something failed in the measured window: a request was refused, lost its connection
or had no answer within 10 s of the window's end; a connection did not come back; or, with --preload and without
--deletes, a get found nothing. Without --preload not every key was put, and \"not found\" is an answer like others.";

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// All keys equally.
    Uniform,
    /// Few keys often, most keys hardly ever: YCSB's scrambled Zipfian with the constant 0.99.
    Zipf,
    /// The newest keys most often: of the mix D.
    #[value(skip)]
    Latest,
}

/// YCSB's core workloads, without E: it scans, which this protocol cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CoreMix {
    /// Sessions: half gets, half puts; zipf keys.
    A,
    /// Photo tags: 95 % gets, 5 % puts; zipf keys.
    B,
    /// Profiles: gets alone; zipf keys.
    C,
    /// News: 95 % gets, most of the newest keys, and 5 % inserts of new keys.
    D,
    /// Records: half gets, half read-modify-writes (a get, and a put with its context); zipf keys.
    F,
}

/// Measures a server of Riak's Protocol Buffers protocol with gets, puts and deletes.
#[derive(Args, Clone, Debug, Serialize)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// What to do instead of measuring.
    #[command(subcommand)]
    #[serde(skip)]
    pub command: Option<BenchCommand>,
    /// Servers; connections are spread over them in turn. Repeat or separate with commas.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', default_value = "127.0.0.1:8087")]
    pub addr: Vec<String>,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Requests under way at once on each connection.
    #[arg(long, default_value_t = 1)]
    pub depth: usize,
    /// Operations a second that start at random times (Poisson), whether or not those before were answered: an open
    /// loop. Latencies count from the intended start. What finds --connections × --depth requests under way waits in a
    /// queue; the report says what found the queue full, and whether the rate was held. Without: as fast as it goes.
    #[arg(long, value_name = "OPS", value_parser = clap::value_parser!(u32).range(1..=RATE_MAX))]
    pub rate: Option<u32>,
    /// Percent of requests that are gets; the others are puts, or --deletes.
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub gets: u8,
    /// Percent of requests that are deletes. A deleted key is not there until it is put again.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub deletes: u8,
    /// One of YCSB's core workloads, in place of --gets, --deletes and --keys-distribution.
    #[arg(long, value_name = "NAME", value_enum, conflicts_with_all = ["gets", "deletes", "keys_distribution"])]
    pub mix: Option<CoreMix>,
    /// Size of a value; values are random and don't compress.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub value_bytes: usize,
    /// Different keys.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub keys: u32,
    /// Which of them are asked for.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Distribution::Uniform)]
    pub keys_distribution: Distribution,
    /// Bucket.
    #[arg(long, default_value = "bench")]
    pub bucket: String,
    /// Bucket type; the default type if absent.
    #[arg(long = "type", value_name = "TYPE")]
    #[serde(rename = "type")]
    pub bucket_type: Option<String>,
    /// Replies that a get waits for: a number, one, quorum, all or default.
    #[arg(long, value_name = "QUORUM", value_parser = parse_quorum)]
    pub r: Option<u32>,
    /// Replies that a put waits for.
    #[arg(long, value_name = "QUORUM", value_parser = parse_quorum)]
    pub w: Option<u32>,
    /// Durable replies that a put waits for.
    #[arg(long, value_name = "QUORUM", value_parser = parse_quorum)]
    pub dw: Option<u32>,
    /// Length of the measured window, such as 10s, 500ms or 2m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    #[serde(serialize_with = "as_seconds")]
    pub duration: Duration,
    /// Time under load before it.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    #[serde(serialize_with = "as_seconds")]
    pub warmup: Duration,
    /// First put every key once.
    #[arg(long)]
    pub preload: bool,
    /// Server process on this machine whose CPU time and memory are reported. Repeat for several.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Write the results, the options and the command line as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page that opens in any browser, without a network: throughput and latencies over time, and the
    /// distribution of latencies of each kind.
    #[arg(long, value_name = "FILE.html")]
    pub plot: Option<PathBuf>,
    /// Also measure the floor: the same messages between three processes without storage and protocol, in turns with the
    /// servers. The report compares operations per CPU second; name all server processes with --pid.
    #[arg(long, conflicts_with_all = ["rate", "deletes"])]
    pub floor: bool,
    /// Repeats the same keys and values in the same order.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Keep one core awake with a busy loop of the lowest priority: on some virtual machines a disk sync takes a timer
    /// tick when all cores sleep. Give it to exactly one of several benchmarks that run at once.
    #[arg(long)]
    pub spinner: bool,
}

/// What else there is.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Shows two results side by side.
    Compare(CompareArgs),
    /// One process of --floor.
    #[command(hide = true)]
    FloorNode(FloorNodeArgs),
}

impl BenchArgs {
    /// What the types of the fields don't say.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        let within = |name: &str, value: usize, least: usize, most: usize| {
            let message = || format!("--{name} must be from {least} to {most}, not {value}");
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(BenchError::Options(message()))
            }
        };
        within("connections", self.connections, 1, CONNECTIONS_MAX)?;
        within("depth", self.depth, 1, DEPTH_MAX)?;
        within("value-bytes", self.value_bytes, 0, VALUE_BYTES_MAX)?;
        within("keys", self.keys as usize, 1, KEYS_MAX as usize)?;
        if self.bucket.is_empty() {
            return Err(BenchError::Options("--bucket cannot be empty".into()));
        }
        if self.duration.is_zero() {
            return Err(BenchError::Options("--duration cannot be zero: try 10s".into()));
        }
        if self.gets + self.deletes > 100 {
            let message = "--gets and --deletes are percent of all requests and cannot be more than 100 together: \
                           lower one of them";
            return Err(BenchError::Options(message.into()));
        }
        if self.floor && self.mix == Some(CoreMix::F) {
            let message = "--floor knows no read-modify-writes: leave --mix f out";
            return Err(BenchError::Options(message.into()));
        }
        Ok(())
    }

    /// The same with what the mix stands for in the options that it replaces.
    pub(super) fn with_mix(mut self) -> BenchArgs {
        if let Some(mix) = self.mix {
            (self.gets, self.keys_distribution) = match mix {
                CoreMix::A | CoreMix::F => (50, Distribution::Zipf),
                CoreMix::B => (95, Distribution::Zipf),
                CoreMix::C => (100, Distribution::Zipf),
                CoreMix::D => (95, Distribution::Latest),
            };
        }
        self
    }

    /// Percent of each kind of operation; together 100.
    pub(super) fn shares(&self) -> Vec<(Kind, u32)> {
        let (gets, deletes) = (u32::from(self.gets), u32::from(self.deletes));
        let puts = 100u32.saturating_sub(gets + deletes);
        let writes = match self.mix {
            Some(CoreMix::D) => Kind::Insert,
            Some(CoreMix::F) => Kind::ReadModifyWrite,
            _ => Kind::Put,
        };
        vec![(Kind::Get, gets), (writes, puts), (Kind::Delete, deletes)]
    }

    /// The mix in words, such as `50 % gets, 2 % deletes, zipf keys`.
    pub(super) fn mix_text(&self) -> String {
        let mut text = format!("{} % gets", self.gets);
        if let Some(name) = self.mix.and_then(|mix| mix.to_possible_value()) {
            text = format!("YCSB's mix {}, {text}", name.get_name());
        }
        if self.deletes > 0 {
            text += &format!(", {} % deletes", self.deletes);
        }
        text += match self.keys_distribution {
            Distribution::Uniform => "",
            Distribution::Zipf => ", zipf keys",
            Distribution::Latest => ", latest keys",
        };
        text
    }

    /// Whether a get that finds nothing is a fault.
    pub(super) fn all_keys_are_there(&self) -> bool {
        self.preload && self.deletes == 0
    }
}

fn parse_quorum(text: &str) -> Result<u32, String> {
    match text {
        "one" => Ok(quorum::ONE),
        "quorum" => Ok(quorum::QUORUM),
        "all" => Ok(quorum::ALL),
        "default" => Ok(quorum::DEFAULT),
        number => match number.parse() {
            Ok(number) if number < quorum::DEFAULT => Ok(number),
            _ => Err("a quorum is a number, one, quorum, all or default".into()),
        },
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests;

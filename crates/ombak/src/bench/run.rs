//! The phases of a run, from the first word with the server to the report.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::BenchError;
use super::compare;
use super::driver::Driver;
use super::frames::{Frames, Kind};
use super::load::{Load, Preload, Rest};
use super::mix::Mix;
use super::open_loop::{Arrivals, OpenLoop};
use super::options::{BenchArgs, BenchCommand};
use super::plot;
use super::probe::{self, ServerFacts};
use super::procstat::{self, ProcessReport, Usage};
use super::progress::Progress;
use super::report::Report;
use super::spinner::Spinner;

/// How often progress is shown and connections are tended.
const TICK: Duration = Duration::from_millis(100);
/// Preloading may be silent for so long.
const PRELOAD_PATIENCE: Duration = Duration::from_secs(30);
/// What has no answer so long after the window is not waited for.
const REST_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// Runs the benchmark, prints the report, and writes it where the options say. A run in which something failed is an
/// error after that.
///
/// Ctrl-C ends the measured window early; a second one ends the program.
pub fn run(args: BenchArgs) -> Result<(), BenchError> {
    if let Some(BenchCommand::Compare(args)) = &args.command {
        return compare::run(args);
    }
    let interrupted = interrupt_flag()?;
    let report = measure(args, &interrupted)?;
    write!(std::io::stdout(), "{report}")
        .map_err(|error| BenchError::System("cannot print the report", error))?;
    if let Some(path) = &report.options.json {
        report.write_json(path)?;
    }
    if let Some(path) = &report.options.plot {
        plot::write(path, &report)?;
    }
    if report.operations == 0 {
        return Err(BenchError::NothingDone(Duration::from_secs_f64(report.seconds)));
    }
    match report.failure() {
        Some(what) => Err(BenchError::Failed(what)),
        None => Ok(()),
    }
}

/// Set by the first Ctrl-C.
fn interrupt_flag() -> Result<Arc<AtomicBool>, BenchError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let failed = |error| BenchError::System("cannot listen to Ctrl-C", error);
    // In this order: a first signal finds the flag still down.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupted)).map_err(failed)?;
    flag::register(SIGINT, Arc::clone(&interrupted)).map_err(failed)?;
    Ok(interrupted)
}

/// All but the printing.
pub(super) fn measure(args: BenchArgs, interrupted: &AtomicBool) -> Result<Report, BenchError> {
    let args = args.with_mix();
    args.check()?;
    usages(&args.pid)?;
    let addresses = resolve_all(&args)?;
    let servers = ask_all(&addresses, &args)?;
    let _spinner = match args.spinner {
        true => Some(Spinner::start().map_err(|error| BenchError::System("--spinner", error))?),
        false => None,
    };
    let driver = Driver::connect(addresses, args.connections, args.depth, Frames::new(&args))?;
    let mut run = Run { driver, interrupted };
    let preload_seconds = run.preload(&args)?;
    let mut report = run.window(args)?;
    report.preload_seconds = preload_seconds;
    report.servers = servers;
    Ok(report)
}

fn resolve_all(args: &BenchArgs) -> Result<Vec<SocketAddr>, BenchError> {
    args.addr.iter().map(|name| probe::resolve(name)).collect()
}

/// Asks each server once, though it may be named more often to get more of the connections.
fn ask_all(addresses: &[SocketAddr], args: &BenchArgs) -> Result<Vec<ServerFacts>, BenchError> {
    let different: BTreeSet<_> = addresses.iter().collect();
    let servers: Vec<_> = different
        .into_iter()
        .map(|address| probe::ask(*address, args))
        .collect::<Result<_, _>>()?;
    let puts = args.shares().iter().any(|(kind, percent)| *kind == Kind::Put && *percent > 0);
    if puts && servers.iter().any(|server| server.allow_mult == Some(true)) {
        eprintln!(
            "note: bucket `{}` keeps siblings (allow_mult) and these puts carry no causal context, so objects \
             grow with every put",
            args.bucket
        );
    }
    Ok(servers)
}

fn usages(pids: &[u32]) -> Result<Vec<Usage>, BenchError> {
    let usage = |pid: &u32| procstat::usage(*pid).map_err(|error| BenchError::Process(*pid, error));
    pids.iter().map(usage).collect()
}

struct Run<'a> {
    driver: Driver,
    interrupted: &'a AtomicBool,
}

impl Run<'_> {
    /// Puts every key once, if asked to; how many seconds it took.
    fn preload(&mut self, args: &BenchArgs) -> Result<Option<f64>, BenchError> {
        if !args.preload {
            return Ok(None);
        }
        let start = Instant::now();
        let mut preload = Preload::new(args.keys, start);
        let progress = Progress::preload(args.keys.into());
        while !preload.is_complete() {
            if self.is_interrupted() {
                return Err(BenchError::Interrupted);
            }
            // Until the next tick, or until nothing is left to do, whichever is first.
            self.until(Instant::now() + TICK, &mut preload, Preload::is_complete)?;
            progress.stored(preload.stored());
            preload.check(Instant::now(), PRELOAD_PATIENCE)?;
        }
        Ok(Some(start.elapsed().as_secs_f64()))
    }

    /// Warms up and measures.
    fn window(&mut self, args: BenchArgs) -> Result<Report, BenchError> {
        let mut mix = self.mix(&args)?;
        self.phase("warm-up", args.warmup, &mut mix)?;
        if self.is_interrupted() {
            return Err(BenchError::Interrupted);
        }
        let before = usages(&args.pid)?;
        let thread_before = procstat::thread_cpu_seconds().unwrap_or(0.0);
        let disconnects_before = self.driver.disconnects();
        let (rate, arrivals_before) = (args.rate, mix.arrivals());
        mix.take_tally();
        let window = self.phase("measure", args.duration, &mut mix)?;
        let tally = mix.take_tally();
        let arrivals = mix.arrivals();
        let thread_after = procstat::thread_cpu_seconds().unwrap_or(0.0);
        let processes = process_reports(&args.pid, &before);
        let mut report = Report::new(args, tally, window).with_processes(processes);
        report.open_loop = rate.map(|rate| OpenLoop::of(rate, arrivals_before, arrivals));
        report.bench_cpu_seconds = thread_after - thread_before;
        report.disconnects = self.driver.disconnects() - disconnects_before;
        report.interrupted = self.is_interrupted();
        report.not_connected = self.driver.not_connected();
        let (under_way, oldest) = self.driver.under_way();
        report.under_way = under_way;
        report.oldest_under_way_seconds = oldest.map_or(0.0, |at| at.elapsed().as_secs_f64());
        report.unanswered = self.rest()?;
        Ok(report)
    }

    /// The load; in an open loop, arrivals begin now.
    fn mix(&self, args: &BenchArgs) -> Result<Mix, BenchError> {
        let mut mix = Mix::new(args);
        if let Some(rate) = args.rate {
            let failed = |error| BenchError::System("cannot start a thread for --rate", error);
            mix.open(Arrivals::start(rate, args.seed, self.driver.waker()?).map_err(failed)?);
        }
        Ok(mix)
    }

    /// Waits for the answers to what is under way; how many do not come. After Ctrl-C nobody waits.
    fn rest(&mut self) -> Result<usize, BenchError> {
        let mut rest = Rest::default();
        let end = Instant::now() + REST_PATIENCE;
        while self.driver.under_way().0 > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if self.is_interrupted() {
                return Ok(rest.failed);
            }
            if left.is_zero() {
                break;
            }
            self.driver.turn(left.min(TICK), &mut rest)?;
        }
        Ok(rest.failed + self.driver.under_way().0)
    }

    /// Runs for `length` or until Ctrl-C; how long it was.
    fn phase(
        &mut self,
        name: &'static str,
        length: Duration,
        mix: &mut Mix,
    ) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let end = start + length;
        let mut progress = Progress::phase(name, length);
        loop {
            let now = Instant::now();
            if now >= end || self.is_interrupted() {
                return Ok(now.saturating_duration_since(start));
            }
            self.until((now + TICK).min(end), mix, |_| false)?;
            mix.tick(start.elapsed(), length);
            progress.running(start.elapsed(), mix.tally());
        }
    }

    /// Tends all connections, then serves them until `end` or until `is_over`.
    fn until<L: Load>(
        &mut self,
        end: Instant,
        load: &mut L,
        is_over: impl Fn(&L) -> bool,
    ) -> Result<(), BenchError> {
        self.driver.tend(load);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || is_over(load) || self.is_interrupted() {
                return Ok(());
            }
            self.driver.turn(left, load)?;
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// A process that ended meanwhile is reported with what was seen of it: nothing.
fn process_reports(pids: &[u32], before: &[Usage]) -> Vec<ProcessReport> {
    let report = |(pid, before): (&u32, &Usage)| {
        let after = procstat::usage(*pid).unwrap_or(*before);
        ProcessReport {
            pid: *pid,
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            peak_bytes: after.peak_bytes,
            resident_bytes: after.resident_bytes,
        }
    };
    pids.iter().zip(before).map(report).collect()
}

//! The phases of a run, from the first word with the server to the report.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::BenchError;
use super::compare;
use super::driver::Driver;
use super::floor::{self, Floor};
use super::frames::{Frames, Kind};
use super::load::{Load, Preload, Rest};
use super::meter::Meter;
use super::mix::Mix;
use super::open_loop::{Arrivals, Counts, OpenLoop};
use super::options::{BenchArgs, BenchCommand};
use super::plot;
use super::probe::{self, ServerFacts};
use super::progress::Progress;
use super::report::Report;
use super::spinner::Spinner;

/// How often progress is shown and connections are tended.
const TICK: Duration = Duration::from_millis(100);
/// Preloading may be silent for so long.
const PRELOAD_PATIENCE: Duration = Duration::from_secs(30);
/// What has no answer so long after the window is not waited for.
const REST_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// Turns of the floor, and parts of the window. The more, the more alike is the machine in both.
const FLOOR_ROUNDS: u32 = 5;
const FLOOR_WARM_UP: Duration = Duration::from_millis(300);

/// Runs the benchmark, prints the report, and writes it where the options say. A run in which something failed is an
/// error after that.
///
/// Ctrl-C ends the measured window early; a second one ends the program.
pub fn run(args: BenchArgs) -> Result<(), BenchError> {
    match &args.command {
        Some(BenchCommand::Compare(args)) => return compare::run(args),
        Some(BenchCommand::FloorNode(args)) => return floor::run_node(args).map_err(of_floor),
        None => {}
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
    let meter = Meter::new(&args.pid)?;
    let addresses = resolve_all(&args)?;
    let servers = ask_all(&addresses, &args)?;
    let _spinner = match args.spinner {
        true => Some(Spinner::start().map_err(|error| BenchError::System("--spinner", error))?),
        false => None,
    };
    let driver = Driver::connect(addresses, args.connections, args.depth, Frames::new(&args))?;
    let floor = args.floor.then(|| Floor::start(&args)).transpose().map_err(of_floor)?;
    let mut run = Run { driver, meter, floor, interrupted };
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

fn of_floor(error: io::Error) -> BenchError {
    BenchError::System("--floor", error)
}

/// A part of a phase.
struct Part {
    name: &'static str,
    /// What lies before it in the phase.
    from: Duration,
    length: Duration,
    /// The length of the whole phase.
    of: Duration,
}

/// What a window came to, beside what was tallied.
struct Measured {
    /// How long it was in all.
    window: Duration,
    /// Requests between its parts that were not answered.
    unanswered: usize,
    /// Counts at its end.
    arrivals: Counts,
}

struct Run<'a> {
    driver: Driver,
    meter: Meter,
    floor: Option<Floor>,
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
        let length = args.warmup;
        let part = Part { name: "warm-up", from: Duration::ZERO, length, of: length };
        self.phase(part, &mut mix)?;
        if self.is_interrupted() {
            return Err(BenchError::Interrupted);
        }
        let disconnects_before = self.driver.disconnects();
        let (rate, arrivals_before) = (args.rate, mix.arrivals());
        mix.take_tally();
        let Measured { window, mut unanswered, arrivals } = self.rounds(args.duration, &mut mix)?;
        let tally = mix.take_tally();
        let mut report = Report::new(args, tally, window);
        report.open_loop = rate.map(|rate| OpenLoop::of(rate, arrivals_before, arrivals));
        report.disconnects = self.driver.disconnects() - disconnects_before;
        report.interrupted = self.is_interrupted();
        report.not_connected = self.driver.not_connected();
        let (under_way, oldest) = self.driver.under_way();
        report.under_way = under_way;
        report.oldest_under_way_seconds = oldest.map_or(0.0, |at| at.elapsed().as_secs_f64());
        unanswered += self.rest()?;
        report.unanswered = unanswered;
        let floor = self.floor.as_ref().map(Floor::report);
        Ok(report.with_usage(self.meter.processes(), self.meter.thread_cpu_seconds, floor))
    }

    /// The measured window, with --floor in parts, with the floor's turn before each.
    fn rounds(&mut self, length: Duration, mix: &mut Mix) -> Result<Measured, BenchError> {
        let rounds = if self.floor.is_some() { FLOOR_ROUNDS } else { 1 };
        let (mut window, mut unanswered, mut arrivals) = (Duration::ZERO, 0, mix.arrivals());
        for round in 0..rounds {
            if self.is_interrupted() {
                break;
            }
            if self.floor.is_some() {
                unanswered += self.rest()?;
                self.floor_turn(round, length / rounds)?;
            }
            self.meter.start()?;
            let part = Part { name: "measure", from: window, length: length / rounds, of: length };
            window += self.phase(part, mix)?;
            // Before anything that takes time, in which more come and nobody takes them.
            arrivals = mix.arrivals();
            self.meter.stop();
        }
        Ok(Measured { window, unanswered, arrivals })
    }

    fn floor_turn(&mut self, round: u32, length: Duration) -> Result<(), BenchError> {
        let Some(floor) = &mut self.floor else { return Ok(()) };
        let _progress = Progress::phase("floor", length);
        if round == 0 {
            floor.warm_up(FLOOR_WARM_UP.min(length)).map_err(of_floor)?;
        }
        floor.measure(length).map_err(of_floor)
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

    /// Runs until the part is over or until Ctrl-C; how long it was. What waits then is what no connection was free for, and not what this
    /// program had not looked at yet.
    fn phase(&mut self, part: Part, mix: &mut Mix) -> Result<Duration, BenchError> {
        let start = Instant::now();
        let end = start + part.length;
        let mut progress = Progress::phase(part.name, part.length);
        loop {
            let now = Instant::now();
            if now >= end || self.is_interrupted() {
                self.driver.give(mix);
                return Ok(now.saturating_duration_since(start));
            }
            self.until((now + TICK).min(end), mix, |_| false)?;
            mix.tick(part.from + start.elapsed(), part.of);
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

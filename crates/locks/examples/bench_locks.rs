//! How many locks a cluster takes and gives back: `cargo run --release -p ombak-locks --example bench_locks -- NODE[,NODE…] [SESSIONS] [THREADS] [SECONDS]`,
//! where NODE is HOST:PORT or the path of a socket.
//!
//! Each thread goes round its own sessions (without THREADS: it has one); each locks a name of its own and gives it back, over HTTP. A
//! lock and an unlock are two operations. Clients and nodes share the machine, as a rule: what is shown is what is left.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ombak_locks::{How, LockError, Nodes, Session};

struct Plan {
    nodes: Vec<String>,
    sessions: usize,
    threads: usize,
    seconds: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(plan) = plan(&arguments) else {
        eprintln!("usage: bench_locks NODE[,NODE…] [SESSIONS] [THREADS] [SECONDS]");
        return ExitCode::from(2);
    };
    match run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_locks: {error}");
            ExitCode::from(3)
        }
    }
}

fn plan(arguments: &[String]) -> Option<Plan> {
    let number = |at: usize, default: u64| match arguments.get(at) {
        Some(text) => text.parse().ok(),
        None => Some(default),
    };
    let sessions = number(1, 1_000)?;
    Some(Plan {
        nodes: arguments.first()?.split(',').map(str::to_string).collect(),
        sessions: sessions as usize,
        threads: number(2, sessions)? as usize,
        seconds: number(3, 10)?,
    })
}

fn run(plan: &Plan) -> Result<(), LockError> {
    let opened = Instant::now();
    let sessions = (0..plan.sessions).map(|at| open(plan, at)).collect::<Result<Vec<_>, _>>()?;
    println!("{} sessions opened in {:.1?}", sessions.len(), opened.elapsed());
    let until = Instant::now() + Duration::from_secs(plan.seconds);
    let each = sessions.len().div_ceil(plan.threads.max(1));
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let work = |(at, own)| scope.spawn(move || turn(at, own, until));
        let threads: Vec<_> = sessions.chunks(each).enumerate().map(work).collect();
        let ended = threads.into_iter().map(|thread| thread.join().map_err(|_| LockError::Lost)?);
        ended.collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
    println!(
        "{:.0} operations a second; a lock takes {:.2?} in the median, {:.2?} at 99 %",
        2.0 * times.len() as f64 / plan.seconds as f64,
        at(0.5).unwrap_or_default(),
        at(0.99).unwrap_or_default()
    );
    // Their leases end by themselves, which is quicker than to say goodbye to each.
    sessions.into_iter().for_each(std::mem::forget);
    Ok(())
}

/// Each session begins at another node.
fn open(plan: &Plan, at: usize) -> Result<Session, LockError> {
    let mut nodes = plan.nodes.clone();
    let first = at % nodes.len().max(1);
    nodes.rotate_left(first);
    Session::open(Nodes::new(&nodes)?, "bench", Duration::from_secs(60))
}

/// Goes round the sessions until the time is over; how long each lock took.
fn turn(at: usize, own: &[Session], until: Instant) -> Result<Vec<Duration>, LockError> {
    let mut times = Vec::new();
    for (round, session) in own.iter().enumerate().cycle() {
        if Instant::now() >= until {
            break;
        }
        let (name, began) = (format!("bench-{at}-{round}"), Instant::now());
        let lock = session.lock(&[&name], How::default())?;
        times.push(began.elapsed());
        lock.unlock(None)?;
    }
    Ok(times)
}

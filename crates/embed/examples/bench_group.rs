//! Three members in one process, on loopback, each with a synced log in a directory: what a command and a read take.
//!
//! `cargo run --release -p ombak-embed --example bench_group -- DIR [seconds for each line]`

use std::collections::VecDeque;
use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use ombak_embed::{Bytes, DecodeError, Group, Lease, NodeId, Options, Slot, StateMachine};

const WITHIN: Duration = Duration::from_secs(10);
const COMMAND_BYTES: usize = 16;
const LEASE: Lease = Lease { ms: 1_000, drift_ppm: 500 };

/// Adds up the lengths of commands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Total(u64);

impl StateMachine for Total {
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        self.0 += command.len() as u64;
        Bytes::new()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    fn restore(snapshot: Bytes) -> Result<Total, DecodeError> {
        let bytes = snapshot.as_ref().try_into().map_err(|_| DecodeError::Truncated)?;
        Ok(Total(u64::from_be_bytes(bytes)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: bench_group DIR [SECONDS]")?;
    let seconds: u64 = args.next().map_or(Ok(3), |text| text.parse())?;
    let groups = start(&Path::new(&dir).join("without"), None)?;
    let leased = start(&Path::new(&dir).join("leased"), Some(LEASE))?;
    let lasts = Duration::from_secs(seconds);
    for (place, leads) in [("the leader", true), ("a follower", false)] {
        let (group, leased) = (one_that(leads, &groups)?, one_that(leads, &leased)?);
        for window in [1, 16, 256] {
            show(&format!("commands at {place}, window {window}"), propose(group, window, lasts)?);
        }
        show(&format!("reads at {place}"), read(group, lasts)?);
        show(&format!("reads at {place}, with a lease"), read(leased, lasts)?);
    }
    groups.into_iter().chain(leased).try_for_each(Group::stop)?;
    Ok(())
}

/// The leader, or another.
fn one_that(leads: bool, groups: &[Group<Total>]) -> Result<&Group<Total>, Box<dyn Error>> {
    groups[0].propose(Bytes::new(), WITHIN)?;
    let leader = groups[0].status()?.leader;
    let found = groups.iter().find(|group| (Some(group.id()) == leader) == leads);
    found.ok_or_else(|| "the leader was lost: try again".into())
}

fn start(dir: &Path, lease: Option<Lease>) -> Result<Vec<Group<Total>>, Box<dyn Error>> {
    let listeners: Vec<_> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    let members: Vec<_> = (1..).map(NodeId).zip(addresses).collect();
    let one = |(id, listener): (u32, _)| {
        let dir = Some(dir.join(id.to_string()));
        let options = Options { dir, lease, ..Options::new("bench", NodeId(id), &members) };
        Ok(Group::start_on(options, listener, Total::default())?)
    };
    (1..).zip(listeners).map(one).collect()
}

/// Keeps `window` commands under way. How long each took.
fn propose(
    group: &Group<Total>,
    window: usize,
    lasts: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let (command, begin) = (Bytes::from_static(&[7; COMMAND_BYTES]), Instant::now());
    let (mut pending, mut took) = (VecDeque::new(), Vec::new());
    while begin.elapsed() < lasts || !pending.is_empty() {
        while pending.len() < window && begin.elapsed() < lasts {
            pending.push_back((Instant::now(), group.propose_later(command.clone())?));
        }
        let Some((since, oldest)) = pending.pop_front() else { break };
        oldest.wait(WITHIN)?;
        took.push(since.elapsed());
    }
    Ok(took)
}

fn read(group: &Group<Total>, lasts: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
    let (begin, mut took) = (Instant::now(), Vec::new());
    while begin.elapsed() < lasts {
        let since = Instant::now();
        group.read(Bytes::new(), WITHIN)?;
        took.push(since.elapsed());
    }
    Ok(took)
}

fn show(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    println!("{what:<36} {:>8}   p50 {:>9.3?}   p99 {:>9.3?}", took.len(), at(50), at(99));
}

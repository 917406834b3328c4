//! Three replicas in one thread, without network and disk: what deciding a command costs, of all three together.
//!
//! `cargo run --release -p ombak-paxos --example bench_log -- [seconds for each line]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ombak_base::{ClientId, DecodeError, NodeId, Stamp, Tick};
use ombak_paxos::log::sessions::{Client, Limits, SessionId, Sessions, open};
use ombak_paxos::log::{
    Ask, Host, Message, Outcome, Replica, Slot, StateMachine, Stored, Timer, Write,
};
use ombak_paxos::{Members, Voters};

const NODES: usize = 3;
const NOW: Tick = Tick(0);

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
        Bytes::copy_from_slice(&self.0.to_le_bytes())
    }

    fn restore(snapshot: Bytes) -> Result<Total, DecodeError> {
        let bytes = snapshot.as_ref().try_into().map_err(|_| DecodeError::Truncated)?;
        Ok(Total(u64::from_le_bytes(bytes)))
    }
}

/// A host whose disk is done at once, and whose messages arrive when somebody looks.
#[derive(Default)]
struct Desk {
    sent: VecDeque<(usize, Message)>,
    stored: u64,
    answered: u64,
}

impl Host for Desk {
    fn send(&mut self, to: NodeId, message: Message, _: Stamp) {
        self.sent.push_back((to.0 as usize, message));
    }

    fn store(&mut self, _: Write) -> Stamp {
        self.stored += 1;
        Stamp(self.stored)
    }

    fn arm(&mut self, _: Timer, _: Tick) {}

    fn disarm(&mut self, _: Timer) {}

    fn choose(&mut self, _: u64) -> u64 {
        0
    }

    fn answer(&mut self, _: ClientId, outcome: Outcome) {
        self.answered += u64::from(matches!(outcome, Outcome::Applied { .. }));
    }

    fn probe(&mut self, _: &'static str) {}
}

struct Group<S> {
    replicas: Vec<Replica<S>>,
    desks: Vec<Desk>,
}

impl<S: StateMachine> Group<S> {
    fn new(state: &S) -> Group<S> {
        let members = Members::new(Voters::majority((0..NODES as u32).map(NodeId)));
        let replica = |id| {
            let (stored, state) = (Stored::default(), state.clone());
            Replica::new(NodeId(id), stored, state, members.clone(), 1 << 20)
                .expect("there is no snapshot to be read")
        };
        let mut group = Group {
            replicas: (0..NODES as u32).map(replica).collect(),
            desks: (0..NODES).map(|_| Desk::default()).collect(),
        };
        for at in 0..NODES {
            group.replicas[at].start(NOW, &mut group.desks[at]);
            for peer in (0..NODES).filter(|peer| *peer != at) {
                group.replicas[at].peer_up(NOW, NodeId(peer as u32), &mut group.desks[at]);
            }
        }
        group.replicas[0].timer(NOW, Timer::Election, &mut group.desks[0]);
        group.settle();
        assert!(group.replicas[0].leads(), "nobody stood against it");
        group
    }

    /// Syncs, and passes messages on, until there is nothing more to do.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for at in 0..NODES {
                let stamp = Stamp(self.desks[at].stored);
                self.replicas[at].durable(NOW, stamp, &mut self.desks[at]);
                while let Some((to, message)) = self.desks[at].sent.pop_front() {
                    is_quiet = false;
                    let from = NodeId(at as u32);
                    self.replicas[to].receive(NOW, from, message, &mut self.desks[to]);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn decide(&mut self, commands: impl Iterator<Item = Bytes>) {
        let asked = (0..).map(ClientId).zip(commands.map(Ask::Propose));
        self.replicas[0].request_all(NOW, asked, &mut self.desks[0]);
        self.settle();
    }
}

/// What `window` clients cost that ask for one command after the other, in sessions or not.
fn measure<S: StateMachine>(
    seconds: f64,
    name: &str,
    state: &S,
    mut round: impl FnMut(&mut Group<S>),
) {
    let mut group = Group::new(state);
    round(&mut group);
    let (before, started) = (group.desks[0].answered, Instant::now());
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        round(&mut group);
    }
    let (decided, took) = ((group.desks[0].answered - before) as f64, started.elapsed());
    let each = took.as_secs_f64() / decided;
    println!("{name:>24} {:>14.0} {:>14.0}", 1.0 / each, each * 1e9);
}

/// Each of the clients has a session, and one command under way.
fn in_sessions(seconds: f64, bytes: usize, window: u64) {
    let limits = Limits { sessions: window as u32, ..Limits::default() };
    let state = Sessions::new(Total::default(), limits);
    let command = vec![7; bytes];
    let mut clients: Vec<Client> = Vec::new();
    measure(seconds, &format!("{bytes} bytes, sessions, {window}"), &state, |group| {
        if clients.is_empty() {
            group.decide((0..window).map(|_| open()));
            clients = (1..=window).map(|session| Client::new(SessionId(session))).collect();
        }
        group.decide(clients.iter_mut().map(|client| {
            let (number, bytes) = client.command(&command);
            client.answered(number);
            bytes
        }));
    });
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    println!("{:>24} {:>14} {:>14}", "", "commands/s", "ns a command");
    for bytes in [16, 1024] {
        for window in [1, 100, 10_000] {
            let command = Bytes::from(vec![7; bytes]);
            let name = format!("{bytes} bytes, {window}");
            measure(seconds, &name, &Total::default(), |group| {
                group.decide((0..window).map(|_| command.clone()));
            });
        }
    }
    for window in [1, 100, 10_000] {
        in_sessions(seconds, 16, window);
    }
}

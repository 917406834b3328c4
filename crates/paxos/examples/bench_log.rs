//! Three replicas in one thread, without network and disk: what deciding a command costs, of all three together.
//!
//! `cargo run --release -p ombak-paxos --example bench_log -- [seconds for each line]`

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ombak_base::{ClientId, DecodeError, NodeId, Stamp, Tick};
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

struct Group {
    replicas: Vec<Replica<Total>>,
    desks: Vec<Desk>,
}

impl Group {
    fn new() -> Group {
        let members = Members::new(Voters::majority((0..NODES as u32).map(NodeId)));
        let replica = |id| {
            let (stored, state) = (Stored::default(), Total::default());
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

    fn decide(&mut self, commands: u64, command: &Bytes) {
        for client in 0..commands {
            let ask = Ask::Propose(command.clone());
            self.replicas[0].request(NOW, ClientId(client), ask, &mut self.desks[0]);
        }
        self.settle();
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    println!("{:>8} {:>8} {:>14} {:>14}", "bytes", "window", "commands/s", "ns a command");
    for bytes in [16, 1024] {
        for window in [1, 100, 10_000] {
            let mut group = Group::new();
            let command = Bytes::from(vec![7; bytes]);
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs_f64(seconds) {
                group.decide(window, &command);
            }
            let (decided, took) = (group.desks[0].answered as f64, started.elapsed());
            let each = took.as_secs_f64() / decided;
            println!("{bytes:>8} {window:>8} {:>14.0} {:>14.0}", 1.0 / each, each * 1e9);
        }
    }
}

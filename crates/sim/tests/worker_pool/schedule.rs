//! The order in which messages arrive, and nothing else.
//!
//! All pairs of processes that have messages on the way stand in a line, the one with the oldest message first. At each step
//! the first may be *passed over*, then the next, and so on. Who is passed over stands behind all others from then on, like
//! a slow connection. Who is not delivers one message. Any order that keeps that of each pair can be had in this way, and
//! one slow connection is one deviation, not one for each step that it waits.
//!
//! A schedule names the messages before which their pair was passed over, each as often as that happened. The empty one is
//! "oldest first". Since it names messages and not steps, what is left of it still means the same when others are left out.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use ombak_base::{
    Address, ClientId, Effects, Entry, Event, Machine, NodeId, Now, Partition, Peek, Refused, Scan,
    ShardId, Stamp, Tick, Ticket,
};
use ombak_sim::Rng;

use crate::process::{Message, Process, name};

/// The pair is passed over when the message with this number, counted from 1 in each pair, is its next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Late {
    pub from: NodeId,
    pub to: NodeId,
    pub number: u32,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Late { from, to, number } = *self;
        write!(f, "late: {} to {}, message {number}", name(from), name(to))
    }
}

/// In no particular order; the same message more than once, if it is passed over more than once.
pub type Schedule = Vec<Late>;

/// Messages on their way from one process to another.
#[derive(Clone, Default)]
struct Pair {
    /// 0, or how late it was passed over.
    rank: u64,
    /// With the number under which each was sent.
    messages: VecDeque<(u64, Message)>,
    delivered: u32,
}

#[derive(Clone)]
pub struct Run {
    processes: BTreeMap<NodeId, Process>,
    pairs: BTreeMap<(NodeId, NodeId), Pair>,
    sent: u64,
    passed: u64,
    story: Vec<(Late, Message)>,
}

impl Run {
    /// Starts all processes.
    pub fn new(processes: BTreeMap<NodeId, Process>) -> Run {
        let ids: Vec<NodeId> = processes.keys().copied().collect();
        let mut run =
            Run { processes, pairs: BTreeMap::new(), sent: 0, passed: 0, story: Vec::new() };
        for id in ids {
            run.step(id, Event::Start);
        }
        run
    }

    /// Delivers at random until nothing is on its way: each pair in the line is next with the same probability. Returns
    /// what was chosen.
    pub fn at_random(&mut self, rng: &mut Rng) -> Schedule {
        let mut schedule = Schedule::new();
        loop {
            let line = self.line();
            let chosen = rng.below(line.len() as u64) as usize;
            for late in line.iter().take(chosen) {
                schedule.push(*late);
                self.pass_over(*late);
            }
            match line.get(chosen) {
                Some(next) => self.deliver(*next),
                None => return schedule,
            }
        }
    }

    /// Delivers as `schedule` says until nothing is on its way.
    pub fn along(&mut self, schedule: &[Late]) {
        let mut rest = schedule.to_vec();
        while let Some(first) = self.line().first().copied() {
            match rest.iter().position(|late| *late == first) {
                Some(place) => {
                    rest.swap_remove(place);
                    self.pass_over(first);
                }
                None => self.deliver(first),
            }
        }
    }

    pub fn process(&self, id: NodeId) -> &Process {
        &self.processes[&id]
    }

    /// All that decides how it goes on.
    pub fn state(&self) -> String {
        let pairs = self.pairs.iter().filter(|(_, pair)| !pair.messages.is_empty());
        let on_the_way: Vec<_> = pairs
            .map(|(ends, pair)| (ends, pair.messages.iter().map(|(_, m)| m).collect::<Vec<_>>()))
            .collect();
        format!("{:?} {on_the_way:?}", self.processes)
    }

    /// What was delivered, a line each.
    pub fn story(&self) -> Vec<String> {
        let told = self.story.iter();
        told.map(|(at, message)| format!("{} to {}: {message:?}", name(at.from), name(at.to)))
            .collect()
    }

    /// The next message of each pair, in the order of the line.
    pub fn line(&self) -> Vec<Late> {
        let next = self.pairs.iter().filter_map(|((from, to), pair)| {
            let (sent, _) = pair.messages.front()?;
            let late = Late { from: *from, to: *to, number: pair.delivered + 1 };
            Some(((pair.rank, *sent), late))
        });
        let mut line: Vec<_> = next.collect();
        line.sort_unstable_by_key(|(place, _)| *place);
        line.into_iter().map(|(_, late)| late).collect()
    }

    fn pass_over(&mut self, late: Late) {
        self.passed += 1;
        self.pairs.entry((late.from, late.to)).or_default().rank = self.passed;
    }

    /// Delivers the next message of this pair.
    pub fn deliver(&mut self, next: Late) {
        let pair = self.pairs.entry((next.from, next.to)).or_default();
        pair.delivered += 1;
        if let Some((_, message)) = pair.messages.pop_front() {
            self.story.push((next, message.clone()));
            let from = Address { node: next.from, shard: ShardId(0) };
            self.step(next.to, Event::Message { from, message });
        }
    }

    fn step(&mut self, id: NodeId, event: Event<Process>) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let mut outbox = Outbox(Vec::new());
        process.step(Now { tick: Tick(0), wall_us: 0 }, event, &mut outbox);
        process.check();
        for (to, message) in outbox.0 {
            self.sent += 1;
            self.pairs.entry((id, to)).or_default().messages.push_back((self.sent, message));
        }
    }
}

/// These processes do nothing but send.
struct Outbox(Vec<(NodeId, Message)>);

impl Effects<Process> for Outbox {
    fn send(&mut self, to: Address, message: Message, _: Stamp) -> Result<(), Refused> {
        self.0.push((to.node, message));
        Ok(())
    }

    fn reply(&mut self, _: ClientId, (): (), _: Stamp) {}
    fn arm(&mut self, (): (), _: Tick) {}
    fn disarm(&mut self, (): ()) {}
    fn choose(&mut self, _: u64) -> u64 {
        0
    }
    fn load(&mut self, _: Ticket, _: Partition, _: &bytes::Bytes) {}
    fn peek(&mut self, _: Partition, _: &bytes::Bytes) -> Peek {
        Peek::Absent
    }
    fn store(&mut self, _: Partition, _: &bytes::Bytes, _: Option<Entry>) -> Stamp {
        Stamp::NONE
    }
    fn await_durable(&mut self, _: Stamp) {}
    fn scan(&mut self, _: Ticket, _: Scan) {}
    fn probe(&mut self, _: &'static str) {}
}

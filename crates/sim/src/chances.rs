//! What is decided by chance, each decision under a name of its own.
//!
//! What is drawn comes from the seed, from what is decided, and from how often that was: how the 17th message from one
//! node to another fares does not depend on what else was decided. A run is its seed and those of its decisions that are
//! not what happens when nothing goes wrong, each under what is decided and when. One of these can be taken away, or
//! something that was done, and the others stay what they are: that is what makes a run small
//! ([`shrink`](crate::shrink)). (Numbered, they do not: where a request is left out, the 17th message is another. One
//! planted bug could be made no smaller than 55 steps so.)

use std::collections::{BTreeMap, VecDeque};

use ombak_base::{Address, NodeId, Tick};

use crate::{Order, Rng};

/// What is decided, of whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    /// Whether a message is lost.
    Drop(Address, Address),
    /// Whether a message arrives a second time.
    Repeat(Address, Address),
    /// Whether a message leaves the line.
    Astray(Address, Address),
    /// How long a message takes.
    Delay(Address, Address),
    /// How much longer, if it is astray.
    AstrayDelay(Address, Address),
    /// How much later it comes again.
    RepeatDelay(Address, Address),
    /// Whether a send is refused for a full queue.
    Refuse(Address, Address),
    /// What a machine chooses.
    Choice(Address),
    /// Whether a load is answered in a later turn.
    LateLoad(Address),
    /// How much later.
    LoadDelay(Address),
    /// How late a timer is.
    TimerDelay(Address),
    /// How long two nodes take to connect.
    Connect(NodeId, NodeId),
    /// How long it takes until a node hears that a connection to the other is there, or gone.
    Hear(NodeId, NodeId),
    /// How long commits wait for their write.
    Write(NodeId),
    /// How long it takes until shards hear of a write.
    Notice(NodeId),
    /// How long the writer's tidying waits.
    Tidy(NodeId),
    /// What a node draws at its boot.
    Boot(NodeId),
    /// What of the unsynced survives a crash; 0: nothing.
    Survive(NodeId),
}

impl What {
    /// What is drawn in every mode alike: without it nothing would be a name or a number of its own.
    fn is_always_drawn(self) -> bool {
        matches!(self, What::Choice(_) | What::Boot(_))
    }

    /// Its kind, and the two that it is between, as a number.
    fn code(self) -> u64 {
        let shard = |at: Address| u64::from(at.node.0) << 8 | u64::from(at.shard.0);
        let node = |node: NodeId| u64::from(node.0) << 8;
        let (kind, from, to) = match self {
            What::Drop(from, to) => (1, shard(from), shard(to)),
            What::Repeat(from, to) => (2, shard(from), shard(to)),
            What::Astray(from, to) => (3, shard(from), shard(to)),
            What::Delay(from, to) => (4, shard(from), shard(to)),
            What::AstrayDelay(from, to) => (5, shard(from), shard(to)),
            What::RepeatDelay(from, to) => (6, shard(from), shard(to)),
            What::Refuse(from, to) => (7, shard(from), shard(to)),
            What::Choice(at) => (8, shard(at), 0),
            What::LateLoad(at) => (9, shard(at), 0),
            What::LoadDelay(at) => (10, shard(at), 0),
            What::TimerDelay(at) => (11, shard(at), 0),
            What::Connect(a, b) => (12, node(a), node(b)),
            What::Hear(a, b) => (13, node(a), node(b)),
            What::Write(at) => (14, node(at), 0),
            What::Notice(at) => (15, node(at), 0),
            What::Tidy(at) => (16, node(at), 0),
            What::Boot(at) => (17, node(at), 0),
            What::Survive(at) => (18, node(at), 0),
        };
        kind << 56 | (from & 0xfff_ffff) << 28 | to & 0xfff_ffff
    }
}

/// The name of one decision. Where nothing is decided at that very moment, it is of the next that is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Point {
    /// When, since the world began.
    pub at: Tick,
    /// What is decided.
    pub what: What,
    /// Which of them at that time, from 1.
    pub n: u64,
}

/// Decisions that are not what happens when nothing goes wrong: a number of microseconds, 1 for *yes*, or a seed.
pub type Decisions = BTreeMap<Point, u64>;

/// Where decisions come from.
#[derive(Clone, Debug)]
enum Source {
    /// The seed.
    Seed,
    /// The seed, and they are written down.
    Recorded(Decisions),
    /// What is given, by the code of what is decided; of everything else, that nothing goes wrong and takes as short as it
    /// can.
    Given(BTreeMap<u64, VecDeque<(Point, u64)>>),
}

/// How often something was decided.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    ever: u64,
    last: Tick,
    at_last: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Chances {
    seed: u64,
    now: Tick,
    /// By the code of what was decided.
    counts: BTreeMap<u64, Count>,
    source: Source,
}

impl Chances {
    pub fn new(seed: u64) -> Chances {
        Chances { seed, now: Tick(0), counts: BTreeMap::new(), source: Source::Seed }
    }

    /// Time has come to this.
    pub fn time(&mut self, now: u64) {
        self.now = Tick(now);
    }

    /// Writes down what is decided from now on.
    pub fn record(&mut self) {
        self.source = Source::Recorded(Decisions::new());
    }

    /// Decides as given from now on.
    pub fn follow(&mut self, decisions: &Decisions) {
        let mut given: BTreeMap<u64, VecDeque<(Point, u64)>> = BTreeMap::new();
        for (point, value) in decisions {
            given.entry(point.what.code()).or_default().push_back((*point, *value));
        }
        self.source = Source::Given(given);
    }

    /// What was written down.
    pub fn recorded(&self) -> Decisions {
        match &self.source {
            Source::Recorded(decisions) => decisions.clone(),
            Source::Given(_) | Source::Seed => Decisions::new(),
        }
    }

    /// What was given and has not been decided: nothing came to it.
    pub fn left_over(&self) -> Decisions {
        match &self.source {
            Source::Given(given) => given.values().flatten().copied().collect(),
            Source::Recorded(_) | Source::Seed => Decisions::new(),
        }
    }

    /// Which of its kind at its time the last such decision was, from 1.
    pub fn last(&self, what: What) -> u64 {
        self.counts.get(&what.code()).map_or(0, |count| count.at_last)
    }

    /// Whether something rare happens.
    pub fn happens(&mut self, what: What, per_mille: u32) -> bool {
        self.decide(what, 0, |rng| u64::from(rng.chance(per_mille.into(), 1000))) == 1
    }

    /// How long something takes.
    pub fn span(&mut self, what: What, span: (u64, u64)) -> u64 {
        self.decide(what, span.0, |rng| rng.between(span.0, span.1))
    }

    /// How long a message takes whose encoding begins with `kind`.
    pub fn delay(&mut self, what: What, span: (u64, u64), order: Order, kind: u8) -> u64 {
        let later = order.delay(self.seed, self.now.0, what.code(), kind);
        self.decide(what, span.0, |rng| later + rng.between(span.0, span.1))
    }

    /// One of `0..n`.
    pub fn choose(&mut self, at: Address, n: u64) -> u64 {
        self.decide(What::Choice(at), 0, |rng| rng.below(n))
    }

    /// Any number but 0; 0 where nothing goes wrong.
    pub fn number(&mut self, what: What) -> u64 {
        self.decide(what, 0, |rng| rng.next_u64().max(1))
    }

    fn decide(&mut self, what: What, usual: u64, draw: impl FnOnce(&mut Rng) -> u64) -> u64 {
        let code = what.code();
        let count = self.counts.entry(code).or_default();
        let at_last = if count.last == self.now { count.at_last + 1 } else { 1 };
        *count = Count { ever: count.ever + 1, last: self.now, at_last };
        let point = Point { at: self.now, what, n: at_last };
        let drawn = || draw(&mut Rng::at(self.seed, code, count.ever));
        match &mut self.source {
            Source::Seed => drawn(),
            _ if what.is_always_drawn() => drawn(),
            Source::Recorded(decisions) => {
                let value = drawn();
                if value != usual {
                    decisions.insert(point, value);
                }
                value
            }
            Source::Given(given) => {
                let next = given.get_mut(&code);
                let due = next.and_then(|next| next.pop_front_if(|(due, _)| *due <= point));
                due.map_or(usual, |(_, value)| value)
            }
        }
    }
}

#[cfg(test)]
mod tests;

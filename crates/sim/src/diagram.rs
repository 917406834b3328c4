//! A run as data, for a picture of it: what a [`Trace`](crate::Trace) has, and how it hangs together.
//!
//! The trace tells what every machine was given. A picture needs more: which arrival belongs to which sending, what a
//! step changed in its machine, and what the scenario did to the world. That is noted here, beside the trace, so that
//! the trace's hash does not depend on whether somebody looks.

mod arrows;
mod page;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Debug, Write};

use ombak_base::{Address, NodeId, ShardId};

use state::{State, difference};

/// Bytes of an event's text.
const TEXT_MAX: usize = 400;
/// Characters of what a step left in its machine, and as many of what was there before.
const CHANGE_MAX: usize = 600;
/// Bytes of a machine's text within which changes are seen.
const STATE_MAX: usize = 256 * 1024;
/// What the scenario did is kept longer than the rest, so that a picture knows who is down where it begins.
const FAULTS_MAX: usize = 1_000;
/// What the scenario does, and what becomes of a node as a whole.
const FAULTS: [&str; 12] = [
    "crash", "boot", "pause", "resume", "wipe", "block", "slow", "heal", "reset", "weather",
    "clock", "rate",
];

/// When a message left (in microseconds, or in which step), and which of its link's at that time it is, from 1. 0: nobody
/// looked, or there was no connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Sent {
    pub at: u64,
    pub n: u64,
}

/// The name of a message, as in the [`Point`](crate::Point) that decides how it fares. Shown as in a schedule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct MessageName {
    pub from: Address,
    pub to: Address,
    pub sent: Sent,
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageName { from, to, sent } = self;
        write!(f, "{}.{:06} ", sent.at / 1_000_000, sent.at % 1_000_000)?;
        if sent.n > 1 {
            write!(f, "#{} ", sent.n)?;
        }
        write!(f, "{}.{}>{}.{}", from.node, from.shard, to.node, to.shard)
    }
}

/// What a picture is of, and so what its moments are counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    /// A seed's run: microseconds.
    Seed(u64),
    /// A way that was explored: steps.
    Steps,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Microseconds since the world began, or the number of the step.
    at: u64,
    /// Nowhere: it happened to the world.
    node: Option<NodeId>,
    /// None: it happened to the node as a whole.
    shard: Option<ShardId>,
    kind: &'static str,
    text: String,
    message: Option<MessageName>,
    /// What is different in the machine afterwards.
    state: State,
}

impl Moment {
    fn is_fault(&self) -> bool {
        FAULTS.contains(&self.kind)
    }
}

/// The last moments of a run.
#[derive(Clone, Debug)]
pub(crate) struct Diagram {
    moments: VecDeque<Moment>,
    moments_max: usize,
    /// Faults from before the first of the moments.
    faults: VecDeque<Moment>,
    /// How many moments there were.
    count: u64,
    /// What each machine was when it was last seen.
    machines: BTreeMap<Address, String>,
    /// What the next entry of the trace is about.
    about: Option<MessageName>,
}

impl Diagram {
    pub fn new(moments_max: usize) -> Diagram {
        Diagram {
            moments: VecDeque::new(),
            moments_max,
            faults: VecDeque::new(),
            count: 0,
            machines: BTreeMap::new(),
            about: None,
        }
    }

    /// The next entry of the trace is about this message.
    pub fn about(&mut self, name: MessageName) {
        self.about = Some(name);
    }

    /// Takes what happened, and forgets the oldest if there are too many.
    pub fn note(
        &mut self,
        at: u64,
        node: Option<NodeId>,
        shard: Option<ShardId>,
        kind: &'static str,
        text: &dyn Debug,
    ) {
        if let ("start", Some(node), Some(shard)) = (kind, node, shard) {
            // A new process: what the old one was is no measure.
            self.machines.remove(&Address { node, shard });
        }
        let (text, message) = (cut(text, TEXT_MAX), self.about.take());
        let state = State::default();
        self.moments.push_back(Moment { at, node, shard, kind, text, message, state });
        self.count += 1;
        while self.moments.len() > self.moments_max {
            let fault = self.moments.pop_front().filter(Moment::is_fault);
            self.faults.extend(fault);
        }
        while self.faults.len() > FAULTS_MAX {
            self.faults.pop_front();
        }
    }

    /// A machine was seen, before whatever it is told next.
    pub fn see(&mut self, at: Address, machine: &dyn Debug) {
        self.machines.insert(at, cut(machine, STATE_MAX));
    }

    /// The last moment was a step of this machine, which now is this.
    pub fn stepped(&mut self, at: Address, machine: &dyn Debug) {
        let now = cut(machine, STATE_MAX);
        let was = self.machines.get(&at).map_or("", String::as_str);
        let state = difference(was, &now, CHANGE_MAX);
        if let Some(moment) = self.moments.back_mut()
            && (moment.node, moment.shard) == (Some(at.node), Some(at.shard))
        {
            moment.state = state;
        }
        self.machines.insert(at, now);
    }

    /// What is kept, oldest first.
    fn kept(&self) -> Vec<&Moment> {
        self.faults.iter().chain(&self.moments).collect()
    }
}

/// Text up to a bound. What would be longer is not even made.
fn cut(text: &dyn Debug, max: usize) -> String {
    let mut cut = Cut { text: String::new(), left: max };
    if write!(cut, "{text:?}").is_err() {
        cut.text.push('…');
    }
    cut.text
}

struct Cut {
    text: String,
    left: usize,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left {
            self.left -= text.len();
            self.text.push_str(text);
            return Ok(());
        }
        self.text.push_str(&text[..text.floor_char_boundary(self.left)]);
        self.left = 0;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests;

//! Playing again what was recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::property::{contain, contained};
use ombak_base::{
    Address, ClientId, Effects, Entry, Event, FNV_START, Machine, Now, Partition, Peek, Refused,
    RequestId, Scan, Stamp, Tick, Ticket, fnv1a,
};

use crate::effect::{Answer, Effect, Recordable, encode_onto, fingerprint};
use crate::ring::{Done, Reel};

/// A step that was played, and did what it did when it was recorded.
#[derive(Debug)]
pub struct Played<'a, M: Machine> {
    /// Whose.
    pub at: Address,
    /// The number of the step, counted from the start of the recording machine.
    pub number: u64,
    /// When.
    pub now: Now,
    /// What happened.
    pub event: Event<M>,
    /// What came of it.
    pub effects: Vec<Effect<M>>,
    /// A property broke in it.
    pub broke: bool,
    /// The machine after it.
    pub machine: &'a M,
}

/// Where the code does something else than what was recorded, or where it cannot be said.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Difference {
    /// Another effect than the recorded one, or one too many.
    #[error("{at}, step {step}, {event}: effect {effect} of {recorded} is another now: {now}")]
    Effect {
        /// Whose.
        at: Where,
        /// The number of the step.
        step: u64,
        /// The event.
        event: String,
        /// Counted from 1.
        effect: usize,
        /// How many were recorded.
        recorded: usize,
        /// What the code does now.
        now: String,
    },
    /// The step ends earlier now.
    #[error(
        "{at}, step {step}, {event}: {recorded} effects were recorded, and there are {now} now"
    )]
    Fewer {
        /// Whose.
        at: Where,
        /// The number of the step.
        step: u64,
        /// The event.
        event: String,
        /// How many were recorded.
        recorded: usize,
        /// How many there are.
        now: usize,
    },
    /// A property broke then, and does not break now, or the other way round.
    #[error("{at}, step {step}, {event}: a property broke {}, and {} now",
        if *.now { "not" } else { "then" }, if *.now { "does" } else { "does not" })]
    Broke {
        /// Whose.
        at: Where,
        /// The number of the step.
        step: u64,
        /// The event.
        event: String,
        /// Whether it breaks now.
        now: bool,
    },
    /// All effects are the same, and the state is another.
    #[error(
        "{at}: the effects of steps {first} to {last} are the same, and the state after them is another"
    )]
    State {
        /// Whose.
        at: Where,
        /// The first step of the reel.
        first: u64,
        /// Its last.
        last: u64,
    },
    /// The code panics now, and not by a property.
    #[error("{at}, step {step}, {event}: the code panics now: {message}")]
    Panicked {
        /// Whose.
        at: Where,
        /// The number of the step.
        step: u64,
        /// The event.
        event: String,
        /// What it says.
        message: String,
    },
    /// The code cannot read what was recorded: it is not the code that recorded it.
    #[error("{at}, step {step}: {what} cannot be read: was it recorded by other code?")]
    Unreadable {
        /// Whose.
        at: Where,
        /// The number of the step.
        step: u64,
        /// A state or a step.
        what: &'static str,
    },
}

/// A shard, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Where(pub Address);

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0.node, self.0.shard)
    }
}

/// Plays the reels of one shard, step by step.
pub struct Player<M> {
    reels: std::vec::IntoIter<Arc<Reel>>,
    playing: Option<Playing<M>>,
    ended: bool,
}

/// A reel in the middle.
struct Playing<M> {
    reel: Arc<Reel>,
    machine: M,
    rest: Bytes,
    step: u64,
}

impl<M: Recordable> Player<M> {
    /// Reels of one shard in order: [`Recording::of`](crate::Recording::of). Each is played from its own first state, so
    /// some may be missing.
    pub fn new(reels: Vec<Arc<Reel>>) -> Player<M> {
        Player { reels: reels.into_iter(), playing: None, ended: false }
    }

    /// Plays the next step; `None` at the end, and after a difference.
    pub fn step(&mut self) -> Option<Result<Played<'_, M>, Difference>> {
        if self.ended {
            return None;
        }
        match self.advance() {
            Ok(false) => return None,
            Ok(true) => {}
            Err(difference) => {
                self.ended = true;
                return Some(Err(difference));
            }
        }
        let played = self.playing.as_mut()?.step();
        self.ended = played.is_err();
        Some(played)
    }

    /// Goes to the reel that has the next step. `false`: there is none.
    fn advance(&mut self) -> Result<bool, Difference> {
        loop {
            if let Some(playing) = &self.playing {
                if !playing.rest.is_empty() {
                    return Ok(true);
                }
                playing.check_end()?;
            }
            let Some(reel) = self.reels.next() else { return Ok(false) };
            self.playing = Some(Playing::begin(reel)?);
        }
    }
}

impl<M: Recordable> Playing<M> {
    fn begin(reel: Arc<Reel>) -> Result<Playing<M>, Difference> {
        let step = reel.steps_before;
        let unreadable = |_| Difference::Unreadable { at: Where(reel.at), step, what: "a state" };
        let machine = postcard::from_bytes(&reel.first).map_err(unreadable)?;
        let rest = reel.tape.clone();
        Ok(Playing { reel, machine, rest, step })
    }

    fn check_end(&self) -> Result<(), Difference> {
        let mut state = Vec::new();
        encode_onto(&self.machine, &mut state);
        if fnv1a(FNV_START, &state) == self.reel.last {
            return Ok(());
        }
        let first = self.reel.steps_before;
        Err(Difference::State { at: Where(self.reel.at), first, last: self.step.saturating_sub(1) })
    }

    fn step(&mut self) -> Result<Played<'_, M>, Difference> {
        let (at, number) = (self.reel.at, self.step);
        let Some((now, event, done)) = self.next() else {
            return Err(Difference::Unreadable { at: Where(at), step: number, what: "a step" });
        };
        self.step += 1;
        let mut fx = Given { answers: done.answers.iter(), effects: Vec::new() };
        let whole = Whole { at: Where(at), step: number, event: &event };
        let broke = match stepped(&mut self.machine, now, event.clone(), &mut fx) {
            Ok(broke) => broke,
            Err(message) => return Err(whole.panicked(message)),
        };
        let effects = fx.effects;
        whole.compare(&effects, broke, &done)?;
        Ok(Played { at, number, now, event, effects, broke, machine: &self.machine })
    }

    fn next(&mut self) -> Option<(Now, Event<M>, Done)> {
        let ((now, event, done), rest) =
            postcard::take_from_bytes::<(Now, Event<M>, Done)>(&self.rest).ok()?;
        self.rest = self.rest.slice(self.rest.len() - rest.len()..);
        Some((now, event, done))
    }
}

/// Steps as a thread of production does. Whether a property broke; an `Err` is what a panic says that is none.
fn stepped<M: Recordable>(
    machine: &mut M,
    now: Now,
    event: Event<M>,
    fx: &mut Given<M>,
) -> Result<bool, String> {
    contain(true);
    let stepped = catch_unwind(AssertUnwindSafe(|| contained(|| machine.step(now, event, fx))));
    contain(false);
    stepped.map(|stepped| stepped.is_err()).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

/// A step, for what is said of it.
struct Whole<'a, M: Machine> {
    at: Where,
    step: u64,
    event: &'a Event<M>,
}

impl<M: Recordable> Whole<'_, M> {
    fn panicked(&self, message: String) -> Difference {
        let event = shortened(&self.event);
        Difference::Panicked { at: self.at, step: self.step, event, message }
    }

    /// The first difference is the one that is told.
    fn compare(&self, effects: &[Effect<M>], broke: bool, done: &Done) -> Result<(), Difference> {
        let (at, step) = (self.at, self.step);
        let event = || shortened(&self.event);
        let recorded = done.effects.len();
        let mut scratch = Vec::new();
        let mut same = |(n, effect): &(usize, &Effect<M>)| {
            done.effects.get(*n) == Some(&fingerprint(*effect, &mut scratch))
        };
        if let Some((n, effect)) = effects.iter().enumerate().find(|effect| !same(effect)) {
            let (effect, now) = (n + 1, shortened(effect));
            return Err(Difference::Effect { at, step, event: event(), effect, recorded, now });
        }
        if broke != done.broke {
            return Err(Difference::Broke { at, step, event: event(), now: broke });
        }
        if effects.len() < recorded {
            let now = effects.len();
            return Err(Difference::Fewer { at, step, event: event(), recorded, now });
        }
        Ok(())
    }
}

/// As text, not longer than a few lines.
fn shortened(what: &impl std::fmt::Debug) -> String {
    const CHARS_MAX: usize = 300;
    let text = format!("{what:?}");
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The host of a step that is played: it returns what was returned then. A machine that asks for something else than it
/// did gets anything, for that effect is the difference.
struct Given<'a, M: Machine> {
    answers: std::slice::Iter<'a, Answer>,
    effects: Vec<Effect<M>>,
}

impl<M: Machine> Effects<M> for Given<'_, M> {
    fn send(&mut self, to: Address, message: M::Message, after: Stamp) -> Result<(), Refused> {
        let taken = match self.answers.next() {
            Some(Answer::Taken(taken)) => *taken,
            _ => Err(Refused::Down),
        };
        self.effects.push(Effect::Send(to, message, after, taken));
        taken
    }

    fn reply(&mut self, to: ClientId, reply: M::Reply, after: Stamp) {
        self.effects.push(Effect::Reply(to, reply, after));
    }

    fn arm(&mut self, timer: M::Timer, at: Tick) {
        self.effects.push(Effect::Arm(timer, at));
    }

    fn disarm(&mut self, timer: M::Timer) {
        self.effects.push(Effect::Disarm(timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        let chosen = match self.answers.next() {
            Some(Answer::Chosen(chosen)) if *chosen < n => *chosen,
            _ => 0,
        };
        self.effects.push(Effect::Choose(n, chosen));
        chosen
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.effects.push(Effect::Load(ticket, partition, key.clone()));
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        let seen = match self.answers.next() {
            Some(Answer::Seen(seen)) => *seen,
            _ => Peek::Unknown,
        };
        self.effects.push(Effect::Peek(partition, key.clone(), seen));
        seen
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        let stamp = match self.answers.next() {
            Some(Answer::Stored(stamp)) => *stamp,
            _ => Stamp::NONE,
        };
        self.effects.push(Effect::Store(partition, key.clone(), entry, stamp));
        stamp
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.effects.push(Effect::AwaitDurable(stamp));
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.effects.push(Effect::Scan(ticket, scan));
    }

    fn probe(&mut self, name: &'static str) {
        self.effects.push(Effect::Probe(name));
    }

    fn named(&mut self, client: ClientId, request: RequestId) {
        self.effects.push(Effect::Named(client, request));
    }

    fn broken(&mut self, broken: &ombak_base::property::Broken) {
        self.effects.push(Effect::Broken(broken.name));
    }
}

//! The shard, with everything written down that passes between it and its host.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Event, Machine, Now, Partition, Peek, Refused, Scan, Stamp,
    Tick, Ticket,
};
use ombak_node::{Message, Reply, Request, Shard, Timer};

/// Nothing in these tests is waited for longer than this.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// One call of an effect, with what the host returned.
pub type Effect = ombak_tape::Effect<Shard>;

/// One step of a shard.
#[derive(Clone)]
pub struct Step {
    pub now: Now,
    pub event: Event<Shard>,
    pub effects: Vec<Effect>,
    /// A fingerprint of the state after it: a difference shows in the step that made it, not in the end.
    pub state: u64,
}

/// A shard's life in one process, from its first event on.
pub struct Log {
    /// The shard before its first event.
    pub first: Shard,
    pub steps: Vec<Step>,
    /// The shard when its host gave it up.
    pub last: Option<Shard>,
    /// What clients have said so far.
    said: usize,
    /// Loads and scans without an answer.
    reading: BTreeSet<Ticket>,
    stored: Stamp,
    durable: Stamp,
}

impl Log {
    /// Whether clients have said so much, and nothing more comes of it: reads are answered, stores are durable.
    pub fn is_quiet(&self, said: usize) -> bool {
        let started = !self.steps.is_empty();
        started && self.said >= said && self.reading.is_empty() && self.stored <= self.durable
    }

    /// The same shard, the same steps, the same state in the end; else a panic that shows the first difference.
    pub fn assert_same(&self, other: &Log, what: &str) {
        assert_eq!(self.first, other.first, "{what}: the shards began differently");
        for (at, (left, right)) in self.steps.iter().zip(&other.steps).enumerate() {
            if let Some(difference) = difference(left, right) {
                panic!("{what}: step {at} differs\n{difference}");
            }
        }
        assert_eq!(self.steps.len(), other.steps.len(), "{what}: one of them went on longer");
        assert!(self.last.is_some(), "{what}: the host has not given the shard up");
        assert!(self.last == other.last, "{what}: the shards ended differently");
    }

    fn add(&mut self, step: Step) {
        match &step.event {
            Event::Request { .. } | Event::More(_) | Event::Gone(_) => self.said += 1,
            Event::Loaded { ticket, .. } | Event::Scanned { ticket, .. } => {
                self.reading.remove(ticket);
            }
            Event::Durable(stamp) => self.durable = *stamp,
            _ => {}
        }
        for effect in &step.effects {
            match effect {
                Effect::Load(ticket, ..) | Effect::Scan(ticket, _) => {
                    self.reading.insert(*ticket);
                }
                Effect::Store(.., stamp) => self.stored = *stamp,
                _ => {}
            }
        }
        self.steps.push(step);
    }
}

fn difference(left: &Step, right: &Step) -> Option<String> {
    // An event is not Eq; its text has every field of it.
    let texts = [left, right].map(|step| format!("{:?}", step.event));
    if left.now != right.now || texts[0] != texts[1] {
        return Some(pair(&(left.now, &left.event), &(right.now, &right.event)));
    }
    let longer = left.effects.len().max(right.effects.len());
    if let Some(at) = (0..longer).find(|at| left.effects.get(*at) != right.effects.get(*at)) {
        let effects = pair(&left.effects.get(at), &right.effects.get(at));
        return Some(format!("in effect {at} of {}\n{effects}", texts[0]));
    }
    (left.state != right.state).then(|| format!("in the state after {}", texts[0]))
}

fn pair(left: &dyn fmt::Debug, right: &dyn fmt::Debug) -> String {
    format!("  one:   {left:?}\n  other: {right:?}")
}

/// The log of a shard that may still run, on another thread.
#[derive(Clone)]
pub struct Record(Arc<(Mutex<Log>, Condvar)>);

impl Record {
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.0.0.lock().unwrap()
    }

    /// Waits until the log says so.
    pub fn wait(&self, what: &str, done: impl Fn(&Log) -> bool) {
        let (log, news) = &*self.0;
        let waited = news.wait_timeout_while(log.lock().unwrap(), DEADLINE, |log| !done(log));
        assert!(!waited.unwrap().1.timed_out(), "waited too long for {what}");
    }

    fn add(&self, step: Step) {
        self.log().add(step);
        self.0.1.notify_all();
    }
}

/// [`Shard`] as it is, and its record.
#[derive(Clone)]
pub struct Recorded {
    shard: Shard,
    record: Record,
}

impl Recorded {
    pub fn new(shard: Shard) -> Recorded {
        let log = Log {
            first: shard.clone(),
            steps: Vec::new(),
            last: None,
            said: 0,
            reading: BTreeSet::new(),
            stored: Stamp::NONE,
            durable: Stamp::NONE,
        };
        Recorded { shard, record: Record(Arc::new((Mutex::new(log), Condvar::new()))) }
    }

    pub fn record(&self) -> Record {
        self.record.clone()
    }
}

impl Machine for Recorded {
    type Message = Message;
    type Request = Request;
    type Reply = Reply;
    type Timer = Timer;

    fn step<E: Effects<Recorded>>(&mut self, now: Now, event: Event<Recorded>, fx: &mut E) {
        let event: Event<Shard> = retype(event);
        let mut tap = Tap { fx, effects: Vec::new() };
        self.shard.step(now, event.clone(), &mut tap);
        let effects = tap.effects;
        self.record.add(Step { now, event, effects, state: fingerprint(&self.shard) });
    }

    fn check(&self) {
        self.shard.check();
    }
}

/// The host drops its machine when its node ends.
impl Drop for Recorded {
    fn drop(&mut self) {
        if let Ok(mut log) = self.record.0.0.lock() {
            log.last = Some(self.shard.clone());
        }
    }
}

/// The record is no part of the state.
impl PartialEq for Recorded {
    fn eq(&self, other: &Recorded) -> bool {
        self.shard == other.shard
    }
}

impl Eq for Recorded {}

impl Hash for Recorded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shard.hash(state);
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shard.fmt(f)
    }
}

fn fingerprint(shard: &Shard) -> u64 {
    let mut hasher = DefaultHasher::new();
    shard.hash(&mut hasher);
    hasher.finish()
}

/// The same event for a machine that speaks the same language.
pub fn retype<A, B>(event: Event<A>) -> Event<B>
where
    A: Machine,
    B: Machine<Message = A::Message, Request = A::Request, Timer = A::Timer>,
{
    match event {
        Event::Start => Event::Start,
        Event::Request { client, request } => Event::Request { client, request },
        Event::More(client) => Event::More(client),
        Event::Gone(client) => Event::Gone(client),
        Event::Message { from, message } => Event::Message { from, message },
        Event::PeerUp { node, shards, hello } => Event::PeerUp { node, shards, hello },
        Event::PeerDown(node) => Event::PeerDown(node),
        Event::Timer(timer) => Event::Timer(timer),
        Event::Loaded { ticket, entry } => Event::Loaded { ticket, entry },
        Event::Scanned { ticket, chunk } => Event::Scanned { ticket, chunk },
        Event::Durable(stamp) => Event::Durable(stamp),
        Event::Damaged(partition) => Event::Damaged(partition),
        Event::DeviceFull(full) => Event::DeviceFull(full),
        Event::DeviceFailed => Event::DeviceFailed,
        Event::Broken(partition) => Event::Broken(partition),
    }
}

/// Passes every effect on to the host, and writes it down with what came back.
struct Tap<'a, E> {
    fx: &'a mut E,
    effects: Vec<Effect>,
}

impl<E: Effects<Recorded>> Effects<Shard> for Tap<'_, E> {
    fn send(&mut self, to: Address, message: Message, after: Stamp) -> Result<(), Refused> {
        let taken = self.fx.send(to, message.clone(), after);
        self.effects.push(Effect::Send(to, message, after, taken));
        taken
    }

    fn reply(&mut self, to: ClientId, reply: Reply, after: Stamp) {
        self.effects.push(Effect::Reply(to, reply.clone(), after));
        self.fx.reply(to, reply, after);
    }

    fn arm(&mut self, timer: Timer, at: Tick) {
        self.effects.push(Effect::Arm(timer, at));
        self.fx.arm(timer, at);
    }

    fn disarm(&mut self, timer: Timer) {
        self.effects.push(Effect::Disarm(timer));
        self.fx.disarm(timer);
    }

    fn choose(&mut self, n: u64) -> u64 {
        let chosen = self.fx.choose(n);
        self.effects.push(Effect::Choose(n, chosen));
        chosen
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.effects.push(Effect::Load(ticket, partition, key.clone()));
        self.fx.load(ticket, partition, key);
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        let seen = self.fx.peek(partition, key);
        self.effects.push(Effect::Peek(partition, key.clone(), seen));
        seen
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        let stamp = self.fx.store(partition, key, entry.clone());
        self.effects.push(Effect::Store(partition, key.clone(), entry, stamp));
        stamp
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.effects.push(Effect::Scan(ticket, scan.clone()));
        self.fx.scan(ticket, scan);
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.effects.push(Effect::AwaitDurable(stamp));
        self.fx.await_durable(stamp);
    }

    fn probe(&mut self, name: &'static str) {
        self.effects.push(Effect::Probe(name));
        self.fx.probe(name);
    }
}

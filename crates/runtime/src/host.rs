//! One shard's world, as its machine sees it: the effects.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::property::Broken;
use ombak_base::{
    Address, ClientId, Device, Effects, Entry, Event, Load, Machine, NodeId, Now, Partition,
    Passing, Peek, Place, Refused, RequestId, Scan, ShardId, Stamp, Tick, Ticket,
};

use crate::chance::Chance;
use crate::clients::Clients;
use crate::config::Limits;
use crate::counters::{ShardBoard, ShardCounters};
use crate::face::Face;
use crate::gathering::Gathering;
use crate::handle::Flow;
use crate::held::Held;
use crate::links::{Links, Route};
use crate::locals::Locals;
use crate::queue::{Rejected, Sender};
use crate::reader::{Job, Work};
use crate::requests::{Origin, Whom};
use crate::running::Shared;
use crate::slab::{Key, Slab};
use crate::stores::Stores;
use crate::timers::Timers;

/// An effect that waits for a stamp.
pub(crate) enum Waiting<M: Machine> {
    Send { route: Route, to: ShardId, message: M::Message },
    Reply { to: ClientId, reply: M::Reply },
}

/// Timers of the host itself: none is armed while nothing is wrong and nothing is half done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Own {
    /// A link is to dial again, or has taken too long to come up.
    Link(usize),
    /// An accepted connection has taken too long to say hello.
    Greeting(u64),
    /// Accepting failed; try again.
    Accept,
    /// Look for clients that do not finish what they say.
    Unfinished,
}

pub(crate) struct Host<M: Machine, D: Device, F: Face<M>> {
    pub own: Address,
    pub now: Now,
    pub device: D,
    /// What effects are measured by: `device.durable()` when it was last looked at.
    pub durable: Stamp,
    /// What the machine was told of that.
    pub told: Stamp,
    pub failed: bool,
    /// Whether storage has room for new data.
    pub is_full: bool,
    /// Events that a step brought about, taken right after it.
    pub soon: VecDeque<Event<M>>,
    /// Events that wait for the next turn: bulk work must not hold up what has arrived meanwhile.
    pub later: VecDeque<Event<M>>,
    pub held: Held<Waiting<M>>,
    pub timers: Timers<M::Timer>,
    pub own_timers: Timers<Own>,
    pub chance: Chance,
    pub links: Links,
    pub locals: Locals<M::Message>,
    pub requests: Slab<Origin<M::Reply>>,
    pub local_requests: HashMap<u64, Key>,
    pub clients: Clients<M, F>,
    pub work: Sender<Work<D::Notice>>,
    pub registry: mio::Registry,
    pub limits: Limits,
    pub shared: Arc<Shared>,
    pub counted: ShardCounters,
    pub board: Arc<ShardBoard>,
    pub stores: Stores,
    pub gathering: Gathering,
}

impl<M: Machine, D: Device, F: Face<M>> Effects<M> for Host<M, D, F> {
    fn send(&mut self, to: Address, message: M::Message, after: Stamp) -> Result<(), Refused> {
        let route = self.route(to)?;
        if after > self.durable {
            self.hold(after, Waiting::Send { route, to: to.shard, message });
            return Ok(());
        }
        self.dispatch(route, to.shard, message)
    }

    fn reply(&mut self, to: ClientId, reply: M::Reply, after: Stamp) {
        if after > self.durable {
            self.hold(after, Waiting::Reply { to, reply });
        } else {
            self.deliver(to, reply);
        }
    }

    fn arm(&mut self, timer: M::Timer, at: Tick) {
        self.timers.arm(timer, at);
    }

    fn disarm(&mut self, timer: M::Timer) {
        self.timers.disarm(timer);
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.chance.below(n)
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        let entry = match self.device.load(partition, key) {
            Load::Ready(entry) => {
                self.board.meters.loads.record(0, 1);
                entry
            }
            Load::Blocked(job) => {
                self.counted.loads_blocked += 1;
                let work =
                    Work { shard: self.own.shard, job: Job::Read(ticket, job, self.now.tick) };
                match self.work.try_send(work) {
                    // Slower for everybody on this shard, which is the bound: reads cannot pile up.
                    Err(Rejected::Full(Work { job: Job::Read(_, job, _), .. })) => {
                        self.board.meters.loads.record(0, 1);
                        job()
                    }
                    _ => return,
                }
            }
        };
        self.soon.push_back(Event::Loaded { ticket, entry });
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.device.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        let stamp = self.device.store(partition, key, entry.as_ref());
        let bytes = key.len() + entry.map_or(0, |entry| entry.bytes.len());
        self.gathering.stored(stamp, bytes, self.now.tick);
        self.stores.stored(stamp, self.now.tick);
        stamp
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.gathering.awaited(stamp);
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        let chunk = self.device.scan(&scan);
        self.later.push_back(Event::Scanned { ticket, chunk });
    }

    fn probe(&mut self, name: &'static str) {
        tracing::trace!( shard = %self.own.shard, "{name}");
    }

    fn named(&mut self, client: ClientId, request: RequestId) {
        self.name(Key::from_bits(client.0), request);
    }

    fn pass(&mut self, passing: Passing) {
        self.count(passing.place);
        self.follow(&passing);
    }

    fn broken(&mut self, broken: &Broken) {
        self.note_broken(broken);
    }

    fn count(&mut self, place: Place) {
        self.board.meters.pass(place.number);
    }
}

impl<M: Machine, D: Device, F: Face<M>> Host<M, D, F> {
    pub fn count_usage(&mut self) {
        let usage = self.device.usage();
        self.counted.keys = usage.keys;
        self.counted.live_bytes = usage.live_bytes;
        self.counted.file_bytes = usage.file_bytes;
        self.counted.memory_bytes = usage.memory_bytes;
        self.counted.moved_records = usage.moved_records;
        self.counted.moved_bytes = usage.moved_bytes;
    }

    /// A property broke, and has been contained: whoever runs the node should know, and tell who wrote the code.
    pub fn note_broken(&mut self, broken: &Broken) {
        self.counted.broken += 1;
        let (shard, partition) = (self.own.shard, broken.partition.map(|partition| partition.0));
        tracing::error!(%shard, partition, %broken, "a property of the code does not hold: a vnode stops");
    }

    fn route(&mut self, to: Address) -> Result<Route, Refused> {
        let route = if to.node == self.own.node {
            self.locals.route(to.shard)
        } else {
            self.links.route(to.node, to.shard)
        };
        match route {
            Err(Refused::Down) => self.counted.refused_down += 1,
            Err(Refused::Full) => self.counted.refused_full += 1,
            Ok(_) => {}
        }
        route
    }

    fn hold(&mut self, after: Stamp, waiting: Waiting<M>) {
        if !self.failed {
            self.gathering.awaited(after);
            self.held.push(after, waiting);
        }
    }

    fn dispatch(&mut self, route: Route, to: ShardId, message: M::Message) -> Result<(), Refused> {
        match route {
            Route::Own => self.soon.push_back(Event::Message { from: self.own, message }),
            Route::Local => {
                self.counted.local_messages += 1;
                self.locals.push(to, self.own, message);
            }
            Route::Link { index, generation } => {
                self.counted.frames_out += 1;
                return self.links.put(index, generation, to, &message);
            }
        }
        Ok(())
    }

    /// Whether the device has made more durable than the machine knows of.
    pub fn may_release(&self) -> bool {
        !self.failed && self.device.durable() > self.durable
    }

    /// Lets go of everything that waited for what is durable now.
    pub fn release(&mut self) {
        if !self.may_release() {
            return;
        }
        let durable = self.device.durable();
        self.durable = durable;
        self.stores.durable(durable, self.now.tick, &self.board.meters.stores);
        while let Some(waiting) = self.held.pop(durable) {
            match waiting {
                Waiting::Reply { to, reply } => self.deliver(to, reply),
                // A link that has gone meanwhile has been reported; a message cannot be refused any more.
                Waiting::Send { route, to, message } => drop(self.dispatch(route, to, message)),
            }
        }
    }

    /// What the machine is to be told, once a turn.
    pub fn news_of_durable(&mut self) -> Option<Stamp> {
        let news = self.durable > self.told;
        self.told = self.durable;
        news.then_some(self.durable)
    }

    /// Nothing that waits may leave any more.
    pub fn fail(&mut self) {
        self.failed = true;
        self.held.clear();
        self.stores.clear();
    }

    /// Gives a part of an answer to whoever asked. One who has gone has been reported to the machine.
    fn deliver(&mut self, to: ClientId, reply: M::Reply) {
        self.counted.replies += 1;
        let key = Key::from_bits(to.0);
        let outcome = F::outcome(&reply);
        let Some(origin) = self.requests.get_mut(key) else { return };
        match &mut origin.whom {
            Whom::Client { connection, slot } => {
                let (connection, slot) = (*connection, *slot);
                if self.answer_client(key, connection, slot, reply) {
                    self.finish(key, outcome);
                }
            }
            Whom::Local { sink, .. } => match sink(reply, origin.request) {
                Flow::Wait => {}
                Flow::More => self.soon.push_back(Event::More(to)),
                Flow::Last => {
                    if let Some(Whom::Local { id, .. }) = self.finish(key, outcome) {
                        self.local_requests.remove(&id);
                    }
                }
                Flow::Stop => {
                    self.forget_local(key);
                    self.soon.push_back(Event::Gone(to));
                }
            },
        }
    }

    pub fn forget_local(&mut self, key: Key) {
        if let Some(Whom::Local { id, .. }) = self.abandon(key) {
            self.local_requests.remove(&id);
        }
    }

    pub fn peer(&self, index: usize) -> NodeId {
        self.links.node(index)
    }
}

//! A machine for which time, chance and the names of clients are the test's, whatever its host has.
//!
//! Two hosts may differ in three things, none of which is any business of a machine's: what time it is and when exactly
//! a timer comes, which free choice is drawn, and which numbers name clients. Everything else must be the same. So
//! these three are taken from the host here, in front of the machine, and nothing is left out of the comparison later.
//!
//! - **Time** stands still but for a millisecond with everything that a client says. It passes when a client asks for
//!   [`Ask::Pass`]; then every timer that comes due meanwhile is armed at the host for *now*, one after the other, in the
//!   order of their times. So the host's own timers bring every one of them, yet not when a request is under way.
//! - **Choices** are asked of the host, which must keep to the bound, and replaced by those of a seed.
//! - **Clients** are counted in the order in which they come.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Event, Machine, Now, Partition, Peek, Refused, Scan, Stamp,
    Tick, Ticket,
};
use ombak_node::{Message, Reply, Request, Timer};
use ombak_sim::Rng;

use crate::both_hosts::recorded::Recorded;

const WALL_START_US: u64 = 1_700_000_000_000_000;

/// What a client says to it.
#[derive(Clone, Hash, Debug)]
pub enum Ask {
    /// A request to the shard.
    Of(Box<Request>),
    /// Let so many milliseconds pass. The answer comes when they have: `None`.
    Pass(u64),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Steady {
    inner: Recorded,
    clock: Tick,
    chance: Rng,
    timers: BTreeMap<Timer, Tick>,
    /// Who has asked time to pass, and until when.
    passing: Option<(ClientId, Tick)>,
    /// The host's names of the clients, in the order in which they came.
    clients: Vec<ClientId>,
}

impl Steady {
    pub fn new(inner: Recorded) -> Steady {
        Steady {
            inner,
            clock: Tick::default(),
            chance: Rng::new(1),
            timers: BTreeMap::new(),
            passing: None,
            clients: Vec::new(),
        }
    }

    /// The test's name of a client.
    fn name(&mut self, client: ClientId) -> ClientId {
        let known = self.clients.iter().position(|known| *known == client);
        let place = known.unwrap_or_else(|| {
            self.clients.push(client);
            self.clients.len() - 1
        });
        ClientId(place as u64)
    }

    /// Something that a client says.
    fn said<E: Effects<Steady>>(
        &mut self,
        client: ClientId,
        event: impl FnOnce(ClientId) -> Event<Recorded>,
        fx: &mut E,
    ) {
        self.clock = self.clock.plus_ms(1);
        let event = event(self.name(client));
        self.feed(event, fx);
    }

    fn timer<E: Effects<Steady>>(&mut self, now: Now, timer: Timer, fx: &mut E) {
        let at = self.timers.remove(&timer).expect("a timer that came was armed");
        self.clock = self.clock.max(at);
        self.feed(Event::Timer(timer), fx);
        self.pass(now, fx);
    }

    /// Has the host bring the next timer that is due, or tells the client that the time has passed.
    fn pass<E: Effects<Steady>>(&mut self, now: Now, fx: &mut E) {
        let Some((client, until)) = self.passing else { return };
        let due = self.timers.iter().filter(|(_, at)| **at <= until);
        if let Some((timer, _)) = due.min_by_key(|(timer, at)| (**at, **timer)) {
            return fx.arm(*timer, now.tick);
        }
        self.clock = self.clock.max(until);
        self.passing = None;
        fx.reply(client, None, Stamp::NONE);
    }

    fn feed<E: Effects<Steady>>(&mut self, event: Event<Recorded>, fx: &mut E) {
        let now = Now { tick: self.clock, wall_us: WALL_START_US + self.clock.0 };
        let Steady { inner, chance, timers, clients, .. } = self;
        inner.step(now, event, &mut Screen { fx, chance, timers, clients });
    }
}

impl Machine for Steady {
    type Message = Message;
    type Request = Ask;
    type Reply = Option<Reply>;
    type Timer = Timer;

    fn step<E: Effects<Steady>>(&mut self, now: Now, event: Event<Steady>, fx: &mut E) {
        match event {
            Event::Request { client, request: Ask::Of(request) } => {
                self.said(client, |client| Event::Request { client, request: *request }, fx);
            }
            Event::Request { client, request: Ask::Pass(ms) } => {
                self.passing = Some((client, self.clock.plus_ms(ms)));
                self.pass(now, fx);
            }
            Event::More(client) => self.said(client, Event::More, fx),
            Event::Gone(client) => self.said(client, Event::Gone, fx),
            Event::Timer(timer) => self.timer(now, timer, fx),
            Event::Start => self.feed(Event::Start, fx),
            Event::Loaded { ticket, entry } => self.feed(Event::Loaded { ticket, entry }, fx),
            Event::Scanned { ticket, chunk } => self.feed(Event::Scanned { ticket, chunk }, fx),
            Event::Durable(stamp) => self.feed(Event::Durable(stamp), fx),
            other => panic!("nobody else is there who could say {other:?}"),
        }
    }

    fn check(&self) {
        self.inner.check();
    }
}

/// What the machine sees of the host.
struct Screen<'a, E> {
    fx: &'a mut E,
    chance: &'a mut Rng,
    timers: &'a mut BTreeMap<Timer, Tick>,
    clients: &'a [ClientId],
}

impl<E: Effects<Steady>> Effects<Recorded> for Screen<'_, E> {
    fn send(&mut self, to: Address, message: Message, after: Stamp) -> Result<(), Refused> {
        self.fx.send(to, message, after)
    }

    fn reply(&mut self, to: ClientId, reply: Reply, after: Stamp) {
        self.fx.reply(self.clients[to.0 as usize], Some(reply), after);
    }

    fn arm(&mut self, timer: Timer, at: Tick) {
        self.timers.insert(timer, at);
    }

    fn disarm(&mut self, timer: Timer) {
        self.timers.remove(&timer);
    }

    fn choose(&mut self, n: u64) -> u64 {
        assert!(self.fx.choose(n) < n, "a choice is one of those that there are");
        self.chance.below(n)
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.fx.load(ticket, partition, key);
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.fx.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        self.fx.store(partition, key, entry)
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.fx.scan(ticket, scan);
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.fx.await_durable(stamp);
    }

    fn probe(&mut self, name: &'static str) {
        self.fx.probe(name);
    }
}

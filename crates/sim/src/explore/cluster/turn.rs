//! What happens to one node: a turn, which is an event and the answers of storage that come within it, or its death.
//!
//! It depends on that node and on the time, and on nothing else of the cluster. So it is found out once, for all states
//! in which the node is the same.

use std::collections::VecDeque;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Event, Machine, NodeId, Now, Partition, Peek, Refused, Scan,
    ShardId, Stamp, Tick, Ticket, Wire,
};

use super::kept::Id;
use super::state::{Carried, Host, Outgoing, Packet, Shared};
use super::storage::Storage;
use super::{Cluster, Explorable, History, quietly};
use crate::WALL_START_US;

/// What happens to a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Local {
    /// Its machine, which is there already, starts.
    Start,
    /// It gets a machine, which starts.
    Restart,
    /// A client asks.
    Ask(ClientId),
    /// This packet arrives.
    Hear(Id),
    /// Of its timers, the one with this number fires.
    Fire(usize),
    Sync,
    Crash,
}

/// What the result of a step depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Occasion {
    pub host: Id,
    pub local: Local,
    pub now: Tick,
}

/// All that may become of a node on one occasion.
pub struct Ways<M: Machine> {
    pub all: Box<[Way<M>]>,
    /// Nothing changes, and nothing is said.
    pub is_idle: bool,
}

impl<M: Machine> Ways<M> {
    fn broken(message: String) -> Ways<M> {
        let way = Way { choices: Box::default(), places: Box::default(), then: Err(message) };
        Ways { all: Box::new([way]), is_idle: false }
    }
}

/// What becomes of a node if its machine chooses so.
pub struct Way<M: Machine> {
    /// What was chosen where there was a choice.
    pub choices: Box<[u64]>,
    /// Places that are come past.
    pub places: Box<[&'static str]>,
    /// `Err`: the machine panics.
    pub then: Result<Then<M>, String>,
}

/// A node afterwards, and what leaves it.
pub struct Then<M: Machine> {
    pub host: Id,
    pub out: Box<[Out<M>]>,
}

/// What leaves a node, and where it goes.
pub enum Out<M: Machine> {
    Packet(NodeId, Id),
    Reply(ClientId, M::Reply),
}

/// What `choose` answers in one step, and what the step comes past. Running a step again and again with
/// [`advance`](Script::advance) in between takes it through all its choices, as an odometer goes through numbers.
struct Script {
    n_max: u64,
    /// What was drawn, and out of how many.
    draws: Vec<(u64, u64)>,
    next: usize,
    places: Vec<&'static str>,
}

impl Script {
    fn new(n_max: u64) -> Script {
        Script { n_max, draws: Vec::new(), next: 0, places: Vec::new() }
    }

    /// Whether a choice from so many is explored.
    fn explores(&self, n: u64) -> bool {
        n <= self.n_max
    }

    fn draw(&mut self, n: u64) -> u64 {
        if self.next == self.draws.len() {
            self.draws.push((0, n));
        }
        self.next += 1;
        self.draws[self.next - 1].0
    }

    /// What was chosen where there was a choice.
    fn values(&self) -> Box<[u64]> {
        self.draws.iter().filter(|(_, n)| *n > 1).map(|(value, _)| *value).collect()
    }

    /// Goes on to the next choices; `false` when all were had.
    fn advance(&mut self) -> bool {
        self.next = 0;
        self.places.clear();
        while let Some((value, n)) = self.draws.pop() {
            if value + 1 < n {
                self.draws.push((value + 1, n));
                return true;
            }
        }
        false
    }
}

/// What a step asked for, in order.
enum Effect<M: Machine> {
    Leave(Stamp, Outgoing<M>),
    Arm(M::Timer, Tick),
    Disarm(M::Timer),
    Answer(Event<M>),
}

/// The cluster as a machine sees it during a step.
struct Turn<'a, M: Machine> {
    /// To whom it can send.
    is_up: &'a dyn Fn(NodeId) -> bool,
    storage: &'a mut Storage,
    node: NodeId,
    named: &'a mut u64,
    script: &'a mut Script,
    effects: Vec<Effect<M>>,
}

impl<M: Machine> Effects<M> for Turn<'_, M> {
    fn send(&mut self, to: Address, message: M::Message, after: Stamp) -> Result<(), Refused> {
        if to.shard != ShardId(0) || !(self.is_up)(to.node) {
            return Err(Refused::Down);
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.effects.push(Effect::Leave(after, Outgoing::Message(to.node, bytes.into())));
        Ok(())
    }

    fn reply(&mut self, to: ClientId, reply: M::Reply, after: Stamp) {
        self.effects.push(Effect::Leave(after, Outgoing::Reply(to, reply)));
    }

    fn arm(&mut self, timer: M::Timer, at: Tick) {
        self.effects.push(Effect::Arm(timer, at));
    }

    fn disarm(&mut self, timer: M::Timer) {
        self.effects.push(Effect::Disarm(timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        if self.script.explores(n) {
            return self.script.draw(n);
        }
        *self.named += 1;
        (u64::from(self.node.0) << 32 | *self.named) % n
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        let entry = Ok(self.storage.load(partition, key));
        self.effects.push(Effect::Answer(Event::Loaded { ticket, entry }));
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.storage.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        self.storage.store(partition, key, entry)
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        let chunk = Ok(self.storage.scan(&scan));
        self.effects.push(Effect::Answer(Event::Scanned { ticket, chunk }));
    }

    /// A sync may come at any time, whoever waits.
    fn await_durable(&mut self, _: Stamp) {}

    fn probe(&mut self, name: &'static str) {
        self.script.places.push(name);
    }
}

/// A node in the middle of a step.
struct Acting<'a, M: Machine, H> {
    shared: &'a Shared<M, H>,
    node: NodeId,
    now: Tick,
    host: Host<M>,
    script: &'a mut Script,
    out: Vec<Out<M>>,
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// All that may become of a node, by all choices of its machine.
    pub(super) fn ways<'a>(
        &self,
        shared: &'a Shared<M, H>,
        host: Id,
        local: Local,
        now: Tick,
    ) -> &'a Ways<M> {
        let occasion = Occasion { host, local, now };
        shared.ways.recall(host, occasion, || {
            let ways = self.find_ways(shared, occasion);
            match self.check_alike(shared, occasion, &ways) {
                Ok(()) => ways,
                Err(message) => Ways::broken(message),
            }
        })
    }

    pub(super) fn find_ways(&self, shared: &Shared<M, H>, occasion: Occasion) -> Ways<M> {
        let (mut script, mut all) = (Script::new(self.choices_max), Vec::new());
        loop {
            let then = quietly(|| self.happen(shared, occasion, &mut script));
            let places = std::mem::take(&mut script.places).into();
            all.push(Way { choices: script.values(), places, then });
            if !script.advance() {
                break;
            }
        }
        let is_idle = matches!(&all[..], [Way { then: Ok(then), places, .. }]
            if then.host == occasion.host && then.out.is_empty() && places.is_empty());
        Ways { all: all.into(), is_idle }
    }

    /// Panics if the machine does.
    fn happen(&self, shared: &Shared<M, H>, occasion: Occasion, script: &mut Script) -> Then<M> {
        let (node, host) = shared.hosts.get(occasion.host).clone();
        let mut acting = Acting { shared, node, now: occasion.now, host, script, out: Vec::new() };
        self.act_on(&mut acting, occasion.local);
        if self.symmetry.is_some() {
            acting.host.sort_held();
        }
        let host = shared.hosts.keep((node, acting.host));
        Then { host, out: acting.out.into() }
    }

    fn act_on(&self, acting: &mut Acting<'_, M, H>, local: Local) {
        let event = match local {
            Local::Start => Event::Start,
            Local::Restart => {
                acting.host.machine = Some((self.boot)(acting.node, &acting.host.storage));
                Event::Start
            }
            Local::Ask(client) => {
                let request = self.requests[client.0 as usize].1.clone();
                Event::Request { client, request }
            }
            Local::Hear(packet) => self.heard(acting.shared.packets.get(packet), &mut acting.host),
            Local::Fire(number) => {
                let timer = *acting.host.timers.keys().nth(number).expect("it is armed");
                acting.host.timers.remove(&timer);
                Event::Timer(timer)
            }
            Local::Sync => {
                let stamp = acting.host.storage.sync();
                acting.host.release().into_iter().for_each(|outgoing| acting.leave(outgoing));
                Event::Durable(stamp)
            }
            Local::Crash => return acting.host.crash(),
        };
        self.turn(acting, event);
    }

    /// What a packet says to the node that it was sent to.
    fn heard(&self, packet: &Packet, host: &mut Host<M>) -> Event<M> {
        let (from, bit) = (packet.from, 1 << packet.from.0);
        match &packet.carried {
            Carried::Message(bytes) => {
                let message = M::Message::decode(bytes.clone());
                let message = message.expect("what a machine encodes can be decoded");
                Event::Message { from: Address { node: from, shard: ShardId(0) }, message }
            }
            Carried::Up => {
                host.peers |= bit;
                let hello = self.hello.as_ref().map_or_else(Bytes::new, |hello| hello(from));
                Event::PeerUp { node: from, shards: 1, hello }
            }
            Carried::Down => {
                host.peers &= !bit;
                Event::PeerDown(from)
            }
        }
    }

    /// One turn, which begins with `first`. Nothing happens on a node that is down.
    fn turn(&self, acting: &mut Acting<'_, M, H>, first: Event<M>) {
        let mut events = VecDeque::from([first]);
        while let Some(event) = events.pop_front() {
            for effect in self.step(acting, event) {
                acting.carry_out(effect, &mut events);
            }
        }
    }

    fn step(&self, acting: &mut Acting<'_, M, H>, event: Event<M>) -> Vec<Effect<M>> {
        let (node, host) = (acting.node, &mut acting.host);
        let now = Now { tick: acting.now, wall_us: WALL_START_US + acting.now.0 };
        let Some(machine) = &mut host.machine else { return Vec::new() };
        let (storage, peers, named) = (&mut host.storage, host.peers, &mut host.named);
        let is_up = |to| self.is_up(peers, node, to);
        let script = &mut *acting.script;
        let mut turn = Turn { is_up: &is_up, storage, node, named, script, effects: Vec::new() };
        machine.step(now, event, &mut turn);
        machine.check();
        turn.effects
    }
}

impl<M: Machine, H> Acting<'_, M, H> {
    fn carry_out(&mut self, effect: Effect<M>, events: &mut VecDeque<Event<M>>) {
        let host = &mut self.host;
        match effect {
            Effect::Leave(after, outgoing) if after > host.storage.durable() => {
                host.held.push((after, outgoing));
            }
            Effect::Leave(_, outgoing) => self.leave(outgoing),
            Effect::Arm(timer, at) => drop(host.timers.insert(timer, at)),
            Effect::Disarm(timer) => drop(host.timers.remove(&timer)),
            Effect::Answer(event) => events.push_back(event),
        }
    }

    fn leave(&mut self, outgoing: Outgoing<M>) {
        self.out.push(match outgoing {
            Outgoing::Message(to, bytes) => {
                let packet = Packet { from: self.node, to, carried: Carried::Message(bytes) };
                Out::Packet(to, self.shared.packets.keep(packet))
            }
            Outgoing::Reply(client, reply) => Out::Reply(client, reply),
        });
    }
}

//! One turn of a machine: an event, and the answers of storage that come within it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Event, Machine, NodeId, Now, Partition, Peek, Refused, Scan,
    ShardId, Stamp, Tick, Ticket, Wire,
};

use super::state::{Carried, ClusterState, Host, Outgoing, Packet};
use super::storage::Storage;
use super::{Cluster, Explorable, History, act};
use crate::WALL_START_US;

/// What `choose` answers in one step, and what the step comes past. Running a step again and again with
/// [`advance`](Script::advance) in between takes it through all its choices, as an odometer goes through numbers.
pub struct Script {
    n_max: u64,
    /// What was drawn, and out of how many.
    draws: Vec<(u64, u64)>,
    next: usize,
    places: Vec<&'static str>,
}

impl Script {
    pub fn new(n_max: u64) -> Script {
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
    pub fn values(&self) -> Vec<u64> {
        self.draws.iter().filter(|(_, n)| *n > 1).map(|(value, _)| *value).collect()
    }

    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        self.places.iter().copied()
    }

    /// Goes on to the next choices; `false` when all were had.
    pub fn advance(&mut self) -> bool {
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

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// One turn, which begins with `first`. Nothing happens on a node that is down.
    pub(super) fn turn(
        &self,
        state: &mut ClusterState<M, H>,
        node: NodeId,
        first: Event<M>,
        script: &mut Script,
    ) {
        let mut events = VecDeque::new();
        let mut next = Some(first);
        while let Some(event) = next {
            let host = Arc::make_mut(&mut state.nodes[node.0 as usize]);
            for effect in self.step(state.now, node, host, event, script) {
                self.carry_out(state, node, effect, &mut events);
            }
            next = events.pop_front();
        }
    }

    /// Whether a message would change nothing, and do nothing.
    pub(super) fn is_idle(&self, state: &ClusterState<M, H>, packet: &Packet) -> bool {
        let Carried::Message(bytes) = &packet.carried else { return false };
        let before = &*state.nodes[packet.to.0 as usize];
        let (mut after, mut script) = (before.clone(), Script::new(self.choices_max));
        let event = act::message(packet.from, bytes.clone());
        let effects = self.step(state.now, packet.to, &mut after, event, &mut script);
        let is_silent = effects.is_empty() && script.draws.is_empty() && script.places.is_empty();
        is_silent && before.machine == after.machine && before.storage == after.storage
    }

    fn step(
        &self,
        now: Tick,
        node: NodeId,
        host: &mut Host<M>,
        event: Event<M>,
        script: &mut Script,
    ) -> Vec<Effect<M>> {
        let now = Now { tick: now, wall_us: WALL_START_US + now.0 };
        let Some(machine) = &mut host.machine else { return Vec::new() };
        let (storage, peers, named) = (&mut host.storage, host.peers, &mut host.named);
        let is_up = |to| self.is_up(peers, node, to);
        let mut turn = Turn { is_up: &is_up, storage, node, named, script, effects: Vec::new() };
        machine.step(now, event, &mut turn);
        machine.check();
        turn.effects
    }

    fn carry_out(
        &self,
        state: &mut ClusterState<M, H>,
        node: NodeId,
        effect: Effect<M>,
        events: &mut VecDeque<Event<M>>,
    ) {
        let host = Arc::make_mut(&mut state.nodes[node.0 as usize]);
        match effect {
            Effect::Leave(after, outgoing) if after > host.storage.durable() => {
                host.held.push((after, outgoing));
            }
            Effect::Leave(_, outgoing) => self.leave(state, node, outgoing),
            Effect::Arm(timer, at) => drop(host.timers.insert(timer, at)),
            Effect::Disarm(timer) => drop(host.timers.remove(&timer)),
            Effect::Answer(event) => events.push_back(event),
        }
    }

    pub(super) fn leave(
        &self,
        state: &mut ClusterState<M, H>,
        from: NodeId,
        outgoing: Outgoing<M>,
    ) {
        match outgoing {
            Outgoing::Message(to, bytes) => self.send(state, from, to, bytes),
            Outgoing::Reply(client, reply) => state.history.replied(client, &reply),
        }
    }
}

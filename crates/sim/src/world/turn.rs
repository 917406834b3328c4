//! One turn of a shard's loop: an event, the step, and what becomes of its effects.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use bytes::Bytes;
use ombak_base::property::Broken;
use ombak_base::{
    Address, ClientId, Device, Effects, Entry, Event, Load, Machine, NodeId, Partition, Peek,
    ReadJob, Refused, Scan, ShardId, Stamp, Tick, Ticket, Wire,
};

use super::diagram::Encoded;
use super::node::{Due, Inside, MessageOf, Outgoing, ReplyOf, TimerOf};
use super::{Heard, Reply, System, World};
use crate::chances::{Chances, What};
use crate::diagram::Sent;
use crate::faults::Faults;
use crate::network::{ConnectionId, Packet};
use crate::trace::Detail;

/// What a step asked for, in order.
pub enum Effect<S: System> {
    Leave(Stamp, Outgoing<S>),
    Arm(TimerOf<S>, Tick),
    Disarm(TimerOf<S>),
    Answer(Event<S::Machine>),
    Job(Ticket, ReadJob),
    /// The n-th send to there at this time was refused.
    Refuse(Address, u64),
}

/// The world as a machine sees it during a step. Storage answers at once, so that loads see the stores
/// before them; everything else waits until the step is over.
struct Turn<'a, S: System> {
    me: Address,
    shards: u16,
    peers: &'a BTreeMap<NodeId, ConnectionId>,
    device: &'a mut S::Device,
    faults: &'a Faults,
    chances: &'a mut Chances,
    probes: &'a mut BTreeMap<&'static str, u64>,
    effects: &'a mut Vec<Effect<S>>,
    /// A message as bytes, while it is made: it grows once for all of them.
    encoded: &'a mut Vec<u8>,
}

impl<S: System> Effects<S::Machine> for Turn<'_, S> {
    fn send(&mut self, to: Address, message: MessageOf<S>, after: Stamp) -> Result<(), Refused> {
        let is_local = to.node == self.me.node;
        let is_up =
            if is_local { to.shard.0 < self.shards } else { self.peers.contains_key(&to.node) };
        if !is_up {
            return Err(Refused::Down);
        }
        if self.chances.happens(What::Refuse(self.me, to), self.faults.full_per_mille) {
            let n = self.chances.last(What::Refuse(self.me, to));
            self.effects.push(Effect::Refuse(to, n));
            return Err(Refused::Full);
        }
        let outgoing = if is_local {
            Outgoing::Local(to, message)
        } else {
            self.encoded.clear();
            message.encode(self.encoded);
            Outgoing::Remote(to, Bytes::copy_from_slice(self.encoded))
        };
        self.effects.push(Effect::Leave(after, outgoing));
        Ok(())
    }

    fn reply(&mut self, to: ClientId, reply: ReplyOf<S>, after: Stamp) {
        self.effects.push(Effect::Leave(after, Outgoing::Reply(to, reply)));
    }

    fn arm(&mut self, timer: TimerOf<S>, at: Tick) {
        self.effects.push(Effect::Arm(timer, at));
    }

    fn disarm(&mut self, timer: TimerOf<S>) {
        self.effects.push(Effect::Disarm(timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.chances.choose(self.me, n)
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.effects.push(match self.device.load(partition, key) {
            Load::Ready(entry) => Effect::Answer(Event::Loaded { ticket, entry }),
            Load::Blocked(job) => Effect::Job(ticket, job),
        });
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.device.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        self.device.store(partition, key, entry.as_ref())
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        let chunk = self.device.scan(&scan);
        self.effects.push(Effect::Answer(Event::Scanned { ticket, chunk }));
    }

    /// Writes take as long as the faults say, whoever waits.
    fn await_durable(&mut self, _: Stamp) {}

    fn probe(&mut self, name: &'static str) {
        *self.probes.entry(name).or_default() += 1;
    }

    fn broken(&mut self, broken: &Broken) {
        *self.probes.entry(broken.name).or_default() += 1;
    }
}

impl<S: System> World<S> {
    /// One turn, which begins with `first`.
    pub(super) fn turn(&mut self, node: NodeId, shard: ShardId, first: Event<S::Machine>) {
        self.trace_event(node, shard, &first);
        self.turn_untraced(node, shard, first);
    }

    /// Steps an event and the answers that come within the same turn, then hands over what was stored.
    /// The caller has `first` in the trace.
    pub(super) fn turn_untraced(&mut self, node: NodeId, shard: ShardId, first: Event<S::Machine>) {
        let mut events = VecDeque::new();
        let mut next = Some(first);
        while let Some(event) = next {
            let mut effects = mem::take(&mut self.effects);
            self.step_machine(node, shard, event, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(node, shard, effect, &mut events);
            }
            self.effects = effects;
            next = events.pop_front();
            next.iter().for_each(|event| self.trace_event(node, shard, event));
        }
        self.end_turn(node, shard);
    }

    pub(super) fn turn_all(&mut self, node: NodeId, event: &Event<S::Machine>) {
        let shards = self.process(node).map(|process| process.shard_ids());
        shards.into_iter().flatten().for_each(|shard| self.turn(node, shard, event.clone()));
    }

    fn step_machine(
        &mut self,
        node: NodeId,
        shard: ShardId,
        event: Event<S::Machine>,
        effects: &mut Vec<Effect<S>>,
    ) {
        let place = &mut self.nodes[node.0 as usize];
        let Some(process) = &mut place.process else { return };
        let now = process.now(self.now, place.skew_us);
        let shards = process.shards.len() as u16;
        let Some(host) = process.shards.get_mut(usize::from(shard.0)) else { return };
        let mut turn = Turn {
            me: Address { node, shard },
            shards,
            peers: &process.peers,
            device: &mut host.device,
            faults: &self.faults,
            chances: &mut self.chances,
            probes: &mut self.probes,
            effects,
            encoded: &mut self.encoded,
        };
        self.steps += 1;
        host.machine.step(now, event, &mut turn);
        self.trace.stepped(Address { node, shard }, &host.machine);
        host.machine.check();
    }

    fn carry_out(
        &mut self,
        node: NodeId,
        shard: ShardId,
        effect: Effect<S>,
        events: &mut VecDeque<Event<S::Machine>>,
    ) {
        match effect {
            Effect::Leave(after, outgoing) => self.leave_after(node, shard, after, outgoing),
            Effect::Arm(timer, at) => self.arm(node, shard, timer, at),
            Effect::Disarm(timer) => self.disarm(node, shard, timer),
            Effect::Answer(event) => {
                let at = Address { node, shard };
                if self.chances.happens(What::LateLoad(at), self.faults.late_load_per_mille) {
                    let (late, span) = (What::LoadDelay(at), self.faults.load_us);
                    self.push_inside(node, late, span, Inside::Event(shard, event));
                } else {
                    events.push_back(event);
                }
            }
            Effect::Refuse(to, n) => self.note_refused(Address { node, shard }, to, n),
            Effect::Job(ticket, job) => {
                let late = What::LoadDelay(Address { node, shard });
                self.push_inside(node, late, self.faults.load_us, Inside::Job(shard, ticket, job));
            }
        }
    }

    fn arm(&mut self, node: NodeId, shard: ShardId, timer: TimerOf<S>, at: Tick) {
        self.disarm(node, shard, timer);
        let late = What::TimerDelay(Address { node, shard });
        let late = self.chances.span(late, self.faults.late_timer_us);
        let Some(process) = self.process(node) else { return };
        let due = process.when(at).max(self.now).saturating_add(late);
        let key = self.push_inside_at(node, due, Inside::Timer(shard, timer));
        if let Some(shard) = self.shard(node, shard) {
            shard.timers.insert(timer, key);
        }
    }

    fn disarm(&mut self, node: NodeId, shard: ShardId, timer: TimerOf<S>) {
        if let Some(key) = self.shard(node, shard).and_then(|shard| shard.timers.remove(&timer)) {
            self.queue.remove(key);
        }
    }

    /// Lets out what need not wait. What waits for a stamp that will never be durable stays for ever.
    fn leave_after(&mut self, node: NodeId, shard: ShardId, after: Stamp, outgoing: Outgoing<S>) {
        let Some(host) = self.shard(node, shard) else { return };
        if after > host.device.durable() {
            host.held.push((after, outgoing));
        } else {
            self.leave(Address { node, shard }, outgoing);
        }
    }

    pub(super) fn leave(&mut self, from: Address, outgoing: Outgoing<S>) {
        match outgoing {
            Outgoing::Local(to, message) => {
                let delay = self.chances.span(What::Delay(from, to), self.faults.local_us);
                let at = self.now + delay;
                let at = self.network.in_line(from, to, at);
                let sent = self.note_sent(from, to, &message);
                let what = Inside::Local { from, shard: to.shard, sent, message };
                self.push_inside_at(to.node, at, what);
            }
            Outgoing::Remote(to, bytes) => self.send_packet(from, to, bytes),
            Outgoing::Reply(client, reply) => {
                let (at, told) = (Some(from.shard), (client, &reply));
                self.trace.record(self.now, from.node, at, "reply", &Detail::digest(&told));
                let heard = Heard::Reply(reply);
                self.replies.push(Reply { client, at: Tick(self.now), heard });
            }
        }
    }

    /// A message that had to wait goes over the connection of now, if there is one.
    fn send_packet(&mut self, from: Address, to: Address, bytes: Bytes) {
        let peers = self.process(from.node).map(|process| &process.peers);
        let Some(connection) = peers.and_then(|peers| peers.get(&to.node).copied()) else {
            self.about(from, to, Sent::default());
            return self.trace_text(from.node, Some(from.shard), "lost", &to);
        };
        let kind = bytes.first().copied().unwrap_or_default();
        let (link, chances) = ((from, to), &mut self.chances);
        let arrivals = self.network.arrivals(link, kind, self.now, &self.faults, chances);
        let sent = self.note_sent(from, to, &Encoded::<MessageOf<S>>::new(&bytes));
        if arrivals[0].is_none() {
            self.about(from, to, sent);
            self.trace_text(from.node, Some(from.shard), "dropped", &to);
        }
        for at in arrivals.into_iter().flatten() {
            let bytes = bytes.clone();
            self.queue.push(at, Due::Packet(Packet { from, to, connection, sent, bytes }));
        }
    }

    fn trace_event(&mut self, node: NodeId, shard: ShardId, event: &Event<S::Machine>) {
        let (now, at) = (self.now, Some(shard));
        let mut text = |kind, text: &dyn std::fmt::Debug| {
            self.trace.record(now, node, at, kind, &Detail::Text(text));
        };
        match event {
            Event::Start => text("start", &()),
            Event::Request { client, request } => {
                let asked = (client, request);
                self.trace.record(now, node, at, "request", &Detail::digest(&asked));
            }
            Event::More(client) => text("more", client),
            Event::Gone(client) => text("gone", client),
            Event::Message { from, message } => text("message", &(from, message)),
            Event::PeerUp { node, shards, hello } => text("up", &(node, shards, hello)),
            Event::PeerDown(node) => text("down", node),
            Event::Timer(timer) => text("timer", timer),
            Event::Loaded { ticket, entry } => {
                let bytes = entry
                    .as_ref()
                    .ok()
                    .and_then(Option::as_ref)
                    .map_or(&[][..], |entry| &entry.bytes);
                self.trace.record(now, node, at, "loaded", &Detail::Bytes(bytes, &(ticket, entry)));
            }
            Event::Scanned { ticket, chunk } => {
                let entries = chunk.as_ref().map(|chunk| chunk.entries.len());
                text("scanned", &(ticket, entries));
            }
            Event::Durable(stamp) => text("durable", stamp),
            Event::Damaged(partition) => text("damaged", partition),
            Event::DeviceFull(full) => text("full", full),
            Event::DeviceFailed => text("failed", &()),
            Event::Broken(partition) => text("broken", partition),
        }
    }
}

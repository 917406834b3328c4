//! A replica as a [`Machine`]: with a disk, and a liveness of its peers, for any host of machines.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, DecodeError, Effects, Entry as Stored, Event, Machine, NodeId, Now,
    Partition, Reader, Scan, ShardId, Stamp, Tick, Ticket, Wire,
};
use serde::{Deserialize, Serialize};

use crate::log::{self, Ask, Host, Message, Outcome, Replica, Slot, StateMachine, Write};
use crate::members::Members;

/// Members tell each other that they live so often.
pub const BEAT_MS: u64 = 100;
/// A member that was silent for so long is suspected.
pub const SUSPECT_MS: u64 = 400;

const SCAN: Ticket = Ticket(0);
const SCAN_ENTRIES_MAX: u32 = 256;
const SCAN_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// How a member is set up.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Who it is.
    pub id: NodeId,
    /// The partition of the device in which it keeps its things. It is for nothing else.
    pub home: Partition,
    /// Of a group that begins, the same on all of them. For one that joins: none.
    pub members: Members,
    /// A snapshot is taken after so many bytes of entries.
    pub snapshot_every: usize,
    /// Whether members listen for each other. Without it they go by what the host says of connections.
    pub beats: bool,
    /// Whether it collects what was applied, for [`Member::take_applied`].
    pub watch: bool,
}

/// Bytes of what was applied that wait to be taken, each answer with what it takes besides. A step that brings more brings too much to
/// be told one by one.
pub const APPLIED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What happened to a member's state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Applied {
    /// A command was applied, whoever asked for it.
    Command {
        /// Where it stands in the log, maybe with others.
        slot: Slot,
        /// What the state machine said.
        answer: Bytes,
    },
    /// The state is that after this slot, and more is not told of what led to it.
    Restored {
        /// After this one.
        slot: Slot,
    },
}

/// One group's replica on one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Member<S> {
    setup: Setup,
    phase: Phase<S>,
    liveness: Liveness,
    /// The first and the last entry that are stored.
    kept: Option<(Slot, Slot)>,
    watched: Watched,
}

/// What was applied and is not taken yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Watched {
    applied: Vec<Applied>,
    bytes: usize,
}

impl Watched {
    fn command(&mut self, slot: Slot, answer: &Bytes) {
        self.bytes = self.bytes.saturating_add(answer.len() + size_of::<Applied>());
        match self.bytes > APPLIED_BYTES_MAX {
            true => self.restored(slot),
            false => self.applied.push(Applied::Command { slot, answer: answer.clone() }),
        }
    }

    /// What was told before says nothing any more about a state that is another one.
    fn restored(&mut self, slot: Slot) {
        self.applied.clear();
        self.applied.push(Applied::Restored { slot });
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Phase<S> {
    /// What is stored is being read.
    Reading(log::Stored, S),
    /// It takes part.
    Running(Box<Replica<S>>),
    /// What is stored can't be read: it takes no part, for it has promised it knows not what.
    Failed(String),
}

/// Who is heard of.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Liveness {
    connected: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Tick>,
    up: BTreeSet<NodeId>,
}

/// What members say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Telling {
    /// I live.
    Beat,
    /// About the log.
    Log(Message),
}

/// A member's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// To say that one lives, and see who does.
    Beat,
    /// The replica's.
    Log(log::Timer),
}

impl Wire for Telling {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Telling::Beat => out.push(0),
            Telling::Log(message) => {
                out.push(1);
                message.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Telling, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            0 => reader.finish().map(|()| Telling::Beat),
            1 => Message::decode(reader.rest()).map(Telling::Log),
            _ => Err(DecodeError::Invalid("kind of telling")),
        }
    }
}

impl<S: StateMachine> Member<S> {
    /// A member that has read nothing yet. `state`: as it is before the first command.
    pub fn new(setup: Setup, state: S) -> Member<S> {
        Member {
            setup,
            phase: Phase::Reading(log::Stored::default(), state),
            liveness: Liveness::default(),
            kept: None,
            watched: Watched::default(),
        }
    }

    /// What was applied since it was called last, in order, if the [`Setup`] says that somebody watches. It is to be called after
    /// every step.
    pub fn take_applied(&mut self) -> Vec<Applied> {
        std::mem::take(&mut self.watched).applied
    }

    /// The replica, once what is stored was read.
    pub fn replica(&self) -> Option<&Replica<S>> {
        match &self.phase {
            Phase::Running(replica) => Some(replica),
            _ => None,
        }
    }

    /// Why it takes no part.
    pub fn failure(&self) -> Option<&str> {
        match &self.phase {
            Phase::Failed(why) => Some(why),
            _ => None,
        }
    }

    /// What was applied and is not taken yet.
    #[cfg(test)]
    pub(crate) fn applied(&self) -> &[Applied] {
        &self.watched.applied
    }

    fn scan(&self, from: Bytes) -> Scan {
        Scan {
            partition: self.setup.home,
            from,
            to: Bytes::new(),
            entries_max: SCAN_ENTRIES_MAX,
            bytes_max: SCAN_BYTES_MAX,
            values: true,
        }
    }

    fn read<E: Effects<Self>>(&mut self, now: Now, chunk: ombak_base::Chunk, fx: &mut E) {
        let Phase::Reading(stored, _) = &mut self.phase else { return };
        for entry in chunk.entries {
            match Write::decode(entry.bytes.unwrap_or_default()) {
                Ok(write) => {
                    if let Write::Entry { slot, .. } = &write {
                        self.kept = with(self.kept, *slot);
                    }
                    stored.found(write);
                }
                Err(error) => {
                    let key = entry.key.escape_ascii();
                    self.phase = Phase::Failed(format!("what is stored under {key}: {error}"));
                    return;
                }
            }
        }
        match chunk.next {
            Some(from) => fx.scan(SCAN, self.scan(from)),
            None => self.begin(now, fx),
        }
    }

    fn begin<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        let done = Phase::Failed(String::new());
        let Phase::Reading(stored, state) = std::mem::replace(&mut self.phase, done) else {
            return;
        };
        let Setup { id, members, snapshot_every, .. } = self.setup.clone();
        let Some(replica) = Replica::new(id, stored, state, members, snapshot_every) else {
            self.phase = Phase::Failed("the snapshot can't be read".to_string());
            return;
        };
        self.phase = Phase::Running(Box::new(replica));
        self.with(fx, |replica, host| replica.start(now.tick, host));
        let up = self.liveness.up.clone();
        up.into_iter().for_each(|node| {
            self.with(fx, |replica, host| replica.peer_up(now.tick, node, host));
        });
    }

    fn with<E: Effects<Self>>(
        &mut self,
        fx: &mut E,
        f: impl FnOnce(&mut Replica<S>, &mut Adaptor<'_, S, E>),
    ) {
        let home = self.setup.home;
        if let Phase::Running(replica) = &mut self.phase {
            let watched = self.setup.watch.then_some(&mut self.watched);
            let kept = &mut self.kept;
            f(replica, &mut Adaptor { fx, kept, home, watched, state: Default::default() });
        }
    }

    fn beat<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        fx.arm(Timer::Beat, now.tick.plus_ms(BEAT_MS));
        let Some(replica) = self.replica() else { return };
        let everybody = replica.status().members.everybody();
        let id = self.setup.id;
        let connected = self.liveness.connected.iter().copied();
        for node in everybody.into_iter().chain(connected).collect::<BTreeSet<_>>() {
            if node != id {
                let _ = fx.send(to(node), Telling::Beat, Stamp::NONE);
            }
        }
        let silent = |node: &&NodeId| {
            let heard = self.liveness.heard.get(node).copied().unwrap_or_default();
            now.tick.since(heard) > SUSPECT_MS * 1_000
        };
        let silent: Vec<NodeId> = self.liveness.up.iter().filter(silent).copied().collect();
        silent.into_iter().for_each(|node| self.lose(now, node, fx));
    }

    fn hear<E: Effects<Self>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        if !self.setup.beats {
            return;
        }
        self.liveness.heard.insert(node, now.tick);
        if self.liveness.up.insert(node) {
            self.with(fx, |replica, host| replica.peer_up(now.tick, node, host));
        }
    }

    fn lose<E: Effects<Self>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        if self.liveness.up.remove(&node) {
            self.with(fx, |replica, host| replica.peer_down(now.tick, node, host));
        }
    }

    fn connection<E: Effects<Self>>(&mut self, now: Now, node: NodeId, is_up: bool, fx: &mut E) {
        if !is_up {
            self.liveness.connected.remove(&node);
            return self.lose(now, node, fx);
        }
        self.liveness.connected.insert(node);
        if self.setup.beats {
            self.liveness.heard.insert(node, now.tick);
        }
        self.liveness.up.insert(node);
        self.with(fx, |replica, host| replica.peer_up(now.tick, node, host));
    }
}

fn to(node: NodeId) -> Address {
    Address { node, shard: ShardId(0) }
}

impl<S: StateMachine> Machine for Member<S> {
    type Message = Telling;
    type Request = Ask;
    type Reply = Outcome;
    type Timer = Timer;

    fn step<E: Effects<Self>>(&mut self, now: Now, event: Event<Self>, fx: &mut E) {
        let tick = now.tick;
        match event {
            Event::Start => {
                if self.setup.beats {
                    fx.arm(Timer::Beat, tick.plus_ms(BEAT_MS));
                }
                fx.scan(SCAN, self.scan(Bytes::new()));
            }
            Event::Scanned { chunk: Ok(chunk), .. } => self.read(now, chunk, fx),
            Event::Scanned { chunk: Err(error), .. } => {
                self.phase = Phase::Failed(error.to_string());
            }
            Event::Request { client, request } => match &mut self.phase {
                Phase::Running(_) => {
                    self.with(fx, |replica, host| replica.request(tick, client, request, host));
                }
                _ => fx.reply(client, Outcome::NoLeader, Stamp::NONE),
            },
            Event::Gone(client) => self.with(fx, |replica, _| replica.gone(client)),
            Event::Message { from, message } => {
                self.hear(now, from.node, fx);
                if let Telling::Log(message) = message {
                    self.with(fx, |replica, host| replica.receive(tick, from.node, message, host));
                }
            }
            Event::PeerUp { node, .. } => self.connection(now, node, true, fx),
            Event::PeerDown(node) => self.connection(now, node, false, fx),
            Event::Timer(Timer::Beat) => self.beat(now, fx),
            Event::Timer(Timer::Log(timer)) => {
                self.with(fx, |replica, host| replica.timer(tick, timer, host));
            }
            Event::Durable(stamp) => {
                self.with(fx, |replica, host| replica.durable(tick, stamp, host));
            }
            Event::DeviceFailed => {
                self.phase = Phase::Failed("the disk failed".to_string());
            }
            _ => {}
        }
    }

    fn check(&self) {
        if let Phase::Running(replica) = &self.phase {
            replica.check();
        }
    }
}

/// Gives a replica what it asks of its host.
struct Adaptor<'a, S, E> {
    fx: &'a mut E,
    kept: &'a mut Option<(Slot, Slot)>,
    home: Partition,
    watched: Option<&'a mut Watched>,
    state: std::marker::PhantomData<S>,
}

impl<S: StateMachine, E: Effects<Member<S>>> Adaptor<'_, S, E> {
    fn forget(&mut self, through: Slot) -> Stamp {
        let mut stamp = Stamp::NONE;
        let Some((first, last)) = *self.kept else { return stamp };
        let mut slot = first;
        while slot <= through.min(last) {
            stamp = self.fx.store(self.home, &key_of(slot), None);
            slot = slot.next();
        }
        *self.kept = (slot <= last).then_some((slot, last));
        stamp
    }
}

/// The first and the last of some slots, and one more.
fn with(kept: Option<(Slot, Slot)>, slot: Slot) -> Option<(Slot, Slot)> {
    let (first, last) = kept.unwrap_or((slot, slot));
    Some((first.min(slot), last.max(slot)))
}

fn key_of(slot: Slot) -> Bytes {
    let mut key = vec![b'e'];
    key.extend_from_slice(&slot.0.to_be_bytes());
    Bytes::from(key)
}

impl<S: StateMachine, E: Effects<Member<S>>> Host for Adaptor<'_, S, E> {
    fn send(&mut self, node: NodeId, message: Message, after: Stamp) {
        let _ = self.fx.send(to(node), Telling::Log(message), after);
    }

    fn store(&mut self, write: Write) -> Stamp {
        let key = match &write {
            Write::Promise(_) => Bytes::from_static(b"p"),
            Write::Snapshot(_) => Bytes::from_static(b"s"),
            Write::Entry { slot, .. } => {
                *self.kept = with(*self.kept, *slot);
                key_of(*slot)
            }
            Write::Forget(through) => return self.forget(*through),
        };
        let mut bytes = Vec::new();
        write.encode(&mut bytes);
        let entry = Stored { tag: 0, bytes: Bytes::from(bytes) };
        let stamp = self.fx.store(self.home, &key, Some(entry));
        self.fx.await_durable(stamp);
        stamp
    }

    fn arm(&mut self, timer: log::Timer, at: Tick) {
        self.fx.arm(Timer::Log(timer), at);
    }

    fn disarm(&mut self, timer: log::Timer) {
        self.fx.disarm(Timer::Log(timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.fx.choose(n)
    }

    fn answer(&mut self, client: ClientId, outcome: Outcome) {
        self.fx.reply(client, outcome, Stamp::NONE);
    }

    fn applied(&mut self, slot: Slot, answer: &Bytes) {
        if let Some(watched) = &mut self.watched {
            watched.command(slot, answer);
        }
    }

    fn restored(&mut self, slot: Slot) {
        if let Some(watched) = &mut self.watched {
            watched.restored(slot);
        }
    }

    fn probe(&mut self, name: &'static str) {
        self.fx.probe(name);
    }
}

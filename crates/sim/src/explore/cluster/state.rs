//! A cluster at one moment.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{ClientId, Entry, Machine, NodeId, Partition, Stamp, Tick};

use super::commute::Scope;
use super::kept::{Id, Kept, Memory};
use super::storage::Storage;
use super::symmetry::Renamed;
use super::turn::{Occasion, Ways};
use super::{Budget, Digest, History, RelativeHash};

/// A cluster at one moment: numbers of what all states share. Most of an exploration's memory is states that wait, so they are small.
pub struct ClusterState<M: Machine, H> {
    pub(super) shared: Arc<Shared<M, H>>,
    /// First the nodes, then the messages on their way: by sender and receiver, then as they were sent, or by content if
    /// they overtake each other.
    pub(super) parts: Vec<Id>,
    pub(super) past: Id,
    pub(super) history: Id,
    /// Of the step that led here. No part of what the state is.
    pub(super) last: Scope,
}

/// What is neither of a node nor of a message: how late it is, who has asked, and what has gone wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Past {
    pub now: Tick,
    /// Bit i: client i has asked.
    pub asked: u64,
    pub spent: Budget,
}

/// What all states of one exploration have in common.
pub struct Shared<M: Machine, H> {
    /// How many nodes there are.
    pub nodes: u32,
    pub hosts: Kept<(NodeId, Host<M>)>,
    pub packets: Kept<Packet>,
    pub pasts: Kept<Past>,
    pub histories: Kept<H>,
    pub ways: Memory<Occasion, Ways<M>>,
    pub renamed: Renamed,
    /// What nodes are known by when only the distance to other moments counts.
    relative: Memory<(Id, Tick), u128>,
}

impl<M: Machine, H: Hash> Shared<M, H> {
    pub fn new(nodes: u32) -> Shared<M, H> {
        Shared {
            nodes,
            hosts: Kept::new(),
            packets: Kept::new(),
            pasts: Kept::new(),
            histories: Kept::new(),
            ways: Memory::new(),
            renamed: Renamed::new(),
            relative: Memory::new(),
        }
    }

    pub fn bytes(&self) -> usize {
        let of_states = self.packets.bytes() + self.pasts.bytes() + self.histories.bytes();
        self.hosts.bytes() + of_states + self.ways.bytes()
    }
}

/// A message on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Packet {
    pub from: NodeId,
    pub to: NodeId,
    pub carried: Carried,
}

/// What travels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Carried {
    Message(Bytes),
    /// The receiver hears that there is a connection.
    Up,
    /// The receiver hears that there is none any more.
    Down,
}

/// A node: a machine while it runs, and storage always.
#[derive(Clone, Hash)]
pub struct Host<M: Machine> {
    pub machine: Option<M>,
    pub storage: Storage,
    /// What waits for a stamp, in order.
    pub held: Vec<(Stamp, Outgoing<M>)>,
    pub timers: BTreeMap<M::Timer, Tick>,
    /// Bit i: it knows of a connection to node i.
    pub peers: u64,
    /// How often it chose from more than is explored.
    pub named: u64,
}

/// What leaves a node.
#[derive(Clone)]
pub enum Outgoing<M: Machine> {
    Message(NodeId, Bytes),
    Reply(ClientId, M::Reply),
}

/// A reply can be shown and need not be hashable.
impl<M: Machine> Hash for Outgoing<M> {
    fn hash<S: Hasher>(&self, hasher: &mut S) {
        match self {
            Outgoing::Message(to, bytes) => (to, bytes).hash(hasher),
            Outgoing::Reply(client, reply) => (client, format!("{reply:?}")).hash(hasher),
        }
    }
}

impl<M: Machine> Host<M> {
    pub fn new() -> Host<M> {
        Host {
            machine: None,
            storage: Storage::default(),
            held: Vec::new(),
            timers: BTreeMap::new(),
            peers: 0,
            named: 0,
        }
    }

    /// Takes out what need not wait any longer.
    pub fn release(&mut self) -> Vec<Outgoing<M>> {
        let durable = self.storage.durable();
        let held = std::mem::take(&mut self.held);
        let (due, held) = held.into_iter().partition(|(after, _)| *after <= durable);
        self.held = held;
        let due: Vec<(Stamp, Outgoing<M>)> = due;
        due.into_iter().map(|(_, outgoing)| outgoing).collect()
    }

    /// Puts what waits into an order in which the names of nodes play no part: replies, then messages, each in the order
    /// in which they were sent on their link.
    pub fn sort_held(&mut self) {
        self.held.sort_by_key(|(_, outgoing)| match outgoing {
            Outgoing::Message(to, _) => Some(*to),
            Outgoing::Reply(..) => None,
        });
    }

    pub fn crash(&mut self) {
        self.machine = None;
        self.storage.crash();
        self.held.clear();
        self.timers.clear();
        self.peers = 0;
    }

    /// With moments counted from `now`; those that have passed are all alike.
    fn hash_relative(&self, machine: RelativeHash<M>, now: Tick, digest: &mut Digest) {
        self.machine.is_some().hash(digest);
        self.machine.iter().for_each(|each| machine(each, now, digest));
        (&self.storage, &self.held, self.peers, self.named, self.timers.len()).hash(digest);
        self.timers.iter().for_each(|(timer, due)| (timer, due.since(now)).hash(digest));
    }
}

impl<M: Machine, H: History<M>> ClusterState<M, H> {
    /// The machine of a node, while it runs.
    pub fn machine(&self, node: NodeId) -> Option<&M> {
        self.host(node).machine.as_ref()
    }

    /// All machines that run.
    pub fn machines(&self) -> impl Iterator<Item = (NodeId, &M)> {
        let nodes = (0..self.shared.nodes).map(NodeId);
        nodes.filter_map(|node| self.machine(node).map(|machine| (node, machine)))
    }

    /// What a node has under a key; what it has not synced counts too.
    pub fn stored(&self, node: NodeId, partition: Partition, key: &Bytes) -> Option<Entry> {
        self.host(node).storage.load(partition, key)
    }

    /// The time.
    pub fn now(&self) -> Tick {
        self.past().now
    }

    /// Messages that are on their way.
    pub fn in_flight(&self) -> usize {
        self.network().len()
    }

    /// What clients saw.
    pub fn history(&self) -> &H {
        self.shared.histories.get(self.history)
    }

    #[inline]
    pub(super) fn past(&self) -> &Past {
        self.shared.pasts.get(self.past)
    }

    pub(super) fn change_past(&mut self, change: impl FnOnce(&mut Past)) {
        let mut past = *self.past();
        change(&mut past);
        self.past = self.shared.pasts.keep(past);
    }

    #[inline]
    pub(super) fn host(&self, node: NodeId) -> &Host<M> {
        &self.shared.hosts.get(self.parts[node.0 as usize]).1
    }

    pub(super) fn network(&self) -> &[Id] {
        &self.parts[self.shared.nodes as usize..]
    }

    pub(super) fn packet(&self, at: usize) -> &Packet {
        self.shared.packets.get(self.network()[at])
    }

    pub(super) fn packets(&self) -> impl DoubleEndedIterator<Item = &Packet> {
        self.network().iter().map(|id| self.shared.packets.get(*id))
    }

    /// What is on its way between two nodes, in order.
    pub(super) fn link(
        &self,
        from: NodeId,
        to: NodeId,
    ) -> impl DoubleEndedIterator<Item = &Carried> {
        let packets = self.packets().filter(move |each| (each.from, each.to) == (from, to));
        packets.map(|packet| &packet.carried)
    }

    /// The same, with room for so many more messages.
    pub(super) fn clone_for(&self, more: usize) -> Self {
        let mut parts = Vec::with_capacity(self.parts.len() + more);
        parts.extend_from_slice(&self.parts);
        ClusterState { shared: Arc::clone(&self.shared), parts, ..*self }
    }

    /// What it is known by. With `relative` it does not matter what time it is.
    pub(super) fn print(&self, relative: Option<RelativeHash<M>>) -> u128 {
        let mut digest = Digest::new();
        let (nodes, packets) = self.parts.split_at(self.shared.nodes as usize);
        match relative {
            None => {
                digest.take(self.shared.pasts.print(self.past));
                nodes.iter().for_each(|id| digest.take(self.shared.hosts.print(*id)));
            }
            Some(machine) => {
                (self.past().asked, self.past().spent).hash(&mut digest);
                nodes.iter().for_each(|id| digest.take(self.relative_print(*id, machine)));
            }
        }
        packets.iter().for_each(|id| digest.take(self.shared.packets.print(*id)));
        digest.take(self.shared.histories.print(self.history));
        packets.len().hash(&mut digest);
        digest.value()
    }

    fn relative_print(&self, id: Id, machine: RelativeHash<M>) -> u128 {
        let now = self.now();
        *self.shared.relative.recall(id, (id, now), || {
            let mut digest = Digest::new();
            self.shared.hosts.get(id).1.hash_relative(machine, now, &mut digest);
            digest.value()
        })
    }
}

impl<M: Machine, H: History<M>> Clone for ClusterState<M, H> {
    fn clone(&self) -> Self {
        self.clone_for(0)
    }
}

impl<M: Machine, H: History<M>> Hash for ClusterState<M, H> {
    fn hash<S: Hasher>(&self, hasher: &mut S) {
        self.print(None).hash(hasher);
    }
}

impl<M: Machine, H: History<M>> Debug for ClusterState<M, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "at {:?}, {} messages on their way", self.now(), self.in_flight())?;
        for node in (0..self.shared.nodes).map(NodeId) {
            match self.machine(node) {
                Some(machine) => writeln!(f, "{node}: {machine:?}")?,
                None => writeln!(f, "{node}: down")?,
            }
        }
        write!(f, "history: {:?}", self.history())
    }
}

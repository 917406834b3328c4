//! A cluster at one moment.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{ClientId, Entry, Machine, NodeId, Partition, Stamp, Tick};

use super::storage::Storage;
use super::{Budget, Digest};

/// A cluster at one moment. Two states share what they have in common.
#[derive(Clone, Hash)]
pub struct ClusterState<M: Machine, H> {
    pub(super) now: Tick,
    pub(super) nodes: Vec<Arc<Host<M>>>,
    /// By sender and receiver; then as they were sent, or by content if messages overtake each other.
    pub(super) network: Vec<Arc<Packet>>,
    /// Bit i: client i has asked.
    pub(super) asked: u64,
    pub(super) spent: Budget,
    /// What clients saw.
    pub history: H,
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

    pub fn crash(&mut self) {
        self.machine = None;
        self.storage.crash();
        self.held.clear();
        self.timers.clear();
        self.peers = 0;
    }

    /// With moments counted from `now`; those that have passed are all alike.
    fn hash_relative(&self, machine: fn(&M, Tick, &mut Digest), now: Tick, digest: &mut Digest) {
        self.machine.is_some().hash(digest);
        self.machine.iter().for_each(|each| machine(each, now, digest));
        (&self.storage, &self.held, self.peers, self.named, self.timers.len()).hash(digest);
        self.timers.iter().for_each(|(timer, due)| (timer, due.since(now)).hash(digest));
    }
}

impl<M: Machine, H: Hash> ClusterState<M, H> {
    /// The machine of a node, while it runs.
    pub fn machine(&self, node: NodeId) -> Option<&M> {
        self.nodes[node.0 as usize].machine.as_ref()
    }

    /// All machines that run.
    pub fn machines(&self) -> impl Iterator<Item = (NodeId, &M)> {
        let nodes = (0..).map(NodeId).zip(&self.nodes);
        nodes.filter_map(|(node, host)| host.machine.as_ref().map(|machine| (node, machine)))
    }

    /// What a node has under a key; what it has not synced counts too.
    pub fn stored(&self, node: NodeId, partition: Partition, key: &Bytes) -> Option<Entry> {
        self.nodes[node.0 as usize].storage.load(partition, key)
    }

    /// The time.
    pub fn now(&self) -> Tick {
        self.now
    }

    /// Messages that are on their way.
    pub fn in_flight(&self) -> usize {
        self.network.len()
    }

    /// What is on its way between two nodes, in order.
    pub(super) fn link(
        &self,
        from: NodeId,
        to: NodeId,
    ) -> impl DoubleEndedIterator<Item = &Carried> {
        let packets = self.network.iter().filter(move |each| (each.from, each.to) == (from, to));
        packets.map(|packet| &packet.carried)
    }

    pub(super) fn hash_relative(&self, machine: fn(&M, Tick, &mut Digest), digest: &mut Digest) {
        for host in &self.nodes {
            host.hash_relative(machine, self.now, digest);
        }
        (&self.network, self.asked, &self.spent, &self.history).hash(digest);
    }
}

impl<M: Machine, H: Debug> Debug for ClusterState<M, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "at {:?}, {} messages on their way", self.now, self.network.len())?;
        for (node, host) in (0..).map(NodeId).zip(&self.nodes) {
            match &host.machine {
                Some(machine) => writeln!(f, "{node}: {machine:?}")?,
                None => writeln!(f, "{node}: down")?,
            }
        }
        write!(f, "history: {:?}", self.history)
    }
}

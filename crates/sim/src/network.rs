//! What lies between nodes: connections, partitions, and when a message arrives.
//!
//! A message sent over a connection arrives in the order of its (sending shard, receiving shard), or not
//! at all once the connection is gone. That is what TCP with a connection per shard gives; nothing is
//! promised across shards.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{Address, NodeId};

use crate::chances::{Chances, What};
use crate::diagram::Sent;
use crate::faults::Faults;

/// Numbers connections; each attempt that succeeds has a new one.
pub type ConnectionId = u64;

/// A message on its way between two nodes.
pub struct Packet {
    pub from: Address,
    pub to: Address,
    pub connection: ConnectionId,
    pub sent: Sent,
    pub bytes: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// A side has died. What it sent before may still arrive, until the other side notices.
    Ended,
    /// Reset: what is in flight is lost.
    Cut,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    id: ConnectionId,
    state: State,
}

/// All connections of a world, as the wires know them; each node has a view of its own beside it.
#[derive(Default)]
pub struct Network {
    connections: BTreeMap<(NodeId, NodeId), Connection>,
    connecting: BTreeSet<(NodeId, NodeId)>,
    last_id: ConnectionId,
    /// Directions in which nothing passes.
    blocked: BTreeSet<(NodeId, NodeId)>,
    /// Directions in which everything takes longer, and by how much.
    slow: BTreeMap<(NodeId, NodeId), u64>,
    /// No packet to the second node arrives before it has heard of the connection.
    ready_at: BTreeMap<(NodeId, NodeId), u64>,
    /// When the last packet that keeps its place in the line arrives.
    lines: BTreeMap<(Address, Address), u64>,
    stalled: Vec<Packet>,
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

impl Network {
    pub fn block(&mut self, from: NodeId, to: NodeId) {
        self.blocked.insert((from, to));
    }

    pub fn slow(&mut self, from: NodeId, to: NodeId, us: u64) {
        self.slow.insert((from, to), us);
    }

    pub fn is_blocked(&self, from: NodeId, to: NodeId) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// Directions in which nothing passes.
    pub fn blocked(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.blocked.iter().copied()
    }

    /// Everything passes again; gives what has waited, in the order in which it came.
    pub fn heal(&mut self) -> Vec<Packet> {
        self.blocked.clear();
        self.slow.clear();
        std::mem::take(&mut self.stalled)
    }

    /// Holds a packet until the partition ends.
    pub fn stall(&mut self, packet: Packet) {
        self.stalled.push(packet);
    }

    /// `true` the first time, until `connect` or `give_up`.
    pub fn begin_connecting(&mut self, a: NodeId, b: NodeId) -> bool {
        self.connecting.insert(pair(a, b))
    }

    pub fn end_connecting(&mut self, a: NodeId, b: NodeId) {
        self.connecting.remove(&pair(a, b));
    }

    /// A new connection, of which each side hears at its time.
    pub fn connect(&mut self, a: (NodeId, u64), b: (NodeId, u64)) -> ConnectionId {
        self.last_id += 1;
        let connection = Connection { id: self.last_id, state: State::Open };
        self.connections.insert(pair(a.0, b.0), connection);
        self.ready_at.insert((a.0, b.0), b.1);
        self.ready_at.insert((b.0, a.0), a.1);
        self.last_id
    }

    fn state(&self, a: NodeId, b: NodeId, id: ConnectionId) -> Option<State> {
        let connection = self.connections.get(&pair(a, b))?;
        (connection.id == id).then_some(connection.state)
    }

    pub fn is_open(&self, a: NodeId, b: NodeId) -> bool {
        self.connections.get(&pair(a, b)).is_some_and(|each| each.state == State::Open)
    }

    /// Whether this very connection is alive.
    pub fn is_current(&self, a: NodeId, b: NodeId, id: ConnectionId) -> bool {
        self.state(a, b, id) == Some(State::Open)
    }

    /// Whether a packet of this connection can still arrive.
    pub fn carries(&self, packet: &Packet) -> bool {
        let state = self.state(packet.from.node, packet.to.node, packet.connection);
        matches!(state, Some(State::Open | State::Ended))
    }

    /// A process has died, and its connections with it.
    pub fn end_all(&mut self, node: NodeId) {
        for ((a, b), connection) in &mut self.connections {
            if (*a == node || *b == node) && connection.state == State::Open {
                connection.state = State::Ended;
            }
        }
    }

    /// Loses the connection and what is in flight on it.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        if let Some(connection) = self.connections.get_mut(&pair(a, b)) {
            connection.state = State::Cut;
        }
    }

    /// When a message that leaves now arrives: never, once, or twice. `kind` is the first byte of its encoding.
    pub fn arrivals(
        &mut self,
        (from, to): (Address, Address),
        kind: u8,
        now: u64,
        faults: &Faults,
        chances: &mut Chances,
    ) -> [Option<u64>; 2] {
        let dropped = chances.happens(What::Drop(from, to), faults.drop_per_mille);
        let repeated = chances.happens(What::Repeat(from, to), faults.duplicate_per_mille);
        let astray = chances.happens(What::Astray(from, to), faults.reorder_per_mille);
        let ready_at = self.ready_at.get(&(from.node, to.node)).copied().unwrap_or(0);
        let delay = chances.delay(What::Delay(from, to), faults.delay_us, faults.order, kind);
        let slow = self.slow.get(&(from.node, to.node)).copied().unwrap_or(0);
        let direct = (now + delay + slow).max(ready_at);
        let first = if astray {
            direct + chances.span(What::AstrayDelay(from, to), faults.astray_us)
        } else {
            self.in_line(from, to, direct)
        };
        let second =
            repeated.then(|| direct + chances.span(What::RepeatDelay(from, to), faults.astray_us));
        [(!dropped).then_some(first), second]
    }

    /// Not before the one sent before it.
    pub fn in_line(&mut self, from: Address, to: Address, at: u64) -> u64 {
        let last = self.lines.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }
}

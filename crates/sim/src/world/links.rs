//! Who is connected to whom, and what each side knows of it.

use bytes::Bytes;
use ombak_base::{Event, NodeId, Wire};

use super::node::{Due, Inside, MessageOf};
use super::{System, World};
use crate::chances::What;
use crate::network::{ConnectionId, Packet};
use crate::trace::Detail;

impl<S: System> World<S> {
    /// After any change: dead connections are going to be noticed, and missing ones made.
    pub(super) fn reconcile(&mut self) {
        for node in self.node_ids() {
            for (peer, connection) in self.stale_peers(node) {
                let what = Inside::PeerDown { peer, connection };
                let hears = What::Hear(node, peer);
                self.push_inside(node, hears, self.faults.delay_us, what);
            }
        }
        for a in self.node_ids() {
            for b in self.node_ids().filter(|b| *b > a) {
                if self.can_connect(a, b) && self.network.begin_connecting(a, b) {
                    let delay = self.chances.span(What::Connect(a, b), self.faults.connect_us);
                    let at = self.now + delay;
                    self.queue.push(at, Due::Connect(a, b));
                }
            }
        }
    }

    /// Behind a partition nobody hears of a death.
    fn stale_peers(&self, node: NodeId) -> Vec<(NodeId, ConnectionId)> {
        let process = self.nodes[node.0 as usize].process.as_ref();
        let peers = process.into_iter().flat_map(|process| process.peers.iter());
        let peers = peers.map(|(peer, connection)| (*peer, *connection));
        let stale = peers.filter(|(peer, connection)| {
            !self.network.is_current(node, *peer, *connection)
                && !self.network.is_blocked(*peer, node)
        });
        stale.collect()
    }

    fn can_connect(&self, a: NodeId, b: NodeId) -> bool {
        let running = [a, b].iter().all(|node| self.nodes[node.0 as usize].is_running());
        let blocked = self.network.is_blocked(a, b) || self.network.is_blocked(b, a);
        running && !blocked && !self.network.is_open(a, b)
    }

    pub(super) fn connect(&mut self, a: NodeId, b: NodeId) {
        self.network.end_connecting(a, b);
        if !self.can_connect(a, b) {
            return;
        }
        let (Some(from_a), Some(from_b)) = (self.introduce(a, b), self.introduce(b, a)) else {
            return;
        };
        if !self.system.admit(a, b, &from_b.1) || !self.system.admit(b, a, &from_a.1) {
            return self.trace_text(a, None, "refused", &b);
        }
        let at_a = self.now + self.chances.span(What::Hear(a, b), self.faults.delay_us);
        let at_b = self.now + self.chances.span(What::Hear(b, a), self.faults.delay_us);
        let connection = self.network.connect((a, at_a), (b, at_b));
        for (node, at, peer, (shards, hello)) in [(a, at_a, b, from_b), (b, at_b, a, from_a)] {
            self.push_inside_at(node, at, Inside::PeerUp { peer, connection, shards, hello });
        }
    }

    /// What `node` says of itself to `to`: the number of its shards, and its hello.
    fn introduce(&self, node: NodeId, to: NodeId) -> Option<(u16, Bytes)> {
        let shards = &self.nodes[node.0 as usize].process.as_ref()?.shards;
        let hello = self.system.hello(node, to, &shards.first()?.machine);
        Some((shards.len() as u16, hello))
    }

    pub(super) fn peer_up(
        &mut self,
        node: NodeId,
        peer: NodeId,
        connection: ConnectionId,
        event: &Event<S::Machine>,
    ) {
        if !self.network.is_current(node, peer, connection) {
            return;
        }
        let old = self.process(node).and_then(|process| process.peers.get(&peer).copied());
        if let Some(old) = old {
            self.peer_down(node, peer, old);
        }
        if let Some(process) = self.process(node) {
            process.peers.insert(peer, connection);
        }
        self.turn_all(node, event);
    }

    pub(super) fn peer_down(&mut self, node: NodeId, peer: NodeId, connection: ConnectionId) {
        let Some(process) = self.process(node) else { return };
        if process.peers.get(&peer) == Some(&connection) {
            process.peers.remove(&peer);
            self.turn_all(node, &Event::PeerDown(peer));
        }
    }

    /// A message arrives at a node that is not paused.
    pub(super) fn arrive(&mut self, packet: Packet) {
        let (from, to) = (packet.from, packet.to);
        self.about(from, to, packet.sent);
        if self.network.is_blocked(from.node, to.node) {
            return self.meet_partition(packet);
        }
        let carries = self.network.carries(&packet);
        let process = self.process(to.node);
        let knows = process.and_then(|process| process.peers.get(&from.node).copied());
        if !carries || knows != Some(packet.connection) || self.shard(to.node, to.shard).is_none() {
            return self.trace_text(to.node, Some(to.shard), "lost", &from);
        }
        match MessageOf::<S>::decode(packet.bytes.clone()) {
            Ok(message) => {
                let detail = Detail::Bytes(&packet.bytes, &(from, &message));
                self.trace.record(self.now, to.node, Some(to.shard), "message", &detail);
                self.turn_untraced(to.node, to.shard, Event::Message { from, message });
            }
            Err(error) => {
                panic!("{from:?} sent {to:?} what cannot be decoded: {error}; {:?}", packet.bytes)
            }
        }
    }

    fn meet_partition(&mut self, packet: Packet) {
        if self.faults.partition_drops {
            self.trace_text(packet.to.node, Some(packet.to.shard), "dropped", &packet.from);
        } else {
            self.trace_text(packet.to.node, Some(packet.to.shard), "stalled", &packet.from);
            self.network.stall(packet);
        }
    }
}

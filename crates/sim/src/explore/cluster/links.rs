//! What lies between nodes: messages, and the news of connections, in the order in which they were sent.
//!
//! A connection ends at once for the side that dies or cuts it, and for the other when it hears of it, which is a step
//! like the arrival of a message. What it sends in between goes into a connection that is no more.

use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{Event, NodeId};

use super::state::{Carried, ClusterState, Packet};
use super::turn::Script;
use super::{Cluster, Explorable, History, act};

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// All nodes hear of each other, as the last part of the start.
    pub(super) fn connect_all(&self, state: &mut ClusterState<M, H>, script: &mut Script) {
        for (to, from) in self.pairs().filter(|_| self.hello.is_some()) {
            let up = Packet { from, to, carried: Carried::Up };
            self.arrive(state, &up, script);
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (NodeId, NodeId)> + use<M, H> {
        let nodes = self.nodes;
        let others =
            move |a| (0..nodes).filter(move |b| *b != a).map(move |b| (NodeId(a), NodeId(b)));
        (0..nodes).flat_map(others)
    }

    /// Whether a node would take a message for another: with connections, if it has one that it knows of.
    pub(super) fn is_up(&self, peers: u64, from: NodeId, to: NodeId) -> bool {
        to.0 < self.nodes && (self.hello.is_none() || from == to || peers & 1 << to.0 != 0)
    }

    pub(super) fn send(
        &self,
        state: &mut ClusterState<M, H>,
        from: NodeId,
        to: NodeId,
        bytes: Bytes,
    ) {
        let has_not_ended = !state.link(to, from).any(|carried| *carried == Carried::Down);
        if state.machine(to).is_some() && has_not_ended {
            self.put(state, Packet { from, to, carried: Carried::Message(bytes) });
        }
    }

    fn put(&self, state: &mut ClusterState<M, H>, packet: Packet) {
        let link = (packet.from, packet.to);
        let at = if self.is_ordered {
            state.network.partition_point(|each| (each.from, each.to) <= link)
        } else {
            state.network.partition_point(|each| **each < packet)
        };
        state.network.insert(at, Arc::new(packet));
    }

    /// What a packet says to the node that it was sent to.
    pub(super) fn arrive(
        &self,
        state: &mut ClusterState<M, H>,
        packet: &Packet,
        script: &mut Script,
    ) {
        let (from, bit) = (packet.from, 1 << packet.from.0);
        let event = match &packet.carried {
            Carried::Message(bytes) => act::message(from, bytes.clone()),
            Carried::Up => {
                let hello = self.hello.as_ref().map_or_else(Bytes::new, |hello| hello(from));
                act::host(state, packet.to).peers |= bit;
                Event::PeerUp { node: from, shards: 1, hello }
            }
            Carried::Down => {
                act::host(state, packet.to).peers &= !bit;
                Event::PeerDown(from)
            }
        };
        self.turn(state, packet.to, event, script);
    }

    /// A node has died. What was on its way to it is lost; the others will hear of it.
    pub(super) fn end_all(&self, state: &mut ClusterState<M, H>, node: NodeId) {
        state.network.retain(|packet| packet.to != node);
        for other in self.others(state, node) {
            self.end(state, node, other);
        }
    }

    /// A node runs again, and all that run connect.
    pub(super) fn begin_all(&self, state: &mut ClusterState<M, H>, node: NodeId) {
        for other in self.others(state, node) {
            self.put(state, Packet { from: node, to: other, carried: Carried::Up });
            self.put(state, Packet { from: other, to: node, carried: Carried::Up });
        }
    }

    /// A connection breaks, what is on its way is lost, and another takes its place.
    pub(super) fn reset(&self, state: &mut ClusterState<M, H>, a: NodeId, b: NodeId) {
        for (from, to) in [(a, b), (b, a)] {
            let is_message = |packet: &Packet| matches!(packet.carried, Carried::Message(_));
            state.network.retain(|each| (each.from, each.to) != (from, to) || !is_message(each));
            self.end(state, from, to);
            self.put(state, Packet { from, to, carried: Carried::Up });
        }
    }

    /// `to` will hear that its connection to `from` is gone, if it knows of one or is about to.
    fn end(&self, state: &mut ClusterState<M, H>, from: NodeId, to: NodeId) {
        let last = state.link(from, to).rev().find(|each| !matches!(each, Carried::Message(_)));
        let knows = state.nodes[to.0 as usize].peers & 1 << from.0 != 0;
        if last.map_or(knows, |last| *last == Carried::Up) {
            self.put(state, Packet { from, to, carried: Carried::Down });
        }
    }

    /// Those that run, if connections are to be heard of.
    fn others(&self, state: &ClusterState<M, H>, node: NodeId) -> Vec<NodeId> {
        let others = (0..self.nodes).map(NodeId).filter(|other| *other != node);
        let running = others.filter(|other| state.machine(*other).is_some());
        running.filter(|_| self.hello.is_some()).collect()
    }

    /// Pairs of running nodes, for what may break.
    pub(super) fn running_pairs(&self, state: &ClusterState<M, H>) -> Vec<(NodeId, NodeId)> {
        let runs = |node: NodeId| state.machine(node).is_some();
        self.pairs().filter(|(a, b)| a < b && runs(*a) && runs(*b)).collect()
    }
}

//! What lies between nodes: messages, and the news of connections, in the order in which they were sent.
//!
//! A connection ends at once for the side that dies or cuts it, and for the other when it hears of it, which is a step
//! like the arrival of a message. What it sends in between goes into a connection that is no more.

use ombak_base::NodeId;

use super::kept::Id;
use super::state::{Carried, ClusterState, Packet};
use super::{Cluster, Explorable, History};

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    pub(super) fn pairs(&self) -> impl Iterator<Item = (NodeId, NodeId)> + use<M, H> {
        let nodes = self.nodes;
        let others =
            move |a| (0..nodes).filter(move |b| *b != a).map(move |b| (NodeId(a), NodeId(b)));
        (0..nodes).flat_map(others)
    }

    /// Whether a node would take a message for another: with connections, if it has one that it knows of.
    pub(super) fn is_up(&self, peers: u64, from: NodeId, to: NodeId) -> bool {
        to.0 < self.nodes && (self.hello.is_none() || from == to || peers & 1 << to.0 != 0)
    }

    /// A message that a node has sent sets out, unless it goes into a connection that is no more.
    pub(super) fn send(&self, state: &mut ClusterState<M, H>, from: NodeId, to: NodeId, id: Id) {
        let has_ended = || state.link(to, from).any(|carried| *carried == Carried::Down);
        if state.machine(to).is_some() && (self.hello.is_none() || !has_ended()) {
            self.put_id(state, id);
        }
    }

    fn put(&self, state: &mut ClusterState<M, H>, packet: Packet) {
        let id = state.shared.packets.keep(packet);
        self.put_id(state, id);
    }

    fn put_id(&self, state: &mut ClusterState<M, H>, id: Id) {
        let packets = &state.shared.packets;
        let packet = packets.get(id);
        let link = (packet.from, packet.to);
        let is_before = |each: &Id| {
            let each = packets.get(*each);
            if self.is_ordered { (each.from, each.to) <= link } else { each < packet }
        };
        let at = state.network().partition_point(is_before);
        state.parts.insert(self.nodes as usize + at, id);
    }

    /// Takes away packets that are on their way.
    fn lose(&self, state: &mut ClusterState<M, H>, is_lost: impl Fn(&Packet) -> bool) {
        let (shared, nodes) = (&state.shared, self.nodes as usize);
        let mut at = 0;
        state.parts.retain(|id| {
            at += 1;
            at <= nodes || !is_lost(shared.packets.get(*id))
        });
    }

    /// A node has died. What was on its way to it is lost; the others will hear of it.
    pub(super) fn end_all(&self, state: &mut ClusterState<M, H>, node: NodeId) {
        self.lose(state, |packet| packet.to == node);
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
            self.lose(state, |each| (each.from, each.to) == (from, to) && is_message(each));
            self.end(state, from, to);
            self.put(state, Packet { from, to, carried: Carried::Up });
        }
    }

    /// `to` will hear that its connection to `from` is gone, if it knows of one or is about to.
    fn end(&self, state: &mut ClusterState<M, H>, from: NodeId, to: NodeId) {
        let last = state.link(from, to).rev().find(|each| !matches!(each, Carried::Message(_)));
        let knows = state.host(to).peers & 1 << from.0 != 0;
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

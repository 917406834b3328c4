//! Nodes that are alike: states that differ by their names only count as one.
//!
//! That is sound if a cluster whose nodes have changed names does the same, under the changed names. It is not believed
//! but checked: whatever a node does in an exploration, it has to do under all other names too.

use ombak_base::{Machine, NodeId, Wire};

use super::kept::{Id, Memory};
use super::state::{Carried, ClusterState, Host, Outgoing, Packet, Shared};
use super::turn::{Local, Occasion, Out, Then, Way, Ways};
use super::{Cluster, Explorable, History};

/// So many nodes can be alike: they have 120 ways to be named.
const ALIKE_MAX: usize = 5;

/// Other names for nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names(Vec<NodeId>);

impl Names {
    /// The other name of a node.
    pub fn of(&self, node: NodeId) -> NodeId {
        self.0[node.0 as usize]
    }

    /// Their inverse.
    fn back(&self) -> Names {
        let mut back = self.0.clone();
        for (node, name) in (0..).map(NodeId).zip(&self.0) {
            back[name.0 as usize] = node;
        }
        Names(back)
    }

    /// All ways to give these nodes each other's names, the usual one first.
    fn all(nodes: u32, alike: &[NodeId]) -> Vec<Names> {
        let mut all = vec![Names((0..nodes).map(NodeId).collect())];
        // Each node in turn changes places with those before it.
        for (at, node) in alike.iter().enumerate() {
            let shorter = all.clone();
            for other in &alike[..at] {
                all.extend(shorter.iter().map(|names| {
                    let mut names = names.clone();
                    names.0.swap(node.0 as usize, other.0 as usize);
                    names
                }));
            }
        }
        all
    }
}

/// How to say the same under other names for nodes: every id of a node, wherever it stands, becomes [`Names::of`] it.
///
/// Timers, requests, replies and what is stored must not name nodes that are alike; nor may properties tell them apart.
pub struct Renaming<M: Machine> {
    /// A machine.
    pub machine: fn(&M, &Names) -> M,
    /// A message.
    pub message: fn(&M::Message, &Names) -> M::Message,
}

pub struct Symmetry<M: Machine> {
    alike: Vec<NodeId>,
    /// The usual names first.
    names: Vec<Names>,
    renaming: Renaming<M>,
}

/// What kept values are under other names.
pub struct Renamed {
    hosts: Memory<(Id, u8), Id>,
    packets: Memory<(Id, u8), Id>,
}

impl Renamed {
    pub fn new() -> Renamed {
        Renamed { hosts: Memory::new(), packets: Memory::new() }
    }
}

impl<M: Explorable> Symmetry<M> {
    pub fn new(nodes: u32, alike: &[NodeId], renaming: Renaming<M>) -> Symmetry<M> {
        assert!(alike.len() <= ALIKE_MAX, "at most {ALIKE_MAX} nodes are alike");
        let names = Names::all(nodes, alike);
        Symmetry { alike: alike.to_vec(), names, renaming }
    }

    fn machine(&self, machine: &M, names: &Names) -> M {
        let renamed = (self.renaming.machine)(machine, names);
        let back = (self.renaming.machine)(&renamed, &names.back());
        assert!(back == *machine, "names that are changed back are the old ones: {machine:?}");
        renamed
    }

    fn message(&self, bytes: &bytes::Bytes, names: &Names) -> bytes::Bytes {
        let message = M::Message::decode(bytes.clone());
        let message = message.expect("what a machine encodes can be decoded");
        let mut renamed = Vec::new();
        (self.renaming.message)(&message, names).encode(&mut renamed);
        renamed.into()
    }

    fn host(&self, host: &Host<M>, names: &Names) -> Host<M> {
        let mut renamed = host.clone();
        renamed.machine = host.machine.as_ref().map(|machine| self.machine(machine, names));
        for (_, outgoing) in &mut renamed.held {
            if let Outgoing::Message(to, bytes) = outgoing {
                *outgoing = Outgoing::Message(names.of(*to), self.message(bytes, names));
            }
        }
        renamed.sort_held();
        let nodes = (0..names.0.len() as u32).map(NodeId);
        let known = nodes.filter(|node| host.peers & 1 << node.0 != 0);
        renamed.peers = known.fold(0, |peers, node| peers | 1 << names.of(node).0);
        renamed
    }

    fn host_id<H: History<M>>(&self, shared: &Shared<M, H>, id: Id, number: u8) -> Id {
        *shared.renamed.hosts.recall(id, (id, number), || {
            let names = &self.names[usize::from(number)];
            let (node, host) = shared.hosts.get(id);
            let is_named = host.named > 0 && self.alike.contains(node);
            assert!(!is_named, "nodes that are alike choose no names of their own");
            shared.hosts.keep((names.of(*node), self.host(host, names)))
        })
    }

    fn packet_id<H: History<M>>(&self, shared: &Shared<M, H>, id: Id, number: u8) -> Id {
        *shared.renamed.packets.recall(id, (id, number), || {
            let names = &self.names[usize::from(number)];
            let Packet { from, to, carried } = shared.packets.get(id);
            let carried = match carried {
                Carried::Message(bytes) => Carried::Message(self.message(bytes, names)),
                other => other.clone(),
            };
            shared.packets.keep(Packet { from: names.of(*from), to: names.of(*to), carried })
        })
    }
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// The least of the fingerprints under all names.
    pub(super) fn least_print(&self, state: &ClusterState<M, H>, of: &Symmetry<M>) -> u128 {
        let numbers = 1..of.names.len() as u8;
        let others = numbers.map(|number| self.renamed(state, of, number).print(self.relative));
        others.fold(state.print(self.relative), u128::min)
    }

    fn renamed(
        &self,
        state: &ClusterState<M, H>,
        of: &Symmetry<M>,
        number: u8,
    ) -> ClusterState<M, H> {
        let (shared, names) = (&*state.shared, &of.names[usize::from(number)]);
        let mut renamed = state.clone();
        let (nodes, packets) = renamed.parts.split_at_mut(self.nodes as usize);
        for (node, id) in (0..).map(NodeId).zip(&state.parts[..nodes.len()]) {
            nodes[names.of(node).0 as usize] = of.host_id(shared, *id, number);
        }
        packets.iter_mut().for_each(|id| *id = of.packet_id(shared, *id, number));
        packets.sort_by(|a, b| {
            let (a, b) = (shared.packets.get(*a), shared.packets.get(*b));
            if self.is_ordered { (a.from, a.to).cmp(&(b.from, b.to)) } else { a.cmp(b) }
        });
        renamed
    }

    /// Panics unless the nodes that are said to be alike begin alike.
    pub(super) fn assert_alike(&self, booted: &ClusterState<M, H>) {
        let Some(of) = &self.symmetry else { return };
        let is_asked = |node| self.requests.iter().any(|(asked, _)| asked == node);
        assert!(!of.alike.iter().any(is_asked), "no client asks a node that is like others");
        for number in 1..of.names.len() as u8 {
            let renamed = self.renamed(booted, of, number);
            assert!(renamed.parts == booted.parts, "{ALIKE}: their machines begin differently");
        }
    }

    /// `Err`: under some other names, something else becomes of a node.
    pub(super) fn check_alike(
        &self,
        shared: &Shared<M, H>,
        occasion: Occasion,
        ways: &Ways<M>,
    ) -> Result<(), String> {
        let Some(of) = &self.symmetry else { return Ok(()) };
        for number in 1..of.names.len() as u8 {
            let host = of.host_id(shared, occasion.host, number);
            let local = match occasion.local {
                Local::Hear(packet) => Local::Hear(of.packet_id(shared, packet, number)),
                other => other,
            };
            let others = self.find_ways(shared, Occasion { host, local, ..occasion });
            let is_alike = others.all.len() == ways.all.len()
                && ways
                    .all
                    .iter()
                    .zip(&others.all)
                    .all(|(a, b)| of.are_alike(shared, a, b, number));
            if !is_alike {
                return Err(format!("{ALIKE}: {local:?}"));
            }
        }
        Ok(())
    }
}

const ALIKE: &str = "nodes that are said to be alike are not";

impl<M: Explorable> Symmetry<M> {
    /// Whether `b` is `a` under other names.
    fn are_alike<H: History<M>>(
        &self,
        shared: &Shared<M, H>,
        a: &Way<M>,
        b: &Way<M>,
        number: u8,
    ) -> bool {
        let then = match (&a.then, &b.then) {
            (Ok(a), Ok(b)) => self.end_alike(shared, a, b, number),
            (a, b) => a.is_err() && b.is_err(),
        };
        then && a.choices == b.choices && a.places == b.places
    }

    fn end_alike<H: History<M>>(
        &self,
        shared: &Shared<M, H>,
        a: &Then<M>,
        b: &Then<M>,
        number: u8,
    ) -> bool {
        let names = &self.names[usize::from(number)];
        let mut sent: Vec<(NodeId, Id)> =
            packets(a).map(|(to, id)| (names.of(to), self.packet_id(shared, id, number))).collect();
        let mut expected: Vec<(NodeId, Id)> = packets(b).collect();
        // What goes to different nodes has no order.
        sent.sort_by_key(|(to, _)| *to);
        expected.sort_by_key(|(to, _)| *to);
        self.host_id(shared, a.host, number) == b.host
            && sent == expected
            && replies(a).eq(replies(b))
    }
}

fn packets<M: Machine>(then: &Then<M>) -> impl Iterator<Item = (NodeId, Id)> {
    then.out.iter().filter_map(|out| match out {
        Out::Packet(to, id) => Some((*to, *id)),
        Out::Reply(..) => None,
    })
}

fn replies<M: Machine>(then: &Then<M>) -> impl Iterator<Item = String> {
    then.out.iter().filter_map(|out| match out {
        Out::Packet(..) => None,
        Out::Reply(client, reply) => Some(format!("{client} {reply:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_had_once() {
        let alike = [1, 2, 4].map(NodeId);
        let all = Names::all(5, &alike);
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], all[0].back());
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|names| &names.0).collect();
        assert_eq!(distinct.len(), 6);
        for names in &all {
            assert_eq!((names.of(NodeId(0)), names.of(NodeId(3))), (NodeId(0), NodeId(3)));
            let back = names.back();
            assert!((0..5).map(NodeId).all(|node| back.of(names.of(node)) == node));
        }
    }
}

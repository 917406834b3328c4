//! What is noted of a walk for a picture of it. There is no time in most of an exploration: the steps are counted instead.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use ombak_base::{Address, Machine, NodeId, ShardId, Wire};

use super::act::What;
use super::kept::Id;
use super::state::{Carried, ClusterState, Packet};
use super::turn::{Out, Then};
use super::{Cluster, Explorable, History};
use crate::diagram::{Diagram, MessageName, Of, Sent};

const SHARD: ShardId = ShardId(0);

fn at(node: NodeId) -> Address {
    Address { node, shard: SHARD }
}

pub struct Picture {
    diagram: Diagram,
    /// The number of the present step.
    step: u64,
    /// The messages that are on their way: of equal ones, the first is the oldest.
    under_way: BTreeMap<Id, VecDeque<MessageName>>,
    /// How often each node has started since the beginning.
    starts: BTreeMap<NodeId, u64>,
}

impl Picture {
    pub fn new<M: Explorable, H: History<M>>(
        state: &ClusterState<M, H>,
        events_max: usize,
    ) -> Picture {
        let (under_way, starts) = (BTreeMap::new(), BTreeMap::new());
        let diagram = Diagram::new(events_max);
        let mut picture = Picture { diagram, step: 0, under_way, starts };
        state.machines().for_each(|(node, machine)| picture.diagram.see(at(node), machine));
        let mut counts: BTreeMap<(NodeId, NodeId), u64> = BTreeMap::new();
        for id in state.network() {
            let packet = state.shared.packets.get(*id);
            if let Carried::Message(_) = packet.carried {
                let n = counts.entry((packet.from, packet.to)).or_default();
                *n += 1;
                picture.set_out(*id, packet, *n);
            }
        }
        picture
    }

    pub fn page(&self, title: &str, nodes: usize, steps: u64) -> String {
        self.diagram.page(title, Of::Steps, nodes, steps)
    }

    /// A step from `before`. With no `then` nothing has become of a node, and with no `after` it is broken.
    pub fn step<M: Explorable, H: History<M>>(
        &mut self,
        cluster: &Cluster<M, H>,
        before: &ClusterState<M, H>,
        what: &What<M>,
        then: Option<(NodeId, &Then<M>)>,
        after: Option<&ClusterState<M, H>>,
    ) {
        self.step += 1;
        self.happen(cluster, before, what);
        if let (Some((node, then)), Some(after)) = (then, after) {
            if let Some(machine) = after.machine(node) {
                self.diagram.stepped(at(node), machine);
            }
            self.leave(node, then, after);
        }
        after.iter().for_each(|after| self.lose(after));
    }

    fn note(&mut self, node: NodeId, kind: &'static str, text: &dyn Debug) {
        self.diagram.note(self.step, Some(node), Some(SHARD), kind, text);
    }

    /// Of a node as a whole.
    fn note_node(&mut self, node: NodeId, kind: &'static str, text: &dyn Debug) {
        self.diagram.note(self.step, Some(node), None, kind, text);
    }

    fn happen<M: Explorable, H: History<M>>(
        &mut self,
        cluster: &Cluster<M, H>,
        before: &ClusterState<M, H>,
        what: &What<M>,
    ) {
        let place = |at: &usize| (before.network()[*at], before.packet(*at));
        match what {
            What::Deliver(at) => self.arrive::<M>(place(at), false),
            What::Duplicate(at) => self.arrive::<M>(place(at), true),
            What::Drop(at) => {
                let (id, packet) = place(at);
                self.end(id, packet.to, "dropped", &packet.from);
            }
            What::Request(client) => {
                let (node, request) = &cluster.requests[client.0 as usize];
                self.note(*node, "request", &(client, request));
            }
            What::Timer(node, timer) => self.note(*node, "timer", timer),
            What::Sync(node) => self.note(*node, "durable", &()),
            What::Crash(node) => self.note_node(*node, "crash", &()),
            What::Restart(node) => {
                let starts = self.starts.entry(*node).or_default();
                *starts += 1;
                let told = (*starts, true);
                self.note_node(*node, "boot", &told);
                self.note(*node, "start", &());
            }
            What::Reset(a, b) => self.note_node(*a, "reset", b),
        }
    }

    fn arrive<M: Machine>(&mut self, (id, packet): (Id, &Packet), again: bool) {
        let (from, to) = (packet.from, packet.to);
        let bytes = match &packet.carried {
            Carried::Message(bytes) => bytes,
            Carried::Up => return self.note(to, "up", &from),
            Carried::Down => return self.note(to, "down", &from),
        };
        let message = M::Message::decode(bytes.clone());
        let text: &dyn Debug = match &message {
            Ok(message) => &(at(from), message),
            Err(error) => &(at(from), error),
        };
        match self.under_way.get(&id).and_then(VecDeque::front).copied().filter(|_| again) {
            Some(name) => {
                self.diagram.about(name);
                self.note(to, "message", text);
            }
            None => self.end(id, to, "message", text),
        }
    }

    /// A message is on its way no more.
    fn end(&mut self, id: Id, to: NodeId, kind: &'static str, text: &dyn Debug) {
        let name = self.under_way.get_mut(&id).and_then(VecDeque::pop_front);
        name.into_iter().for_each(|name| self.diagram.about(name));
        self.note(to, kind, text);
    }

    /// What leaves a node with this step.
    fn leave<M: Explorable, H: History<M>>(
        &mut self,
        node: NodeId,
        then: &Then<M>,
        after: &ClusterState<M, H>,
    ) {
        let mut counts: BTreeMap<NodeId, u64> = BTreeMap::new();
        for out in &then.out {
            match out {
                Out::Packet(to, id) => {
                    let packet = after.shared.packets.get(*id);
                    let n = counts.entry(*to).or_default();
                    *n += 1;
                    self.diagram.about(self.name(packet, *n));
                    self.note(node, "sent", &format_args!("{}", said::<M>(packet)));
                    self.set_out(*id, packet, *n);
                }
                Out::Reply(client, reply) => self.note(node, "reply", &(client, reply)),
            }
        }
    }

    fn name(&self, packet: &Packet, n: u64) -> MessageName {
        let sent = Sent { at: self.step, n };
        MessageName { from: at(packet.from), to: at(packet.to), sent }
    }

    fn set_out(&mut self, id: Id, packet: &Packet, n: u64) {
        let name = self.name(packet, n);
        self.under_way.entry(id).or_default().push_back(name);
    }

    /// What was on its way and is not any more, though it has not arrived: a connection has ended. What is sent into one that is
    /// no more never was.
    fn lose<M: Explorable, H: History<M>>(&mut self, after: &ClusterState<M, H>) {
        let mut left: BTreeMap<Id, usize> = BTreeMap::new();
        after.network().iter().for_each(|id| *left.entry(*id).or_default() += 1);
        let gone = |(id, names): (&Id, &VecDeque<MessageName>)| {
            let count = names.len() - left.get(id).copied().unwrap_or(0).min(names.len());
            std::iter::repeat_n(*id, count).collect::<Vec<_>>()
        };
        let gone: Vec<Id> = self.under_way.iter().flat_map(gone).collect();
        for id in gone {
            let packet = after.shared.packets.get(id);
            self.end(id, packet.to, "lost", &packet.from);
        }
    }
}

/// What a message says.
fn said<M: Machine>(packet: &Packet) -> String {
    let Carried::Message(bytes) = &packet.carried else { return String::new() };
    match M::Message::decode(bytes.clone()) {
        Ok(message) => format!("{message:?}"),
        Err(error) => format!("{error:?}"),
    }
}

//! What can happen in a cluster, and what becomes of it.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{Address, ClientId, Event, Machine, NodeId, ShardId, Tick, Wire};

use super::state::{Carried, ClusterState, Host, Packet};
use super::turn::Script;
use super::{Budget, Cluster, Explorable, History};

/// One step of a cluster.
#[derive(Clone, Debug)]
pub struct Action<M: Machine> {
    /// What happens.
    pub what: What<M>,
    /// What `choose` answered in it, where there was a choice.
    pub choices: Vec<u64>,
}

/// What can happen. Messages are named by their place in the network.
#[derive(Clone, Debug)]
pub enum What<M: Machine> {
    /// A message arrives.
    Deliver(usize),
    /// A message arrives, and will arrive again.
    Duplicate(usize),
    /// A message is lost.
    Drop(usize),
    /// A client asks.
    Request(ClientId),
    /// A timer fires.
    Timer(NodeId, M::Timer),
    /// What a node has stored is durable.
    Sync(NodeId),
    /// A node dies.
    Crash(NodeId),
    /// A dead node is started.
    Restart(NodeId),
    /// The connection between two nodes breaks, and there is another.
    Reset(NodeId, NodeId),
}

/// One more, if that is within the bound. What has no bound is not counted, so that it makes no states distinct.
fn spend(spent: &mut u32, bound: u32) {
    if bound != u32::MAX {
        *spent += 1;
    }
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// All nodes have started, and nothing else has happened.
    pub(super) fn start(&self, script: &mut Script) -> ClusterState<M, H> {
        let mut state = ClusterState {
            now: Tick(0),
            nodes: (0..self.nodes).map(|_| Arc::new(Host::new())).collect(),
            network: Vec::new(),
            asked: 0,
            spent: Budget::default(),
            history: self.history.clone(),
        };
        // Those that start later must not miss what those before them say at once.
        for node in (0..self.nodes).map(NodeId) {
            self.boot(&mut state, node);
        }
        for node in (0..self.nodes).map(NodeId) {
            self.turn(&mut state, node, Event::Start, script);
        }
        self.connect_all(&mut state, script);
        state
    }

    fn boot(&self, state: &mut ClusterState<M, H>, node: NodeId) {
        let place = host(state, node);
        place.machine = Some((self.boot)(node, &place.storage));
    }

    /// Everything that was said has arrived and everything that was stored is synced, with no choice taken but the first.
    pub(super) fn rest(&self, mut state: ClusterState<M, H>) -> ClusterState<M, H> {
        loop {
            let mut next = None;
            self.possible(&state, &mut |what| {
                if matches!(what, What::Deliver(_) | What::Sync(_)) {
                    next.get_or_insert(what);
                }
            });
            let Some(what) = next else { return state };
            state = self.act(&state, &what, &mut Script::new(1));
        }
    }

    pub(super) fn possible(&self, state: &ClusterState<M, H>, give: &mut impl FnMut(What<M>)) {
        self.possible_messages(state, give);
        for (number, (node, _)) in self.requests.iter().enumerate() {
            if state.asked & 1 << number == 0 && state.machine(*node).is_some() {
                give(What::Request(ClientId(number as u64)));
            }
        }
        for node in (0..self.nodes).map(NodeId) {
            self.possible_on(state, node, give);
        }
        if self.hello.is_some() && state.spent.resets < self.budget.resets {
            self.running_pairs(state).into_iter().for_each(|(a, b)| give(What::Reset(a, b)));
        }
    }

    fn possible_messages(&self, state: &ClusterState<M, H>, give: &mut impl FnMut(What<M>)) {
        for (at, packet) in state.network.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &state.network[before]);
            // In order, only the first between two nodes can arrive; out of order, equal ones are one.
            let is_behind = before.is_some_and(|before| {
                (before.from, before.to) == (packet.from, packet.to)
                    && (self.is_ordered || before.carried == packet.carried)
            });
            if is_behind {
                continue;
            }
            give(What::Deliver(at));
            if !matches!(packet.carried, Carried::Message(_)) {
                continue;
            }
            if state.spent.duplicates < self.budget.duplicates {
                give(What::Duplicate(at));
            }
            if state.spent.drops < self.budget.drops {
                give(What::Drop(at));
            }
        }
    }

    fn possible_on(
        &self,
        state: &ClusterState<M, H>,
        node: NodeId,
        give: &mut impl FnMut(What<M>),
    ) {
        let host = &state.nodes[node.0 as usize];
        if host.machine.is_none() {
            return give(What::Restart(node));
        }
        if state.spent.timers < self.budget.timers {
            // What is due is due: among those, the order is open.
            let due = |at: &Tick| *at.max(&state.now);
            let first = host.timers.values().map(due).min();
            let timers = host.timers.iter().filter(|(_, at)| Some(due(at)) == first);
            timers.for_each(|(timer, _)| give(What::Timer(node, *timer)));
        }
        if !host.storage.is_synced() {
            give(What::Sync(node));
        }
        if state.spent.crashes < self.budget.crashes {
            give(What::Crash(node));
        }
    }

    /// What becomes of a state. Panics if the machine does.
    pub(super) fn act(
        &self,
        state: &ClusterState<M, H>,
        what: &What<M>,
        script: &mut Script,
    ) -> ClusterState<M, H> {
        let mut next = state.clone();
        match what {
            What::Deliver(at) => {
                let packet = next.network.remove(*at);
                self.arrive(&mut next, &packet, script);
            }
            What::Duplicate(at) => {
                spend(&mut next.spent.duplicates, self.budget.duplicates);
                self.arrive(&mut next, &state.network[*at], script);
            }
            What::Drop(at) => {
                spend(&mut next.spent.drops, self.budget.drops);
                next.network.remove(*at);
            }
            What::Request(client) => self.ask(&mut next, *client, script),
            What::Timer(node, timer) => self.fire(&mut next, *node, *timer, script),
            What::Sync(node) => self.sync(&mut next, *node, script),
            What::Crash(node) => {
                spend(&mut next.spent.crashes, self.budget.crashes);
                host(&mut next, *node).crash();
                self.end_all(&mut next, *node);
            }
            What::Restart(node) => {
                self.boot(&mut next, *node);
                self.turn(&mut next, *node, Event::Start, script);
                self.begin_all(&mut next, *node);
            }
            What::Reset(a, b) => {
                spend(&mut next.spent.resets, self.budget.resets);
                self.reset(&mut next, *a, *b);
            }
        }
        next
    }

    fn ask(&self, state: &mut ClusterState<M, H>, client: ClientId, script: &mut Script) {
        let (node, request) = &self.requests[client.0 as usize];
        state.asked |= 1 << client.0;
        state.history.asked(client, request);
        self.turn(state, *node, Event::Request { client, request: request.clone() }, script);
    }

    fn fire(
        &self,
        state: &mut ClusterState<M, H>,
        node: NodeId,
        timer: M::Timer,
        script: &mut Script,
    ) {
        spend(&mut state.spent.timers, self.budget.timers);
        let due = host(state, node).timers.remove(&timer);
        state.now = due.map_or(state.now, |due| due.max(state.now));
        self.turn(state, node, Event::Timer(timer), script);
    }

    fn sync(&self, state: &mut ClusterState<M, H>, node: NodeId, script: &mut Script) {
        let synced = host(state, node);
        let stamp = synced.storage.sync();
        for outgoing in synced.release() {
            self.leave(state, node, outgoing);
        }
        self.turn(state, node, Event::Durable(stamp), script);
    }

    pub(super) fn describe_what(&self, state: &ClusterState<M, H>, what: &What<M>) -> String {
        match what {
            What::Deliver(at) => describe_packet::<M>(&state.network[*at], "hears"),
            What::Duplicate(at) => describe_packet::<M>(&state.network[*at], "hears twice"),
            What::Drop(at) => describe_packet::<M>(&state.network[*at], "never hears"),
            What::Request(client) => {
                let (node, request) = &self.requests[client.0 as usize];
                format!("{client} asks {node}: {request:?}")
            }
            What::Timer(node, timer) => format!("{node}: timer {timer:?} fires"),
            What::Sync(node) => format!("{node} syncs"),
            What::Crash(node) => format!("{node} crashes"),
            What::Restart(node) => format!("{node} starts again"),
            What::Reset(a, b) => format!("the connection of {a} and {b} breaks"),
        }
    }
}

fn describe_packet<M: Machine>(packet: &Packet, verb: &str) -> String {
    let Packet { from, to, carried } = packet;
    let message = match carried {
        Carried::Message(bytes) => M::Message::decode(bytes.clone()),
        Carried::Up => return format!("{to} hears that {from} is up"),
        Carried::Down => return format!("{to} hears that {from} is down"),
    };
    let message: &dyn Debug = match &message {
        Ok(message) => message,
        Err(error) => error,
    };
    format!("{to} {verb} from {from}: {message:?}")
}

pub fn message<M: Machine>(from: NodeId, bytes: Bytes) -> Event<M> {
    let message = M::Message::decode(bytes);
    let message = message.expect("what a machine encodes can be decoded");
    Event::Message { from: Address { node: from, shard: ShardId(0) }, message }
}

pub fn host<M: Machine, H>(state: &mut ClusterState<M, H>, node: NodeId) -> &mut Host<M> {
    Arc::make_mut(&mut state.nodes[node.0 as usize])
}

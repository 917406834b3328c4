//! What can happen in a cluster, and what becomes of it.

use std::fmt::Debug;
use std::sync::Arc;

use ombak_base::{ClientId, Machine, NodeId, Tick, Wire};

use super::commute::Scope;
use super::kept::Id;
use super::state::{Carried, ClusterState, Host, Packet, Past, Shared};
use super::turn::{Local, Out, Then, Way, Ways};
use super::{Cluster, Explorable, History, quietly};

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
    /// All nodes have started, and nothing else has happened: by all choices of their machines.
    pub(super) fn start(&self) -> Vec<ClusterState<M, H>> {
        let shared = Arc::new(Shared::new(self.nodes));
        // Those that start later must not miss what those before them say at once.
        let mut states = vec![self.boot_all(shared)];
        self.assert_alike(&states[0]);
        for node in (0..self.nodes).map(NodeId) {
            states = self.all_of(states, node, Local::Start);
        }
        for (to, from) in self.pairs().filter(|_| self.hello.is_some()) {
            let up = Packet { from, to, carried: Carried::Up };
            let up = states[0].shared.packets.keep(up);
            states = self.all_of(states, to, Local::Hear(up));
        }
        states
    }

    fn boot_all(&self, shared: Arc<Shared<M, H>>) -> ClusterState<M, H> {
        let boot = |node| {
            let mut host = Host::new();
            host.machine = Some((self.boot)(node, &host.storage));
            shared.hosts.keep((node, host))
        };
        ClusterState {
            parts: (0..self.nodes).map(NodeId).map(boot).collect(),
            past: shared.pasts.keep(Past::default()),
            history: shared.histories.keep(self.history.clone()),
            last: Scope::Wide,
            shared,
        }
    }

    /// What may become of each state when this happens to a node. Panics if the machine does.
    fn all_of(
        &self,
        states: Vec<ClusterState<M, H>>,
        node: NodeId,
        local: Local,
    ) -> Vec<ClusterState<M, H>> {
        let mut all = Vec::new();
        for state in states {
            let ways = self.ways(&state.shared, state.parts[node.0 as usize], local, state.now());
            for way in &ways.all {
                let mut next = state.clone();
                let then = way.then.as_ref().map_err(String::clone);
                let done = then.and_then(|then| self.become_of(&mut next, node, then));
                done.unwrap_or_else(|message| panic!("{message}"));
                all.push(next);
            }
        }
        all
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
            let Some(what) = next else {
                // Nothing before it is explored.
                state.last = Scope::Wide;
                return state;
            };
            let ways = self.ways_of(&state, &what);
            let first = ways.map(|(node, ways)| self.after_way(&state, &what, node, &ways.all[0]));
            let first = first.expect("a message and a sync happen to a node");
            state = first.unwrap_or_else(|message| panic!("{message}"));
        }
    }

    pub(super) fn possible(&self, state: &ClusterState<M, H>, give: &mut impl FnMut(What<M>)) {
        self.possible_messages(state, give);
        let past = state.past();
        for (number, (node, _)) in self.requests.iter().enumerate() {
            if past.asked & 1 << number == 0 && state.machine(*node).is_some() {
                give(What::Request(ClientId(number as u64)));
            }
        }
        for node in (0..self.nodes).map(NodeId) {
            self.possible_on(state, node, give);
        }
        if self.hello.is_some() && past.spent.resets < self.budget.resets {
            self.running_pairs(state).into_iter().for_each(|(a, b)| give(What::Reset(a, b)));
        }
    }

    fn possible_messages(&self, state: &ClusterState<M, H>, give: &mut impl FnMut(What<M>)) {
        let mut before: Option<(Id, &Packet)> = None;
        let spent = state.past().spent;
        for (at, id) in state.network().iter().enumerate() {
            let packet = state.shared.packets.get(*id);
            let before = before.replace((*id, packet));
            // In order, only the first between two nodes can arrive; out of order, equal ones are one.
            let is_behind = before.is_some_and(|(before_id, before)| {
                before_id == *id
                    || (self.is_ordered && (before.from, before.to) == (packet.from, packet.to))
            });
            if is_behind {
                continue;
            }
            give(What::Deliver(at));
            if !matches!(packet.carried, Carried::Message(_)) {
                continue;
            }
            if spent.duplicates < self.budget.duplicates {
                give(What::Duplicate(at));
            }
            if spent.drops < self.budget.drops {
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
        let host = state.host(node);
        if host.machine.is_none() {
            return give(What::Restart(node));
        }
        let Past { now, spent, .. } = *state.past();
        if spent.timers < self.budget.timers {
            // What is due is due: among those, the order is open.
            let due = |at: &Tick| *at.max(&now);
            let first = host.timers.values().map(due).min();
            let timers = host.timers.iter().filter(|(_, at)| Some(due(at)) == first);
            timers.for_each(|(timer, _)| give(What::Timer(node, *timer)));
        }
        if !host.storage.is_synced() {
            give(What::Sync(node));
        }
        if spent.crashes < self.budget.crashes {
            give(What::Crash(node));
        }
    }

    /// To which node something happens, and all that may become of it; `None` if nothing happens to any.
    pub(super) fn ways_of<'a>(
        &self,
        state: &'a ClusterState<M, H>,
        what: &What<M>,
    ) -> Option<(NodeId, &'a Ways<M>)> {
        let mut now = state.now();
        let (node, local) = match what {
            What::Deliver(at) | What::Duplicate(at) => {
                (state.packet(*at).to, Local::Hear(state.network()[*at]))
            }
            What::Request(client) => (self.requests[client.0 as usize].0, Local::Ask(*client)),
            What::Timer(node, timer) => {
                let timers = &state.host(*node).timers;
                now = due(state, *node, timer);
                let number = timers.keys().position(|each| each == timer);
                (*node, Local::Fire(number.expect("only what is armed fires")))
            }
            What::Sync(node) => (*node, Local::Sync),
            What::Crash(node) => (*node, Local::Crash),
            What::Restart(node) => (*node, Local::Restart),
            What::Drop(_) | What::Reset(..) => return None,
        };
        Some((node, self.ways(&state.shared, state.parts[node.0 as usize], local, now)))
    }

    /// What becomes of a state, if this becomes of the node to which it happens. `Err`: that is broken.
    pub(super) fn after(
        &self,
        state: &ClusterState<M, H>,
        what: &What<M>,
        then: Option<(NodeId, &Then<M>)>,
    ) -> Result<ClusterState<M, H>, String> {
        let mut next = state.clone_for(then.map_or(0, |(_, then)| then.out.len()));
        self.begin(&mut next, what)?;
        if let Some((node, then)) = then {
            self.become_of(&mut next, node, then)?;
        }
        match what {
            What::Crash(node) => self.end_all(&mut next, *node),
            What::Restart(node) => self.begin_all(&mut next, *node),
            What::Reset(a, b) => self.reset(&mut next, *a, *b),
            _ => {}
        }
        Ok(next)
    }

    /// The same for a way that may break.
    pub(super) fn after_way(
        &self,
        state: &ClusterState<M, H>,
        what: &What<M>,
        node: NodeId,
        way: &Way<M>,
    ) -> Result<ClusterState<M, H>, String> {
        let then = way.then.as_ref().map_err(String::clone)?;
        let mut next = self.after(state, what, Some((node, then)))?;
        next.last = self.scope_of(what, node, then);
        Ok(next)
    }

    /// What a step is to all but the node to which it happens.
    fn begin(&self, state: &mut ClusterState<M, H>, what: &What<M>) -> Result<(), String> {
        let (budget, nodes) = (&self.budget, self.nodes as usize);
        match what {
            What::Deliver(at) => drop(state.parts.remove(nodes + at)),
            What::Duplicate(_) => {
                state.change_past(|past| spend(&mut past.spent.duplicates, budget.duplicates));
            }
            What::Drop(at) => {
                state.change_past(|past| spend(&mut past.spent.drops, budget.drops));
                state.parts.remove(nodes + at);
            }
            What::Request(client) => {
                state.change_past(|past| past.asked |= 1 << client.0);
                let request = &self.requests[client.0 as usize].1;
                return tell(state, |history| history.asked(*client, request));
            }
            What::Timer(node, timer) => {
                let now = due(state, *node, timer);
                state.change_past(|past| {
                    spend(&mut past.spent.timers, budget.timers);
                    past.now = now;
                });
            }
            What::Crash(_) => {
                state.change_past(|past| spend(&mut past.spent.crashes, budget.crashes));
            }
            What::Reset(..) => {
                state.change_past(|past| spend(&mut past.spent.resets, budget.resets));
            }
            What::Sync(_) | What::Restart(_) => {}
        }
        Ok(())
    }

    /// A node has changed, and what left it is on its way.
    fn become_of(
        &self,
        state: &mut ClusterState<M, H>,
        node: NodeId,
        then: &Then<M>,
    ) -> Result<(), String> {
        state.parts[node.0 as usize] = then.host;
        for out in &then.out {
            match out {
                Out::Packet(to, id) => self.send(state, node, *to, *id),
                Out::Reply(client, reply) => {
                    tell(state, |history| history.replied(*client, reply))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn describe_what(&self, state: &ClusterState<M, H>, what: &What<M>) -> String {
        match what {
            What::Deliver(at) => describe_packet::<M>(state.packet(*at), "hears"),
            What::Duplicate(at) => describe_packet::<M>(state.packet(*at), "hears twice"),
            What::Drop(at) => describe_packet::<M>(state.packet(*at), "never hears"),
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

/// What time it is when a timer has fired.
fn due<M: Machine, H: History<M>>(
    state: &ClusterState<M, H>,
    node: NodeId,
    timer: &M::Timer,
) -> Tick {
    let due = state.host(node).timers.get(timer);
    due.map_or(state.now(), |due| state.now().max(*due))
}

/// `Err`: the history panics at what it is told.
fn tell<M: Machine, H: History<M>>(
    state: &mut ClusterState<M, H>,
    change: impl FnOnce(&mut H),
) -> Result<(), String> {
    let mut history = state.history().clone();
    quietly(|| change(&mut history))?;
    state.history = state.shared.histories.keep(history);
    Ok(())
}

//! The host: nodes, virtual time, and what a scenario can do to them.

mod clients;
mod diagram;
mod inspect;
mod links;
mod node;
mod scenario;
mod storage;
mod turn;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use bytes::Bytes;
use ombak_base::{Address, ClientId, Device, Event, Machine, NodeId, ShardId, Tick, Writer};

use crate::chances::{Chances, Decisions, What};
use crate::faults::Faults;
use crate::network::Network;
use crate::queue::{Key, Queue};
use crate::trace::{Detail, Trace};
use crate::{Rng, SimDisk};

pub use node::WALL_START_US;
use node::{Due, Inside, Node, Process, ReplyOf, Shard};
use turn::Effect;

/// What the user of the simulator supplies.
pub trait System: Sized {
    /// What runs on every shard. What it is asked and answers is hashed into the trace.
    type Machine: Machine<Request: Hash, Reply: Hash>;
    /// What stores for it.
    type Device: Device;
    /// What makes that durable.
    type Writer: Writer<Commit = <Self::Device as Device>::Commit, Notice = <Self::Device as Device>::Notice>;

    /// Starts one node from its disk, for the `boot`-th time (from 1). The handle dies with the process. An
    /// error leaves the node down.
    fn boot(
        &mut self,
        node: NodeId,
        disk: &SimDisk,
        boot: u64,
        rng: &mut Rng,
    ) -> Result<Booted<Self>, String>;

    /// What `node` says of itself to `to` when they connect; `machine` is its shard 0.
    fn hello(&self, node: NodeId, to: NodeId, machine: &Self::Machine) -> Bytes {
        let _ = (node, to, machine);
        Bytes::new()
    }

    /// Whether `node` accepts a connection with `peer`, which has said `hello`. What is refused is tried
    /// again when something changes.
    fn admit(&self, node: NodeId, peer: NodeId, hello: &Bytes) -> bool {
        let _ = (node, peer, hello);
        true
    }
}

/// A process as it starts.
pub struct Booted<S: System> {
    /// Shards 0, 1, …; at least one.
    pub shards: Vec<(S::Machine, S::Device)>,
    /// The node's one writer.
    pub writer: S::Writer,
}

/// Something that a client heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply<R> {
    /// Which request.
    pub client: ClientId,
    /// When, since the world began.
    pub at: Tick,
    /// What.
    pub heard: Heard<R>,
}

/// What a client can hear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard<R> {
    /// An answer, or a part of one.
    Reply(R),
    /// The node is down, or went down: whatever was not answered may or may not have happened.
    HungUp,
}

/// A simulated cluster.
///
/// # Who calls what, when
///
/// [`new`](World::new) boots all nodes. From then on time passes in [`step`](World::step),
/// [`run_for`](World::run_for) and their like, and only there; everything else takes effect at the present
/// moment. Methods that take a node panic when there is none of that number.
pub struct World<S: System> {
    system: S,
    seed: u64,
    now: u64,
    queue: Queue<Due<S>>,
    nodes: Vec<Node<S>>,
    network: Network,
    faults: Faults,
    chances: Chances,
    /// Says nothing when a test panics.
    is_quiet: bool,
    trace: Trace,
    probes: BTreeMap<&'static str, u64>,
    steps: u64,
    /// Memory for a turn: what was in it before is of no use.
    encoded: Vec<u8>,
    effects: Vec<Effect<S>>,
    clients: BTreeMap<ClientId, Address>,
    last_client: u64,
    replies: Vec<Reply<ReplyOf<S>>>,
}

/// Making one, and time.
impl<S: System> World<S> {
    /// A world of so many nodes, all booted from empty disks.
    pub fn new(system: S, nodes: u32, seed: u64) -> Result<World<S>, String> {
        let mut world = World {
            system,
            seed,
            now: 0,
            queue: Queue::new(),
            nodes: Vec::new(),
            network: Network::default(),
            faults: Faults::calm(),
            chances: Chances::new(seed),
            is_quiet: false,
            trace: Trace::new(),
            probes: BTreeMap::new(),
            steps: 0,
            encoded: Vec::new(),
            effects: Vec::new(),
            clients: BTreeMap::new(),
            last_client: 0,
            replies: Vec::new(),
        };
        (0..nodes).try_for_each(|_| world.add_node().map(drop))?;
        Ok(world)
    }

    /// Writes down what is decided by chance from now on, for [`decisions`](World::decisions).
    pub fn record(&mut self) {
        self.chances.record();
    }

    /// From now on these decisions are made, and of all others it is decided that nothing goes wrong, and takes as short a
    /// time as it can.
    pub fn follow(&mut self, decisions: &Decisions) {
        self.chances.follow(decisions);
    }

    /// One more node, booted from an empty disk.
    pub fn add_node(&mut self) -> Result<NodeId, String> {
        let node = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node::new());
        self.restart(node)?;
        Ok(node)
    }

    /// Time since the world began.
    pub fn now(&self) -> Tick {
        Tick(self.now)
    }

    /// Does the next thing. `false`: nothing will ever happen by itself any more.
    pub fn step(&mut self) -> bool {
        let Some((key, due)) = self.queue.pop() else { return false };
        self.time(self.now.max(key.0));
        self.dispatch(key, due);
        true
    }

    /// Does everything that is due until then.
    pub fn run_until(&mut self, until: Tick) {
        while self.queue.first_at().is_some_and(|at| at <= until.0) {
            self.step();
        }
        self.time(self.now.max(until.0));
    }

    /// Does everything that is due in the next `us` microseconds.
    pub fn run_for(&mut self, us: u64) {
        self.run_until(Tick(self.now + us));
    }

    /// Goes on until `done`, which is asked after every step, or for `us_max` microseconds. Returns whether
    /// it is done.
    pub fn run_until_true(&mut self, us_max: u64, mut done: impl FnMut(&World<S>) -> bool) -> bool {
        let end = self.now + us_max;
        while !done(self) {
            if self.queue.first_at().is_none_or(|at| at > end) {
                self.time(end);
                return done(self);
            }
            self.step();
        }
        true
    }
}

/// Within.
impl<S: System> World<S> {
    fn time(&mut self, now: u64) {
        self.now = now;
        self.chances.time(now);
    }

    fn dispatch(&mut self, key: Key, due: Due<S>) {
        let node = due.node();
        if let Some(node) = node.filter(|node| self.nodes[node.0 as usize].is_paused) {
            return self.nodes[node.0 as usize].deferred.push((key, due));
        }
        match due {
            Due::Connect(a, b) => self.connect(a, b),
            Due::Packet(packet) => self.arrive(packet),
            Due::Inside { node, life, what } if life == self.nodes[node.0 as usize].life => {
                self.happen(key, node, what);
            }
            Due::Inside { .. } => {}
        }
        node.into_iter().for_each(|node| self.crash_if_powerless(node));
    }

    fn happen(&mut self, key: Key, node: NodeId, what: Inside<S>) {
        match what {
            Inside::Event(shard, event) => self.turn(node, shard, event),
            Inside::Local { from, shard, sent, message } => {
                self.about(from, Address { node, shard }, sent);
                self.turn(node, shard, Event::Message { from, message });
            }
            Inside::Timer(shard, timer) => {
                let Some(host) = self.shard(node, shard) else { return };
                if host.timers.get(&timer) == Some(&key) {
                    host.timers.remove(&timer);
                    self.turn(node, shard, Event::Timer(timer));
                }
            }
            Inside::Job(shard, ticket, job) => {
                self.turn(node, shard, Event::Loaded { ticket, entry: job() });
            }
            Inside::Upkeep(shard, job) => self.notices(node, vec![(shard, job())]),
            Inside::PeerUp { peer, connection, shards, hello } => {
                self.peer_up(node, peer, connection, &Event::PeerUp { node: peer, shards, hello });
            }
            Inside::PeerDown { peer, connection } => self.peer_down(node, peer, connection),
            Inside::Write => self.write(node),
            Inside::Notices(notices) => self.notices(node, notices),
            Inside::Tidy => self.tidy(node),
            Inside::Full(full) => self.turn_all(node, &Event::DeviceFull(full)),
            Inside::Failed => self.turn_all(node, &Event::DeviceFailed),
        }
    }

    fn crash_if_powerless(&mut self, node: NodeId) {
        if self.nodes[node.0 as usize].disk.is_powerless() {
            self.crash(node);
        }
    }

    fn process(&mut self, node: NodeId) -> Option<&mut Process<S>> {
        self.nodes[node.0 as usize].process.as_mut()
    }

    fn shard(&mut self, node: NodeId, shard: ShardId) -> Option<&mut Shard<S>> {
        self.process(node)?.shard(shard)
    }

    /// Something happens within a node in the time that `chance` decides.
    fn push_inside(
        &mut self,
        node: NodeId,
        chance: What,
        span: (u64, u64),
        what: Inside<S>,
    ) -> Key {
        let at = self.now + self.chances.span(chance, span);
        self.push_inside_at(node, at, what)
    }

    /// Something happens within a node as the next thing.
    fn push_now(&mut self, node: NodeId, what: Inside<S>) {
        self.push_inside_at(node, self.now, what);
    }

    fn push_inside_at(&mut self, node: NodeId, at: u64, what: Inside<S>) -> Key {
        let life = self.nodes[node.0 as usize].life;
        self.queue.push(at, Due::Inside { node, life, what })
    }

    fn trace_text(
        &mut self,
        node: NodeId,
        shard: Option<ShardId>,
        kind: &'static str,
        text: &dyn Debug,
    ) {
        self.trace.record(self.now, node, shard, kind, &Detail::Text(text));
    }
}

/// A failing test says how to see it again.
impl<S: System> Drop for World<S> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_quiet {
            eprintln!("{}\nseed {} at {:?}", self.trace, self.seed, Tick(self.now));
        }
    }
}

#[cfg(test)]
mod tests;

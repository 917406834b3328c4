//! Small clusters of the production shard, of which every schedule is explored.
//!
//! Three or four nodes have started and know each other, and a few clients ask at any time. What the explorer takes
//! through all its orders: which message arrives next, when each node syncs, which message is lost or comes twice, which
//! timer fires, which connection breaks, who crashes and starts again.

mod all;

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{Address, ClientId, Device, DirectoryId, NodeId, ShardId};
use ombak_cluster::{Hello, Topology, VERSION};
use ombak_kv::props::BucketMap;
use ombak_kv::{
    Answer, BucketId, Content, GetOp, Object, Operation, PutOp, Quorums, Request, Return,
};
use ombak_node::{Boot, Config, DeleteMode, Reply, Shard};
use ombak_sim::explore::{
    Budget, Cluster, ClusterState, Explorer, History, Progress, Report, Storage,
};
use ombak_store::memory::Memory;

use crate::keys::{keep_siblings, place_of};

pub use all::EXPLORATIONS;

/// What clients of a small cluster were told, as far as it matters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Told {
    /// Values whose puts are acknowledged.
    acknowledged: BTreeSet<u8>,
    /// What each read must find: what was acknowledged when it was asked.
    due: Vec<(ClientId, BTreeSet<u8>)>,
    /// A read that did not find that, and what it found.
    missed: Option<(ClientId, BTreeSet<u8>)>,
    /// Whether some read found two values.
    found_two: bool,
    /// Whether some read found one value twice.
    found_double: bool,
    /// Whether some request failed.
    failed: bool,
    /// How many requests were answered, where all must be in the end.
    answered: Option<u32>,
}

/// Client n puts the value n.
impl History<Shard> for Told {
    fn asked(&mut self, client: ClientId, request: &ombak_node::Request) {
        if let ombak_node::Request::Kv(Request::Key(Operation::Get(_))) = request {
            self.due.push((client, self.acknowledged.clone()));
        }
    }

    fn replied(&mut self, client: ClientId, reply: &Reply) {
        self.answered = self.answered.map(|answered| answered + 1);
        match reply {
            Reply::Kv(Answer::Written(_)) => drop(self.acknowledged.insert(client.0 as u8)),
            Reply::Kv(Answer::Object(object)) => {
                let values =
                    object.siblings.iter().filter_map(|(_, content)| content.value.first());
                self.found(client, values.copied().collect());
            }
            Reply::Kv(Answer::NotFound(_)) => self.found(client, Vec::new()),
            _ => self.failed = true,
        }
    }
}

impl Told {
    fn found(&mut self, client: ClientId, siblings: Vec<u8>) {
        let values: BTreeSet<u8> = siblings.iter().copied().collect();
        self.found_two |= values.len() > 1;
        self.found_double |= values.len() < siblings.len();
        let due = self.due.iter().find(|(reader, _)| *reader == client);
        if due.is_some_and(|(_, due)| !due.is_subset(&values)) {
            self.missed = Some((client, values));
        }
    }
}

/// A configuration that can be explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exploration {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub about: &'static str,
    nodes: u32,
    /// Through which node the first client asks; each asks through the one so many further.
    entry: u32,
    apart: u32,
    /// How many puts, all of one key.
    puts: u32,
    /// How many reads.
    gets: u32,
    /// After how long requests give up; `None`: as long as may be.
    timeout_ms: Option<u32>,
    budget: Budget,
}

/// The cluster of an exploration.
pub type Explored = Cluster<Shard, Told>;

/// How far an exploration goes, and how often it shows where it is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Threads, the calling one among them.
    pub threads: usize,
    /// Distinct states.
    pub states_max: usize,
    /// Bytes of memory, as far as that can be reckoned.
    pub bytes_max: usize,
    /// Progress is shown about every so many new states.
    pub shown_states: u64,
}

impl Exploration {
    /// That of this name.
    pub fn named(name: &str) -> Option<Exploration> {
        EXPLORATIONS.iter().find(|each| each.name == name).copied()
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// How many clients ask, once each.
    pub fn clients(&self) -> u32 {
        self.puts + self.gets
    }

    /// Explores every schedule, as far as `effort` goes. It is compiled here, once, for all who ask for it.
    pub fn explore(
        &self,
        effort: Effort,
        watch: &mut dyn FnMut(&Progress),
    ) -> Result<Report<Explored>, String> {
        let cluster = self.cluster()?;
        let explorer = Explorer::new(&cluster)
            .threads(effort.threads)
            .states_max(effort.states_max)
            .bytes_max(effort.bytes_max)
            .watch(effort.shown_states, watch);
        Ok(explorer.run())
    }

    /// The cluster, with what must hold in it.
    pub fn cluster(&self) -> Result<Explored, String> {
        self.cluster_with(Quorums::default())
    }

    /// The same with other quorums of the puts.
    fn cluster_with(&self, quorums: Quorums) -> Result<Explored, String> {
        let names: Vec<String> = (0..self.nodes).map(|node| format!("n{node}")).collect();
        let topology = Topology::fixed(&names, RING_SIZE).map_err(|error| error.to_string())?;
        let (of_nodes, of_hellos) = (topology.clone(), topology);
        let boot = move |node, storage: &Storage| shard(&of_nodes, node, storage);
        let mut cluster = Cluster::with_storage(self.nodes, boot)
            .connected(move |node| hello(&of_hellos, node))
            .begins_at_rest()
            .budget(self.budget)
            .history(Told { answered: self.answers_all().then_some(0), ..Told::default() });
        for client in 0..self.clients() {
            let node = NodeId((self.entry + client * self.apart) % self.nodes);
            let operation = if client < self.puts {
                put(client as u8, quorums, self.timeout_ms)
            } else {
                get(self.timeout_ms)
            };
            let request = ombak_node::Request::Kv(Request::Key(operation));
            cluster = cluster.request(node, request);
        }
        let gets = self.gets;
        cluster = cluster
            .always("a read finds what was acknowledged before it", |state| {
                state.history().missed.is_none()
            })
            .always("a value stands once", |state| !state.history().found_double)
            .sometimes("all is acknowledged", {
                let puts = self.puts as usize;
                move |state| state.history().acknowledged.len() == puts
            });
        if gets == 0 {
            let nodes = self.nodes;
            cluster = cluster.always("what is acknowledged is on two nodes", move |state| {
                let acknowledged = &state.history().acknowledged;
                acknowledged.iter().all(|value| holders(state, nodes, *value) >= DURABLE)
            });
        }
        if gets > 0 {
            cluster = cluster.sometimes("a read is asked after an acknowledgement", |state| {
                state.history().due.iter().any(|(_, due)| !due.is_empty())
            });
        }
        if gets > 0 && self.puts > 1 {
            cluster = cluster.sometimes("a read finds siblings", |state| state.history().found_two);
        }
        if self.answers_all() {
            let asked = Some(self.clients());
            cluster = cluster.eventually("every request is answered", move |state| {
                state.history().answered == asked
            });
        }
        if self.timeout_ms.is_some() {
            cluster = cluster.sometimes("a request fails", |state| state.history().failed);
        }
        Ok(cluster)
    }

    /// Whether nothing is lost, so that every request must be answered in the end.
    fn answers_all(&self) -> bool {
        let Budget { drops, crashes, resets, .. } = self.budget;
        drops + crashes + resets == 0
    }
}

/// So many nodes have synced what is acknowledged, and nobody replaces it.
const DURABLE: usize = 2;

/// How many nodes have a value.
fn holders(state: &ClusterState<Shard, Told>, nodes: u32, value: u8) -> usize {
    let (partition, key) = place_of(&bucket(), KEY, RING_SIZE);
    let has = |node: &NodeId| {
        let object = state.stored(*node, partition, &key);
        let object = object.and_then(|entry| Object::decode(&entry.bytes).ok());
        let object = object.unwrap_or_default();
        object.siblings().iter().any(|(_, version)| version.content.value[..] == [value])
    };
    (0..nodes).map(NodeId).filter(has).count()
}

/// The smallest. The one key of the clients lies in one of the partitions.
const RING_SIZE: u32 = 8;

/// A node that knows that the bucket keeps siblings.
fn shard(topology: &Topology, node: NodeId, storage: &Storage) -> Shard {
    let mut device = Memory::new();
    for (partition, key, entry) in storage.entries() {
        device.store(partition, &key, Some(&entry));
    }
    let config = Config {
        me: Address { node, shard: ShardId(0) },
        shards: 1,
        topology: topology.clone(),
        boot: u64::from(node.0),
        directory: DirectoryId(u64::from(node.0)),
        delete_mode: DeleteMode::Immediate,
        root: None,
    };
    let mut boot = Boot::read(&mut device, &config, &Default::default());
    let mut buckets = BucketMap::default();
    if buckets.set(&bucket(), &keep_siblings(), NodeId(0)).is_ok() {
        boot.props = vec![buckets.export(&bucket())];
    }
    Shard::new(config, boot)
}

fn hello(topology: &Topology, node: NodeId) -> Bytes {
    let hello = Hello {
        versions: (VERSION, VERSION),
        cluster: topology.cluster,
        node,
        directory: DirectoryId(u64::from(node.0)),
        epoch: topology.epoch,
        shard: ShardId(0),
        shards: 1,
    };
    Bytes::from(hello.encode())
}

/// The only one.
const KEY: &[u8] = b"k";

fn bucket() -> BucketId {
    BucketId::default_type("b")
}

fn put(value: u8, quorums: Quorums, timeout_ms: Option<u32>) -> Operation {
    Operation::Put(PutOp {
        bucket: bucket(),
        key: Some(Bytes::from_static(KEY)),
        context: Bytes::new(),
        content: Content { value: Bytes::copy_from_slice(&[value]), ..Content::default() },
        quorums,
        returns: Return::Nothing,
        if_none_match: false,
        if_not_modified: false,
        timeout_ms,
    })
}

fn get(timeout_ms: Option<u32>) -> Operation {
    Operation::Get(GetOp {
        bucket: bucket(),
        key: Bytes::from_static(KEY),
        quorums: Quorums::default(),
        basic_quorum: None,
        notfound_ok: None,
        timeout_ms,
    })
}

#[cfg(test)]
pub(crate) mod tests;

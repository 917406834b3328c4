//! Simulated clients: each does one thing after the other, and writes down what it was told.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{ClientId, NodeId, ShardId, Tick};
use ombak_kv::{
    Answer, Content, DeleteOp, GetOp, ObjectAnswer, Operation, PutOp, Quorums, Request, Return,
};
use ombak_node::Reply;
use ombak_sim::{Heard, Rng, WALL_START_US, World};

use crate::cluster::Cluster;
use crate::history::{Found, History, Known, Op, OpKind, Outcome, TIMEOUT_MS};
use crate::keys::{BUCKETS, Keeps, bucket_id, bucket_of, is_deleted, keys, name};

const CLIENTS: usize = 4;
/// What the default quorums come to: replicas that a read hears, and that hold a write.
const MAJORITY: u32 = 2;

/// What a client has in its hands after a read.
#[derive(Clone, Debug)]
struct Seen {
    context: Bytes,
    known: Known,
}

/// Who asks where for what.
#[derive(Clone, Copy)]
struct Asking {
    client: usize,
    node: NodeId,
    key: usize,
}

/// All clients and what they did.
pub struct Workload {
    rng: Rng,
    history: History,
    open: BTreeMap<ClientId, usize>,
    busy: [bool; CLIENTS],
    seen: BTreeMap<(usize, usize), Seen>,
    last_value: u64,
}

impl Workload {
    /// Clients that have done nothing yet.
    pub fn new(rng: Rng) -> Workload {
        let mut history = History::default();
        for key in keys().filter(|key| BUCKETS[bucket_of(*key)].keeps == Keeps::Siblings) {
            history.siblings_from(key, Tick(0));
        }
        Workload {
            rng,
            history,
            open: BTreeMap::new(),
            busy: [false; CLIENTS],
            seen: BTreeMap::new(),
            last_value: 0,
        }
    }

    /// What was done.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The same, to write down what befell the cluster.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Whether nobody waits for an answer.
    pub fn is_quiet(&self) -> bool {
        self.open.is_empty()
    }

    /// The oldest operation that is still open.
    pub fn oldest_open(&self) -> Option<&Op> {
        let ops = self.open.values().map(|op| &self.history.ops()[*op]);
        ops.min_by_key(|op| op.began)
    }

    /// Everyone who is idle begins something.
    pub fn begin_all(&mut self, world: &mut World<Cluster>) {
        for client in (0..CLIENTS).filter(|client| !self.busy[*client]).collect::<Vec<_>>() {
            let key = self.rng.below(keys().count() as u64) as usize;
            let up: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
            let Some(node) = self.rng.pick(&up).copied() else { return };
            match self.rng.below(10) {
                0..=3 => self.get(world, Asking { client, node, key }),
                4..=8 => self.put(world, Asking { client, node, key }),
                _ if is_deleted(key) => self.delete(world, Asking { client, node, key }),
                _ => self.get(world, Asking { client, node, key }),
            }
        }
    }

    /// One read of every key through one node, by a client of its own.
    pub fn read_all(&mut self, world: &mut World<Cluster>, node: NodeId) {
        for key in keys() {
            self.get(world, Asking { client: CLIENTS - 1, node, key });
        }
    }

    fn get(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let key = asking.key;
        let operation = Operation::Get(GetOp {
            bucket: bucket_id(bucket_of(key)),
            key: name(key),
            quorums: Quorums::default(),
            basic_quorum: None,
            notfound_ok: None,
            timeout_ms: Some(TIMEOUT_MS),
        });
        self.send(world, asking, OpKind::Get, None, operation);
    }

    fn put(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let Asking { client, key, .. } = asking;
        self.last_value += 1;
        let value = self.last_value;
        let known = self.seen.get(&(client, key)).cloned().filter(|_| self.rng.chance(2, 3));
        let context = known.as_ref().map(|seen| seen.context.clone()).unwrap_or_default();
        let padding = if self.rng.chance(1, 8) { 3_000 } else { 20 };
        let text = format!("v{value} {}", "x".repeat(padding));
        let operation = Operation::Put(PutOp {
            bucket: bucket_id(bucket_of(key)),
            key: Some(name(key)),
            context,
            content: Content { value: Bytes::from(text), ..Content::default() },
            quorums: Quorums::default(),
            returns: Return::Nothing,
            if_none_match: false,
            if_not_modified: false,
            timeout_ms: Some(TIMEOUT_MS),
        });
        self.send(world, asking, OpKind::Put(value), known, operation);
    }

    fn delete(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let Asking { client, key, .. } = asking;
        let known = self.seen.get(&(client, key)).cloned().filter(|_| self.rng.chance(2, 3));
        let context = known.as_ref().map(|seen| seen.context.clone());
        let operation = Operation::Delete(DeleteOp {
            bucket: bucket_id(bucket_of(key)),
            key: name(key),
            context,
            quorums: Quorums::default(),
            timeout_ms: Some(TIMEOUT_MS),
        });
        self.send(world, asking, OpKind::Delete, known, operation);
    }

    fn send(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        kind: OpKind,
        seen: Option<Seen>,
        operation: Operation,
    ) {
        let (began, Asking { client, node, key }) = (world.now(), asking);
        let (reads, holds) = (MAJORITY, MAJORITY);
        let (known, ended, outcome) = (seen.map(|seen| seen.known), None, Outcome::Open);
        let op = Op { client, node, key, kind, known, reads, holds, began, ended, outcome };
        let op = self.history.begin(op);
        let shard = ShardId(self.rng.below(u64::from(world.system().shape().shards)) as u16);
        let request = ombak_node::Request::Kv(Request::Key(operation));
        let id = world.request(node, shard, request);
        self.open.insert(id, op);
        self.busy[client] = true;
    }

    /// Writes down what was heard.
    pub fn hear(&mut self, world: &mut World<Cluster>) {
        for reply in world.take_replies() {
            let Some(op) = self.open.remove(&reply.client) else { continue };
            let client = self.history.ops()[op].client;
            let outcome = match reply.heard {
                Heard::HungUp => Outcome::HungUp,
                Heard::Reply(Reply::Kv(answer)) => self.outcome(op, answer),
                Heard::Reply(other) => Outcome::Failed(format!("{other:?}")),
            };
            self.history.end(op, reply.at, outcome);
            self.busy[client] =
                self.open.values().any(|op| self.history.ops()[*op].client == client);
            world.finish(reply.client);
        }
    }

    fn outcome(&mut self, op: usize, answer: Answer) -> Outcome {
        let Op { client, key, began, reads, .. } = self.history.ops()[op];
        match answer {
            Answer::Object(object) => {
                let found = found(&object);
                let known = Known { values: found.values.clone(), at: began, heard: reads };
                self.seen.insert((client, key), Seen { context: object.context, known });
                Outcome::Found(found)
            }
            // A deletion of what is not there is answered so, too; either way nothing was there.
            Answer::NotFound(_) => Outcome::NotFound,
            Answer::Failed(error) => Outcome::Failed(error.to_string()),
            _ => Outcome::Done,
        }
    }
}

fn found(object: &ObjectAnswer) -> Found {
    let values = object.siblings.iter().map(|(_, content)| value_of(&content.value)).collect();
    let named = object.siblings.iter().map(|(_, content)| content.last_modified_us).max();
    Found { values, named: Tick(named.unwrap_or_default().saturating_sub(WALL_START_US)) }
}

fn value_of(value: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(value);
    let digits = text.trim_start_matches('v').split(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(u64::MAX)
}

/// How long an operation may stay open before it counts as silence.
pub const SILENCE: Tick = Tick::from_ms(TIMEOUT_MS as u64 + 3_000);

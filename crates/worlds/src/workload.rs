//! Simulated clients: each does one thing after the other, and writes down what it was told.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{ClientId, NodeId, ShardId, Tick};
use ombak_kv::props::{PropChange, PropValue};
use ombak_kv::{
    Answer, BucketId, Content, DeleteOp, GetOp, Operation, PutOp, Quorums, Request, Return,
};
use ombak_node::Reply;
use ombak_sim::{Heard, Rng, World};

use crate::cluster::Cluster;
use crate::history::{History, Op, OpKind, Outcome};

/// Every request has this long.
pub const TIMEOUT_MS: u32 = 2_000;
const KEYS: usize = 6;
const CLIENTS: usize = 4;

/// What a client has in its hands after a read.
#[derive(Clone, Debug)]
struct Seen {
    context: Bytes,
    values: Vec<u64>,
    at: Tick,
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
    /// Clients that have done nothing yet. Half of the keys lie in a bucket that keeps siblings; the last of each half
    /// is never deleted.
    pub fn new(rng: Rng) -> Workload {
        let mut history = History::default();
        (0..KEYS).for_each(|key| history.add_key(key, keeps_siblings(key)));
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

    /// A disk was lost: see [`History::disk_lost`].
    pub fn disk_lost(&mut self, at: Tick) {
        self.history.disk_lost(at);
    }

    /// What was lost has been copied from other nodes.
    pub fn disk_repaired(&mut self, at: Tick) {
        self.history.disk_repaired(at);
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
            let key = self.rng.below(KEYS as u64) as usize;
            let up: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
            let Some(node) = self.rng.pick(&up).copied() else { return };
            match self.rng.below(10) {
                0..=3 => self.get(world, Asking { client, node, key }),
                4..=8 => self.put(world, Asking { client, node, key }),
                _ if deletable(key) => self.delete(world, Asking { client, node, key }),
                _ => self.get(world, Asking { client, node, key }),
            }
        }
    }

    /// One read of every key through one node, by a client of its own.
    pub fn read_all(&mut self, world: &mut World<Cluster>, node: NodeId) {
        for key in 0..KEYS {
            self.get(world, Asking { client: CLIENTS - 1, node, key });
        }
    }

    fn get(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let key = asking.key;
        let operation = Operation::Get(GetOp {
            bucket: bucket(key),
            key: key_name(key),
            quorums: Quorums::default(),
            basic_quorum: None,
            notfound_ok: None,
            timeout_ms: Some(TIMEOUT_MS),
        });
        self.send(world, asking, OpKind::Get, None, false, operation);
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
            bucket: bucket(key),
            key: Some(key_name(key)),
            context,
            content: Content { value: Bytes::from(text), ..Content::default() },
            quorums: Quorums::default(),
            returns: Return::Nothing,
            if_none_match: false,
            if_not_modified: false,
            timeout_ms: Some(TIMEOUT_MS),
        });
        self.send(world, asking, OpKind::Put(value), known, false, operation);
    }

    fn delete(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let Asking { client, key, .. } = asking;
        let known = self.seen.get(&(client, key)).cloned().filter(|_| self.rng.chance(2, 3));
        let blind = known.is_none();
        let context = known.as_ref().map(|seen| seen.context.clone());
        let operation = Operation::Delete(DeleteOp {
            bucket: bucket(key),
            key: key_name(key),
            context,
            quorums: Quorums::default(),
            timeout_ms: Some(TIMEOUT_MS),
        });
        self.send(world, asking, OpKind::Delete, known, blind, operation);
    }

    fn send(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        kind: OpKind,
        known: Option<Seen>,
        blind: bool,
        operation: Operation,
    ) {
        let (began, Asking { client, node, key }) = (world.now(), asking);
        let (replaces, seen_at) = known.map_or((Vec::new(), began), |seen| (seen.values, seen.at));
        let outcome = Outcome::Open;
        let op =
            Op { client, node, key, kind, replaces, seen_at, blind, began, ended: None, outcome };
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
        let Op { client, key, began: at, .. } = self.history.ops()[op];
        match answer {
            Answer::Object(object) => {
                let values: Vec<u64> =
                    object.siblings.iter().map(|(_, content)| value_of(&content.value)).collect();
                let seen = Seen { context: object.context, values: values.clone(), at };
                self.seen.insert((client, key), seen);
                Outcome::Found(values)
            }
            // A deletion of what is not there is answered so, too; either way nothing was there.
            Answer::NotFound(_) => Outcome::NotFound,
            Answer::Failed(error) => Outcome::Failed(error.to_string()),
            _ => Outcome::Done,
        }
    }
}

/// The bucket of the keys that keep siblings has to be told so.
pub fn sibling_bucket() -> (BucketId, Vec<PropChange>) {
    let change = PropChange { name: "allow_mult".into(), value: Some(PropValue::Bool(true)) };
    (BucketId::default_type("siblings"), vec![change])
}

fn keeps_siblings(key: usize) -> bool {
    key < KEYS / 2
}

fn deletable(key: usize) -> bool {
    key % (KEYS / 2) != KEYS / 2 - 1
}

fn bucket(key: usize) -> BucketId {
    BucketId::default_type(if keeps_siblings(key) { "siblings" } else { "latest" })
}

fn key_name(key: usize) -> Bytes {
    Bytes::from(format!("k{key}"))
}

fn value_of(value: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(value);
    let digits = text.trim_start_matches('v').split(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(u64::MAX)
}

/// How long an operation may stay open before it counts as silence.
pub const SILENCE: Tick = Tick::from_ms(TIMEOUT_MS as u64 + 3_000);

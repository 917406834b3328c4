//! Simulated clients: each does one thing after the other, and writes down what it was told.

mod asks;
mod listings;
mod quorums;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use ombak_base::{ClientId, NodeId, ShardId, Tick};
use ombak_kv::{Answer, Listing, ObjectAnswer, Operation, Quorum, Quorums, Request};
use ombak_node::Reply;
use ombak_sim::{Heard, Rng, WALL_START_US, World};

use crate::cluster::Cluster;
use crate::history::{Found, History, Known, Op, OpKind, Outcome, TIMEOUT_MS};
use crate::keys::{BUCKETS, BUSY, Keeps, RARE, TURNED, bucket_of, is_deleted, keys};
use listings::Open;

/// Clients that do one thing after the other.
const CLIENTS: usize = 5;
/// Who asks for everything when all is healed, and who writes when a bucket is turned: many things at a time.
const READER: usize = CLIENTS;
const CROWD: usize = CLIENTS + 1;

/// How long a request may stay open before it counts as silence: its time, or that of a change of properties, and some.
const SILENCE: Tick = Tick::from_ms(TIMEOUT_MS as u64 + 3_000);
const SILENCE_OF_TURNS: Tick = Tick::from_ms(5_000 + 3_000);

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

/// What an answer is waited for.
#[derive(Debug)]
enum Waiting {
    Op(usize),
    Listing(Open),
    /// A bucket is being turned.
    Turn {
        bucket: usize,
        began: Tick,
    },
}

/// All clients and what they did.
pub struct Workload {
    rng: Rng,
    history: History,
    open: BTreeMap<ClientId, Waiting>,
    /// Which clients wait for how many answers.
    busy: BTreeMap<usize, usize>,
    seen: BTreeMap<(usize, usize), Seen>,
    last_value: u64,
    /// Buckets that have been turned, and whether every node knows it. See `turns.rs`.
    turned: BTreeMap<usize, bool>,
    /// Those of which that was heard just now.
    crowds: Vec<usize>,
    /// Whether every node can be reached.
    is_calm: bool,
    /// Listings that ended well, with the names in them.
    listed: Vec<(Listing, Vec<Bytes>)>,
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
            busy: BTreeMap::new(),
            seen: BTreeMap::new(),
            last_value: 0,
            turned: BTreeMap::new(),
            crowds: Vec::new(),
            is_calm: true,
            listed: Vec::new(),
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

    /// A request that has been open for longer than anything may take, counted from `since` if it was asked before.
    pub fn overdue(&self, now: Tick, since: Tick) -> Option<String> {
        let late = self.open.values().find(|waiting| {
            let (began, silence) = match waiting {
                Waiting::Op(op) => (self.history.ops()[*op].began, SILENCE),
                Waiting::Listing(open) => (open.began, SILENCE),
                Waiting::Turn { began, .. } => (*began, SILENCE_OF_TURNS),
            };
            now.since(began.max(since)) > silence.0
        });
        late.map(|waiting| self.describe(waiting))
    }

    /// What somebody still waits for.
    pub fn any_open(&self) -> Option<String> {
        self.open.values().next().map(|waiting| self.describe(waiting))
    }

    fn describe(&self, waiting: &Waiting) -> String {
        match waiting {
            Waiting::Op(op) => format!("{:?}", self.history.ops()[*op]),
            other => format!("{other:?}"),
        }
    }

    /// Everyone who is idle begins something.
    pub fn begin_all(&mut self, world: &mut World<Cluster>) {
        for client in 0..CLIENTS {
            if self.busy.contains_key(&client) {
                continue;
            }
            let key = self.draw_key();
            let Some(node) = self.any_node(world) else { return };
            let asking = Asking { client, node, key };
            match self.rng.below(20) {
                0..=7 => self.get(world, asking),
                8..=17 => self.put(world, asking),
                18 if self.rng.chance(1, 2) => self.list(world, client, node),
                _ if is_deleted(key) => self.delete(world, asking),
                _ => self.get(world, asking),
            }
        }
    }

    fn draw_key(&mut self) -> usize {
        match self.rng.below(12) {
            0..=7 => self.rng.below(BUSY as u64) as usize,
            8..=10 => BUSY + self.rng.below(TURNED as u64) as usize,
            _ => BUSY + TURNED + self.rng.below(RARE as u64) as usize,
        }
    }

    fn any_node(&mut self, world: &World<Cluster>) -> Option<NodeId> {
        let up: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
        self.rng.pick(&up).copied()
    }

    /// One read of every key through one node, on the word of `r` replicas.
    pub fn read_all(&mut self, world: &mut World<Cluster>, node: NodeId, r: Quorum) {
        let quorums = Quorums { r, ..Quorums::default() };
        for key in keys() {
            self.get_with(world, Asking { client: READER, node, key }, quorums);
        }
    }

    /// Deletes these keys, whatever is there, through any node.
    pub fn delete_all(&mut self, world: &mut World<Cluster>, keys: &BTreeSet<usize>) {
        for key in keys {
            let Some(node) = self.any_node(world) else { return };
            let asking = Asking { client: READER, node, key: *key };
            self.delete_with(world, asking, None, Quorums::default());
        }
    }

    fn send(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        kind: OpKind,
        known: Option<Known>,
        (reads, holds): (u32, u32),
        operation: Operation,
    ) {
        let (began, Asking { client, node, key }) = (world.now(), asking);
        let (ended, outcome) = (None, Outcome::Open);
        let op = Op { client, node, key, kind, known, reads, holds, began, ended, outcome };
        let op = self.history.begin(op);
        self.ask(world, client, node, Request::Key(operation), Waiting::Op(op));
    }

    fn ask(
        &mut self,
        world: &mut World<Cluster>,
        client: usize,
        node: NodeId,
        request: Request,
        waiting: Waiting,
    ) {
        let shard = ShardId(self.rng.below(u64::from(world.system().shape().shards)) as u16);
        let id = world.request(node, shard, ombak_node::Request::Kv(request));
        self.open.insert(id, waiting);
        *self.busy.entry(client).or_default() += 1;
    }

    /// Writes down what was heard.
    pub fn hear(&mut self, world: &mut World<Cluster>) {
        for reply in world.take_replies() {
            let Some(waiting) = self.open.remove(&reply.client) else { continue };
            let answer = match reply.heard {
                Heard::Reply(Reply::Kv(answer)) => Some(answer),
                Heard::Reply(_) | Heard::HungUp => None,
            };
            let client = match waiting {
                Waiting::Op(op) => self.heard_op(op, reply.at, answer),
                Waiting::Turn { bucket, .. } => self.heard_turn(world, bucket, reply.at, answer),
                Waiting::Listing(open) => match self.heard_list(open, reply.at, answer) {
                    ControlFlow::Break(client) => client,
                    ControlFlow::Continue(open) => {
                        self.open.insert(reply.client, Waiting::Listing(open));
                        world.more(reply.client);
                        continue;
                    }
                },
            };
            self.is_free(client);
            world.finish(reply.client);
        }
        self.crowd_all(world);
        self.promise_all(world);
    }

    fn is_free(&mut self, client: usize) {
        let waits = self.busy.entry(client).or_default();
        *waits = waits.saturating_sub(1);
        if *waits == 0 {
            self.busy.remove(&client);
        }
    }

    fn heard_op(&mut self, op: usize, at: Tick, answer: Option<Answer>) -> usize {
        let Op { client, key, began, reads, .. } = self.history.ops()[op];
        let outcome = match answer {
            None => Outcome::HungUp,
            Some(Answer::Object(object)) => {
                let found = found(&object);
                let known = Known { values: found.values.clone(), at: began, heard: reads };
                self.seen.insert((client, key), Seen { context: object.context, known });
                Outcome::Found(found)
            }
            // A deletion of what is not there is answered so, too; either way nothing was there.
            Some(Answer::NotFound(_)) => Outcome::NotFound,
            Some(Answer::Failed(error)) => Outcome::Failed(error.to_string()),
            Some(_) => Outcome::Done,
        };
        self.history.end(op, at, outcome);
        client
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

//! Simulated clients: each does one thing after the other, and writes down what it was told.

mod asks;
mod draw;
mod listings;
mod locks;
mod quorums;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use ombak_base::{Address, ClientId, NodeId, ShardId, Tick};
use ombak_kv::{Answer, Listing, ObjectAnswer, Quorum, Quorums, Request};
use ombak_node::Reply;
use ombak_sim::{Heard, Rng, WALL_START_US, World};

use crate::cluster::Cluster;
use crate::history::{Found, History, Known, Op, Outcome, TIMEOUT_MS};
use crate::keys::{BUCKETS, Keeps, bucket_of, keys};
use crate::locked::Locked;
use crate::script::{Ask, Asked, Locking};
use listings::Open;
use locks::{Locks, SHARD};

pub(crate) use locks::PRINTERS;

/// Clients that do one thing after the other.
pub const CLIENTS: usize = 5;
/// Who asks for everything when all is healed, and who writes when a bucket is turned: many things at a time.
const READER: usize = CLIENTS;
const CROWD: usize = CLIENTS + 1;
/// Who locks: this one and those that follow.
pub(crate) const LOCKER: usize = CLIENTS + 2;

/// How long a request may stay open before it counts as silence: its time, or that of a change of properties, and some.
const SILENCE: Tick = Tick::from_ms(TIMEOUT_MS as u64 + 3_000);
const SILENCE_OF_TURNS: Tick = Tick::from_ms(5_000 + 3_000);

/// What a client has in its hands after a read.
#[derive(Clone, Debug)]
struct Seen {
    context: Bytes,
    known: Known,
}

/// Who asks where.
#[derive(Clone, Copy)]
struct Asking {
    client: usize,
    node: NodeId,
    shard: ShardId,
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
    /// Until when every node can be reached.
    calm_until: Tick,
    /// Listings that ended well, with the names in them.
    listed: Vec<(Listing, Vec<Bytes>)>,
    locks: Locks,
}

impl Workload {
    /// Clients that have done nothing yet.
    pub fn new(rng: Rng, locks: Rng) -> Workload {
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
            calm_until: Tick(u64::MAX),
            listed: Vec::new(),
            locks: Locks::new(locks),
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

    /// What somebody who is idle asks next, if anybody is.
    pub fn draw(&mut self, world: &World<Cluster>, client: usize) -> Option<Asked> {
        if client >= CLIENTS || self.busy.contains_key(&client) {
            return None;
        }
        let node = self.any_node(world)?;
        let shard = self.any_shard(world);
        let ask = self.draw_ask(client);
        Some(Asked { client, node, shard, ask })
    }

    /// How many clients lock, if anybody does.
    pub fn draw_lockers(&mut self) -> usize {
        self.locks.draw_clients()
    }

    /// What a client does that locks, if anything.
    pub fn draw_lock(&mut self, world: &World<Cluster>, client: usize) -> Option<Asked> {
        let locking = self.locks.draw(client, world.now())?;
        let node = self.locks.draw_node(world)?;
        Some(Asked { client, node, shard: SHARD, ask: Ask::Lock(locking) })
    }

    /// What somebody does next, through `node`, who wants every lock, or none.
    pub fn next_lock(&self, client: usize, node: NodeId, wants: bool) -> Option<Asked> {
        let locking: Locking = self.locks.next(client, wants)?;
        Some(Asked { client, node, shard: SHARD, ask: Ask::Lock(locking) })
    }

    /// Whether somebody has every lock, or none.
    pub fn has_locks(&self, client: usize, wants: bool) -> bool {
        self.locks.has(client, wants)
    }

    /// What clients were told of locks.
    pub fn locked(&self) -> &Locked {
        self.locks.locked()
    }

    /// Those who lock do nothing any more.
    pub fn leave_locks(&mut self, world: &mut World<Cluster>) {
        self.locks.leave(world);
    }

    fn any_node(&mut self, world: &World<Cluster>) -> Option<NodeId> {
        let up: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
        self.rng.pick(&up).copied()
    }

    fn any_shard(&mut self, world: &World<Cluster>) -> ShardId {
        ShardId(self.rng.below(u64::from(world.system().shape().shards)) as u16)
    }

    /// Does what was drawn, or what a script says. One who waits for something asks nothing else meanwhile.
    pub fn ask(&mut self, world: &mut World<Cluster>, asked: &Asked) {
        let Asked { client, node, shard, ask } = asked;
        if let Ask::Lock(locking) = ask {
            let at = Address { node: *node, shard: *shard };
            return self.locks.step(world, (*client, at), locking);
        }
        if self.busy.contains_key(client) {
            return;
        }
        self.ask_one(world, Asking { client: *client, node: *node, shard: *shard }, ask);
    }

    /// One read of every key through one node, on the word of `r` replicas.
    pub fn read_all(&mut self, world: &mut World<Cluster>, node: NodeId, r: Quorum) {
        let quorums = Quorums { r, ..Quorums::default() };
        for key in keys() {
            let shard = self.any_shard(world);
            let ask = Ask::Get { key, quorums, basic_quorum: None, notfound_ok: None };
            self.ask_one(world, Asking { client: READER, node, shard }, &ask);
        }
    }

    /// Deletes these keys, whatever is there, through any node.
    pub fn delete_all(&mut self, world: &mut World<Cluster>, keys: &BTreeSet<usize>) {
        for key in keys.iter().copied() {
            let Some(node) = self.any_node(world) else { return };
            let shard = self.any_shard(world);
            let ask = Ask::Delete { key, quorums: Quorums::default(), after_read: false };
            self.ask_one(world, Asking { client: READER, node, shard }, &ask);
        }
    }

    /// From now on, what is drawn comes from this seed.
    pub fn draw_from(&mut self, seed: u64) {
        self.rng = Rng::new(seed);
        self.locks.draw_from(Rng::new(!seed));
    }

    fn send(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        request: Request,
        waiting: Waiting,
    ) {
        let request = ombak_node::Request::Kv(request);
        let id = world.request(asking.node, asking.shard, request);
        self.open.insert(id, waiting);
        *self.busy.entry(asking.client).or_default() += 1;
    }

    /// Writes down what was heard.
    pub fn hear(&mut self, world: &mut World<Cluster>) {
        for reply in world.take_replies() {
            let Some(waiting) = self.open.remove(&reply.client) else {
                self.locks.hear(reply.client, reply.at, reply.heard);
                world.finish(reply.client);
                continue;
            };
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

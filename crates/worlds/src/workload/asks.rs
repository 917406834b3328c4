//! What clients ask, as the database takes it.

use bytes::Bytes;
use ombak_base::NodeId;
use ombak_kv::{Content, DeleteOp, GetOp, Operation, PutOp, Quorums, Request, Return};
use ombak_sim::World;

use super::{Asking, Seen, Waiting, Workload, quorums};
use crate::cluster::Cluster;
use crate::history::{Known, Op, OpKind, Outcome, TIMEOUT_MS};
use crate::keys::{bucket_id, bucket_of, name};
use crate::script::{Ask, Condition};

/// What is written down of an operation when it begins.
struct Begun {
    key: usize,
    kind: OpKind,
    known: Option<Known>,
    /// Of how many replicas it takes the word, and on how many it is durable when it is acknowledged.
    counts: (u32, u32),
}

/// A put, and the read that it rests on.
struct Put {
    key: usize,
    quorums: Quorums,
    seen: Option<Seen>,
    condition: Condition,
    is_large: bool,
}

impl Workload {
    pub(super) fn ask_one(&mut self, world: &mut World<Cluster>, asking: Asking, ask: &Ask) {
        match *ask {
            Ask::Get { key, quorums, basic_quorum, notfound_ok } => {
                let operation = Operation::Get(GetOp {
                    bucket: bucket_id(bucket_of(key)),
                    key: name(key),
                    quorums,
                    basic_quorum,
                    notfound_ok,
                    timeout_ms: Some(TIMEOUT_MS),
                });
                let counts = (quorums::heard_by_get(&quorums, basic_quorum, notfound_ok), 0);
                let begun = Begun { key, kind: OpKind::Get, known: None, counts };
                self.begin(world, asking, begun, operation);
            }
            Ask::Put { key, quorums, after_read, condition, is_large } => {
                let seen = self.seen_by(asking.client, key).filter(|_| after_read);
                self.put(world, asking, Put { key, quorums, seen, condition, is_large });
            }
            Ask::Delete { key, quorums, after_read } => {
                let seen = self.seen_by(asking.client, key).filter(|_| after_read);
                self.delete(world, asking, key, quorums, seen);
            }
            Ask::List(bucket) => self.list(world, asking, bucket),
            // It never comes here: those who lock do that beside everything else.
            Ask::Lock(_) => {}
        }
    }

    /// A put without context through each of some nodes.
    pub(super) fn put_through(
        &mut self,
        world: &mut World<Cluster>,
        client: usize,
        key: usize,
        nodes: &[NodeId],
    ) {
        for node in nodes.iter().copied() {
            let shard = self.any_shard(world);
            let quorums = quorums::draw(&mut self.rng);
            let (condition, asking) = (Condition::None, Asking { client, node, shard });
            let put = Put { key, quorums, seen: None, condition, is_large: false };
            self.put(world, asking, put);
        }
    }

    fn put(&mut self, world: &mut World<Cluster>, asking: Asking, put: Put) {
        let Put { key, quorums, seen, condition, is_large } = put;
        self.last_value += 1;
        let value = self.last_value;
        let padding = if is_large { 3_000 } else { 20 };
        let text = format!("v{value} {}", "x".repeat(padding));
        let operation = Operation::Put(PutOp {
            bucket: bucket_id(bucket_of(key)),
            key: Some(name(key)),
            context: seen.as_ref().map(|seen| seen.context.clone()).unwrap_or_default(),
            content: Content { value: Bytes::from(text), ..Content::default() },
            quorums,
            returns: Return::Nothing,
            if_none_match: condition == Condition::NoneMatch,
            // Without a read there is nothing to compare with.
            if_not_modified: condition == Condition::NotModified && seen.is_some(),
            timeout_ms: Some(TIMEOUT_MS),
        });
        let (known, counts) = (seen.map(|seen| seen.known), (0, quorums::held(&quorums)));
        self.begin(
            world,
            asking,
            Begun { key, kind: OpKind::Put(value), known, counts },
            operation,
        );
    }

    fn delete(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        key: usize,
        quorums: Quorums,
        seen: Option<Seen>,
    ) {
        let operation = Operation::Delete(DeleteOp {
            bucket: bucket_id(bucket_of(key)),
            key: name(key),
            context: seen.as_ref().map(|seen| seen.context.clone()),
            quorums,
            timeout_ms: Some(TIMEOUT_MS),
        });
        let asked = quorums::of_delete(&quorums);
        let counts = (quorums::heard(&asked), quorums::held(&asked));
        let known = seen.map(|seen| seen.known);
        self.begin(world, asking, Begun { key, kind: OpKind::Delete, known, counts }, operation);
    }

    fn seen_by(&self, client: usize, key: usize) -> Option<Seen> {
        self.seen.get(&(client, key)).cloned()
    }

    fn begin(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        begun: Begun,
        operation: Operation,
    ) {
        let Begun { key, kind, known, counts: (reads, holds) } = begun;
        let (began, Asking { client, node, .. }) = (world.now(), asking);
        let (ended, outcome) = (None, Outcome::Open);
        let op = Op { client, node, key, kind, known, reads, holds, began, ended, outcome };
        let op = self.history.begin(op);
        self.send(world, asking, Request::Key(operation), Waiting::Op(op));
    }
}

//! What clients ask of one key.

use bytes::Bytes;
use ombak_base::NodeId;
use ombak_kv::{Content, DeleteOp, GetOp, Operation, PutOp, Quorums, Return};
use ombak_sim::World;

use super::{Asking, Seen, Workload, quorums};
use crate::cluster::Cluster;
use crate::history::{OpKind, TIMEOUT_MS};
use crate::keys::{bucket_id, bucket_of, name};

/// Whether a put depends on what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    None,
    /// Only where nothing is.
    NoneMatch,
    /// Only where nothing has happened since the read behind the context.
    NotModified,
}

impl Workload {
    pub(super) fn get(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let quorums = quorums::draw(&mut self.rng);
        self.get_with(world, asking, quorums);
    }

    pub(super) fn get_with(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        quorums: Quorums,
    ) {
        let flag = |drawn| if drawn < 2 { Some(drawn == 0) } else { None };
        let operation = Operation::Get(GetOp {
            bucket: bucket_id(bucket_of(asking.key)),
            key: name(asking.key),
            quorums,
            basic_quorum: flag(self.rng.below(10)),
            notfound_ok: flag(self.rng.below(10)),
            timeout_ms: Some(TIMEOUT_MS),
        });
        let reads = quorums::heard(&quorums);
        self.send(world, asking, OpKind::Get, None, (reads, 0), operation);
    }

    pub(super) fn put(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let seen = self.seen_lately(asking);
        let condition = match (self.rng.below(12), &seen) {
            (0, None) => Condition::NoneMatch,
            (0 | 1, Some(_)) => Condition::NotModified,
            _ => Condition::None,
        };
        self.put_with(world, asking, seen, condition);
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
            self.put_with(world, Asking { client, node, key }, None, Condition::None);
        }
    }

    fn put_with(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        seen: Option<Seen>,
        condition: Condition,
    ) {
        self.last_value += 1;
        let value = self.last_value;
        let padding = if self.rng.chance(1, 8) { 3_000 } else { 20 };
        let text = format!("v{value} {}", "x".repeat(padding));
        let quorums = quorums::draw(&mut self.rng);
        let operation = Operation::Put(PutOp {
            bucket: bucket_id(bucket_of(asking.key)),
            key: Some(name(asking.key)),
            context: seen.as_ref().map(|seen| seen.context.clone()).unwrap_or_default(),
            content: Content { value: Bytes::from(text), ..Content::default() },
            quorums,
            returns: Return::Nothing,
            if_none_match: condition == Condition::NoneMatch,
            if_not_modified: condition == Condition::NotModified,
            timeout_ms: Some(TIMEOUT_MS),
        });
        let (known, holds) = (seen.map(|seen| seen.known), quorums::held(&quorums));
        self.send(world, asking, OpKind::Put(value), known, (0, holds), operation);
    }

    pub(super) fn delete(&mut self, world: &mut World<Cluster>, asking: Asking) {
        let seen = self.seen_lately(asking);
        let quorums = quorums::draw(&mut self.rng);
        self.delete_with(world, asking, seen, quorums);
    }

    pub(super) fn delete_with(
        &mut self,
        world: &mut World<Cluster>,
        asking: Asking,
        seen: Option<Seen>,
        quorums: Quorums,
    ) {
        let operation = Operation::Delete(DeleteOp {
            bucket: bucket_id(bucket_of(asking.key)),
            key: name(asking.key),
            context: seen.as_ref().map(|seen| seen.context.clone()),
            quorums,
            timeout_ms: Some(TIMEOUT_MS),
        });
        let asked = quorums::of_delete(&quorums);
        let quorums = (quorums::heard(&asked), quorums::held(&asked));
        let known = seen.map(|seen| seen.known);
        self.send(world, asking, OpKind::Delete, known, quorums, operation);
    }

    /// Two thirds of the writes rest on what their client has read last, if it has.
    fn seen_lately(&mut self, asking: Asking) -> Option<Seen> {
        let seen = self.seen.get(&(asking.client, asking.key)).cloned();
        seen.filter(|_| self.rng.chance(2, 3))
    }
}

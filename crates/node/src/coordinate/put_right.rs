//! Writes that were named before their coordinator knew that the bucket keeps siblings: what they replaced unseen is
//! written again. See `docs/decisions/0016-bucket-properties-by-digest.md`.

use ombak_base::{Effects, Now, sometimes};
use ombak_cluster::Done;
use ombak_crdt::Context;
use ombak_kv::{
    Answer, BucketId, Command, CommandReply, CoordinatedWrite, Operation, RequestError, Restoring,
};

use super::{Named, Op, Stage};
use crate::replica::Origin;
use crate::shard::Shard;

impl Shard {
    /// Whether a write of this operation stays beside what its client had not seen.
    pub(super) fn keeps_siblings(&self, op: &Op) -> bool {
        // A deletion never removes what its client had not seen, whatever the bucket keeps. And a node that has heard of
        // nobody since it started does not know what the bucket keeps.
        let allow_mult = self.buckets.props(op.operation.bucket()).allow_mult();
        allow_mult || op.is_delete() || !self.peers.in_the_know()
    }

    /// The bucket keeps siblings, as this node has just learned: writes that were named as if it did not are put right,
    /// before any of them can be acknowledged by a replica that knew better. Returns which these are.
    pub(crate) fn put_right<E: Effects<Shard>>(
        &mut self,
        now: Now,
        bucket: &BucketId,
        fx: &mut E,
    ) -> Vec<u64> {
        if !self.buckets.props(bucket).allow_mult() {
            return Vec::new();
        }
        let wrong = |op: &Op| {
            op.operation.bucket() == bucket
                && matches!(&op.stage, Stage::Writing(_, named) if !named.siblings)
        };
        let ids: Vec<u64> =
            self.ops.iter().filter(|(_, op)| wrong(op)).map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| self.put_one_right(now, *id, fx));
        ids
    }

    /// What replicas say of the write as it was counts no more: it goes on under another number.
    pub(super) fn put_one_right<E: Effects<Shard>>(&mut self, now: Now, id: u64, fx: &mut E) {
        let Some(mut op) = self.ops.remove(&id) else { return };
        let (Stage::Writing(core, named), Operation::Put(put)) = (&mut op.stage, &op.operation)
        else {
            return;
        };
        *core = core.anew();
        named.siblings = true;
        let write = CoordinatedWrite {
            request: op.request,
            retried: op.retried,
            context: Context::decode(&put.context).unwrap_or_default(),
            content: put.content.clone(),
            siblings: true,
            if_none_match: false,
            if_not_modified: false,
        };
        let restoring = Restoring { write, before: named.unseen.take() };
        let (partition, key) = (op.partition, op.storage_key.clone());
        let id = self.fresh_id();
        self.ops.insert(id, op);
        sometimes!(fx, "what was replaced before its bucket was known is written again");
        let command = Command::Restore(Box::new(restoring));
        self.submit(now, partition, &key, command, Origin::Restoring(id), fx);
    }

    /// What a write had replaced is there again, beside it: so it goes to the other primaries.
    pub(crate) fn restored<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        done: Done<Origin, CommandReply>,
        fx: &mut E,
    ) {
        let Some(op) = self.ops.remove(&id) else { return };
        let CommandReply::Coordinated { object, tag, base, unseen } = done.reply else {
            // Nothing may be acknowledged that costs another write.
            return self.deliver(op.asker, Answer::Failed(RequestError::Timeout), fx);
        };
        let Stage::Writing(core, _) = &op.stage else { return };
        let write = (core.clone(), Named { object, tag, base, unseen, siblings: true });
        self.spread_write(now, id, op, write, done.stamp, fx);
    }
}

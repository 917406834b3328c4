//! The write of an operation: the own vnode names it, the other primaries take it over, and a deletion that all of them
//! hold is reaped.

use bytes::Bytes;
use ombak_base::{Effects, NodeId, Now, Stamp, sometimes};
use ombak_cluster::{Done, VnodeError};
use ombak_crdt::Context;
use ombak_kv::{
    Ack, Answer, Command, CommandReply, Content, CoordinatedWrite, Object, Operation, PutCore,
    RequestError, Return, TAG_TOMBSTONE,
};

use super::{Asker, Named, Op, Stage, Task};
use crate::entry::refused;
use crate::message::{Acks, Ask, Message, Told};
use crate::places;
use crate::replica::Origin;
use crate::shard::Shard;
use crate::stopping::PROPERTY_BROKEN;

impl Shard {
    /// Has the own vnode name the write.
    pub(super) fn name_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        mut op: Box<Op>,
        core: PutCore,
        fx: &mut E,
    ) -> Result<(), RequestError> {
        if self.full {
            self.coordinate_elsewhere(now, op, fx);
            return Ok(());
        }
        let (content, context, none_match, not_modified) = match &op.operation {
            Operation::Put(put) => {
                (put.content.clone(), put.context.clone(), put.if_none_match, put.if_not_modified)
            }
            Operation::Delete(delete) => {
                let content = Content { deleted: true, ..Content::default() };
                (content, delete.context.clone().unwrap_or_default(), false, false)
            }
            Operation::Get(_) => return Ok(()),
        };
        let Ok(context) = Context::decode(&context) else {
            return Err(RequestError::BadContext);
        };
        let siblings = self.keeps_siblings(&op);
        let write = CoordinatedWrite {
            request: op.request,
            retried: op.retried,
            context,
            content,
            siblings,
            if_none_match: none_match,
            if_not_modified: not_modified,
        };
        let id = self.fresh_id();
        let (partition, key) = (op.partition, op.storage_key.clone());
        op.stage = Stage::Naming(core);
        self.ops.insert(id, op);
        self.arm_sweep(now, fx);
        let command = Command::Coordinate(Box::new(write));
        self.submit(now, partition, &key, command, Origin::Naming(id), fx);
        Ok(())
    }

    /// The own vnode has named the write, or would not.
    pub(crate) fn named<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        done: Done<Origin, CommandReply>,
        fx: &mut E,
    ) {
        let Some(mut op) = self.ops.remove(&id) else { return };
        let named = match done.reply {
            CommandReply::Coordinated { object, tag, base, unseen } => {
                let siblings = unseen.is_none() && self.keeps_siblings(&op);
                Named { object, tag, base, unseen, siblings }
            }
            CommandReply::CannotMint | CommandReply::Failed(VnodeError::Stopped) => {
                return self.coordinate_elsewhere(now, op, fx);
            }
            CommandReply::Refused(error) => {
                return self.deliver(op.asker, refused(op.retried, error), fx);
            }
            CommandReply::Failed(error) => return self.deliver(op.asker, failed(&error), fx),
            _ => return,
        };
        let Stage::Naming(core) = &op.stage else { return };
        let core = core.clone();
        if !named.siblings && self.keeps_siblings(&op) {
            // The bucket has come to keep siblings while the key was being loaded.
            op.stage = Stage::Writing(core, named);
            self.ops.insert(id, op);
            self.put_one_right(now, id, fx);
        } else {
            self.spread_write(now, id, op, (core, named), done.stamp, fx);
        }
        self.extend_leases(fx);
    }

    /// A write that has its dot is in the own vnode, durable with `stamp`, and goes to the other primaries.
    pub(super) fn spread_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        mut op: Box<Op>,
        (mut core, named): (PutCore, Named),
        stamp: Stamp,
        fx: &mut E,
    ) {
        core.hear(self.me(), Ack::Taken);
        let own = Told::Durable(named.tag);
        if ombak_base::planted!("acknowledging before durable") {
            self.inbox.push_back((self.me(), id, own));
        } else if acks_wanted(&core, op.is_delete()) != Acks::Taken {
            self.tell_self_when_durable(stamp, id, own, fx);
        }
        let decided = core.decide();
        self.send_merges(now, id, &op, &core, &named, fx);
        op.stage = Stage::Writing(core, named);
        self.settle_write(now, id, op, decided, fx);
    }

    fn send_merges<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        op: &Op,
        core: &PutCore,
        named: &Named,
        fx: &mut E,
    ) {
        let acks = acks_wanted(core, op.is_delete());
        let props = self.buckets.digest(op.operation.bucket());
        let me = self.me();
        for (node, _) in op.primaries.iter().filter(|(node, _)| *node != me) {
            self.ask(now, id, op, *node, props, merge_of(op, named, acks), fx);
        }
    }

    /// The own vnode cannot name writes yet, or has no room for them: another primary can.
    pub(super) fn coordinate_elsewhere<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: Box<Op>,
        fx: &mut E,
    ) {
        sometimes!(fx, "a vnode could not name a write");
        match op.asker {
            Asker::Client(client) => {
                let Op { asker, request, retried, operation, deadline, .. } = *op;
                let task = Task { asker, request, retried, operation, deadline };
                self.forward_instead(now, client, task, fx);
            }
            Asker::Shard(address, id) => {
                let full = self.full.then(|| Box::new(Answer::Failed(self.disk_full())));
                self.answer_shard(address, Message::Forwarded(id, full), Stamp::NONE, fx);
            }
            Asker::Nobody => {}
        }
    }

    pub(super) fn heard_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        mut op: Box<Op>,
        told: Told,
        fx: &mut E,
    ) {
        if told == Told::Full {
            op.full = Some(node);
        }
        let (Stage::Writing(core, _) | Stage::Naming(core)) = &mut op.stage else { return };
        core.hear(
            node,
            match told {
                Told::Taken => Ack::Taken,
                Told::Durable(tag) => Ack::Durable(tag),
                _ => Ack::Failed,
            },
        );
        let decided = if matches!(op.stage, Stage::Writing(..)) { self.decided(&op) } else { None };
        self.settle_write(now, id, op, decided, fx);
    }

    pub(super) fn decided(&self, op: &Op) -> Option<Result<(), RequestError>> {
        match &op.stage {
            Stage::Writing(core, _) if op.asker != Asker::Nobody => core.decide(),
            _ => None,
        }
    }

    /// Answers a write once that is decided; keeps a deletion until it can be reaped.
    pub(super) fn settle_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        mut op: Box<Op>,
        decided: Option<Result<(), RequestError>>,
        fx: &mut E,
    ) {
        if let Some(result) = decided {
            let asker = std::mem::replace(&mut op.asker, Asker::Nobody);
            let answer = match result {
                Ok(()) => self.put_answer(&op),
                Err(error) => Answer::Failed(self.with_cause(&op, error)),
            };
            self.deliver(asker, answer, fx);
        }
        if let Stage::Writing(core, named) = &op.stage
            && op.asker == Asker::Nobody
        {
            // Only a tombstone is waited for, and only as long as all primaries may come to hold it.
            if matches!(op.operation, Operation::Put(_)) || core.has_failed() {
                return;
            }
            if core.all_durable() == Some(named.tag) && named.tag & TAG_TOMBSTONE != 0 {
                let tombstone = named.object.clone();
                return self.reap_in_time(now, op, tombstone, fx);
            }
        }
        self.ops.insert(id, op);
    }

    /// A quorum that was not reached because a disk is full says so.
    fn with_cause(&self, op: &Op, error: RequestError) -> RequestError {
        use RequestError as E;
        match (op.full, &error) {
            (
                Some(node),
                E::WUnsatisfied { .. } | E::DwUnsatisfied { .. } | E::PwUnsatisfied { .. },
            ) => {
                let name = self.config.topology.name(node).to_owned();
                E::FewerForFullDisk(Box::new(error), name)
            }
            _ => error,
        }
    }

    /// Every primary holds this tombstone, synced: each forgets it, if it still holds exactly that.
    pub(crate) fn reap<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: &Op,
        tombstone: &Bytes,
        fx: &mut E,
    ) {
        sometimes!(fx, "a tombstone was reaped");
        op.pass(places::REAPED, None, "tombstone", fx);
        let props = self.buckets.digest(op.operation.bucket());
        for (node, _) in &op.primaries {
            let ask = Ask::Reap(op.storage_key.clone(), tombstone.clone());
            self.ask(now, 0, op, *node, props, ask, fx);
        }
    }

    pub(super) fn put_answer(&self, op: &Op) -> Answer {
        let (Stage::Writing(_, named), Operation::Put(put)) = (&op.stage, &op.operation) else {
            return Answer::Written(None);
        };
        let key = put.key.clone();
        if put.returns == Return::Nothing {
            return Answer::Written(key);
        }
        let mut answer =
            self.object_answer(op, &Object::decode(&named.object).unwrap_or_default(), key);
        if put.returns == Return::Head {
            answer.siblings.iter_mut().for_each(|(_, content)| content.value = Bytes::new());
        }
        Answer::Object(answer)
    }
}

pub(super) fn merge_of(op: &Op, named: &Named, acks: Acks) -> Ask {
    Ask::Merge(op.storage_key.clone(), named.object.clone(), acks, named.base)
}

/// A deletion waits for everyone's durable acknowledgement, so that it can be reaped.
pub(super) fn acks_wanted(core: &PutCore, deletion: bool) -> Acks {
    match (core.durable_only(), core.wants_durable() || deletion) {
        (true, _) => Acks::Durable,
        (false, true) => Acks::Both,
        (false, false) => Acks::Taken,
    }
}

pub(super) fn failed(error: &VnodeError) -> Answer {
    Answer::Failed(match error {
        VnodeError::Overload => RequestError::Overload,
        VnodeError::Device(error) => RequestError::Storage(error.to_string()),
        VnodeError::Stopped => RequestError::Storage(PROPERTY_BROKEN.into()),
    })
}

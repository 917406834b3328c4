//! The read of an operation: what replicas say, what that is worth, and what is repaired by it.

use bytes::Bytes;
use ombak_base::{Effects, NodeId, Now, RequestId, sometimes};
use ombak_crdt::{Context, Dot};
use ombak_kv::{
    Answer, GetCore, GetDecision, Heard, Object, ObjectAnswer, Operation, PutCore, PutOp,
    RequestError, Said, Version,
};

use super::writing::merge_of;
use super::{Asker, Named, Op, Stage};
use crate::entry::refused;
use crate::message::{Acks, Ask, Told};
use crate::places;
use crate::replica::Origin;
use crate::shard::Shard;

impl Shard {
    /// Files the operation and asks the own replica, or, if this node is no primary, all of them.
    pub(super) fn read<E: Effects<Shard>>(
        &mut self,
        now: Now,
        mut op: Box<Op>,
        core: GetCore,
        fx: &mut E,
    ) {
        let id = self.fresh_id();
        let me = self.me();
        if op.primaries.iter().any(|(node, _)| *node == me) {
            let ask = Ask::Get(op.storage_key.clone(), None);
            self.serve(now, op.partition, Origin::Local(id), ask, fx);
        } else {
            self.ask_others(now, id, &op, &core, None, fx);
        }
        op.stage = Stage::Reading(core, None);
        self.ops.insert(id, op);
        self.arm_sweep(now, fx);
    }

    /// Asks the primaries that are not this node, those that have been lost already excepted.
    pub(super) fn ask_others<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        op: &Op,
        core: &GetCore,
        have: Option<u64>,
        fx: &mut E,
    ) {
        let me = self.me();
        let props = self.buckets.digest(op.operation.bucket());
        for (node, _) in
            op.primaries.iter().filter(|(node, _)| *node != me && !core.has_heard(*node))
        {
            let ask = Ask::Get(op.storage_key.clone(), have);
            self.ask(now, id, op, *node, props, ask, fx);
        }
    }

    pub(super) fn heard_read<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        mut op: Box<Op>,
        told: Told,
        fx: &mut E,
    ) {
        let Stage::Reading(core, have) = &mut op.stage else { return };
        op.overloaded |= told == Told::Overload;
        let own = node == self.config.me.node && !core.has_heard(node);
        let (heard, complete) = match told {
            Told::Value(bytes, complete) => {
                (Object::decode(&bytes).map_or(Heard::Failed, Heard::Value), complete)
            }
            Told::Same(complete) => (Heard::Same, complete),
            Told::Absent(complete) => (Heard::Absent, complete),
            _ => (Heard::Failed, false),
        };
        core.hear(node, heard, complete);
        if own {
            *have = core.own().map(Object::tag);
        }
        let waiting = op.asker != Asker::Nobody;
        let decision = if waiting { core.decide() } else { None };
        let complete = core.is_complete();
        if own
            && (decision.is_none() || op.is_get())
            && let Stage::Reading(core, have) = &op.stage
        {
            self.ask_others(now, id, &op, core, *have, fx);
        }
        match decision {
            Some(decision) if op.is_get() => {
                let asker = std::mem::replace(&mut op.asker, Asker::Nobody);
                let answer = self.get_answer(&op, decision);
                self.deliver(asker, answer, fx);
            }
            Some(decision) => return self.read_before_write(now, op, decision, fx),
            None => {}
        }
        let Stage::Reading(core, _) = &op.stage else { return };
        if complete {
            self.repair_differences(now, &op, core, fx);
        } else {
            self.ops.insert(id, op);
        }
    }

    pub(super) fn get_answer(&self, op: &Op, decision: GetDecision) -> Answer {
        match decision {
            GetDecision::Failed(_) if op.overloaded => Answer::Failed(RequestError::Overload),
            GetDecision::Failed(error) => Answer::Failed(error),
            GetDecision::NotFound => Answer::NotFound(None),
            // As if nothing had been there: what is reaped leaves no context to clients.
            GetDecision::Found(object) if object.is_grave() => Answer::NotFound(None),
            GetDecision::Found(object) if object.is_tombstone() => {
                Answer::NotFound(Some(object.context().encode()))
            }
            GetDecision::Found(object) => Answer::Object(self.object_answer(op, &object, None)),
        }
    }

    /// What a client sees of an object: without siblings, the latest value stands for all. Who writes with the context
    /// replaces them all, so a node that does not know the bucket shows them all.
    pub(super) fn object_answer(
        &self,
        op: &Op,
        object: &Object,
        key: Option<Bytes>,
    ) -> ObjectAnswer {
        let shown = |(dot, version): &(Dot, Version)| {
            (vtag(*dot, version.request), version.content.clone())
        };
        let allow_mult = self.buckets.props(op.operation.bucket()).allow_mult();
        let siblings = if allow_mult || !self.peers.in_the_know() {
            object.live().map(shown).collect()
        } else {
            object.latest().map(shown).into_iter().collect()
        };
        ObjectAnswer { siblings, context: object.context().encode(), key }
    }

    /// All replicas have answered a read: those that lack something get it; a tombstone that all hold is reaped.
    pub(super) fn repair_differences<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: &Op,
        core: &GetCore,
        fx: &mut E,
    ) {
        if core.agrees() && core.own().is_some_and(|object| !object.is_tombstone()) {
            return;
        }
        let merged = core.merged();
        if merged.is_grave() {
            return self.reap_again(now, op, core, fx);
        }
        let holds = |said: &Said| core.is(&said.heard, &merged);
        if merged.is_tombstone() && core.said().iter().all(holds) {
            if self.ripe_in_ms(now, &merged) == Some(0) {
                self.confirm_tombstone(now, op, &merged, fx);
            }
            return;
        }
        let lacking = |said: &&Said| !holds(said) && said.heard != Heard::Failed;
        let mut lacking = core.said().iter().filter(lacking).peekable();
        if lacking.peek().is_some() {
            op.pass(places::READ_REPAIR, None, op.operation.name(), fx);
        }
        for Said { node, heard, .. } in lacking {
            sometimes!(fx, "a read repaired a replica");
            fx.count(match heard {
                Heard::Absent => places::REPAIR_NOT_FOUND,
                _ => places::REPAIR_OUT_OF_DATE,
            });
            let props = self.buckets.digest(op.operation.bucket());
            let ask = Ask::Merge(op.storage_key.clone(), merged.encode(), Acks::Taken, None);
            self.ask(now, 0, op, *node, props, ask, fx);
        }
    }

    /// Every primary has shown this tombstone, but what is shown need not be synced: each is asked to make it durable,
    /// and then it can be reaped as after a deletion.
    pub(super) fn confirm_tombstone<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: &Op,
        tombstone: &Object,
        fx: &mut E,
    ) {
        let id = self.fresh_id();
        let core = PutCore::new(op.primaries.len(), op.primaries.len(), 0, op.primaries.len());
        let named = Named {
            object: tombstone.encode(),
            tag: tombstone.tag(),
            base: None,
            unseen: None,
            siblings: true,
        };
        let props = self.buckets.digest(op.operation.bucket());
        for (node, _) in &op.primaries {
            self.ask(now, id, op, *node, props, merge_of(op, &named, Acks::Durable), fx);
        }
        let stage = Stage::Writing(core, named);
        self.ops.insert(id, Box::new(Op { asker: Asker::Nobody, stage, ..op.clone() }));
        self.arm_sweep(now, fx);
    }

    /// The key was reaped, on all primaries or on some: whoever still holds its tombstone has not heard.
    pub(super) fn reap_again<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: &Op,
        core: &GetCore,
        fx: &mut E,
    ) {
        let props = self.buckets.digest(op.operation.bucket());
        for said in core.said() {
            if let Some(object) = core.object(&said.heard)
                && object.is_tombstone()
                && !object.is_grave()
            {
                sometimes!(fx, "a reaping that was lost is done again");
                let ask = Ask::Reap(op.storage_key.clone(), object.encode());
                self.ask(now, 0, op, said.node, props, ask, fx);
            }
        }
    }

    /// The read before a conditional put or a delete without context has its result.
    pub(super) fn read_before_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        mut op: Box<Op>,
        decision: GetDecision,
        fx: &mut E,
    ) {
        let object = match decision {
            GetDecision::Failed(error) => return self.deliver(op.asker, Answer::Failed(error), fx),
            GetDecision::NotFound => Object::default(),
            GetDecision::Found(object) => object,
        };
        match &mut op.operation {
            // An attempt that was done before has changed what its condition is about.
            Operation::Put(put) if !object.knows_request(op.request) => {
                if let Err(error) = condition(put, &object) {
                    return self.deliver(op.asker, refused(op.retried, error), fx);
                }
            }
            Operation::Delete(_) if object.is_tombstone() => {
                return self.deliver(op.asker, Answer::NotFound(None), fx);
            }
            // Wherever it is done now, only what was read is deleted.
            Operation::Delete(delete) => delete.context = Some(object.context().encode()),
            _ => {}
        }
        let (asker, retried) = (op.asker, op.retried);
        let primaries = op.primaries.iter().map(|(node, _)| *node);
        let named = match self.put_core(&op.operation, primaries) {
            Ok(core) => self.name_write(now, op, core, fx),
            Err(error) => Err(error),
        };
        if let Err(error) = named {
            self.deliver(asker, refused(retried, error), fx);
        }
    }
}

/// Whether the condition of a put holds on what was read.
fn condition(put: &PutOp, object: &Object) -> Result<(), RequestError> {
    if put.if_none_match && !object.is_tombstone() {
        return Err(RequestError::MatchFound);
    }
    if put.if_not_modified {
        if object.is_tombstone() {
            return Err(RequestError::NotFound);
        }
        return match Context::decode(&put.context) {
            Ok(context) if context.seen.descends(object.seen()) => Ok(()),
            _ => Err(RequestError::Modified),
        };
    }
    Ok(())
}

/// What names a sibling to clients: 22 letters and digits, the same on every node.
fn vtag(dot: Dot, request: RequestId) -> Bytes {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = request.0 ^ (u128::from(dot.actor.0) << 64 | u128::from(dot.n));
    let mut out = [b'0'; 22];
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    Bytes::copy_from_slice(&out)
}

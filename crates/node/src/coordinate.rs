//! Coordinating an operation: quorums are resolved, replicas asked, answers weighed by [`GetCore`] and [`PutCore`].
//!
//! ```text
//!   get      Reading ─────────────────────────────────► answer ─► repair what differs
//!   put      [Reading, if conditional] ► Naming ► Writing ─► answer
//!   delete   [Reading, without context] ► Naming ► Writing ─► answer ─► reap when all primaries hold the tombstone
//! ```
//!
//! One replica loads the value, the others compare tags. A read begins with the own replica, if there is one; the
//! others are then asked whether they have the same. A write tells the others the tag of what it was made from.

use bytes::Bytes;
use ombak_base::{Address, ClientId, Effects, NodeId, Now, Partition, RequestId, Stamp, Tick};
use ombak_cluster::{Done, Fence, Header, Role};
use ombak_crdt::{Context, Dot};
use ombak_kv::{
    Ack, Answer, BucketId, Command, CommandReply, Content, CoordinatedWrite, GetCore, GetDecision,
    Heard, Object, ObjectAnswer, Operation, PutCore, PutOp, Quorum, RequestError, Restoring,
    Return, Said, TAG_TOMBSTONE, storage_key,
};

use crate::entry::refused;
use crate::message::{Acks, Ask, Message, Told};
use crate::replica::Origin;
use crate::shard::{Reply, Shard};

/// A replica that lives answers within this; else its answer was lost on a full queue.
pub(crate) const PATIENCE_MS: u64 = 10_000;

/// Who waits for the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Asker {
    /// A client of this shard.
    Client(ClientId),
    /// Another shard, under its number.
    Shard(Address, u64),
    /// Nobody any more.
    Nobody,
}

/// An operation as it comes to its coordinator.
pub(crate) struct Task {
    pub(crate) asker: Asker,
    pub(crate) request: RequestId,
    /// Whether an earlier attempt at another coordinator may have been done.
    pub(crate) retried: bool,
    pub(crate) operation: Operation,
    pub(crate) deadline: Tick,
}

/// One operation at its coordinator.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Op {
    asker: Asker,
    request: RequestId,
    /// Whether an earlier attempt at another coordinator may have been done.
    retried: bool,
    operation: Operation,
    partition: Partition,
    storage_key: Bytes,
    /// The primaries, each with the fence that held when the operation began.
    primaries: Vec<(NodeId, Option<Fence>)>,
    deadline: Tick,
    /// Replicas that are silent until then have failed, though they live: their answer was lost.
    patience: Tick,
    stage: Stage,
    /// How often replicas with other bucket properties may still be asked again.
    retries_left: u8,
    /// Whether a replica had no room for it.
    overloaded: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Stage {
    /// Replicas are being read: the own one first; then the others, with the tag of what it has.
    Reading(GetCore, Option<u64>),
    /// The own vnode is naming the write.
    Naming(PutCore),
    /// The object is on its way to the other primaries.
    Writing(PutCore, Named),
}

/// A write that has its dot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Named {
    /// The stored form of the object.
    object: Bytes,
    /// Its tag.
    tag: u64,
    /// The tag of what the own replica held before.
    base: Option<u64>,
    /// What the own replica held before, if something in it was replaced that the client had not seen.
    unseen: Option<Bytes>,
    /// Whether it was named as in a bucket that keeps siblings, or is being put right.
    siblings: bool,
}

impl Stage {
    /// Whether `node` may still say something.
    fn waits_for(&self, node: NodeId) -> bool {
        match self {
            Stage::Reading(core, _) => !core.has_heard(node),
            Stage::Naming(core) | Stage::Writing(core, _) => !core.has_ended(node),
        }
    }
}

impl Op {
    fn is_get(&self) -> bool {
        self.operation.is_get()
    }

    fn is_delete(&self) -> bool {
        matches!(self.operation, Operation::Delete(_))
    }

    fn fence(&self, node: NodeId) -> Option<Fence> {
        self.primaries.iter().find(|(primary, _)| *primary == node).and_then(|(_, fence)| *fence)
    }
}

impl Shard {
    /// Begins an operation on a partition of this shard.
    pub(crate) fn coordinate<E: Effects<Shard>>(&mut self, now: Now, task: Task, fx: &mut E) {
        let Task { asker, request, retried, operation, deadline } = task;
        let partition = self.partition_of(&operation);
        let n_val = self.buckets.props(operation.bucket()).n_val();
        let timeout = deadline.since(now.tick) / 1_000;
        let primaries = self.config.topology.ring.primaries(partition, n_val).iter();
        let primaries =
            primaries.map(|node| (*node, self.peers.fence(*node, timeout, now.tick))).collect();
        let op = Box::new(Op {
            asker,
            request,
            retried,
            partition,
            storage_key: storage_key(operation.bucket(), operation.key()),
            primaries,
            deadline,
            patience: now.tick.plus_ms(PATIENCE_MS),
            stage: Stage::Reading(GetCore::new(1, 0, 1, true, false), None),
            operation,
            retries_left: 3,
            overloaded: false,
        });
        if let Err(error) = self.begin(now, op, fx) {
            self.deliver(asker, refused(retried, error), fx);
        }
    }

    fn begin<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: Box<Op>,
        fx: &mut E,
    ) -> Result<(), RequestError> {
        let reads_first = match &op.operation {
            Operation::Get(_) => true,
            Operation::Put(put) => put.if_none_match || put.if_not_modified,
            Operation::Delete(delete) => delete.context.is_none(),
        };
        // Refused before anything is done.
        let core = self.put_core(&op.operation, op.primaries.iter().map(|(node, _)| *node))?;
        if !reads_first {
            return self.name_write(now, op, core, fx);
        }
        let core = self.get_core(&op)?;
        self.read(now, op, core, fx);
        Ok(())
    }

    /// The quorums of a read, checked.
    fn get_core(&self, op: &Op) -> Result<GetCore, RequestError> {
        let props = self.buckets.props(op.operation.bucket());
        let quorums = op.operation.quorums();
        let (n_val, m) = (self.n_val(&op.operation)?, op.primaries.len());
        let rw = if op.is_delete() { quorums.rw } else { Quorum::Default };
        let r = if quorums.r == Quorum::Default { rw } else { quorums.r };
        let need_r = r.need(props.quorum("r"), n_val, m)?;
        let need_pr = quorums.pr.need(props.quorum("pr"), n_val, m)?;
        let (notfound_ok, basic_quorum) = match &op.operation {
            Operation::Get(get) => (get.notfound_ok, get.basic_quorum),
            _ => (None, None),
        };
        let notfound_ok = notfound_ok.unwrap_or_else(|| props.notfound_ok());
        let basic_quorum = basic_quorum.unwrap_or_else(|| props.basic_quorum());
        Ok(GetCore::new(need_r, need_pr, m, notfound_ok, basic_quorum))
    }

    /// The quorums of a write, checked against n_val and against the replicas that are alive.
    pub(crate) fn put_core(
        &self,
        operation: &Operation,
        primaries: impl ExactSizeIterator<Item = NodeId>,
    ) -> Result<PutCore, RequestError> {
        let props = self.buckets.props(operation.bucket());
        let quorums = operation.quorums();
        let (n_val, m) = (self.n_val(operation)?, primaries.len());
        let is_delete = matches!(operation, Operation::Delete(_));
        let rw = if is_delete { quorums.rw } else { Quorum::Default };
        let or_rw = |quorum: Quorum| if quorum == Quorum::Default { rw } else { quorum };
        let need_w = or_rw(quorums.w).need(props.quorum("w"), n_val, m)?;
        let need_dw = or_rw(quorums.dw).need(props.quorum("dw"), n_val, m)?;
        let need_pw = quorums.pw.need(props.quorum("pw"), n_val, m)?;
        let core = PutCore::new(need_w, need_dw, need_pw, m);
        if !operation.is_get() {
            if self.failed {
                return Err(RequestError::Storage("a write or sync failed on this node".into()));
            }
            core.possible(primaries.filter(|node| self.peers.is_up(*node)).count())?;
        }
        Ok(core)
    }

    /// The bucket's n_val; a client's own idea of it may be smaller, which only narrows the quorums that it may ask.
    fn n_val(&self, operation: &Operation) -> Result<u32, RequestError> {
        let n_val = self.buckets.props(operation.bucket()).n_val();
        match operation.quorums().n_val {
            Some(asked) if asked == 0 || asked > n_val => Err(RequestError::NValViolation(n_val)),
            Some(asked) => Ok(asked),
            None => Ok(n_val),
        }
    }

    /// Files the operation and asks the own replica, or, if this node is no primary, all of them.
    fn read<E: Effects<Shard>>(&mut self, now: Now, mut op: Box<Op>, core: GetCore, fx: &mut E) {
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
    fn ask_others<E: Effects<Shard>>(
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

    /// Asks one replica. What cannot be asked has failed, which is heard before the step ends.
    fn ask<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        op: &Op,
        node: NodeId,
        props: u64,
        ask: Ask,
        fx: &mut E,
    ) {
        if node == self.me() {
            return self.serve(now, op.partition, Origin::Local(id), ask, fx);
        }
        let sent = op.fence(node).filter(|_| self.peers.is_up(node)).is_some_and(|fence| {
            let header = Header {
                partition: op.partition,
                epoch: self.config.topology.epoch,
                role: Role::Primary,
                fence,
                class: 0,
                tenant: 0,
                request: op.request,
            };
            let address = self.peers.address(node, op.partition);
            fx.send(address, Message::Ask(id, header, props, ask), Stamp::NONE).is_ok()
        });
        if !sent {
            self.inbox.push_back((node, id, Told::Failed));
        }
    }

    /// A replica has answered.
    pub(crate) fn told<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        told: Told,
        fx: &mut E,
    ) {
        let Some(op) = self.ops.remove(&id) else {
            return self.told_others(now, node, id, told, fx);
        };
        if !op.primaries.iter().any(|(primary, _)| *primary == node) {
            self.ops.insert(id, op);
            return;
        }
        match told {
            Told::PropsDiffer(export) => self.learn_and_ask_again(now, node, id, op, export, fx),
            told if matches!(op.stage, Stage::Reading(..)) => {
                self.heard_read(now, node, id, op, told, fx)
            }
            told => self.heard_write(now, node, id, op, told, fx),
        }
    }

    /// A replica knows other bucket properties: take them over, show ours, ask again.
    fn learn_and_ask_again<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        op: Box<Op>,
        export: Bytes,
        fx: &mut E,
    ) {
        fx.probe("a replica had other bucket properties");
        let (partition, bucket) = (op.partition, op.operation.bucket().clone());
        self.ops.insert(id, op);
        let put_right = self.learn_props(now, &[export], fx);
        let shown = self.show_one(self.peers.address(node, partition), &bucket, fx);
        if put_right.contains(&id) {
            // It goes to all replicas once it is right.
            return;
        }
        let Some(mut op) = self.ops.remove(&id) else { return };
        if op.retries_left == 0 || !shown {
            self.ops.insert(id, op);
            self.inbox.push_back((node, id, Told::Failed));
            return;
        }
        op.retries_left -= 1;
        let ask = match &op.stage {
            Stage::Writing(core, named) => merge_of(&op, named, acks_wanted(core, op.is_delete())),
            Stage::Reading(_, have) => Ask::Get(op.storage_key.clone(), *have),
            Stage::Naming(_) => Ask::Get(op.storage_key.clone(), None),
        };
        let props = self.buckets.digest(op.operation.bucket());
        self.ask(now, id, &op, node, props, ask, fx);
        self.ops.insert(id, op);
    }

    /// Whether a write of this operation stays beside what its client had not seen.
    fn keeps_siblings(&self, op: &Op) -> bool {
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

    fn put_one_right<E: Effects<Shard>>(&mut self, now: Now, id: u64, fx: &mut E) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        let (Stage::Writing(_, named), Operation::Put(put)) = (&mut op.stage, &op.operation) else {
            return;
        };
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
        fx.probe("what was replaced before its bucket was known is written again");
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
        let Some(mut op) = self.ops.remove(&id) else { return };
        let CommandReply::Coordinated { object, tag, base, unseen } = done.reply else {
            // Nothing may be acknowledged that costs another write.
            return self.deliver(op.asker, Answer::Failed(RequestError::Timeout), fx);
        };
        let Stage::Writing(core, _) = &op.stage else { return };
        let (core, named) = (core.clone(), Named { object, tag, base, unseen, siblings: true });
        self.send_merges(now, id, &op, &core, &named, fx);
        op.stage = Stage::Writing(core, named);
        self.ops.insert(id, op);
    }

    fn heard_read<E: Effects<Shard>>(
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

    fn get_answer(&self, op: &Op, decision: GetDecision) -> Answer {
        match decision {
            GetDecision::Failed(_) if op.overloaded => Answer::Failed(RequestError::Overload),
            GetDecision::Failed(error) => Answer::Failed(error),
            GetDecision::NotFound => Answer::NotFound(None),
            GetDecision::Found(object) if object.is_tombstone() => {
                Answer::NotFound(Some(object.context().encode()))
            }
            GetDecision::Found(object) => Answer::Object(self.object_answer(op, &object, None)),
        }
    }

    /// What a client sees of an object: without siblings, the latest value stands for all. Who writes with the context
    /// replaces them all, so a node that does not know the bucket shows them all.
    fn object_answer(&self, op: &Op, object: &Object, key: Option<Bytes>) -> ObjectAnswer {
        let shown = |(dot, version): &(Dot, ombak_kv::Version)| {
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
    fn repair_differences<E: Effects<Shard>>(
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
            return self.confirm_tombstone(now, op, &merged, fx);
        }
        let lacking = |said: &&Said| !holds(said) && said.heard != Heard::Failed;
        for Said { node, .. } in core.said().iter().filter(lacking) {
            fx.probe("a read repaired a replica");
            let props = self.buckets.digest(op.operation.bucket());
            let ask = Ask::Merge(op.storage_key.clone(), merged.encode(), Acks::Taken, None);
            self.ask(now, 0, op, *node, props, ask, fx);
        }
    }

    /// Every primary has shown this tombstone, but what is shown need not be synced: each is asked to make it durable,
    /// and then it can be reaped as after a deletion.
    fn confirm_tombstone<E: Effects<Shard>>(
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

    /// Every primary holds this tombstone, synced: each forgets it, if it still holds exactly that.
    fn reap<E: Effects<Shard>>(&mut self, now: Now, op: &Op, tombstone: &Bytes, fx: &mut E) {
        fx.probe("a tombstone was reaped");
        let props = self.buckets.digest(op.operation.bucket());
        for (node, _) in &op.primaries {
            let ask = Ask::Reap(op.storage_key.clone(), tombstone.clone());
            self.ask(now, 0, op, *node, props, ask, fx);
        }
    }

    /// The key was reaped, on all primaries or on some: whoever still holds its tombstone has not heard.
    fn reap_again<E: Effects<Shard>>(&mut self, now: Now, op: &Op, core: &GetCore, fx: &mut E) {
        let props = self.buckets.digest(op.operation.bucket());
        for said in core.said() {
            if let Some(object) = core.object(&said.heard)
                && object.is_tombstone()
                && !object.is_grave()
            {
                fx.probe("a reaping that was lost is done again");
                let ask = Ask::Reap(op.storage_key.clone(), object.encode());
                self.ask(now, 0, op, said.node, props, ask, fx);
            }
        }
    }

    /// The read before a conditional put or a delete without context has its result.
    fn read_before_write<E: Effects<Shard>>(
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

    /// Has the own vnode name the write.
    fn name_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        mut op: Box<Op>,
        core: PutCore,
        fx: &mut E,
    ) -> Result<(), RequestError> {
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
            CommandReply::CannotMint => return self.coordinate_elsewhere(now, op, fx),
            CommandReply::Refused(error) => {
                return self.deliver(op.asker, refused(op.retried, error), fx);
            }
            CommandReply::Failed(error) => return self.deliver(op.asker, failed(&error), fx),
            _ => return,
        };
        let Stage::Naming(core) = &op.stage else { return };
        let mut core = core.clone();
        core.hear(self.me(), Ack::Taken);
        let own = Told::Durable(named.tag);
        if ombak_base::planted!("acknowledging before durable") {
            self.inbox.push_back((self.me(), id, own));
        } else {
            self.tell_self_when_durable(done.stamp, id, own);
        }
        if !named.siblings && self.keeps_siblings(&op) {
            // The bucket has come to keep siblings while the key was being loaded.
            op.stage = Stage::Writing(core, named);
            self.ops.insert(id, op);
            self.put_one_right(now, id, fx);
            return self.extend_leases(fx);
        }
        let decided = core.decide();
        self.send_merges(now, id, &op, &core, &named, fx);
        op.stage = Stage::Writing(core, named);
        self.settle_write(now, id, op, decided, fx);
        self.extend_leases(fx);
    }

    /// A write that has its dot goes to the other primaries.
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

    /// The own vnode cannot name writes yet: another primary can.
    fn coordinate_elsewhere<E: Effects<Shard>>(&mut self, now: Now, op: Box<Op>, fx: &mut E) {
        fx.probe("a vnode could not name a write yet");
        match op.asker {
            Asker::Client(client) => {
                let Op { asker, request, retried, operation, deadline, .. } = *op;
                let task = Task { asker, request, retried, operation, deadline };
                self.forward_instead(now, client, task, fx);
            }
            Asker::Shard(address, id) => {
                self.answer_shard(address, Message::Forwarded(id, None), Stamp::NONE, fx);
            }
            Asker::Nobody => {}
        }
    }

    fn heard_write<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        mut op: Box<Op>,
        told: Told,
        fx: &mut E,
    ) {
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

    fn decided(&self, op: &Op) -> Option<Result<(), RequestError>> {
        match &op.stage {
            Stage::Writing(core, _) if op.asker != Asker::Nobody => core.decide(),
            _ => None,
        }
    }

    /// Answers a write once that is decided; keeps a deletion until it can be reaped.
    fn settle_write<E: Effects<Shard>>(
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
                Err(error) => Answer::Failed(error),
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
                return self.reap(now, &op, &named.object, fx);
            }
        }
        self.ops.insert(id, op);
    }

    fn put_answer(&self, op: &Op) -> Answer {
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

    fn deliver<E: Effects<Shard>>(&mut self, asker: Asker, answer: Answer, fx: &mut E) {
        match asker {
            Asker::Client(client) => fx.reply(client, Reply::Kv(answer), Stamp::NONE),
            Asker::Shard(address, id) => {
                let answer = Message::Forwarded(id, Some(Box::new(answer)));
                self.answer_shard(address, answer, Stamp::NONE, fx);
            }
            Asker::Nobody => {}
        }
    }

    /// Gives up what is out of time; what was heard is still used for repair.
    pub(crate) fn sweep_ops<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        for (id, op) in self.ops.iter_mut().filter(|(_, op)| op.patience <= now.tick) {
            op.patience = op.deadline;
            let silent = op.primaries.iter().filter(|(node, _)| op.stage.waits_for(*node));
            self.inbox.extend(silent.map(|(node, _)| (*node, *id, Told::Failed)));
        }
        let late: Vec<u64> =
            self.ops.iter().filter(|(_, op)| op.deadline <= now.tick).map(|(id, _)| *id).collect();
        for id in late {
            let Some(mut op) = self.ops.remove(&id) else { continue };
            fx.probe("an operation ran out of time");
            let asker = std::mem::replace(&mut op.asker, Asker::Nobody);
            match &op.stage {
                Stage::Reading(core, _) => {
                    let answer = match core.give_up() {
                        decision if op.is_get() => self.get_answer(&op, decision),
                        _ => Answer::Failed(RequestError::Timeout),
                    };
                    self.deliver(asker, answer, fx);
                    self.repair_differences(now, &op, core, fx);
                }
                _ => self.deliver(asker, Answer::Failed(RequestError::Timeout), fx),
            }
        }
    }
}

fn merge_of(op: &Op, named: &Named, acks: Acks) -> Ask {
    Ask::Merge(op.storage_key.clone(), named.object.clone(), acks, named.base)
}

/// A deletion waits for everyone's durable acknowledgement, so that it can be reaped.
fn acks_wanted(core: &PutCore, deletion: bool) -> Acks {
    match (core.durable_only(), core.wants_durable() || deletion) {
        (true, _) => Acks::Durable,
        (false, true) => Acks::Both,
        (false, false) => Acks::Taken,
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

fn failed(error: &ombak_cluster::VnodeError) -> Answer {
    Answer::Failed(match error {
        ombak_cluster::VnodeError::Overload => RequestError::Overload,
        ombak_cluster::VnodeError::Device(error) => RequestError::Storage(error.to_string()),
    })
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

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

mod put_right;
mod reading;
mod writing;

use bytes::Bytes;
use ombak_base::property::{about, contained};
use ombak_base::{
    Address, ClientId, Effects, NodeId, Now, Partition, Passing, Place, RequestId, Stamp, Tick,
    sometimes,
};
use ombak_cluster::{Fence, Header, Role};
use ombak_kv::{Answer, GetCore, Operation, PutCore, Quorum, RequestError, storage_key};
use serde::{Deserialize, Serialize};

use self::writing::{acks_wanted, merge_of};
use crate::entry::refused;
use crate::message::{Ask, Message, Told};
use crate::places;
use crate::replica::Origin;
use crate::shard::{Reply, Shard};
use crate::stopping::broken_answer;

/// A replica that lives answers within this; else its answer was lost on a full queue.
pub(crate) const PATIENCE_MS: u64 = 10_000;

/// Who waits for the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Asker {
    /// A client of this shard.
    Client(ClientId),
    /// Another shard, under its number.
    Shard(Address, u64),
    /// Nobody any more.
    Nobody,
}

/// How many replicas an operation needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needs {
    /// There are so many.
    pub replicas: usize,
    /// So many must be heard by a read.
    pub read: usize,
    /// So many must take a write.
    pub taken: usize,
    /// So many must have synced it.
    pub durable: usize,
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
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
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
    /// A replica that refused it because its disk is full.
    full: Option<NodeId>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Stage {
    /// Replicas are being read: the own one first; then the others, with the tag of what it has.
    Reading(GetCore, Option<u64>),
    /// The own vnode is naming the write.
    Naming(PutCore),
    /// The object is on its way to the other primaries.
    Writing(PutCore, Named),
}

/// A write that has its dot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
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

    /// For a request that is sent long after the operation began.
    pub(crate) fn renew_fences(&mut self, fence: impl Fn(NodeId) -> Option<Fence>) {
        self.primaries.iter_mut().for_each(|(node, old)| *old = fence(*node));
    }

    fn pass<E: Effects<Shard>>(
        &self,
        place: Place,
        peer: Option<Address>,
        what: &'static str,
        fx: &mut E,
    ) {
        let (request, partition) = (self.request, self.partition);
        fx.pass(Passing { place, request, partition, peer, what });
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
            full: None,
        });
        op.pass(places::COORDINATED, None, op.operation.name(), fx);
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
        let core = self.get_core(&op.operation, op.primaries.len())?;
        self.read(now, op, core, fx);
        Ok(())
    }

    /// How many replicas an operation needs, by what this shard knows of its bucket; `None` if it asks for what cannot be.
    pub fn needs(&self, operation: &Operation) -> Option<Needs> {
        let n_val = self.buckets.props(operation.bucket()).n_val();
        let replicas =
            self.config.topology.ring.primaries(self.partition_of(operation), n_val).len();
        let read = self.get_core(operation, replicas).ok()?.needs();
        let (taken, durable) = self.write_quorums(operation, replicas).ok()?.needs();
        Some(Needs { replicas, read, taken, durable })
    }

    /// The quorums of a read of `m` replicas, checked.
    fn get_core(&self, operation: &Operation, m: usize) -> Result<GetCore, RequestError> {
        let props = self.buckets.props(operation.bucket());
        let quorums = operation.quorums();
        let n_val = self.n_val(operation)?;
        let is_delete = matches!(operation, Operation::Delete(_));
        let rw = if is_delete { quorums.rw } else { Quorum::Default };
        let r = if quorums.r == Quorum::Default { rw } else { quorums.r };
        let need_r = r.need(props.quorum("r"), n_val, m)?;
        let need_pr = quorums.pr.need(props.quorum("pr"), n_val, m)?;
        let (notfound_ok, basic_quorum) = match operation {
            Operation::Get(get) => (get.notfound_ok, get.basic_quorum),
            _ => (None, None),
        };
        let notfound_ok = notfound_ok.unwrap_or_else(|| props.notfound_ok());
        let basic_quorum = basic_quorum.unwrap_or_else(|| props.basic_quorum());
        let core = GetCore::new(need_r, need_pr, m, notfound_ok, basic_quorum);
        Ok(core.confirmed_by(self.node_confirms(operation, n_val)?))
    }

    /// The quorums of a write, checked against n_val and against the replicas that are alive.
    pub(crate) fn put_core(
        &self,
        operation: &Operation,
        primaries: impl ExactSizeIterator<Item = NodeId>,
    ) -> Result<PutCore, RequestError> {
        let core = self.write_quorums(operation, primaries.len())?;
        if !operation.is_get() {
            if self.failed {
                return Err(RequestError::Storage("a write or sync failed on this node".into()));
            }
            core.possible(primaries.filter(|node| self.peers.is_up(*node)).count())?;
        }
        Ok(core)
    }

    /// The quorums of a write to `m` replicas, checked against n_val.
    fn write_quorums(&self, operation: &Operation, m: usize) -> Result<PutCore, RequestError> {
        let props = self.buckets.props(operation.bucket());
        let quorums = operation.quorums();
        let n_val = self.n_val(operation)?;
        let is_delete = matches!(operation, Operation::Delete(_));
        let rw = if is_delete { quorums.rw } else { Quorum::Default };
        let or_rw = |quorum: Quorum| if quorum == Quorum::Default { rw } else { quorum };
        let need_w = or_rw(quorums.w).need(props.quorum("w"), n_val, m)?;
        let need_dw = or_rw(quorums.dw).need(props.quorum("dw"), n_val, m)?;
        let need_pw = quorums.pw.need(props.quorum("pw"), n_val, m)?;
        let confirms = self.node_confirms(operation, n_val)?;
        Ok(PutCore::new(need_w, need_dw, need_pw, m).confirmed_by(confirms))
    }

    fn node_confirms(&self, operation: &Operation, n_val: u32) -> Result<usize, RequestError> {
        let of_bucket = || self.buckets.props(operation.bucket()).number("node_confirms");
        let confirms = operation.quorums().node_confirms.unwrap_or_else(of_bucket);
        if confirms > n_val {
            Err(RequestError::NValViolation(n_val))
        } else {
            Ok(confirms as usize)
        }
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
            op.pass(places::ASKED, Some(address), ask.name(), fx);
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
        let peer = (node != self.me()).then(|| self.peers.address(node, op.partition));
        op.pass(places::HEARD, peer, told.name(), fx);
        let (asker, partition) = (op.asker, op.partition);
        let heard = contained(|| about(partition, || self.heard(now, node, id, op, told, fx)));
        if let Err(broken) = heard {
            fx.broken(&broken);
            self.deliver(asker, broken_answer(), fx);
            self.property_broke(now, Some(partition), fx);
        }
    }

    fn heard<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        id: u64,
        op: Box<Op>,
        told: Told,
        fx: &mut E,
    ) {
        match told {
            Told::PropsDiffer(export) => self.learn_and_ask_again(now, node, id, op, export, fx),
            told if matches!(op.stage, Stage::Reading(..)) => {
                self.heard_read(now, node, id, op, told, fx)
            }
            told => self.heard_write(now, node, id, op, told, fx),
        }
    }

    /// A property broke: operations that concern the partition, or all of them, end with an error, done or not.
    pub(crate) fn fail_ops<E: Effects<Shard>>(&mut self, of: Option<Partition>, fx: &mut E) {
        let concerned = |op: &Op| of.is_none_or(|partition| partition == op.partition);
        let ids: Vec<u64> =
            self.ops.iter().filter(|(_, op)| concerned(op)).map(|(id, _)| *id).collect();
        for op in ids.iter().filter_map(|id| self.ops.remove(id)).collect::<Vec<_>>() {
            self.deliver(op.asker, broken_answer(), fx);
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
        sometimes!(fx, "a replica had other bucket properties");
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
            sometimes!(fx, "an operation ran out of time");
            op.pass(places::TIMED_OUT, None, op.operation.name(), fx);
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

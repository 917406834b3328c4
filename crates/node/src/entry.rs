//! Where a client's operation comes in: names are checked, the request gets its id, and the shard that coordinates it
//! is found. If that is another one, this shard stays responsible for an answer: it tries the next primary when one is
//! lost, under the same request id, so that a write that was done twice is still one write.
//!
//! A deletion of whatever is there is read here first, and forwarded with the context of what was read. An attempt that
//! is delivered when another has long been acknowledged then removes nothing that was written since.

use ombak_base::{
    Address, ClientId, Effects, NodeId, Now, Partition, Passing, Refused, RequestId, Stamp, Tick,
    sometimes,
};
use ombak_cluster::{FENCE_WINDOW_MS, Fence, hash};
use ombak_kv::{Answer, DeleteOp, Operation, RequestError, validate_key};
use serde::{Deserialize, Serialize};

use crate::boot::shard_of;
use crate::coordinate::{Asker, Task};
use crate::message::Message;
use crate::places;
use crate::shard::{Reply, Shard};

/// The time an operation has when the client gives none (Riak's).
const TIMEOUT_MS: u64 = 60_000;

/// An operation that another shard coordinates for a client of this one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Forward {
    client: ClientId,
    request: RequestId,
    /// Whether an earlier attempt may have been done.
    retried: bool,
    operation: Operation,
    /// What is to be deleted once `operation` has read it.
    then: Option<DeleteOp>,
    partition: Partition,
    to: NodeId,
    tried: Vec<NodeId>,
    deadline: Tick,
    /// Whether a queue was full that led to one of those tried.
    was_full: bool,
    /// One of those tried, or this node, has no room on its disk.
    disk_full: Option<RequestError>,
}

impl Forward {
    /// `operation`, to be tried at `to`.
    fn new(client: ClientId, task: Task, partition: Partition, to: NodeId) -> Forward {
        let Task { request, retried, operation, deadline, .. } = task;
        let (operation, then) = match operation {
            Operation::Delete(delete) if delete.context.is_none() => {
                (Operation::Get(delete.reading()), Some(delete))
            }
            operation => (operation, None),
        };
        Forward {
            client,
            request,
            retried,
            operation,
            then,
            partition,
            to,
            tried: Vec::new(),
            deadline,
            was_full: false,
            disk_full: None,
        }
    }

    /// What its coordinator is to do: the client's own operation, as far as it has come.
    fn into_task(self) -> Task {
        let operation = self.then.map_or(self.operation, Operation::Delete);
        let Forward { client, request, retried, deadline, .. } = self;
        Task { asker: Asker::Client(client), request, retried, operation, deadline }
    }

    /// What a client hears when there is no primary left to try.
    fn not_done(&self) -> RequestError {
        match &self.disk_full {
            // One that was tried may have done it: then the truth is that nobody knows.
            _ if self.retried => RequestError::Timeout,
            Some(full) => full.clone(),
            None if self.was_full => RequestError::Overload,
            None => RequestError::NoCoordinator,
        }
    }
}

impl Shard {
    /// A client's operation.
    pub(crate) fn enter<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        mut operation: Operation,
        fx: &mut E,
    ) {
        if let Err(error) = self.admit(&mut operation, fx) {
            fx.reply(client, Reply::Kv(Answer::Failed(error)), Stamp::NONE);
            return;
        }
        let request =
            RequestId(u128::from(fx.choose(u64::MAX)) << 64 | u128::from(fx.choose(u64::MAX)));
        fx.named(client, request);
        let deadline = now.tick.plus_ms(timeout_ms(&operation));
        let task =
            Task { asker: Asker::Client(client), request, retried: false, operation, deadline };
        let partition = self.partition_of(&task.operation);
        let here = self.local_address(partition) == self.config.me;
        let to = if task.operation.is_get() {
            Some(self.me())
        } else {
            self.next_coordinator(partition, &task.operation, &[])
        };
        match to {
            Some(node) if node == self.me() && here => self.coordinate(now, task, fx),
            Some(node) => {
                let disk_full = self.no_room(partition, &task.operation);
                let forward = Forward { disk_full, ..Forward::new(client, task, partition, node) };
                match self.may_delete(&forward) {
                    Ok(()) => self.try_forward(now, forward, fx),
                    Err(error) => fx.reply(client, Reply::Kv(Answer::Failed(error)), Stamp::NONE),
                }
            }
            None => {
                let answer = Answer::Failed(self.no_coordinator(partition, &task.operation));
                fx.reply(client, Reply::Kv(answer), Stamp::NONE);
            }
        }
    }

    /// Why nobody names a write.
    fn no_coordinator(&self, partition: Partition, operation: &Operation) -> RequestError {
        self.no_room(partition, operation).unwrap_or(RequestError::NoCoordinator)
    }

    /// That this node would name the write if its disk had room.
    fn no_room(&self, partition: Partition, operation: &Operation) -> Option<RequestError> {
        let is_it = self.full && !operation.is_get() && self.is_primary(partition, operation);
        is_it.then(|| self.disk_full())
    }

    /// A deletion that is impossible is refused before anything is read.
    fn may_delete(&self, forward: &Forward) -> Result<(), RequestError> {
        let Some(delete) = &forward.then else { return Ok(()) };
        let operation = Operation::Delete(delete.clone());
        let n_val = self.buckets.props(operation.bucket()).n_val();
        let primaries = self.config.topology.ring.primaries(forward.partition, n_val).iter();
        self.put_core(&operation, primaries.copied()).map(|_| ())
    }

    /// Checks names and room, and makes a key where none is given.
    fn admit<E: Effects<Shard>>(
        &self,
        operation: &mut Operation,
        fx: &mut E,
    ) -> Result<(), RequestError> {
        operation.bucket().validate()?;
        if !operation.bucket().bucket_type.is_empty() {
            return Err(RequestError::UnknownType);
        }
        if let Operation::Put(op) = operation {
            op.key.get_or_insert_with(|| make_key(fx));
        }
        validate_key(operation.key())?;
        if self.overloaded() {
            sometimes!(fx, "a request was refused for overload");
            fx.count(places::OVERLOADED);
            return Err(RequestError::Overload);
        }
        Ok(())
    }

    pub(crate) fn partition_of(&self, operation: &Operation) -> Partition {
        let bucket = operation.bucket();
        let point = hash::key_point(&bucket.bucket_type, &bucket.name, operation.key());
        hash::partition_of(&point, self.config.topology.ring.size())
    }

    fn local_address(&self, partition: Partition) -> Address {
        Address { node: self.me(), shard: shard_of(partition, self.config.shards) }
    }

    /// Only a primary names writes.
    fn is_primary(&self, partition: Partition, operation: &Operation) -> bool {
        let n_val = self.buckets.props(operation.bucket()).n_val();
        self.config.topology.ring.primaries(partition, n_val).contains(&self.me())
    }

    /// The primary that should name the write: this node if it is one and has room, else the first live one not tried yet.
    fn next_coordinator(
        &self,
        partition: Partition,
        operation: &Operation,
        tried: &[NodeId],
    ) -> Option<NodeId> {
        let n_val = self.buckets.props(operation.bucket()).n_val();
        let primaries = self.config.topology.ring.primaries(partition, n_val);
        let has_room = |node: NodeId| operation.is_get() || !self.full || node != self.me();
        let usable =
            |node: &&NodeId| !tried.contains(node) && self.peers.is_up(**node) && has_room(**node);
        let me = primaries.iter().filter(usable).find(|node| **node == self.me());
        me.or_else(|| primaries.iter().find(usable)).copied()
    }

    /// This shard's own vnode cannot name the write: another primary must.
    pub(crate) fn forward_instead<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        task: Task,
        fx: &mut E,
    ) {
        let partition = self.partition_of(&task.operation);
        let tried = vec![self.me()];
        let Some(to) = self.next_coordinator(partition, &task.operation, &tried) else {
            let error = self.no_coordinator(partition, &task.operation);
            let answer = refused(task.retried, error);
            return fx.reply(client, Reply::Kv(answer), Stamp::NONE);
        };
        let disk_full = self.no_room(partition, &task.operation);
        let forward = Forward::new(client, task, partition, to);
        self.try_forward(now, Forward { tried, disk_full, ..forward }, fx);
    }

    /// Sends to `forward.to`, or to the next primary as long as there is one.
    fn try_forward<E: Effects<Shard>>(&mut self, now: Now, mut forward: Forward, fx: &mut E) {
        loop {
            let id = self.fresh_id();
            let left_ms = forward.deadline.since(now.tick) / 1_000;
            let sent = match self.peers.fence(forward.to, left_ms, now.tick) {
                Some(fence) => {
                    let operation = Box::new(forward.operation.clone());
                    let (request, retried) = (forward.request, forward.retried);
                    let message = Message::Forward { id, request, retried, fence, operation };
                    let address = self.peers.address(forward.to, forward.partition);
                    fx.send(address, message, Stamp::NONE)
                }
                None => Err(Refused::Down),
            };
            forward.tried.push(forward.to);
            if sent.is_ok() {
                self.pass_on(&forward, fx);
                self.forwards.insert(id, forward);
                return self.arm_sweep(now, fx);
            }
            forward.was_full |= sent == Err(Refused::Full);
            match self.next_coordinator(forward.partition, &forward.operation, &forward.tried) {
                Some(next) => forward.to = next,
                None => {
                    let answer = Answer::Failed(forward.not_done());
                    return fx.reply(forward.client, Reply::Kv(answer), Stamp::NONE);
                }
            }
        }
    }

    fn pass_on<E: Effects<Shard>>(&self, forward: &Forward, fx: &mut E) {
        let to_other = forward.to != self.me();
        fx.pass(Passing {
            place: if to_other { places::FORWARDED } else { places::HANDED },
            request: forward.request,
            partition: forward.partition,
            peer: Some(self.peers.address(forward.to, forward.partition)),
            what: forward.operation.name(),
        });
    }

    /// Another shard's client asks this shard to coordinate.
    #[expect(clippy::too_many_arguments, reason = "what a message says, field by field")]
    pub(crate) fn forwarded_here<E: Effects<Shard>>(
        &mut self,
        now: Now,
        from: Address,
        id: u64,
        request: RequestId,
        retried: bool,
        fence: Fence,
        operation: Operation,
        fx: &mut E,
    ) {
        let partition = self.partition_of(&operation);
        let ours = self.local_address(partition) == self.config.me;
        let names = operation.is_get() || self.is_primary(partition, &operation);
        if !ours || !names || !fence.holds(self.config.boot, now.tick) {
            return self.answer_shard(from, Message::Forwarded(id, None), Stamp::NONE, fx);
        }
        if self.overloaded() {
            let overload = Some(Box::new(refused(retried, RequestError::Overload)));
            return self.answer_shard(from, Message::Forwarded(id, overload), Stamp::NONE, fx);
        }
        let is_read = operation.is_get();
        let boot = self.peers.boot_of(from.node).unwrap_or_default();
        if !is_read && !self.once.take(from, boot, id) {
            sometimes!(fx, "a forwarded operation came twice");
            return;
        }
        let (asker, deadline) = (Asker::Shard(from, id), fence.deadline);
        self.coordinate(now, Task { asker, request, retried, operation, deadline }, fx);
    }

    /// The coordinator has answered, or says that it cannot coordinate.
    pub(crate) fn forward_answered<E: Effects<Shard>>(
        &mut self,
        now: Now,
        from: Address,
        id: u64,
        answer: Option<Box<Answer>>,
        fx: &mut E,
    ) {
        if self.forwards.get(&id).is_none_or(|forward| forward.to != from.node) {
            return;
        }
        let Some(answer) = answer else {
            // It has not been done there.
            return self.retry_forward(now, id, false, fx);
        };
        if let Answer::Failed(full @ RequestError::DiskFull(_)) = &*answer {
            // Nor has it there, for want of room.
            if let Some(forward) = self.forwards.get_mut(&id) {
                forward.disk_full = Some(full.clone());
            }
            return self.retry_forward(now, id, false, fx);
        }
        let Some(mut forward) = self.forwards.remove(&id) else { return };
        let Forward { request, partition, .. } = forward;
        let (place, peer, what) = (places::ANSWERED, Some(from), forward.operation.name());
        fx.pass(Passing { place, request, partition, peer, what });
        match (forward.then.take(), *answer) {
            (Some(delete), Answer::Object(read)) => {
                let delete = DeleteOp { context: Some(read.context), ..delete };
                forward.operation = Operation::Delete(delete);
                forward.tried.clear();
                self.try_forward(now, forward, fx);
            }
            (Some(_), Answer::NotFound(_)) => {
                fx.reply(forward.client, Reply::Kv(Answer::NotFound(None)), Stamp::NONE);
            }
            (_, answer) => fx.reply(forward.client, Reply::Kv(answer), Stamp::NONE),
        }
    }

    /// `node` is lost: what it was coordinating goes to the next primary.
    pub(crate) fn retry_forwards<E: Effects<Shard>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        let lost = |forward: &Forward| forward.to == node;
        let ids: Vec<u64> =
            self.forwards.iter().filter(|(_, f)| lost(f)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.retry_forward(now, id, true, fx));
    }

    /// Tries the next primary. `maybe_done`: the one before may have done it all the same.
    fn retry_forward<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        maybe_done: bool,
        fx: &mut E,
    ) {
        let Some(mut forward) = self.forwards.remove(&id) else { return };
        // A read leaves nothing.
        forward.retried |= maybe_done && !forward.operation.is_get();
        sometimes!(fx, "an operation was tried at another primary");
        fx.count(places::RETRIED);
        match self.next_coordinator(forward.partition, &forward.operation, &forward.tried) {
            Some(next)
                if next == self.me() && self.local_address(forward.partition) == self.config.me =>
            {
                self.coordinate(now, forward.into_task(), fx);
            }
            Some(next) => {
                forward.to = next;
                self.try_forward(now, forward, fx);
            }
            None => {
                let answer = Answer::Failed(forward.not_done());
                fx.reply(forward.client, Reply::Kv(answer), Stamp::NONE);
            }
        }
    }

    pub(crate) fn sweep_forwards<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        for (_, forward) in self.forwards.extract_if(.., |_, forward| forward.deadline <= now.tick)
        {
            fx.reply(forward.client, Reply::Kv(Answer::Failed(RequestError::Timeout)), Stamp::NONE);
        }
    }
}

/// The answer to a write that was refused. If an earlier attempt may have been done elsewhere, nobody knows.
pub(crate) fn refused(retried: bool, error: RequestError) -> Answer {
    let says_not_done = matches!(
        error,
        RequestError::Overload
            | RequestError::DiskFull(_)
            | RequestError::MatchFound
            | RequestError::Modified
            | RequestError::NotFound
    );
    Answer::Failed(if retried && says_not_done { RequestError::Timeout } else { error })
}

/// The time that an operation has, in milliseconds.
fn timeout_ms(operation: &Operation) -> u64 {
    operation.timeout_ms().map_or(TIMEOUT_MS, u64::from).clamp(1, FENCE_WINDOW_MS)
}

/// 27 letters and digits, as Riak makes them.
fn make_key<E: Effects<Shard>>(fx: &mut E) -> bytes::Bytes {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..27).map(|_| DIGITS[fx.choose(62) as usize]).collect()
}

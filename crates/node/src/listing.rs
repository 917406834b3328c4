//! Listing buckets and keys: one complete replica of every partition is read, in bounded pieces, at the pace of the
//! client. A partition without a live complete replica fails the listing: a partial one would pass for the whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ombak_base::{ClientId, Effects, NodeId, Now, Partition, RequestId, Stamp, Tick};
use ombak_cluster::{FENCE_WINDOW_MS, Header, Role};
use ombak_kv::{Answer, Listing, RequestError, bucket_range, key_of, type_range};
use serde::{Deserialize, Serialize};

use crate::boot::shard_of;
use crate::coordinate::PATIENCE_MS;
use crate::message::{Ask, Message, Told};
use crate::replica::Origin;
use crate::shard::{Reply, Shard};

/// So many partitions are read at a time.
const WINDOW: usize = 4;
/// So many parts may wait for the client.
const PARTS_MAX: usize = 4;
/// So many listings are under way in one shard, each with its parts and names; more are refused with `overload`.
const LISTS_MAX: usize = 64;
/// A bucket listing remembers the names, to say each once; with more than so many it fails.
const NAMES_MAX: usize = 1_000_000;

/// A listing under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct List {
    client: ClientId,
    from: Bytes,
    to: Bytes,
    buckets: bool,
    n_val: u32,
    /// Pieces to be read yet.
    todo: VecDeque<Piece>,
    /// Pieces that have been asked for, by the number of the question.
    asked: BTreeMap<u64, Piece>,
    /// Parts that the client has not taken yet.
    unread: usize,
    /// Names that have been said, for buckets.
    said: BTreeSet<Bytes>,
    deadline: Tick,
}

/// The rest of one partition.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Piece {
    partition: Partition,
    from: Bytes,
    /// Who is asked, and who has been in vain.
    node: NodeId,
    tried: Vec<NodeId>,
    /// Until when it is waited for.
    patience: Tick,
}

impl Shard {
    pub(crate) fn start_list<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        listing: Listing,
        timeout_ms: Option<u32>,
        fx: &mut E,
    ) {
        let (range, buckets, n_val) = match &listing {
            Listing::Buckets { bucket_type } => {
                (type_range(bucket_type), true, self.buckets.least_n_val())
            }
            Listing::Keys { bucket } => {
                (bucket_range(bucket), false, self.buckets.props(bucket).n_val())
            }
        };
        if let Err(error) = self.admit_list(&listing) {
            return fx.reply(client, Reply::Kv(Answer::Failed(error)), Stamp::NONE);
        }
        let id = self.fresh_id();
        let piece = |partition| {
            let partition = Partition(partition);
            Piece {
                partition,
                from: range.0.clone(),
                node: self.me(),
                tried: Vec::new(),
                patience: now.tick,
            }
        };
        let list = List {
            client,
            from: range.0.clone(),
            to: range.1,
            buckets,
            n_val,
            todo: (0..self.config.topology.ring.size()).map(piece).collect(),
            asked: BTreeMap::new(),
            unread: 0,
            said: BTreeSet::new(),
            deadline: now.tick.plus_ms(timeout_ms.map_or(FENCE_WINDOW_MS, u64::from)),
        };
        self.list_clients.insert(client, id);
        self.advance_list(now, id, list, fx);
        self.arm_sweep(now, fx);
    }

    fn admit_list(&self, listing: &Listing) -> Result<(), RequestError> {
        let bucket_type = match listing {
            Listing::Buckets { bucket_type } => bucket_type,
            Listing::Keys { bucket } => {
                bucket.validate()?;
                &bucket.bucket_type
            }
        };
        if !bucket_type.is_empty() {
            return Err(RequestError::UnknownType);
        }
        let too_many = self.lists.len() >= LISTS_MAX;
        if too_many || self.overloaded() { Err(RequestError::Overload) } else { Ok(()) }
    }

    /// Asks for more pieces, as far as window and client allow; ends the listing when all has been read.
    fn advance_list<E: Effects<Shard>>(&mut self, now: Now, id: u64, mut list: List, fx: &mut E) {
        if list.deadline <= now.tick {
            return self.fail_list(&list, RequestError::Timeout, fx);
        }
        while list.asked.len() < WINDOW && list.unread < PARTS_MAX {
            let Some(mut piece) = list.todo.pop_front() else { break };
            match self.ask_piece(now, &list, &mut piece, fx) {
                Some(question) => {
                    self.pieces.insert(question, id);
                    list.asked.insert(question, piece);
                }
                None => return self.fail_list(&list, RequestError::NoCoverage, fx),
            }
        }
        if list.todo.is_empty() && list.asked.is_empty() {
            self.list_clients.remove(&list.client);
            fx.reply(list.client, Reply::Kv(Answer::Listed(Vec::new(), true)), Stamp::NONE);
        } else {
            self.lists.insert(id, list);
        }
    }

    /// Asks the next live primary for a piece, and returns the number of the question. `None`: there is none left.
    fn ask_piece<E: Effects<Shard>>(
        &mut self,
        now: Now,
        list: &List,
        piece: &mut Piece,
        fx: &mut E,
    ) -> Option<u64> {
        let primaries = self.config.topology.ring.primaries(piece.partition, list.n_val).to_vec();
        for node in primaries {
            if piece.tried.contains(&node) || !self.peers.is_up(node) {
                continue;
            }
            piece.tried.push(node);
            piece.node = node;
            piece.patience = now.tick.plus_ms(PATIENCE_MS);
            let ask =
                Ask::List { from: piece.from.clone(), to: list.to.clone(), buckets: list.buckets };
            let question = self.fresh_id();
            if self.ask_alone(now, question, piece.partition, node, ask, fx) {
                return Some(question);
            }
        }
        None
    }

    /// Asks one replica outside of any operation on a key.
    pub(crate) fn ask_alone<E: Effects<Shard>>(
        &mut self,
        now: Now,
        id: u64,
        partition: Partition,
        node: NodeId,
        ask: Ask,
        fx: &mut E,
    ) -> bool {
        if node == self.me() && shard_of(partition, self.config.shards) == self.config.me.shard {
            self.serve(now, partition, Origin::Local(id), ask, fx);
            return true;
        }
        let Some(fence) = self.peers.fence(node, FENCE_WINDOW_MS / 2, now.tick) else {
            return false;
        };
        let epoch = self.config.topology.epoch;
        let request = RequestId(u128::from(id));
        let header =
            Header { partition, epoch, role: Role::Primary, fence, class: 1, tenant: 0, request };
        fx.send(self.peers.address(node, partition), Message::Ask(id, header, 0, ask), Stamp::NONE)
            .is_ok()
    }

    /// A replica has answered with a piece, or failed.
    pub(crate) fn list_told<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        question: u64,
        told: Told,
        fx: &mut E,
    ) {
        let Some(id) = self.pieces.get(&question).copied() else { return };
        let Some(mut list) = self.lists.remove(&id) else { return };
        if list.asked.get(&question).is_none_or(|piece| piece.node != node) {
            self.lists.insert(id, list);
            return;
        }
        let Some(mut piece) = list.asked.remove(&question) else { return };
        self.pieces.remove(&question);
        match told {
            Told::Listed { keys, next, complete: true } => {
                self.say(&mut list, &keys, fx);
                if list.said.len() > NAMES_MAX {
                    return self.fail_list(&list, RequestError::Overload, fx);
                }
                if let Some(next) = next {
                    piece.from = next;
                    piece.tried.clear();
                    list.todo.push_front(piece);
                }
            }
            // Not this one: the next primary.
            _ => list.todo.push_front(piece),
        }
        self.advance_list(now, id, list, fx);
    }

    /// Gives the client the names of a piece.
    fn say<E: Effects<Shard>>(&mut self, list: &mut List, keys: &[Bytes], fx: &mut E) {
        let mut names = Vec::with_capacity(keys.len());
        for (bucket, key) in keys.iter().filter_map(key_of) {
            if !list.buckets {
                names.push(key);
            } else if list.said.insert(bucket.name.clone()) {
                names.push(bucket.name);
            }
        }
        if !names.is_empty() {
            list.unread += 1;
            fx.reply(list.client, Reply::Kv(Answer::Listed(names, false)), Stamp::NONE);
        }
    }

    fn fail_list<E: Effects<Shard>>(&mut self, list: &List, error: RequestError, fx: &mut E) {
        self.forget_list(list);
        fx.reply(list.client, Reply::Kv(Answer::Failed(error)), Stamp::NONE);
    }

    fn forget_list(&mut self, list: &List) {
        self.list_clients.remove(&list.client);
        self.pieces.retain(|question, _| !list.asked.contains_key(question));
    }

    /// The client has taken what it was given.
    pub(crate) fn more<E: Effects<Shard>>(&mut self, now: Now, client: ClientId, fx: &mut E) {
        let Some(id) = self.list_clients.get(&client).copied() else { return };
        let Some(mut list) = self.lists.remove(&id) else { return };
        list.unread = 0;
        self.advance_list(now, id, list, fx);
    }

    /// The client is gone.
    pub(crate) fn gone(&mut self, client: ClientId) {
        let list = self.list_clients.get(&client).and_then(|id| self.lists.remove(id));
        if let Some(list) = list {
            self.forget_list(&list);
        }
    }

    pub(crate) fn sweep_lists<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        let asked = self.lists.values().flat_map(|list| &list.asked);
        let silent = asked.filter(|(_, piece)| piece.patience <= now.tick);
        self.inbox.extend(silent.map(|(question, piece)| (piece.node, *question, Told::Failed)));
        let late: Vec<u64> =
            self.lists.iter().filter(|(_, l)| l.deadline <= now.tick).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(list) = self.lists.remove(&id) {
                self.fail_list(&list, RequestError::Timeout, fx);
            }
        }
    }
}

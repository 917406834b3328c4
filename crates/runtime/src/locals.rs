//! Messages to the other shards of this node.
//!
//! They are gathered during a turn and go into the other shard's inbox as one batch: one queue operation and at most
//! one wake-up a turn, however many they are. What finds no room stays here, in order, until the other shard says
//! that there is room again.

use std::collections::VecDeque;

use ombak_base::{Address, Refused, ShardId};

use crate::links::Route;

/// Messages of one batch. Bounds what a full inbox can hold.
const BATCH_MAX: usize = 256;

pub(crate) type Batch<T> = Vec<(Address, T)>;

struct Waiting<T> {
    batches: VecDeque<Batch<T>>,
    messages: usize,
}

pub(crate) struct Locals<T> {
    own: ShardId,
    messages_max: usize,
    shards: Vec<Waiting<T>>,
    /// Messages in all of them.
    waiting: usize,
}

impl<T> Locals<T> {
    pub fn new(own: ShardId, shards: usize, messages_max: usize) -> Locals<T> {
        let empty = || Waiting { batches: VecDeque::new(), messages: 0 };
        Locals {
            own,
            messages_max,
            shards: std::iter::repeat_with(empty).take(shards).collect(),
            waiting: 0,
        }
    }

    pub fn route(&self, to: ShardId) -> Result<Route, Refused> {
        match self.shards.get(usize::from(to.0)) {
            None => Err(Refused::Down),
            Some(_) if to == self.own => Ok(Route::Own),
            Some(shard) if shard.messages >= self.messages_max => Err(Refused::Full),
            Some(_) => Ok(Route::Local),
        }
    }

    /// Queues a message even above the bound: whoever cannot be refused asks [`has_room`](Locals::has_room) before
    /// taking on more.
    pub fn push(&mut self, to: ShardId, from: Address, message: T) {
        let shard = &mut self.shards[usize::from(to.0)];
        shard.messages += 1;
        self.waiting += 1;
        match shard.batches.back_mut() {
            Some(batch) if batch.len() < BATCH_MAX => batch.push((from, message)),
            _ => shard.batches.push_back(vec![(from, message)]),
        }
    }

    /// Whether every queue is below its bound.
    pub fn has_room(&self) -> bool {
        self.waiting < self.messages_max
            || self.shards.iter().all(|shard| shard.messages < self.messages_max)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Offers all batches to `send`, which gives back what it has no room for.
    pub fn flush(&mut self, mut send: impl FnMut(ShardId, Batch<T>) -> Option<Batch<T>>) {
        if self.waiting == 0 {
            return;
        }
        for (to, shard) in self.shards.iter_mut().enumerate() {
            while let Some(batch) = shard.batches.pop_front() {
                let messages = batch.len();
                if let Some(refused) = send(ShardId(to as u16), batch) {
                    shard.batches.push_front(refused);
                    break;
                }
                shard.messages -= messages;
                self.waiting -= messages;
            }
        }
    }
}

//! Spreading bucket properties. A change is acknowledged when every shard of every member that can be reached holds it;
//! members that cannot be reached learn from the first greeting whose digest differs.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, NodeId, Now, Refused, ShardId, Stamp, Tick, sometimes,
};
use ombak_kv::props::PropChange;
use ombak_kv::{Answer, BucketId, RequestError};
use serde::{Deserialize, Serialize};

use crate::boot::{NODE_PARTITION, props_key};
use crate::message::Message;
use crate::shard::{Reply, Shard};

/// The number under which a shard shows all the properties that it knows.
const ALL_PROPS: u64 = 0;
/// A change must be everywhere within this.
const SPREAD_MS: u64 = 5_000;

/// A change on its way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    client: ClientId,
    waiting: BTreeSet<Address>,
    /// Of the own node's copy on disk.
    stored: Stamp,
    deadline: Tick,
}

impl Shard {
    /// A client changes properties; `None` sets all back to the defaults.
    pub(crate) fn set_props<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        bucket: &BucketId,
        changes: Option<&[PropChange]>,
        fx: &mut E,
    ) {
        if let Err(error) = self.change_props(bucket, changes) {
            return fx.reply(client, Reply::Kv(Answer::Failed(error)), Stamp::NONE);
        }
        let export = self.buckets.export(bucket);
        let stored = self.keep_props(bucket, &export, fx);
        fx.await_durable(stored);
        let id = self.fresh_id();
        let mut waiting = BTreeSet::new();
        for address in self.all_shards() {
            let sent = fx.send(address, Message::Props(id, vec![export.clone()]), Stamp::NONE);
            // One whose queue is full can be reached, and has not taken the change.
            if sent != Err(Refused::Down) {
                waiting.insert(address);
            }
        }
        let deadline = now.tick.plus_ms(SPREAD_MS);
        self.spreads.insert(id, Spread { client, waiting, stored, deadline });
        self.finish_spread(id, fx);
        self.arm_sweep(now, fx);
    }

    fn change_props(
        &mut self,
        bucket: &BucketId,
        changes: Option<&[PropChange]>,
    ) -> Result<(), RequestError> {
        bucket.validate()?;
        if !bucket.bucket_type.is_empty() {
            return Err(RequestError::UnknownType);
        }
        if self.overloaded() {
            return Err(RequestError::Overload);
        }
        if self.full {
            return Err(self.disk_full());
        }
        if self.failed {
            return Err(RequestError::Storage("a write or sync failed on this node".into()));
        }
        let node = self.me();
        match changes {
            Some(changes) => self.buckets.set(bucket, changes, node),
            None => self.buckets.reset(bucket, node),
        }
    }

    /// Every other shard of this node, and every shard of every peer that is alive.
    fn all_shards(&self) -> Vec<Address> {
        let own =
            (0..self.config.shards).map(|shard| Address { node: self.me(), shard: ShardId(shard) });
        let mut all: Vec<Address> = own.filter(|address| *address != self.config.me).collect();
        for (node, peer) in self.peers.iter().filter(|(_, peer)| peer.alive) {
            all.extend((0..peer.shards).map(|shard| Address { node, shard: ShardId(shard) }));
        }
        all
    }

    /// Shard 0 keeps the properties on disk for its node.
    fn keep_props<E: Effects<Shard>>(
        &mut self,
        bucket: &BucketId,
        export: &Bytes,
        fx: &mut E,
    ) -> Stamp {
        if self.config.me.shard != ShardId(0) {
            return Stamp::NONE;
        }
        self.store_small(NODE_PARTITION, &props_key(bucket), export.clone(), fx)
    }

    /// Takes over properties and keeps what is new. Returns the operations that had to be put right.
    pub(crate) fn learn_props<E: Effects<Shard>>(
        &mut self,
        now: Now,
        exports: &[Bytes],
        fx: &mut E,
    ) -> Vec<u64> {
        let mut put_right = Vec::new();
        for export in exports {
            if let Ok((bucket, true)) = self.buckets.import(export) {
                sometimes!(fx, "a shard learned bucket properties from another");
                let merged = self.buckets.export(&bucket);
                self.keep_props(&bucket, &merged, fx);
                put_right.extend(self.put_right(now, &bucket, fx));
            }
        }
        put_right
    }

    /// Another shard shows its properties.
    pub(crate) fn take_props<E: Effects<Shard>>(
        &mut self,
        now: Now,
        from: Address,
        id: u64,
        exports: &[Bytes],
        fx: &mut E,
    ) {
        self.learn_props(now, exports, fx);
        if id == ALL_PROPS {
            self.peers.learned(from, now.tick);
        } else {
            let _ = fx.send(from, Message::PropsTaken(id), self.stored);
        }
    }

    /// Shows what this shard knows of a bucket.
    pub(crate) fn show_one<E: Effects<Shard>>(
        &mut self,
        to: Address,
        bucket: &BucketId,
        fx: &mut E,
    ) -> bool {
        let number = self.fresh_id();
        let ours = self.buckets.export(bucket);
        fx.send(to, Message::Props(number, vec![ours]), Stamp::NONE).is_ok()
    }

    /// Shows all properties to a shard whose digest differs.
    pub(crate) fn show_props<E: Effects<Shard>>(&mut self, to: Address, fx: &mut E) {
        let exports: Vec<Bytes> =
            self.buckets.buckets().map(|bucket| self.buckets.export(bucket)).collect();
        // One that is lost is shown again with the next greeting.
        let _ = fx.send(to, Message::Props(ALL_PROPS, exports), Stamp::NONE);
    }

    pub(crate) fn props_taken<E: Effects<Shard>>(&mut self, from: Address, id: u64, fx: &mut E) {
        if let Some(spread) = self.spreads.get_mut(&id) {
            spread.waiting.remove(&from);
            self.finish_spread(id, fx);
        }
    }

    /// `node` cannot be reached any more: it is not waited for.
    pub(crate) fn spread_without<E: Effects<Shard>>(&mut self, node: NodeId, fx: &mut E) {
        for id in self.spreads.keys().copied().collect::<Vec<_>>() {
            if let Some(spread) = self.spreads.get_mut(&id) {
                spread.waiting.retain(|address| address.node != node);
                self.finish_spread(id, fx);
            }
        }
    }

    fn finish_spread<E: Effects<Shard>>(&mut self, id: u64, fx: &mut E) {
        let is_done = |spread: &Spread| spread.waiting.is_empty() && spread.stored <= self.durable;
        if self.spreads.get(&id).is_some_and(is_done)
            && let Some(spread) = self.spreads.remove(&id)
        {
            fx.reply(spread.client, Reply::Kv(Answer::PropsSet), Stamp::NONE);
        }
    }

    /// More has become durable: changes that waited for that are done.
    pub(crate) fn finish_spreads<E: Effects<Shard>>(&mut self, fx: &mut E) {
        for id in self.spreads.keys().copied().collect::<Vec<_>>() {
            self.finish_spread(id, fx);
        }
    }

    /// Nothing becomes durable any more.
    pub(crate) fn fail_spreads<E: Effects<Shard>>(&mut self, fx: &mut E) {
        for (_, spread) in std::mem::take(&mut self.spreads) {
            let error = RequestError::Storage("a write or sync failed on this node".into());
            fx.reply(spread.client, Reply::Kv(Answer::Failed(error)), Stamp::NONE);
        }
    }

    pub(crate) fn sweep_spreads<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        for (_, spread) in self.spreads.extract_if(.., |_, spread| spread.deadline <= now.tick) {
            let answer = Answer::Failed(RequestError::PropsNotSpread);
            fx.reply(spread.client, Reply::Kv(answer), Stamp::NONE);
        }
    }
}

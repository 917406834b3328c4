//! When a tombstone that all primaries hold, synced, is forgotten.

use bytes::Bytes;
use ombak_base::{Effects, Now, Tick};
use ombak_cluster::FENCE_WINDOW_MS;
use ombak_kv::Object;
use serde::{Deserialize, Serialize};

use crate::coordinate::Op;
use crate::shard::Shard;

/// So many tombstones wait for their time. The next read of a key reaps what found no room.
const WAITING_MAX: usize = 16_384;

/// What becomes of a tombstone that all primaries hold (Riak's `delete_mode`; its default is 3000 ms).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum DeleteMode {
    /// It stays: who reads the key hears that it was deleted.
    Keep,
    /// It is forgotten at once.
    #[default]
    Immediate,
    /// It is forgotten when it is so many milliseconds old.
    AfterMs(u32),
}

/// A tombstone that waits for its time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    due: Tick,
    op: Box<Op>,
    tombstone: Bytes,
}

impl Shard {
    /// Every primary holds this tombstone, synced.
    pub(crate) fn reap_in_time<E: Effects<Shard>>(
        &mut self,
        now: Now,
        op: Box<Op>,
        tombstone: Bytes,
        fx: &mut E,
    ) {
        let left_ms =
            Object::decode(&tombstone).ok().and_then(|object| self.ripe_in_ms(now, &object));
        match left_ms {
            Some(0) => self.reap(now, &op, &tombstone, fx),
            Some(left_ms) if self.waiting.len() < WAITING_MAX => {
                let due = now.tick.plus_ms(left_ms);
                self.waiting.push_back(Waiting { due, op, tombstone });
                self.arm_sweep(now, fx);
            }
            _ => {}
        }
    }

    /// In how many milliseconds a tombstone may be forgotten; `None`: never.
    pub(crate) fn ripe_in_ms(&self, now: Now, tombstone: &Object) -> Option<u64> {
        match self.config.delete_mode {
            DeleteMode::Keep => None,
            DeleteMode::Immediate => Some(0),
            DeleteMode::AfterMs(ms) => {
                let times = tombstone.siblings().iter().map(|(_, v)| v.content.last_modified_us);
                let age_ms = now.wall_us.saturating_sub(times.max().unwrap_or(0)) / 1_000;
                Some(u64::from(ms).saturating_sub(age_ms))
            }
        }
    }

    /// Reaps what is due. It may have been written meanwhile: each primary forgets exactly that tombstone, or nothing.
    pub(crate) fn sweep_waiting<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        while let Some(mut waiting) = self.waiting.pop_front_if(|first| first.due <= now.tick) {
            let fence = |node| self.peers.fence(node, FENCE_WINDOW_MS, now.tick);
            waiting.op.renew_fences(fence);
            self.reap(now, &waiting.op, &waiting.tombstone, fx);
        }
    }
}

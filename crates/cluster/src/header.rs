//! What every replica request says of itself: for which partition, under which topology, in which role, for whom, and
//! until when.
//!
//! # Why a deadline is in the receiver's clock
//!
//! A replica forgets a reaped tombstone one day. A write that was sent before the reaping and is delivered after it
//! would then bring the deleted value back, so old messages must be refused for sure, and no two nodes' clocks agree
//! for sure. Hence the receiver's own clock decides: every heartbeat carries the sender's clock reading; a request
//! carries a deadline derived from the last reading that the requester had heard from this receiver *when its
//! operation began*, at most [`FENCE_WINDOW_MS`] ahead of it. What the operation learned before a reaping can therefore
//! arrive at most one window after it, and for one window the replica remembers what it reaped. A restart draws a new
//! boot number, which refuses everything older.

use ombak_base::{DecodeError, Epoch, Partition, Reader, RequestId, Tick};
use serde::{Deserialize, Serialize};

/// No request outlives this.
pub const FENCE_WINDOW_MS: u64 = 60_000;
/// By how much the clock readings of two shards of one node may differ: each reads the clock once a turn.
pub const CLOCK_SLACK_MS: u64 = 1_000;

/// A moment of one boot of the receiver, after which it refuses the request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Fence {
    /// The receiver's boot.
    pub boot: u64,
    /// In the receiver's ticks.
    pub deadline: Tick,
}

/// In which role the receiver is addressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Role {
    /// As an owner.
    Primary,
    /// In place of an owner that cannot be reached.
    Fallback,
}

/// In front of every replica request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The partition.
    pub partition: Partition,
    /// The topology under which it was routed.
    pub epoch: Epoch,
    /// The receiver's role.
    pub role: Role,
    /// Until when.
    pub fence: Fence,
    /// Scheduling class; 0 is interactive.
    pub class: u8,
    /// On whose behalf; 0 is nobody in particular.
    pub tenant: u32,
    /// The client operation.
    pub request: RequestId,
}

/// Why a replica refuses a request before looking at it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Fencing {
    /// This node is no owner of that partition (or, on this shard, does not run it).
    WrongPartition,
    /// The requester's topology is older than this node's, which is given.
    StaleEpoch(Epoch),
    /// The deadline has passed, or belongs to an earlier boot.
    Expired,
}

impl Header {
    /// Its length on the wire.
    pub const BYTES: usize = 4 + 8 + 1 + 8 + 8 + 1 + 4 + 16;

    /// Appends the fixed layout, little-endian, in the order of the fields.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.partition.0.to_le_bytes());
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.push(match self.role {
            Role::Primary => 0,
            Role::Fallback => 1,
        });
        out.extend_from_slice(&self.fence.boot.to_le_bytes());
        out.extend_from_slice(&self.fence.deadline.0.to_le_bytes());
        out.push(self.class);
        out.extend_from_slice(&self.tenant.to_le_bytes());
        out.extend_from_slice(&self.request.0.to_le_bytes());
    }

    /// Reads what `encode` wrote.
    pub fn decode(reader: &mut Reader) -> Result<Header, DecodeError> {
        Ok(Header {
            partition: Partition(reader.u32()?),
            epoch: Epoch(reader.u64()?),
            role: match reader.u8()? {
                0 => Role::Primary,
                1 => Role::Fallback,
                _ => return Err(DecodeError::Invalid("role")),
            },
            fence: Fence { boot: reader.u64()?, deadline: Tick(reader.u64()?) },
            class: reader.u8()?,
            tenant: reader.u32()?,
            request: RequestId(reader.u128()?),
        })
    }
}

impl Fence {
    /// Whether a receiver in its boot `boot`, at `now`, may still act on the request.
    pub fn holds(&self, boot: u64, now: Tick) -> bool {
        self.boot == boot
            && now <= self.deadline
            && self.deadline <= now.plus_ms(FENCE_WINDOW_MS + CLOCK_SLACK_MS)
    }
}

#[cfg(test)]
mod tests;

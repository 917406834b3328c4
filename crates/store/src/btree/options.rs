//! What an operator may choose.

use std::num::NonZeroU32;

use ombak_aries::EngineOptions;
use ombak_base::{FNV_START, fnv1a};

use crate::error::StoreError;

/// The log writes so much at once, or a segment.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// A split of a page has to fit into a segment.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// The engine keeps one of so many parts of the log free for what a start has to log.
const FREE_PARTS: u64 = 8;

/// How a store of the `btree` backend uses disk and memory. Every option may change between starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BtreeOptions {
    /// Tells this node's data from others', see [`identity_of`]: noted when the store is made, and another's is refused from then
    /// on ([`StoreError::OtherDatabase`]). 0: it gets none, and whatever is there is opened.
    pub identity: u64,
    /// Memory for pages, of all shards together.
    pub pool_bytes: u64,
    /// Size of one segment of the log.
    pub log_segment_bytes: u64,
    /// How many of them there may be.
    pub log_segments_max: u32,
    /// A checkpoint is due after so much of the log: a start has to read about twice that.
    pub checkpoint_bytes: u64,
    /// With less than this free on the disk the store is full: new data is refused.
    pub reserve_bytes: u64,
    /// Threads that repeat history at a start, for as long as that takes.
    pub redo_threads: NonZeroU32,
}

impl Default for BtreeOptions {
    fn default() -> BtreeOptions {
        BtreeOptions {
            identity: 0,
            pool_bytes: 256 * 1024 * 1024,
            log_segment_bytes: 64 * 1024 * 1024,
            log_segments_max: 8,
            checkpoint_bytes: 64 * 1024 * 1024,
            reserve_bytes: 128 * 1024 * 1024,
            redo_threads: EngineOptions::default().redo_threads,
        }
    }
}

/// An identity for what is named so: never 0.
pub fn identity_of(name: &str) -> u64 {
    fnv1a(FNV_START, name.as_bytes()).max(1)
}

impl BtreeOptions {
    /// A batch that is on its way, and what the one before left unused of its segment, must fit into what is kept free: or a
    /// log could be so full that no start finds room in it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let log_bytes = self.log_segment_bytes.saturating_mul(u64::from(self.log_segments_max));
        if log_bytes / FREE_PARTS < 2 * self.log_segment_bytes.min(BATCH_BYTES) {
            return Err(StoreError::Options("the log must be larger: 64 MiB, or 16 segments"));
        }
        if self.log_segment_bytes < SEGMENT_BYTES_MIN {
            return Err(StoreError::Options("log_segment_bytes must be at least 64 KiB"));
        }
        Ok(())
    }
}

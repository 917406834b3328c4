//! What an operator may choose, with its bounds.

use super::record::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::error::StoreError;

/// The commit log holds a record and its heads in one segment of at least this.
const SEGMENT_BYTES_MIN: u64 = (KEY_BYTES_MAX + VALUE_BYTES_MAX) as u64;
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// How a store of the `log` backend uses disk and memory. Every option may change between starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Size of one segment of the commit log.
    pub log_segment_bytes: u64,
    /// How many of them there may be.
    pub log_segments_max: u32,
    /// A vnode's file takes no record that would make it longer; at most 2 GiB.
    pub file_bytes: u64,
    /// Values from here on are written once, to a file of their own; at most 1 MiB.
    pub large_bytes: usize,
    /// So much of one vnode is gathered for one write to its file.
    pub flush_bytes: u64,
    /// So much of all vnodes together may stay in memory for want of a write to their files.
    pub memory_bytes_max: u64,
    /// A checkpoint begins when so much was written since the last one: what a start may have to replay.
    pub checkpoint_bytes: u64,
    /// With less than this free on the disk the store is full: new data is refused. Checkpoints, flushes and compaction,
    /// which gives space back, go on within it.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            log_segment_bytes: 32 * 1024 * 1024,
            log_segments_max: 8,
            file_bytes: 256 * 1024 * 1024,
            large_bytes: 64 * 1024,
            flush_bytes: 256 * 1024,
            memory_bytes_max: 32 * 1024 * 1024,
            checkpoint_bytes: 64 * 1024 * 1024,
            reserve_bytes: 128 * 1024 * 1024,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if !(1..=VALUE_BYTES_MAX).contains(&self.large_bytes) {
            return Err(StoreError::Options("large_bytes must be from 1 to 1 MiB"));
        }
        if !(1..=FILE_BYTES_MAX).contains(&self.file_bytes) {
            return Err(StoreError::Options("file_bytes must be from 1 to 2 GiB"));
        }
        let record_bytes = (KEY_BYTES_MAX + self.large_bytes + 4096) as u64;
        if self.log_segment_bytes < record_bytes.min(SEGMENT_BYTES_MIN) {
            return Err(StoreError::Options("log_segment_bytes must hold the largest record"));
        }
        if self.log_segments_max < 2 {
            return Err(StoreError::Options("log_segments_max must be at least 2"));
        }
        Ok(())
    }
}

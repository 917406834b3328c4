//! The `log` backend: files per vnode, written behind one commit log per node.
//!
//! # One put
//!
//! 1. [`LogDevice::store`](ombak_base::Device::store) writes the record, with its checksums, into a buffer. It knows
//!    already where in which file of the vnode the record will stand, because it alone gives out places; so the index
//!    can point there at once. The bytes are shared, not copied, from here on: with the *tail*, from which reads are
//!    answered while no file has them, and with the turn's [`LogCommit`].
//! 2. [`LogWriter::write`](ombak_base::Writer::write) appends "these bytes, at this place of this file" to the commit
//!    log for all shards, syncs once, and tells each shard its durable stamp.
//! 3. [`LogWriter::tidy`](ombak_base::Writer::tidy) writes what has gathered into the vnode's file, and tells the
//!    device, which forgets that part of its tail. Now and then it checkpoints: syncs the files one by one and
//!    lets the commit log reuse the space.
//!
//! # Why a start needs no guessing
//!
//! - **A vnode's file holds nothing that was not durable in the commit log first.** So nothing that was never
//!   announced can turn up in it, and its end needs no record of its own.
//! - **The log keeps everything that is not synced in a file.** Replaying it puts the same bytes in the same places,
//!   over whatever a crash has left there: nothing, half of it, or all.
//! - **After the replay every byte of every file is part of a whole record.** What is not, is damage: a bad disk,
//!   not a crash. It is reported with its place, and never taken for data.
//! - **Records of one vnode touch.** A lost one leaves a gap that the next one shows.
//!
//! # How a start is quick
//!
//! The writer also lists the keys of what it has put into files (`keys`), and a start reads the lists in place of the
//! records, up to the last few. What a list does not show is rot: it is found by the reads of what has rotten, and by
//! `ombak store verify`.
//!
//! Large values break the first rule if they share a file with records, so they have files of their own, which are
//! written and synced before the log says where the value is. What nobody points at is written over.

mod behind;
mod commit;
mod compact;
mod damage;
mod device;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod index;
mod keys;
mod large;
mod lister;
mod manifest;
mod mover;
mod open;
mod options;
mod packed;
mod read;
mod record;
mod redo;
mod revive;
pub(crate) mod room;
mod scan;
mod snapshot;
mod strand;
mod tail;
mod tidy;
mod vnode;
mod window;
mod writer;

use std::io::{self, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode, Partition, ShardId};

pub use commit::{LogCommit, LogNotice};
pub use damage::{Damage, Flaw, Recovered};
pub use device::LogDevice;
pub use format::FORMAT;
pub use open::{Opened, open};
pub use options::Options;
pub use snapshot::{Snapshot, SnapshotError, SnapshotReport};
pub use writer::LogWriter;

/// The partition that stands for the node itself, for small state of its own.
pub const NODE_PARTITION: Partition = Partition(u32::MAX);

/// The partition of the log that the whole cluster shares.
pub const ROOT_PARTITION: Partition = Partition(u32::MAX - 1);

/// The partition of the registers that the whole cluster shares.
pub const REGISTER_PARTITION: Partition = Partition(u32::MAX - 2);

/// The shard whose device holds a partition. Those that belong to no vnode are on shard 0.
pub fn shard_of(partition: Partition, shards: u16) -> ShardId {
    match partition {
        NODE_PARTITION | ROOT_PARTITION | REGISTER_PARTITION => ShardId(0),
        Partition(number) => ShardId((number % u32::from(shards.max(1))) as u16),
    }
}

/// Writes a small file, and syncs it. Its name is not durable.
pub(crate) fn write_whole<D: Disk>(disk: &D, path: &str, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Cached)?;
    file.set_len(0)?;
    file.write_at(&[IoSlice::new(bytes)], 0)?;
    file.sync()
}

#[cfg(test)]
mod tests;

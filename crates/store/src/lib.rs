//! Where entries are kept: ordered maps from key to bytes, one for each partition, behind one pair of traits.
//!
//! The traits are [`base::Device`](ombak_base::Device), the half beside a shard that answers at once, and
//! [`base::Writer`](ombak_base::Writer), the half on a thread of its own that makes things durable. Three backends
//! implement them, and one conformance suite with a naive oracle runs over all:
//!
//! - [`memory`]: ordered maps and nothing else. For caches and tests.
//! - [`log`](mod@log): files per vnode behind one commit log per node. The default. Its module is the essay.
//! - [`btree`]: one B+tree on pages behind one log, for more keys than memory holds.
//!
//! [`Store`] and [`StoreWriter`] are the choice between them, made by the host at start.
//!
//! # Who calls what, when
//!
//! ```
//! use bytes::Bytes;
//! use ombak_base::{Device, Entry, Load, Partition, ShardId, Writer};
//! use ombak_store::{Store, log::Options};
//! # let disk = ombak_sim::SimDisk::new();
//!
//! let (mut shards, mut writer, recovered) = Store::log(disk, 1, Options::default())?;
//! assert!(recovered.damage.is_empty());
//! let shard = &mut shards[0];
//!
//! // A loop turn: any number of loads and stores, each visible to the next.
//! let entry = Entry { tag: 0, bytes: Bytes::from_static(b"value") };
//! let stamp = shard.store(Partition(7), b"key", Some(&entry));
//! assert!(matches!(shard.load(Partition(7), b"key"), Load::Ready(Ok(Some(found))) if found == entry));
//!
//! // Its end: what was stored goes to the writer, whose notices come back.
//! let commit = shard.take_commit().expect("something was stored");
//! let mut notices = Vec::new();
//! writer.write(vec![(ShardId(0), commit)], &mut notices)?;
//! while writer.tidy(&mut notices)? {}
//! for (_, notice) in notices {
//!     shard.notice(notice);
//! }
//! assert_eq!(shard.durable(), stamp);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod btree;
mod budget;
mod error;
pub mod log;
pub mod memory;
mod status;
mod store;

#[cfg(test)]
mod conformance;

pub use error::StoreError;
pub use status::PartitionStatus;
pub use store::{OpenedStore, Store, StoreCommit, StoreNotice, StoreNotices, StoreWriter};

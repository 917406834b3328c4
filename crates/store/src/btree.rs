//! The `btree` backend: one B+tree for the whole node, on pages, behind one log. Keys may outgrow memory.
//!
//! The tree is [`ombak_aries`]'s. What is added here is how entries of any size become its small rows (`rows.rs`), and
//! what of them is in memory only.
//!
//! # One put
//!
//! 1. [`BtreeDevice::store`](ombak_base::Device::store) keeps the entry in memory, in an *overlay* that every read looks
//!    at first. A shard never waits for a page, for a checkpoint, or for room in the log.
//! 2. [`BtreeWriter::write`](ombak_base::Writer::write) changes the tree, entry after entry, in the order in which they
//!    were stored; each change is logged, and none is durable yet. Then it forces the log, once for all.
//! 3. The notice says up to which stamp everything is durable, and the device forgets that part of its overlay: the tree
//!    has it.
//!
//! Changes wait in the writer while there is no room. Nothing else is held up by a full disk, and reads go on.
//!
//! # Why one tree
//!
//! A tree for each partition would have to be made when something is first stored in it, which is a sync of its own that
//! may fail for want of room; and one that is dropped keeps a page until the next start. A partition is a prefix of the keys instead,
//! and costs nothing when it is empty.
//!
//! # What a start finds
//!
//! The log is repeated up to some record, and an entry becomes visible by one record: that of its row. So what a
//! start finds is what the stores up to some point left, and it is never before what was announced. What else belongs to an
//! entry, the pieces of a large value, was logged before its row, and is listed as *loose* until the row points at it: a
//! start removes what is loose and pointed at by nothing (`change.rs`).
//!
//! # What it costs
//!
//! A row that is replaced is logged with what it was; a page is written twice; a large value is written to the log, too.
//! What it gives is that memory bounds neither the keys nor the length of a start.

mod change;
mod commit;
mod counts;
mod cursor;
mod device;
mod format;
mod open;
mod options;
mod overlay;
mod rows;
mod writer;

pub use commit::{BtreeCommit, BtreeNotice};
pub use device::BtreeDevice;
pub use format::BTREE_FORMAT;
pub use open::{Opened, open};
pub use options::{BtreeOptions, identity_of};
pub use writer::BtreeWriter;

#[cfg(test)]
mod tests;

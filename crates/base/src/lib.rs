//! The ground that everything in Ombak stands on.
//!
//! One idea carries the whole system: *everything that decides is a pure, deterministic state machine, and
//! everything that acts is a host*. This crate holds the two sides of that border and nothing else:
//!
//! - [`Machine`] and [`Effects`]: what decides, and the only words with which it can ask the world for something;
//! - [`Device`], [`Writer`] and [`Disk`]: what a host offers as storage, small enough to be simulated with faults;
//! - [`Now`], the ids, the codec, the limits, and [`Once`], that both sides share;
//! - [`always!`], [`sometimes!`], [`eventually!`] and [`planted!`]: properties that stand in the production code, and the bugs
//!   that must trip them.
//!
//! Nothing here reads a clock, draws randomness, starts a thread or opens a file.

mod codec;
mod device;
mod disk;
mod fnv;
mod ids;
pub mod limits;
mod machine;
mod once;
mod passing;
pub mod property;
mod time;

pub use codec::{DecodeError, Reader, Wire, put_bytes, put_varint};
pub use device::{
    Chunk, Device, DeviceError, DeviceUsage, Entry, Load, Peek, ReadJob, Scan, ScanEntry, Upkeep,
    UpkeepJob, Writer, WriterUsage,
};
pub use disk::{Disk, DiskFile, OpenMode};
pub use fnv::{FNV_START, fnv1a};
pub use ids::{
    ActorId, Address, ClientId, ClusterId, DirectoryId, Epoch, NodeId, Partition, RequestId,
    ShardId, Stamp, Ticket,
};
pub use machine::{Effects, Event, Machine, Refused};
pub use once::Once;
pub use passing::{PLACES_MAX, Passing, Place};
pub use time::{Now, Tick};

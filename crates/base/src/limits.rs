//! Bounds that every layer keeps. A bound has its unit as its last word.

/// The unit of direct disk writes.
pub const BLOCK_BYTES: usize = 4096;
/// A bucket's name.
pub const BUCKET_BYTES_MAX: usize = 32 * 1024;
/// A bucket type's name.
pub const TYPE_BYTES_MAX: usize = 255;
/// A key.
pub const KEY_BYTES_MAX: usize = 32 * 1024;
/// One stored object with all its siblings, as a client may write it (Riak's `max_object_size`).
pub const OBJECT_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Siblings of one object (Riak's `max_siblings`).
pub const SIBLINGS_MAX: usize = 100;
/// What an object may come to by merging what was written concurrently: each replica of the longest row may have taken
/// the largest object before it heard of the others. Nothing more is taken until somebody has resolved it.
pub const MERGED_BYTES_MAX: usize = 5 * OBJECT_BYTES_MAX;
/// One frame from a client: an object, its envelope, and slack.
pub const FRAME_BYTES_MAX: usize = OBJECT_BYTES_MAX + 1024 * 1024;
/// One frame between nodes.
pub const PEER_FRAME_BYTES_MAX: usize = MERGED_BYTES_MAX + 1024 * 1024;
/// Members of a cluster.
pub const MEMBERS_MAX: usize = 1024;
/// Partitions of a ring.
pub const RING_SIZE_MAX: u32 = 1024;
/// Shards of a node.
pub const SHARDS_MAX: u16 = 256;

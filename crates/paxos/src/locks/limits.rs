//! Bounds. They are part of the state machine: replicas that differ in one of them would come apart.

/// Sessions at once.
pub const SESSIONS_MAX: usize = 16 * 1024;
/// Locks of one session, those that wait included.
pub const SESSION_LOCKS_MAX: usize = 4 * 1024;
/// Locks of all sessions.
pub const LOCKS_MAX: usize = 256 * 1024;
/// Requests that wait for one resource, conversions included.
pub const WAITERS_MAX: usize = 4 * 1024;
/// Commands that a session may have under way, before the first of them has come; it keeps as many answers, for those that come
/// again, and besides those to requests that the client does not yet count among those it has.
pub const ANSWERS_MAX: u64 = 64;
/// A resource's name with the names of all that it lies under, one byte more for each.
pub const PATH_BYTES_MAX: usize = 255;
/// How deep resources may lie under each other.
pub const PATH_DEPTH_MAX: usize = 16;
/// A value block.
pub const VALUE_BYTES_MAX: usize = 64;
/// The shortest lease.
pub const LEASE_US_MIN: u64 = 100_000;
/// The longest lease: an hour, after which the locks of a client that is gone are free at the latest.
pub const LEASE_US_MAX: u64 = 3_600_000_000;

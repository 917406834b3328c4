//! The bounds of a pool.

/// How a pool of connections to one node behaves. Times are in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PoolOptions {
    /// Connections at once, idle and opening ones included; at least 1.
    pub connections_max: usize,
    /// Callers in line; at least 1. Those behind are refused at once.
    pub waiters_max: usize,
    /// How long opening a connection may take.
    pub connect_ms: u64,
    /// A connection that has idled so long is asked whether it still works before it is used again.
    pub check_after_ms: u64,
    /// How long the answer to that may take.
    pub check_ms: u64,
    /// A connection that has idled so long is closed.
    pub idle_ms_max: u64,
    /// The pause after a first failure; it doubles with each in a row. At least 1.
    pub backoff_ms: u64,
    /// The longest pause.
    pub backoff_ms_max: u64,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            connections_max: 8,
            waiters_max: 1024,
            connect_ms: 1_000,
            check_after_ms: 15_000,
            check_ms: 1_000,
            idle_ms_max: 60_000,
            backoff_ms: 50,
            backoff_ms_max: 5_000,
        }
    }
}

impl PoolOptions {
    /// A pool that can hold nothing would refuse everybody for ever.
    pub(super) fn sane(self) -> PoolOptions {
        PoolOptions {
            connections_max: self.connections_max.max(1),
            waiters_max: self.waiters_max.max(1),
            backoff_ms: self.backoff_ms.max(1),
            backoff_ms_max: self.backoff_ms_max.max(self.backoff_ms).max(1),
            ..self
        }
    }
}

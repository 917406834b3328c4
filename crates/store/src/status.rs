//! What a partition takes, for operators.

/// Counts of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PartitionStatus {
    /// Keys with a value.
    pub keys: u64,
    /// Bytes of the records that those keys point at (values of the `large` files not included).
    pub live_bytes: u64,
    /// Bytes of all record files, what was overwritten and removed included.
    pub file_bytes: u64,
    /// Bytes of all `large` files, what was overwritten and removed included.
    pub large_bytes: u64,
    /// Bytes of values that are held in memory because no file has them yet.
    pub memory_bytes: u64,
}

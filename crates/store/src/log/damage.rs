//! What a start found missing or wrong.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use ombak_base::{FNV_START, Partition, fnv1a};

/// What is wrong with a piece of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flaw {
    /// A value does not match its checksum, or its large value is not there. The key is known; loading it fails.
    Value,
    /// Bytes that are no record, or no header. Which keys were there is not known.
    Records,
    /// A file, or its end, is not there. Which keys were there is not known.
    Missing,
    /// A part of the commit log cannot be read, and nothing proves that it held nothing of this partition.
    CommitLog,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::Value => "a value does not match its checksum",
            Flaw::Records => "bytes that are no record",
            Flaw::Missing => "what should be here is not",
            Flaw::CommitLog => "unreadable, and it may have held records of this partition",
        })
    }
}

/// One damaged place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Damage {
    /// Whose data it is; `None` for a piece of the commit log, which may have held the first record of any partition
    /// that is not there.
    pub partition: Option<Partition>,
    /// The file, relative to the data directory.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes; 0 where that cannot be said.
    pub bytes: u64,
    /// The key, if it is known.
    pub key: Option<Bytes>,
    /// What is wrong.
    pub flaw: Flaw,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(partition) = self.partition {
            write!(f, "partition {}: ", partition.0)?;
        }
        write!(f, "{} at offset {}", self.file, self.offset)?;
        if self.bytes > 0 {
            write!(f, ", {} bytes", self.bytes)?;
        }
        write!(f, ": {}", self.flaw)
    }
}

/// What [`open`](super::open) found.
///
/// Damage to vnodes' files is found again by every start, until what is damaged is overwritten. Damage to the commit
/// log is found until the first checkpoint has made that part of the log unneeded: act on it durably (mark the
/// vnodes incomplete, in a store that is synced) before the writer's first `tidy`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Everything that is wrong.
    pub damage: Vec<Damage>,
    /// Keys in all partitions.
    pub keys: u64,
    /// Commit-log records that were replayed.
    pub replayed_records: u64,
    /// Their bytes.
    pub replayed_bytes: u64,
    /// Whether the commit log ends in the middle of a write. None of that had been announced as durable.
    pub torn_tail: bool,
}

impl Recovered {
    /// The partitions of which not even the lost keys are known: an absent key proves nothing there, and an older
    /// value may have come back. Each with a fingerprint of what is damaged, never 0 and the same at every start.
    pub fn incomplete(&self) -> BTreeMap<Partition, u64> {
        let mut partitions = BTreeMap::new();
        for damage in self.damage.iter().filter(|damage| damage.key.is_none()) {
            let Some(partition) = damage.partition else { continue };
            let fingerprint = partitions.entry(partition).or_insert(FNV_START);
            let file = fnv1a(*fingerprint, damage.file.as_bytes());
            *fingerprint = fnv1a(file, &damage.offset.to_le_bytes()).max(2);
        }
        partitions
    }

    /// Whether partitions may be missing altogether.
    pub fn may_miss_partitions(&self) -> bool {
        self.damage.iter().any(|damage| damage.partition.is_none())
    }
}

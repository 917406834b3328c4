//! How many keys each partition has.
//!
//! A count is kept in memory and noted in the tree, under `keys partition(4)`, before each change that it counts:
//!
//! ```text
//!   count(8)                        so many keys
//!   count(8) is(1) row_key          so many keys once this row is there (1), or is gone (0)
//! ```
//!
//! Note and row are two changes, of which a crash may leave the first alone. So a start looks whether the row is what the note
//! says, and if it is not, counts one less or more: what it finds is exact.

use std::collections::BTreeMap;

use ombak_aries::Error;
use ombak_base::{Partition, ShardId};

use super::change::is_damage;
use super::rows::Rows;
use crate::log::shard_of;

/// What a note of a count begins with.
const KEYS: &[u8] = b"keys";

/// See the module.
#[derive(Default)]
pub(crate) struct Counts {
    keys: BTreeMap<Partition, u64>,
}

impl Counts {
    /// As they were noted, and became true.
    pub(crate) fn read(rows: &Rows) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let mut notes = rows.notes.range_latest(&rows.engine, KEYS, None);
        while let Some((key, note)) = notes.next()? {
            let partition = key.strip_prefix(KEYS).and_then(|number| number.first_chunk());
            let Some(partition) = partition else { break };
            let count = counted(rows, note)?;
            counts.keys.insert(Partition(u32::from_be_bytes(*partition)), count);
        }
        Ok(counts)
    }

    /// What is to be noted before a row comes or goes: key and value.
    pub(crate) fn note(
        &self,
        partition: Partition,
        is: bool,
        row_key: &[u8],
    ) -> (Vec<u8>, Vec<u8>) {
        let count = changed(self.of(partition), is).to_le_bytes();
        (key_of(partition), [&count[..], &[u8::from(is)], row_key].concat())
    }

    /// A row has come, or gone.
    pub(crate) fn change(&mut self, partition: Partition, is: bool) {
        let count = self.keys.entry(partition).or_default();
        *count = changed(*count, is);
    }

    /// Everything that is known, as notes: keys and values.
    pub(crate) fn notes(&self) -> Vec<(Vec<u8>, [u8; 8])> {
        let keys = self.keys.iter();
        keys.map(|(partition, count)| (key_of(*partition), count.to_le_bytes())).collect()
    }

    /// Nothing is known to be there.
    pub(crate) fn forget(&mut self) {
        self.keys.values_mut().for_each(|count| *count = 0);
    }

    fn of(&self, partition: Partition) -> u64 {
        self.keys.get(&partition).copied().unwrap_or_default()
    }

    /// Keys of all partitions of a shard.
    pub(crate) fn of_shard(&self, shard: ShardId, shards: u16) -> u64 {
        let own = self.keys.iter().filter(|(partition, _)| shard_of(**partition, shards) == shard);
        own.map(|(_, count)| count).sum()
    }
}

fn key_of(partition: Partition) -> Vec<u8> {
    [KEYS, &partition.0.to_be_bytes()].concat()
}

fn changed(count: u64, is: bool) -> u64 {
    if is { count + 1 } else { count.saturating_sub(1) }
}

/// The count of a note, if its row is what the note says; else what it was before.
fn counted(rows: &Rows, note: &[u8]) -> Result<u64, Error> {
    let Some((count, rest)) = note.split_first_chunk() else { return Ok(0) };
    let count = u64::from_le_bytes(*count);
    let Some((is, row_key)) = rest.split_first() else { return Ok(count) };
    let (is, there) = (*is == 1, rows.row(row_key).map(|row| row.is_some()));
    match there {
        Ok(there) if there != is => Ok(changed(count, !is)),
        Ok(_) => Ok(count),
        // Nobody can tell any more.
        Err(error) if is_damage(&error) => Ok(count),
        Err(error) => Err(error),
    }
}

//! Looking into the data directory of a node that does not run.
//!
//! It is opened as a start opens it: the commit log is replayed into the files, which a start would do again and which
//! throws nothing away. Then nothing is written any more.

use std::path::Path;

use bytes::Bytes;
use ombak_aries::OsDisk;
use ombak_base::{Device, DeviceError, Load, Partition, Scan};
use ombak_kv::key_of;
use ombak_node::{NODE_PARTITION, ROOT_PARTITION};
use ombak_store::Store;
use serde::{Deserialize, Serialize};

use crate::StartError;
use crate::directory::Directory;
use crate::report::DamageReport;

/// Keys are read in pieces of so many.
const PIECE_KEYS: u32 = 1024;
const PIECE_BYTES: u32 = 1024 * 1024;
/// More damaged entries are counted, and not listed.
const LISTED_MAX: usize = 1000;

/// What a data directory holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreReport {
    /// Whose directory it is.
    pub node: String,
    /// All members of its cluster.
    pub members: Vec<String>,
    /// Partitions of the ring.
    pub ring_size: u32,
    /// Every partition that something was ever stored in, by number.
    pub partitions: Vec<PartitionReport>,
    /// Records of the commit log that the files did not have yet.
    pub replayed_records: u64,
    /// Whether the commit log ends in the middle of a write, of which nothing had been acknowledged as durable.
    pub torn_tail: bool,
    /// What a start finds damaged.
    pub damage: Vec<DamageReport>,
    /// What a verification has read; absent if there was none.
    pub verified: Option<Verified>,
}

/// One partition's replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartitionReport {
    /// Its number; `None` for what belongs to the whole node.
    pub partition: Option<u32>,
    /// Whether it is the root group's.
    #[serde(default)]
    pub root: bool,
    /// Keys with a value or a tombstone.
    pub keys: u64,
    /// Bytes of the records that those keys point at.
    pub live_bytes: u64,
    /// Bytes of all record files.
    pub file_bytes: u64,
    /// Bytes of all files of large values.
    pub large_bytes: u64,
}

/// What a verification has read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Verified {
    /// Entries that were read and match their checksums.
    pub entries: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Entries that do not.
    pub damaged: u64,
    /// The first thousand of them: bucket, key, and what is wrong.
    pub listed: Vec<DamagedEntry>,
}

/// An entry that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DamagedEntry {
    /// Its partition; `None` for what belongs to the whole node.
    pub partition: Option<u32>,
    /// Its bucket and key, as text; absent for the database's own small records.
    pub name: Option<(String, String)>,
    /// File, offset, and why.
    pub what: String,
}

/// A data directory of which nobody else makes use meanwhile.
pub struct Inspection {
    store: Store<OsDisk>,
    report: StoreReport,
    _directory: Directory,
}

impl Inspection {
    /// Opens a directory that a node with the `log` or the `btree` backend has made.
    pub fn open(dir: &Path) -> Result<Inspection, StartError> {
        let directory = Directory::open_existing(dir)?;
        let identity = directory.identity()?;
        let failed = |source| StartError::Store { dir: dir.into(), source };
        let opened = match directory.is_btree()? {
            true => Store::btree(directory.disk(), 1, Default::default()),
            false => Store::log(directory.disk(), 1, Default::default()),
        };
        let (mut stores, _, recovered) = opened.map_err(failed)?;
        let store = stores.pop().ok_or(StartError::NoDirectory)?;
        let report = StoreReport {
            node: identity.node,
            members: identity.members,
            ring_size: identity.ring_size,
            partitions: store.partitions().iter().filter_map(|p| counts(&store, *p)).collect(),
            replayed_records: recovered.replayed_records,
            torn_tail: recovered.torn_tail,
            damage: recovered.damage.iter().map(DamageReport::from).collect(),
            verified: None,
        };
        Ok(Inspection { store, report, _directory: directory })
    }

    /// What is there, as the index has it.
    pub fn report(&self) -> &StoreReport {
        &self.report
    }

    /// Reads every entry. `progress` hears how many have been read, now and then.
    pub fn verify(mut self, mut progress: impl FnMut(u64)) -> StoreReport {
        let mut verified = Verified::default();
        for partition in self.store.partitions() {
            let mut from = Some(Bytes::new());
            while let Some(first) = from {
                from = match self.store.scan(&keys_from(partition, first)) {
                    Ok(piece) => {
                        let keys = piece.entries.iter().map(|entry| &entry.key);
                        keys.for_each(|key| self.read(partition, key, &mut verified));
                        piece.next
                    }
                    Err(error) => {
                        verified.note(partition, None, &error);
                        None
                    }
                };
                progress(verified.entries + verified.damaged);
            }
        }
        StoreReport { verified: Some(verified), ..self.report }
    }

    fn read(&mut self, partition: Partition, key: &Bytes, verified: &mut Verified) {
        let read = match self.store.load(partition, key) {
            Load::Ready(read) => read,
            Load::Blocked(read) => read(),
        };
        match read {
            Ok(entry) => {
                verified.entries += 1;
                verified.bytes += entry.map_or(0, |entry| entry.bytes.len() as u64);
            }
            Err(error) => verified.note(partition, Some(key), &error),
        }
    }
}

impl Verified {
    fn note(&mut self, partition: Partition, key: Option<&Bytes>, error: &DeviceError) {
        self.damaged += 1;
        if self.listed.len() < LISTED_MAX {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            let name = key.and_then(key_of).map(|(bucket, key)| (text(&bucket.name), text(&key)));
            let what = match error {
                DeviceError::Damaged(what) | DeviceError::Io(what) => what.clone(),
            };
            self.listed.push(DamagedEntry { partition: number(partition), name, what });
        }
    }
}

fn keys_from(partition: Partition, from: Bytes) -> Scan {
    let (entries_max, bytes_max) = (PIECE_KEYS, PIECE_BYTES);
    Scan { partition, from, to: Bytes::new(), entries_max, bytes_max, values: false }
}

fn counts(store: &Store<OsDisk>, partition: Partition) -> Option<PartitionReport> {
    let status = store.status(partition)?;
    Some(PartitionReport {
        partition: number(partition),
        root: partition == ROOT_PARTITION,
        keys: status.keys,
        live_bytes: status.live_bytes,
        file_bytes: status.file_bytes,
        large_bytes: status.large_bytes,
    })
}

fn number(partition: Partition) -> Option<u32> {
    let is_vnode = ![NODE_PARTITION, ROOT_PARTITION].contains(&partition);
    is_vnode.then_some(partition.0)
}

//! Starting: replay the commit log into the vnodes' files, then read every file, or the list of its keys.
//!
//! Nothing is thrown away here, and nothing is synced (lists of keys need not be): a start that is interrupted, or followed by another, finds
//! what the first one found. The first checkpoint makes it final.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ombak_aries::{CommitLog, Lsn, Recovery};
use ombak_base::{Disk, Partition};

use super::damage::{Damage, Flaw, Recovered};
use super::device::LogDevice;
use super::format::{self, LOG_DIR};
use super::manifest::{self, Firsts};
use super::options::Options;
use super::redo::{Outcome, Replay, Replayed};
use super::revive::{Revived, revive};
use super::shard_of;
use super::strand::VNODES;
use super::tail::Position;
use super::vnode::Bounds;
use super::writer::LogWriter;
use crate::error::StoreError;

/// All of a node's storage: one device for each shard, their writer, and what was found.
pub type Opened<D> = (Vec<LogDevice<D>>, LogWriter<D>, Recovered);

/// Opens the store on `disk`, or begins one, for `shards` shards; their number may differ from last time.
///
/// Reads files without a list of their keys once: of each vnode the last, and those whose records are small. What is damaged is reported, never an error and
/// never a panic. Nothing else may have the store open.
pub fn open<D: Disk>(disk: D, shards: u16, options: Options) -> Result<Opened<D>, StoreError> {
    options.check()?;
    if shards == 0 {
        return Err(StoreError::Options("there must be at least one shard"));
    }
    format::check(&disk)?;
    let firsts = manifest::read(&disk);
    let (log, recovery, mut outcome) = replay(&disk, options, firsts.clone())?;
    let mut recovered = Recovered {
        replayed_records: recovery.records,
        replayed_bytes: recovery.bytes,
        torn_tail: recovery.torn_tail.is_some(),
        damage: lost_records(&recovery),
        ..Recovered::default()
    };
    let bounds = Bounds { file_bytes: options.file_bytes, large_bytes: options.large_bytes };
    let mut devices: Vec<_> = (0..shards).map(|_| LogDevice::new(bounds)).collect();
    let mut writer = LogWriter::new(disk.clone(), log, options, shards);
    for partition in partitions(&disk, &outcome)? {
        let (dirty, reached, last) = known(outcome.vnodes.remove(&partition));
        let Revived { first, vnode, behind, damage, leftovers } =
            revive(&disk, partition, firsts.of(partition), dirty, reached)?;
        recovered.damage.extend(damage);
        recovered.damage.extend(unproven(&recovery, partition, last));
        recovered.keys += vnode.status().keys;
        writer.adopt(partition, first, behind);
        leftovers.into_iter().for_each(|drop| writer.will_drop(partition, drop));
        devices[usize::from(shard_of(partition, shards).0)].adopt(partition, vnode);
    }
    recovered.damage.extend(nonsense(&outcome));
    writer.owes(recovery.bytes);
    Ok((devices, writer, recovered))
}

type LogOpened<D> = (CommitLog<D>, Recovery, Outcome<<D as Disk>::File>);

fn replay<D: Disk>(disk: &D, options: Options, firsts: Firsts) -> Result<LogOpened<D>, StoreError> {
    let log_options = ombak_aries::Options {
        segment_bytes: options.log_segment_bytes,
        segments_max: options.log_segments_max,
    };
    let mut replay = Replay::new(disk.clone(), firsts);
    let opened = CommitLog::open(disk.clone(), LOG_DIR, log_options, |stream, lsn, record| {
        replay.record(Partition(stream.0), lsn, record);
    });
    let (log, recovery) = opened?;
    Ok((log, recovery, replay.finish()?))
}

/// Those that have files, and those that the log alone knew.
fn partitions<D: Disk>(
    disk: &D,
    outcome: &Outcome<D::File>,
) -> Result<BTreeSet<Partition>, StoreError> {
    let names = disk.list(VNODES).map_err(StoreError::io(VNODES))?;
    let numbers = names.iter().filter_map(|name| name.parse().ok());
    Ok(numbers.map(Partition).chain(outcome.vnodes.keys().copied()).collect())
}

type Known<F> = (BTreeMap<u32, Arc<F>>, Position, Lsn);

fn known<F>(replayed: Option<Replayed<F>>) -> Known<F> {
    match replayed {
        Some(replayed) => (replayed.files, replayed.reached, replayed.last),
        None => (BTreeMap::new(), (0, 0), Lsn(0)),
    }
}

/// The pieces of the log of which records are lost (a lost header alone costs none).
fn lost(recovery: &Recovery) -> impl Iterator<Item = &ombak_aries::Damage> {
    recovery.damaged.iter().filter(|piece| piece.first_lsn < piece.next_lsn)
}

fn lost_records(recovery: &Recovery) -> Vec<Damage> {
    lost(recovery).map(|piece| in_log(None, piece.file.clone(), piece.offset)).collect()
}

/// A vnode's records follow each other without gaps. One that stands behind a lost piece of the log therefore proves
/// that the piece held nothing of this vnode that its files lack: a gap would be seen there. Where nothing stands
/// behind, its last records may be lost.
fn unproven(recovery: &Recovery, partition: Partition, last: Lsn) -> Vec<Damage> {
    let behind = lost(recovery).filter(|piece| piece.next_lsn > last);
    behind.map(|piece| in_log(Some(partition), piece.file.clone(), piece.offset)).collect()
}

fn nonsense<F>(outcome: &Outcome<F>) -> Vec<Damage> {
    let place = |lsn: Lsn| format!("{LOG_DIR}, record {}", lsn.0);
    outcome
        .nonsense
        .iter()
        .map(|(partition, lsn)| in_log(Some(*partition), place(*lsn), 0))
        .collect()
}

fn in_log(partition: Option<Partition>, file: String, offset: u64) -> Damage {
    Damage { partition, file, offset, bytes: 0, key: None, flaw: Flaw::CommitLog }
}

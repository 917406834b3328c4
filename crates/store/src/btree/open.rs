//! Starting: the engine recovers, and what a crash has left loose is removed.

use ombak_aries::{Engine, EngineOptions, Restart};
use ombak_base::{Disk, ShardId};

use super::change::Changer;
use super::device::BtreeDevice;
use super::format::{self, DIR};
use super::options::BtreeOptions;
use super::rows::Rows;
use super::writer::BtreeWriter;
use crate::error::StoreError;
use crate::log::Recovered;

/// All of a node's storage: one device for each shard, their writer, and what was found.
pub type Opened<D> = (Vec<BtreeDevice>, BtreeWriter<D>, Recovered);

/// Opens the store on `disk`, or begins one, for `shards` shards; their number may differ from last time.
///
/// Takes as long as repeating the log since the last checkpoint but one. A page that is damaged is found when it is read,
/// not here; a log that is damaged where it is needed is refused. Nothing else may have the store open.
pub fn open<D: Disk>(disk: D, shards: u16, options: BtreeOptions) -> Result<Opened<D>, StoreError> {
    if shards == 0 {
        return Err(StoreError::Options("there must be at least one shard"));
    }
    options.check()?;
    let format = format::check(&disk, options.identity)?;
    let engine_options = engine_options(options, format.identity);
    let (engine, restart) = Engine::open(disk.clone(), DIR, engine_options)?;
    let rows = Rows {
        rows: engine.tree("rows")?,
        pieces: engine.tree("pieces")?,
        notes: engine.tree("notes")?,
        engine,
    };
    // What is loose is removed by the first `write` or `tidy`.
    let mut changer = Changer::new(rows.clone())?;
    if !format.has_counts() {
        changer.count_anew()?;
        rows.engine.sync()?;
        format.upgrade(&disk)?;
    }
    let device = |shard| {
        let keys = changer.counts().of_shard(ShardId(shard), shards);
        BtreeDevice::new(rows.clone(), shard, shards, keys)
    };
    let devices: Vec<_> = (0..shards).map(device).collect();
    let recovered = Recovered {
        keys: (0..shards).map(|shard| changer.counts().of_shard(ShardId(shard), shards)).sum(),
        ..recovered(&restart)
    };
    let writer = BtreeWriter::new(disk, changer, shards, options.reserve_bytes);
    Ok((devices, writer, recovered))
}

fn engine_options(options: BtreeOptions, identity: u64) -> EngineOptions {
    EngineOptions {
        identity,
        pool_bytes: options.pool_bytes,
        log: ombak_aries::Options {
            segment_bytes: options.log_segment_bytes,
            segments_max: options.log_segments_max,
        },
        checkpoint_bytes: options.checkpoint_bytes,
        redo_threads: options.redo_threads,
        ..EngineOptions::default()
    }
}

fn recovered(restart: &Restart) -> Recovered {
    Recovered {
        replayed_records: restart.log.records,
        replayed_bytes: restart.log.bytes,
        torn_tail: restart.log.torn_tail.is_some(),
        ..Recovered::default()
    }
}

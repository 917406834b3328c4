//! Starting: the engine recovers, and what a crash has left loose is removed.

use ombak_aries::{Engine, EngineOptions, Restart};
use ombak_base::Disk;

use super::change::Changer;
use super::device::BtreeDevice;
use super::format::{self, DIR};
use super::options::BtreeOptions;
use super::rows::Rows;
use super::writer::BtreeWriter;
use crate::error::StoreError;
use crate::log::Recovered;

/// All of a node's storage: one device for each shard, their writer, and what was found. Of that, keys are not counted.
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
    format::check(&disk)?;
    let (engine, restart) = Engine::open(disk.clone(), DIR, engine_options(options))?;
    let rows = Rows {
        rows: engine.tree("rows")?,
        pieces: engine.tree("pieces")?,
        notes: engine.tree("notes")?,
        engine,
    };
    let mut devices = Vec::new();
    devices.extend((0..shards).map(|shard| BtreeDevice::new(rows.clone(), shard, shards)));
    // What is loose is removed by the first `write` or `tidy`.
    let writer = BtreeWriter::new(disk, Changer::new(rows)?, options.reserve_bytes);
    Ok((devices, writer, recovered(&restart)))
}

fn engine_options(options: BtreeOptions) -> EngineOptions {
    EngineOptions {
        pool_bytes: options.pool_bytes,
        log: ombak_aries::Options {
            segment_bytes: options.log_segment_bytes,
            segments_max: options.log_segments_max,
        },
        checkpoint_bytes: options.checkpoint_bytes,
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

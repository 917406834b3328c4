//! Replaying the commit log: writes every record to where it belongs, whether it is there already or not.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use ombak_aries::Lsn;
use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::commit::Redo;
use super::manifest::Firsts;
use super::strand::Kind;
use super::tail::Position;
use crate::error::StoreError;

/// Consecutive records of a vnode are written together, up to this.
const RUN_BYTES_MAX: usize = 64 * 1024;

/// Takes the records of all vnodes, in the order of the log.
pub(crate) struct Replay<D: Disk> {
    disk: D,
    firsts: Firsts,
    vnodes: BTreeMap<Partition, Replayed<D::File>>,
    /// The first error; nothing is written after it.
    failed: Option<StoreError>,
    /// Records that make no sense, although the log vouches for their bytes.
    nonsense: Vec<(Partition, Lsn)>,
}

/// What the commit log knew of one vnode.
pub(crate) struct Replayed<F> {
    /// Its first file of records: nothing is written to those before it.
    first: u32,
    /// Files that were written to: not synced.
    pub(crate) files: BTreeMap<u32, Arc<F>>,
    /// How far the vnode reached.
    pub(crate) reached: Position,
    /// The vnode's last record.
    pub(crate) last: Lsn,
    run: Vec<u8>,
    run_at: Position,
}

impl<F> Replayed<F> {
    fn new(first: u32) -> Replayed<F> {
        Replayed {
            first,
            files: BTreeMap::new(),
            reached: (0, 0),
            last: Lsn(0),
            run: Vec::new(),
            run_at: (0, 0),
        }
    }
}

impl<D: Disk> Replay<D> {
    pub(crate) fn new(disk: D, firsts: Firsts) -> Replay<D> {
        Replay { disk, firsts, vnodes: BTreeMap::new(), failed: None, nonsense: Vec::new() }
    }

    /// Takes one record.
    pub(crate) fn record(&mut self, partition: Partition, lsn: Lsn, record: Bytes) {
        if self.failed.is_some() {
            return;
        }
        let first = self.firsts.of(partition).unwrap_or(0);
        let vnode = self.vnodes.entry(partition).or_insert_with(|| Replayed::new(first));
        vnode.last = lsn;
        let result = match Redo::decode(&record) {
            Some(Redo::Bytes { file, .. }) if file < vnode.first => Ok(()),
            Some(Redo::Bytes { file, offset, bytes }) => {
                vnode.bytes(&self.disk, partition, (file, offset.into()), &bytes)
            }
            Some(Redo::End { file, offset }) => {
                vnode.reached = vnode.reached.max((file, offset.into()));
                Ok(())
            }
            None => {
                self.nonsense.push((partition, lsn));
                Ok(())
            }
        };
        self.failed = result.err();
    }

    /// Writes what is left, and says what each vnode is.
    pub(crate) fn finish(mut self) -> Result<Outcome<D::File>, StoreError> {
        for (partition, vnode) in &mut self.vnodes {
            vnode.write_run(&self.disk, *partition)?;
        }
        match self.failed {
            Some(error) => Err(error),
            None => Ok(Outcome { vnodes: self.vnodes, nonsense: self.nonsense }),
        }
    }
}

/// What a replay has found.
pub(crate) struct Outcome<F> {
    pub(crate) vnodes: BTreeMap<Partition, Replayed<F>>,
    pub(crate) nonsense: Vec<(Partition, Lsn)>,
}

impl<F: DiskFile> Replayed<F> {
    fn bytes<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        partition: Partition,
        at: Position,
        bytes: &Bytes,
    ) -> Result<(), StoreError> {
        let run_end = (self.run_at.0, self.run_at.1 + self.run.len() as u64);
        if at != run_end || self.run.len() + bytes.len() > RUN_BYTES_MAX {
            self.write_run(disk, partition)?;
            self.run_at = at;
        }
        self.run.extend_from_slice(bytes);
        self.reached = self.reached.max((at.0, at.1 + bytes.len() as u64));
        Ok(())
    }

    fn write_run<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        partition: Partition,
    ) -> Result<(), StoreError> {
        if self.run.is_empty() {
            return Ok(());
        }
        let (number, offset) = self.run_at;
        let path = Kind::Data.path(partition, number);
        let file = self.open(disk, number, &path).map_err(StoreError::io(&path))?;
        file.write_at(&[IoSlice::new(&self.run)], offset).map_err(StoreError::io(&path))?;
        self.run.clear();
        Ok(())
    }

    fn open<D: Disk<File = F>>(&mut self, disk: &D, number: u32, path: &str) -> io::Result<Arc<F>> {
        if let Some(file) = self.files.get(&number) {
            return Ok(file.clone());
        }
        let file = Arc::new(disk.open(path, OpenMode::Cached)?);
        self.files.insert(number, file.clone());
        Ok(file)
    }
}

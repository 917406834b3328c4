//! One vnode, as the writer sees it: what the commit log has and the files have not, and which files are not synced.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::commit::LargeValue;
use super::lister::{self, Lister};
use super::room::{Stop, or_full};
use super::strand::{Kind, VNODES, directory};
use super::tail::Position;

/// Records of one write; the system takes no more than 1024 pieces at once.
const PIECES_MAX: usize = 512;

/// A file that was written: everything before `upto` is in it and the ones before it.
pub(crate) struct Written<F> {
    pub(crate) upto: Position,
    pub(crate) handle: Arc<F>,
}

pub(crate) struct Behind<F> {
    partition: Partition,
    /// Durable in the commit log, not written to the file. Each begins where the one before ended.
    gathered: VecDeque<(Position, Bytes)>,
    gathered_bytes: u64,
    /// Where the last durable record ends.
    end: Position,
    data: Option<(u32, Arc<F>)>,
    large: Option<(u32, Arc<F>)>,
    /// Written since they were synced.
    dirty: BTreeMap<u32, Arc<F>>,
    /// Whether files may have names that a crash forgets.
    is_named: bool,
    lister: Lister,
}

impl<F: DiskFile> Behind<F> {
    pub(crate) fn new(partition: Partition) -> Behind<F> {
        Behind::reopen(partition, (0, 0), BTreeMap::new(), Lister::new(partition))
    }

    /// One that recovery found: its end, and the files that it wrote to.
    pub(crate) fn reopen(
        partition: Partition,
        end: Position,
        dirty: BTreeMap<u32, Arc<F>>,
        lister: Lister,
    ) -> Behind<F> {
        Behind {
            partition,
            gathered: VecDeque::new(),
            gathered_bytes: 0,
            end,
            data: None,
            large: None,
            is_named: dirty.is_empty(),
            dirty,
            lister,
        }
    }

    /// The commit log has these bytes, synced.
    pub(crate) fn gather(&mut self, at: Position, bytes: Bytes) {
        self.end = (at.0, at.1 + bytes.len() as u64);
        self.gathered_bytes += bytes.len() as u64;
        self.gathered.push_back((at, bytes));
    }

    pub(crate) fn gathered_bytes(&self) -> u64 {
        self.gathered_bytes
    }

    /// Where the last durable record ends.
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    /// Whether everything is in files, and synced.
    pub(crate) fn is_settled(&self) -> bool {
        self.gathered.is_empty() && self.dirty.is_empty()
    }

    /// Writes what is gathered for one file, up to [`PIECES_MAX`] records; `None` when there is nothing. Without room it
    /// stays gathered, and goes to the same place again later.
    pub(crate) fn flush_some<D: Disk<File = F>>(
        &mut self,
        disk: &D,
    ) -> Result<Option<Written<F>>, Stop> {
        let Some(&((file, offset), _)) = self.gathered.front() else { return Ok(None) };
        let handle = or_full(self.handle(disk, Kind::Data, file))?;
        let run = self.gathered.iter().take(PIECES_MAX).take_while(|(at, _)| at.0 == file);
        let pieces: Vec<IoSlice<'_>> = run.map(|(_, bytes)| IoSlice::new(bytes)).collect();
        let count = pieces.len();
        or_full(handle.write_at(&pieces, offset))?;
        self.dirty.insert(file, handle.clone());
        self.lister.flushed(disk, self.gathered.iter().take(count));
        let len: u64 = self.gathered.drain(..count).map(|(_, bytes)| bytes.len() as u64).sum();
        self.gathered_bytes -= len;
        Ok(Some(Written { upto: (file, offset + len), handle }))
    }

    /// Makes everything durable that was flushed.
    pub(crate) fn sync<D: Disk<File = F>>(&mut self, disk: &D) -> io::Result<()> {
        self.sync_names(disk)?;
        self.dirty.values().try_for_each(|file| file.sync())?;
        self.dirty.clear();
        Ok(())
    }

    /// Removes files that nothing needs: those of records before `before`, and some of large values. What is left of
    /// them after a crash is passed over, so nothing is synced.
    pub(crate) fn remove_files<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        before: u32,
        larges: &BTreeSet<u32>,
    ) -> io::Result<u64> {
        let dir = directory(self.partition);
        let is_dropped = |name: &String| match name.split_once('.') {
            Some((number, "data")) => number.parse().is_ok_and(|number: u32| number < before),
            Some((number, lister::SUFFIX)) => {
                number.parse().is_ok_and(|list| lister::is_over(list, before))
            }
            Some((number, "large")) => number.parse().is_ok_and(|number| larges.contains(&number)),
            _ => false,
        };
        let mut removed = 0;
        for name in disk.list(&dir)?.into_iter().filter(is_dropped) {
            disk.remove(&format!("{dir}/{name}"))?;
            removed += 1;
        }
        self.dirty = self.dirty.split_off(&before);
        self.data.take_if(|(file, _)| *file < before);
        self.large.take_if(|(file, _)| larges.contains(file));
        Ok(removed)
    }

    /// Writes a value to a file of large values. Not durable before the file is synced, and `sync_names`.
    pub(crate) fn write_large<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        value: &LargeValue,
    ) -> Result<Written<F>, Stop> {
        let (file, offset) = value.at;
        let handle = or_full(self.handle(disk, Kind::Large, file))?;
        or_full(handle.write_at(&[IoSlice::new(&value.bytes)], offset))?;
        Ok(Written { upto: (file, offset + value.bytes.len() as u64), handle })
    }

    /// Makes the names of new files durable, and of the directories above.
    pub(crate) fn sync_names<D: Disk<File = F>>(&mut self, disk: &D) -> io::Result<()> {
        if !self.is_named {
            disk.sync_dir(&directory(self.partition))?;
            disk.sync_dir(VNODES)?;
            disk.sync_dir("")?;
            self.is_named = true;
        }
        Ok(())
    }

    fn handle<D: Disk<File = F>>(&mut self, disk: &D, kind: Kind, file: u32) -> io::Result<Arc<F>> {
        let slot = match kind {
            Kind::Data => &mut self.data,
            Kind::Large => &mut self.large,
        };
        if let Some((open, handle)) = slot
            && *open == file
        {
            return Ok(handle.clone());
        }
        let handle = Arc::new(disk.open(&kind.path(self.partition, file), OpenMode::Cached)?);
        self.is_named = false;
        *slot = Some((file, handle.clone()));
        Ok(handle)
    }
}

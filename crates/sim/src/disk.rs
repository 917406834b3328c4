//! A disk in memory that forgets what real ones forget.
//!
//! # What a crash keeps
//!
//! - **Content**, by sectors of 512 bytes: each sector written since the file's last successful sync
//!   has its old or its new content, independently of every other. (Not what it had in between, when
//!   it was written twice.) `Direct` files are treated alike: a write counts as unsynced until `sync`.
//! - **Lengths**: the old or the new one. A file that grew and lost its sectors has zeros there.
//! - **Names**: creations, removals and renames are durable after `sync_dir` of their directory, and
//!   *only* then. (ext4 makes a new file's name durable when the file is synced; POSIX does not say
//!   so, and neither does this disk: whoever creates a file calls `sync_dir`.) Of the changes in one
//!   directory a crash keeps the first few, in order; a rename is kept as a whole or not at all, and
//!   ties its two directories together. Directories come with the first file in them and stay, empty.
//!
//! After a crash every [`SimFile`] and every [`mounted`](SimDisk::mount) handle of the old process
//! fails: nothing that it left behind can write any more.

mod content;
mod faults;
mod inode;
mod names;
mod operate;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, IoSlice};
#[expect(clippy::disallowed_types, reason = "base::Disk asks for Send + Sync; this is a host")]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ombak_base::limits::BLOCK_BYTES;
use ombak_base::{Disk, DiskFile, OpenMode};

pub use content::SECTOR_BYTES;
pub use faults::SyncFault;
pub use operate::{Counters, DiskImage, Part, Unsynced};

use faults::{Faults, Verdict, error, power_cut};
use inode::Inode;
use names::{InodeId, Names};

/// A simulated disk. Clones are handles of the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    #[expect(clippy::disallowed_types, reason = "base::Disk asks for Send + Sync; this is a host")]
    state: Arc<Mutex<State>>,
    /// The boot that this handle belongs to; `None` for the operator's, which outlives crashes.
    boot: Option<u64>,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    inode: InodeId,
    mode: OpenMode,
}

#[derive(Default, Debug)]
struct State {
    /// Counts crashes.
    boot: u64,
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: InodeId,
    names: Names,
    faults: Faults,
    counters: Counters,
}

impl State {
    /// Frees files that have neither name nor handle, now and after any crash. A name is not gone for that before the
    /// change that took it is synced.
    fn collect(&mut self) {
        let known = self.names.known();
        self.inodes.retain(|id, inode| inode.handles > 0 || known.contains_key(id));
    }

    /// What a removed file took is free once it is closed, though a crash may bring it back.
    fn used_bytes(&self) -> u64 {
        let named: BTreeSet<InodeId> = self.names.iter().map(|(_, inode)| inode).collect();
        let there = |(id, inode): &(&InodeId, &Inode)| inode.handles > 0 || named.contains(id);
        self.inodes.iter().filter(there).map(|(_, inode)| inode.len()).sum()
    }

    fn inode(&mut self, id: InodeId) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| error(ErrorKind::NotFound, "the file is gone"))
    }

    /// Whether the file can have `len` bytes. Overwriting what is there always fits.
    fn make_room(&mut self, id: InodeId, len: u64) -> io::Result<()> {
        let growth = len.saturating_sub(self.inode(id)?.len());
        let full = self.faults.capacity_bytes.is_some_and(|max| self.used_bytes() + growth > max);
        if growth > 0 && full {
            return Err(error(ErrorKind::StorageFull, "the disk is full"));
        }
        Ok(())
    }

    fn create(&mut self, path: &str) -> io::Result<InodeId> {
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, Inode::default());
        self.names.create(path, id);
        self.counters.name_changes += 1;
        self.faults.on_name()?;
        Ok(id)
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk { state: Arc::default(), boot: None }
    }

    /// A handle for the process that starts now. It dies with the next crash; the one it was made
    /// from does not.
    pub fn mount(&self) -> SimDisk {
        SimDisk { state: self.state.clone(), boot: Some(self.state().boot) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the process is dead or the disk unusable.
    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if self.boot.is_some_and(|boot| boot != state.boot) {
            return Err(error(ErrorKind::Other, "the process that held this handle has crashed"));
        }
        state.faults.usable()?;
        Ok(state)
    }
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::new()
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<SimFile> {
        check_path(path)?;
        let mut state = self.live()?;
        let inode = match state.names.find(path) {
            Some(inode) => inode,
            None if mode == OpenMode::Read => return Err(missing()),
            None => state.create(path)?,
        };
        state.inode(inode)?.handles += 1;
        let disk = SimDisk { state: self.state.clone(), boot: Some(state.boot) };
        Ok(SimFile { disk, inode, mode })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.live()?.names.list(path.trim_end_matches('/')))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.live()?;
        state.names.find(path).ok_or_else(missing)?;
        state.names.remove(path);
        state.counters.name_changes += 1;
        state.faults.on_name()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_path(to)?;
        let mut state = self.live()?;
        let inode = state.names.find(from).ok_or_else(missing)?;
        state.names.rename(from, to, inode);
        state.counters.name_changes += 1;
        state.faults.on_name()
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        check_path(to)?;
        let mut state = self.live()?;
        let inode = state.names.find(from).ok_or_else(missing)?;
        if state.names.find(to).is_some() {
            return Err(error(ErrorKind::AlreadyExists, "there is a file of that name"));
        }
        state.names.create(to, inode);
        state.counters.name_changes += 1;
        state.faults.on_name()
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.live()?;
        state.counters.syncs += 1;
        state.faults.on_sync().map_err(|(error, _)| error)?;
        if state.names.sync_dir(path.trim_end_matches('/')) {
            state.collect();
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.live()?;
        let capacity = state.faults.capacity_bytes;
        Ok(capacity.map_or(u64::MAX, |bytes| bytes.saturating_sub(state.used_bytes())))
    }
}

impl SimFile {
    /// Real direct I/O refuses what is not aligned, so this does.
    fn check_aligned(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let places = [offset as usize, buffer.len(), buffer.as_ptr() as usize];
        let aligned = places.iter().all(|place| place % BLOCK_BYTES == 0);
        if self.mode == OpenMode::Direct && !aligned {
            return Err(error(ErrorKind::InvalidInput, "direct I/O that is not aligned"));
        }
        Ok(())
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.mode {
            OpenMode::Read => {
                Err(error(ErrorKind::PermissionDenied, "the file is open for reading"))
            }
            OpenMode::Cached | OpenMode::Direct => Ok(()),
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check_aligned(buffer, offset)?;
        let mut state = self.disk.live()?;
        state.counters.reads += 1;
        state.faults.on_read()?;
        let read = state.inode(self.inode)?.read(buffer, offset);
        read.ok_or_else(|| error(ErrorKind::Other, "an unreadable sector"))
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.disk.live()?.faults.cold {
            return Err(error(ErrorKind::WouldBlock, "not in the page cache"));
        }
        self.read_at(buffer, offset)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        buffers.iter().try_for_each(|buffer| self.check_aligned(buffer, offset))?;
        let mut data = Vec::with_capacity(buffers.iter().map(|buffer| buffer.len()).sum());
        buffers.iter().for_each(|buffer| data.extend_from_slice(buffer));
        let mut state = self.disk.live()?;
        state.make_room(self.inode, offset + data.len() as u64)?;
        state.counters.writes += 1;
        state.counters.bytes_written += data.len() as u64;
        let verdict = state.faults.on_write();
        if matches!(verdict, Verdict::Done) && state.misdirect(self.inode, &data, offset) {
            return Ok(());
        }
        let inode = state.inode(self.inode)?;
        match verdict {
            Verdict::Done => inode.write(&data, offset),
            Verdict::Fails(_) => inode.write(&data[..data.len() / 2], offset),
            Verdict::PowerCut => inode.write(&data, offset),
        }
        verdict.result()
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.live()?;
        state.counters.syncs += 1;
        match state.faults.on_sync() {
            Ok(()) => state.inode(self.inode)?.sync(),
            Err((error, fault)) => {
                if fault == SyncFault::Drops {
                    state.inode(self.inode)?.drop_unsynced();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.live()?.inode(self.inode)?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.live()?;
        state.make_room(self.inode, len)?;
        state.counters.writes += 1;
        let verdict = state.faults.on_write();
        if !matches!(verdict, Verdict::Fails(_)) {
            state.inode(self.inode)?.set_len(len);
        }
        verdict.result()
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if self.disk.boot != Some(state.boot) {
            return;
        }
        let Some(inode) = state.inodes.get_mut(&self.inode) else { return };
        inode.handles = inode.handles.saturating_sub(1);
        if inode.handles == 0 && !state.names.knows(self.inode) {
            state.inodes.remove(&self.inode);
        }
    }
}

impl Verdict {
    fn result(self) -> io::Result<()> {
        match self {
            Verdict::Done => Ok(()),
            Verdict::Fails(error) => Err(error),
            Verdict::PowerCut => Err(power_cut()),
        }
    }
}

fn check_path(path: &str) -> io::Result<()> {
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(error(ErrorKind::InvalidInput, "a path that is not relative and plain"));
    }
    Ok(())
}

fn missing() -> io::Error {
    error(ErrorKind::NotFound, "no such file")
}

#[cfg(test)]
mod tests;

//! A real directory as a [`Disk`]: the one file of the workspace in which files are opened.

#![expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ombak_base::{Disk, DiskFile, OpenMode};
use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags, flock};
use rustix::io::{Errno, ReadWriteFlags};

/// `O_DSYNC`. rustix's `OFlags::DSYNC` is `O_SYNC` on Linux, which makes the modification time durable
/// with every write as well: a second, far dearer write to the file system's journal.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
const DSYNC: i32 = 0o10000;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
const DSYNC: i32 = OFlags::DSYNC.bits() as i32;

const NOATIME: i32 = OFlags::NOATIME.bits() as i32;
const DIRECT: i32 = OFlags::DIRECT.bits() as i32;

/// A directory of the operating system. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct OsDisk {
    root: Arc<Path>,
}

/// An open file of an [`OsDisk`].
#[derive(Debug)]
pub struct OsFile {
    file: File,
    /// Whether a write is durable when it returns, so that `sync` has nothing to do.
    writes_through: bool,
}

impl OsDisk {
    /// The directory `root`, created with its parents if missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<OsDisk> {
        let root = root.into();
        if !root.is_dir() {
            fs::create_dir_all(&root)?;
            sync_parents(&root.canonicalize()?)?;
        }
        Ok(OsDisk { root: root.into() })
    }

    /// Where the directory is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory for this process alone, by flock(2) on a file of that name, until what is returned is closed. `None`: another
    /// process has it.
    pub fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.path(name)?, flags, Mode::from_raw_mode(0o644))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file.into())),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A name that leads out of the directory, or to it by another way, is refused.
    fn path(&self, path: &str) -> io::Result<PathBuf> {
        let plain = |part| matches!(part, Component::Normal(_));
        if !Path::new(path).components().all(plain) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("path {path:?} is not relative and plain"),
            ));
        }
        Ok(self.root.join(path))
    }
}

impl Disk for OsDisk {
    type File = OsFile;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<OsFile> {
        let path = self.path(path)?;
        if mode == OpenMode::Read {
            return Ok(OsFile {
                file: open_quietly(&path, OpenOptions::new().read(true))?,
                writes_through: false,
            });
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if mode == OpenMode::Direct
            && let Some(file) = open_direct(&path)?
        {
            return Ok(OsFile { file, writes_through: true });
        }
        Ok(OsFile { file: open_quietly(&path, &mut writable())?, writes_through: false })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // A name that is not UTF-8 is none of ours, and no `str` path leads to it.
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        let mut names: Vec<String> =
            names.filter_map(Result::transpose).collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let to = self.path(to)?;
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(self.path(from)?, to)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let to = self.path(to)?;
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::hard_link(self.path(from)?, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path)?)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let room = rustix::fs::statvfs(&*self.root)?;
        // Not `f_bfree`: what is kept for root is not for us.
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

/// Makes a new directory's name durable, and those of the ones above that may be new as well. One that
/// may not be read was not made by us.
fn sync_parents(path: &Path) -> io::Result<()> {
    for parent in path.ancestors().skip(1) {
        match File::open(parent) {
            Ok(parent) => parent.sync_all()?,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
}

/// Opens a file so that reading it does not note when it was read, where that is allowed: to its owner.
fn open_quietly(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match options.custom_flags(NOATIME).open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            options.custom_flags(0).open(path)
        }
        other => other,
    }
}

/// `None`: the file system knows no direct I/O (tmpfs before Linux 6.6, some network file systems).
fn open_direct(path: &Path) -> io::Result<Option<File>> {
    match writable().custom_flags(DIRECT | DSYNC).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

impl OsFile {
    /// Reserves storage up to `len` bytes and extends the file to it with zeros, so that later writes
    /// there neither fail for want of space nor change the file's layout. `false`: the file system
    /// cannot; nothing was changed.
    pub fn preallocate(&self, len: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the operating system took the file in direct mode.
    pub fn is_direct(&self) -> bool {
        self.writes_through
    }
}

impl DiskFile for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Behind a short direct read lies the end of the file, at a place that is not aligned.
                Err(error) if done > 0 && error.kind() == ErrorKind::InvalidInput => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let wanted = buffer.len();
        let mut buffers = [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == wanted => Ok(read),
            // Either the end of the file or the end of what is cached: only the length tells.
            Ok(read) if offset + read as u64 >= self.len()? => Ok(read),
            Ok(_) | Err(Errno::AGAIN) => Err(ErrorKind::WouldBlock.into()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.read_at(buffer, offset),
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut buffers = buffers.to_vec();
        let mut rest = &mut buffers[..];
        let mut offset = offset;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            // The kernel takes at most 1024 buffers at once.
            let some = &rest[..rest.len().min(1024)];
            match rustix::io::pwritev(&self.file, some, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.writes_through { Ok(()) } else { self.file.sync_data() }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grown = len > self.len()? && self.preallocate(len)?;
        if !grown {
            self.file.set_len(len)?;
        }
        // Opened with O_DSYNC, only writes are durable when they return; this is none.
        if self.writes_through { self.file.sync_data() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;

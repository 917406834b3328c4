//! Files, as storage sees them: small enough to be simulated with every fault that real ones have.

use std::io::{self, IoSlice};

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing through the page cache; created if missing. Durable after [`DiskFile::sync`].
    Cached,
    /// Reading and writing past the page cache, each write durable when it returns where the system can
    /// (`O_DIRECT | O_DSYNC`), else after [`DiskFile::sync`]. Offsets and lengths must be multiples of
    /// [`BLOCK`](crate::limits::BLOCK_BYTES), buffers aligned to it. Created if missing.
    Direct,
}

/// A directory with files in it. Paths are relative to it, with `/` between parts.
pub trait Disk: Clone + Send + 'static {
    /// An open file.
    type File: DiskFile;

    /// Opens a file, creating missing parent directories where the mode creates.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Self::File>;
    /// The names in a directory, sorted; empty when it does not exist.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Removes a file. Its storage is free once every open handle is dropped.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Renames a file over another; one that was there is replaced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name, which must be free: what is written through one is read through the other, and the
    /// file is there until both are removed.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes creations, removals, renames and links in a directory durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Bytes that files may still grow by, as far as the system knows.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file. All methods take `&self`: positions are explicit, so threads can share it.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `offset`; returns how much was there (less than asked only at the end of the file).
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// As `read_at`, but answers [`io::ErrorKind::WouldBlock`] rather than wait for the disk, where it can tell.
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }
    /// Writes all of the buffers, one after the other, at `offset`.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Makes everything written so far durable. After an error nothing written since the last success may be
    /// believed: never retry.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

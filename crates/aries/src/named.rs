//! A file that knows its path, so that whatever goes wrong with it says where.

use std::io::{self, ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode};

use crate::error::Error;
use crate::page::{PAGE_BYTES, PageFault, PageId};

/// See the module.
pub(crate) struct NamedFile {
    path: String,
    file: Box<dyn DiskFile>,
}

impl NamedFile {
    pub fn new(path: impl Into<String>, file: Box<dyn DiskFile>) -> NamedFile {
        NamedFile { path: path.into(), file }
    }

    /// Opens a file, or makes it where the mode says so.
    pub fn open<D: Disk>(disk: &D, path: String, mode: OpenMode) -> Result<NamedFile, Error> {
        let file = disk.open(&path, mode).map_err(Error::io(&path))?;
        Ok(NamedFile { path, file: Box::new(file) })
    }

    /// Opens a file to read it, if there is one.
    pub fn existing<D: Disk>(disk: &D, path: String) -> Result<Option<NamedFile>, Error> {
        match disk.open(&path, OpenMode::Read) {
            Ok(file) => Ok(Some(NamedFile { path, file: Box::new(file) })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path)(error)),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads what there is, and answers how much that was.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        self.named(self.file.read_at(buffer, offset))
    }

    pub fn write_at(&self, bytes: &[&[u8]], offset: u64) -> Result<(), Error> {
        let slices: Vec<IoSlice<'_>> = bytes.iter().map(|bytes| IoSlice::new(bytes)).collect();
        self.named(self.file.write_at(&slices, offset))
    }

    pub fn sync(&self) -> Result<(), Error> {
        self.named(self.file.sync())
    }

    pub fn len(&self) -> Result<u64, Error> {
        self.named(self.file.len())
    }

    pub fn set_len(&self, len: u64) -> Result<(), Error> {
        self.named(self.file.set_len(len))
    }

    fn named<T>(&self, done: io::Result<T>) -> Result<T, Error> {
        done.map_err(Error::io(&self.path))
    }

    /// A page of this file can't be read.
    pub fn damaged(&self, page: PageId, fault: PageFault) -> Error {
        Error::Damaged { file: self.path.clone(), offset: offset_of(page), page, fault }
    }

    /// A page of this file is sound, and can't be.
    pub fn corrupt(&self, page: PageId, why: &'static str) -> Error {
        Error::Corrupt { file: self.path.clone(), offset: offset_of(page), page, why }
    }

    /// The file is another one than it should be, as what stands at `offset` says.
    pub fn foreign(&self, offset: usize, why: impl Into<String>) -> Error {
        Error::Foreign { file: self.path.clone(), offset: offset as u64, why: why.into() }
    }
}

/// Where a page stands in its file.
pub(crate) fn offset_of(id: PageId) -> u64 {
    u64::from(id.0) * PAGE_BYTES as u64
}

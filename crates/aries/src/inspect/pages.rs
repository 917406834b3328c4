//! The page file as a restart would find it, once it has put torn pages right from their copies.

use std::collections::BTreeMap;

use ombak_base::Disk;

use crate::engine::{Analysis, Meta};
use crate::error::Error;
use crate::log::Lsn;
use crate::named::{NamedFile, offset_of};
use crate::page::{self, PAGE_BYTES, Page, PageFault, PageId, u64_at};
use crate::pool::{DOUBLE_FILE, DoubleWrite, PAGES_FILE};

/// See the module.
pub struct PageFile {
    /// Where it is, or would be.
    path: String,
    file: Option<NamedFile>,
    /// What page 0 says; `None`: it says nothing, for want of one that can be read.
    pub meta: Option<Meta>,
    /// Of the database, by page 0, the copies, or the log.
    pub identity: Option<u64>,
    pub length: u64,
    copies: BTreeMap<PageId, Vec<u8>>,
    /// Where they stand.
    pub double: Option<NamedFile>,
}

/// A page as it is found.
pub struct FoundPage {
    pub bytes: Vec<u8>,
    /// What is wrong with it where it belongs.
    pub fault: Option<PageFault>,
    /// Whether `bytes` are those of its copy.
    pub is_copy: bool,
}

impl FoundPage {
    /// Its page LSN; `None`: it can't be read, and has no copy.
    pub fn lsn(&self) -> Option<Lsn> {
        let readable = self.is_copy || self.fault.is_none();
        readable.then(|| Lsn(u64_at(&self.bytes, 8)))
    }

    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// The page, if it can be read.
    pub fn page(&self, id: PageId) -> Page {
        let mut page = Page::blank(id);
        if !self.is_blank() {
            page.bytes_mut().copy_from_slice(&self.bytes);
        }
        page
    }
}

impl PageFile {
    /// Opens the files of a database; `known` is what its log says of its identity. [`Error::Foreign`] if page 0 is that of
    /// another version, or of something else.
    pub fn open<D: Disk>(
        disk: &D,
        path: impl Fn(&str) -> String,
        known: Option<u64>,
    ) -> Result<PageFile, Error> {
        let file = NamedFile::existing(disk, path(PAGES_FILE))?;
        let double = NamedFile::existing(disk, path(DOUBLE_FILE))?;
        let copies = match &double {
            Some(double) => DoubleWrite::read(double)?,
            None => None,
        };
        let length = file.as_ref().map_or(Ok(0), NamedFile::len)?;
        let (identity, copies) =
            copies.map_or((None, Vec::new()), |(kept, all)| (Some(kept.identity), all));
        let identity = identity.or(known);
        let mut pages = PageFile {
            path: path(PAGES_FILE),
            file,
            meta: None,
            identity,
            length,
            copies: copies.into_iter().collect(),
            double,
        };
        if !pages.file.as_ref().map_or(Ok(false), Meta::is_there)? {
            pages.copies.clear(); // A restart does not look at them then.
            return Ok(pages);
        }
        let in_place = pages.file.as_ref().and_then(|file| Meta::read(file).ok());
        let own = in_place.map(|meta| meta.identity).or(known);
        if own.is_some_and(|own| Some(own) != pages.identity) {
            (pages.identity, pages.copies) = (own, BTreeMap::new()); // Of another database.
        }
        let first = pages.read(PageId(0))?;
        let whole = length >= PAGE_BYTES as u64 || first.is_copy;
        match Meta::parse(&pages.path, if whole { &first.bytes } else { &[] }) {
            Ok(meta) => pages.meta = Some(meta),
            Err(Error::Damaged { .. }) => {}
            // A single wrong byte in page 0 must not hide what the file is.
            Err(Error::Foreign { .. }) if known.is_some() && first.fault.is_some() => {}
            Err(error) => return Err(error),
        }
        pages.identity = pages.meta.map(|meta| meta.identity).or(pages.identity);
        Ok(pages)
    }

    /// A page: from its place, or its copy if that is what a restart would take.
    pub fn read(&self, id: PageId) -> Result<FoundPage, Error> {
        let mut bytes = vec![0; PAGE_BYTES];
        if let Some(file) = &self.file {
            file.read_at(&mut bytes, offset_of(id))?;
        }
        let identity = self.identity.unwrap_or_default();
        let fault = page::judge(&bytes, id, identity).err();
        match self.copies.get(&id) {
            Some(copy) if fault.is_some() || u64_at(&bytes, 8) < u64_at(copy, 8) => {
                Ok(FoundPage { bytes: copy.clone(), fault, is_copy: true })
            }
            _ => Ok(FoundPage { bytes, fault, is_copy: false }),
        }
    }

    /// Page 0, if it can be read.
    pub fn first(&self) -> Result<Option<Page>, Error> {
        let Some(meta) = self.meta else { return Ok(None) };
        let mut page = Meta::page(meta.identity);
        page.bytes_mut().copy_from_slice(&self.read(PageId(0))?.bytes);
        Ok(Some(page))
    }

    /// Whether they are those that the log is about.
    pub fn check(&self, analysis: &Analysis) -> Result<(), Error> {
        let file = || self.path.clone();
        let foreign = |offset, why| Err(Error::Foreign { file: file(), offset, why });
        match (self.meta, analysis.identity) {
            (None, _) if self.read(PageId(0))?.lsn().is_none() => {
                let fault = PageFault::Checksum;
                Err(Error::Damaged { file: file(), offset: 0, page: PageId(0), fault })
            }
            (None, _) if analysis.checkpoint > Lsn(0) => {
                foreign(0, "it is empty, and the log is not of an empty database".to_string())
            }
            (Some(meta), Some(log)) if meta.identity != log => {
                let why = format!("it is of database {}, and the log is of {log}", meta.identity);
                foreign(Meta::IDENTITY as u64, why)
            }
            _ => Ok(()),
        }
    }

    /// Pages that the file has room for, a last one that is cut short included.
    pub fn places(&self) -> u32 {
        self.length.div_ceil(PAGE_BYTES as u64) as u32
    }

    /// Torn pages that have a copy.
    pub fn mended(&self) -> Result<Vec<PageId>, Error> {
        let mut mended = Vec::new();
        for id in self.copies.keys() {
            if self.read(*id)?.fault.is_some() {
                mended.push(*id);
            }
        }
        Ok(mended)
    }
}

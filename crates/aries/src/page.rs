//! Pages: what data is read, latched, logged and written by.
//!
//! ```text
//! page = crc:u32 page:u32 lsn:u64 manager:u8 kind:u8 owner:[u8; 6] body:[u8; 8168]      integers little-endian
//! ```
//!
//! The checksum covers all the rest and the identity of the database, so that a page of another database, a page
//! that was written to the wrong place, and one that was torn or has rotted are all told from a good one. A page
//! of nothing but zeros was never written: blank.
//!
//! The LSN is the heart of it (ARIES, §1.2): the record of the last change that is in the page. At a restart a
//! change is done again if, and only if, its LSN is above the page's.

use crc32fast::Hasher;

use crate::Lsn;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 8192;
/// Where the body begins.
pub const HEADER_BYTES: usize = 24;
/// Bytes of a page that belong to the resource manager.
pub const BODY_BYTES: usize = PAGE_BYTES - HEADER_BYTES;

/// The bytes of a whole page.
pub type PageBytes = [u8; PAGE_BYTES];

/// Which page: its place in the page file, counted in pages. 0 is the engine's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageId(pub u32);

impl std::fmt::Debug for PageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "page{}", self.0)
    }
}

impl std::fmt::Display for PageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// Which resource manager: what wrote a record can read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ManagerId(pub u8);

impl std::fmt::Debug for ManagerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "manager{}", self.0)
    }
}

/// A page in memory: all of it, so that a frame has its page beside its latch. Box what is moved about.
#[derive(Clone)]
pub struct Page {
    bytes: PageBytes,
}

/// Why bytes are not the page that they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PageFault {
    /// Torn, rotten, or of another database.
    #[error("its checksum does not match")]
    Checksum,
    /// Whole, and written for another place.
    #[error("it holds what was written for {0}")]
    Misplaced(PageId),
    /// Sound in itself, and not what was written last: the disk has lost a write, or has put it elsewhere.
    #[error("it is not what was written last: the disk has lost that")]
    Outdated,
    /// It has changes that the log lost.
    #[error("it has changes up to record {}, and the log ended with {}", .lsn.0, .log.0)]
    Ahead {
        /// The page's last change.
        lsn: Lsn,
        /// The log's last record.
        log: Lsn,
    },
    /// Something was on it, and is not.
    #[error("it is blank, and was in use: the disk has lost it")]
    Blank,
    /// The file ends before it.
    #[error("the file ends before it: it was cut short")]
    Cut {
        /// The last page that there was.
        last: PageId,
    },
}

impl PageFault {
    /// What is gone with it, for people.
    pub(crate) fn lost(&self) -> String {
        match self {
            PageFault::Ahead { lsn, log } => {
                format!("records {} up to {} are lost", log.0.saturating_add(1), lsn.0)
            }
            PageFault::Cut { last } => format!("all pages from it up to {last} are lost"),
            PageFault::Checksum
            | PageFault::Misplaced(_)
            | PageFault::Outdated
            | PageFault::Blank => "what was on it is lost".to_string(),
        }
    }
}

impl Page {
    /// A page of zeros.
    pub fn blank(id: PageId) -> Page {
        let mut page = Page { bytes: [0; PAGE_BYTES] };
        page.name(id);
        page
    }

    /// Makes it a page of zeros.
    pub(crate) fn clear(&mut self, id: PageId) {
        self.bytes.fill(0);
        self.name(id);
    }

    /// From now on it is this one, with whatever is on it.
    pub(crate) fn name(&mut self, id: PageId) {
        self.bytes[4..8].copy_from_slice(&id.0.to_le_bytes());
    }

    /// Which page it is.
    pub fn id(&self) -> PageId {
        PageId(u32_at(&self.bytes[..], 4))
    }

    /// The last change that is in it; 0: none.
    pub fn lsn(&self) -> Lsn {
        Lsn(u64_at(&self.bytes[..], 8))
    }

    pub(crate) fn set_lsn(&mut self, lsn: Lsn) {
        self.bytes[8..16].copy_from_slice(&lsn.0.to_le_bytes());
    }

    /// The resource manager that formatted it.
    pub fn manager(&self) -> ManagerId {
        ManagerId(self.bytes[16])
    }

    /// What the manager calls this kind of page.
    pub fn kind(&self) -> u8 {
        self.bytes[17]
    }

    /// Says whose the page is.
    pub fn set_kind(&mut self, manager: ManagerId, kind: u8) {
        self.bytes[16] = manager.0;
        self.bytes[17] = kind;
    }

    /// Six bytes of the header that are the manager's.
    pub fn owner(&self) -> &[u8; 6] {
        self.bytes[18..].first_chunk().unwrap_or(&[0; 6])
    }

    /// To be changed.
    pub fn set_owner(&mut self, owner: [u8; 6]) {
        self.bytes[18..24].copy_from_slice(&owner);
    }

    /// What the manager keeps.
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// To be changed.
    pub fn body_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[HEADER_BYTES..]
    }

    /// Everything, header included.
    pub fn bytes(&self) -> &PageBytes {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut PageBytes {
        &mut self.bytes
    }

    /// Copies `other`, its LSN included.
    pub(crate) fn copy_from(&mut self, other: &Page) {
        self.bytes.copy_from_slice(&other.bytes[..]);
    }

    /// Whether nothing was ever written to it.
    pub fn is_blank(&self) -> bool {
        self.manager() == ManagerId(0) && self.kind() == 0 && self.lsn() == Lsn(0)
    }
}

/// Fills in the checksum: the page is about to be written.
pub(crate) fn seal(bytes: &mut [u8], identity: u64) {
    let crc = checksum(bytes, identity);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Judges a page that was read. A blank one is given its number.
pub(crate) fn unseal(page: &mut Page, id: PageId, identity: u64) -> Result<(), PageFault> {
    judge(&page.bytes[..], id, identity)?;
    page.bytes[4..8].copy_from_slice(&id.0.to_le_bytes());
    Ok(())
}

/// Whether these are the bytes of page `id`: blank, or whole and written for this place.
pub(crate) fn judge(bytes: &[u8], id: PageId, identity: u64) -> Result<(), PageFault> {
    if u32_at(bytes, 0) == checksum(bytes, identity) {
        let found = PageId(u32_at(bytes, 4));
        return if found == id { Ok(()) } else { Err(PageFault::Misplaced(found)) };
    }
    if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(PageFault::Checksum) }
}

fn checksum(bytes: &[u8], identity: u64) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&identity.to_le_bytes());
    hasher.update(&bytes[4..PAGE_BYTES]);
    hasher.finalize()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

//! Pages are written twice, so that a torn one can be repaired.
//!
//! A page is larger than what a disk writes as a whole, and its log records say what to do *to* it, not what is in
//! it: half of the old page and half of the new one is nothing that can be redone. So a batch of pages is first
//! written, and synced, to a file of its own, and only then to where they belong. Whatever is torn there after a
//! crash is whole here. (The other way, an image of each page in the log with its first change after a checkpoint,
//! costs 8 KiB of log for a change of 100 bytes: PostgreSQL does it.)
//!
//! ```text
//! double = "OMBAKDBL" version:u32 crc:u32 identity:u64 count:u32 (page:u32 checksum:u32)*count, zeros to 4088,
//!          durable:u64, then count pages
//! ```
//!
//! `durable` is up to where the log was durable by then, 0 where nobody said it: no page has ever been written with a later
//! change. A log that ends before it has lost its end, and would give those LSNs to others.
//!
//! One sync of the page file serves the batch before and this one: the pages of the one before must be durable in
//! place before their copies are overwritten.

use crc32fast::Hasher;

use crate::error::{Error, is_no_room};
use crate::log::Lsn;
use crate::named::NamedFile;
use crate::page::{self, PAGE_BYTES, PageId, put_u32, u32_at, u64_at};

const MAGIC: [u8; 8] = *b"OMBAKDBL";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 4096;
const ENTRIES: usize = 28;
const DURABLE: usize = HEADER_BYTES - 8;
/// Pages of a batch.
pub const BATCH_MAX: usize = 128;

/// A page's copy.
pub type Copied = (PageId, Vec<u8>);

/// The file of the copies.
pub struct DoubleWrite {
    file: NamedFile,
    identity: u64,
}

impl DoubleWrite {
    pub fn new(file: NamedFile, identity: u64) -> DoubleWrite {
        DoubleWrite { file, identity }
    }

    /// Makes copies of sealed pages durable. `bytes` holds them one after the other; the log is durable up to `durable`. `false`: the
    /// disk has no room for so many, and the file is no longer than it was for fewer.
    pub fn keep(&self, ids: &[PageId], bytes: &[u8], durable: Lsn) -> Result<bool, Error> {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        put_u32(&mut header, 8, VERSION);
        header[16..24].copy_from_slice(&self.identity.to_le_bytes());
        put_u32(&mut header, 24, ids.len() as u32);
        for (i, (id, page)) in ids.iter().zip(bytes.chunks(PAGE_BYTES)).enumerate() {
            put_u32(&mut header, ENTRIES + 8 * i, id.0);
            put_u32(&mut header, ENTRIES + 8 * i + 4, u32_at(page, 0));
        }
        header[DURABLE..].copy_from_slice(&durable.0.to_le_bytes());
        let crc = header_crc(&header);
        put_u32(&mut header, 12, crc);
        match self.file.write_at(&[&header, bytes], 0) {
            Err(Error::Io { source, .. }) if ids.len() > 1 && is_no_room(&source) => {
                return Ok(false);
            }
            kept => kept?,
        }
        // Never tried again, whatever it says.
        self.file.sync().map(|()| true)
    }

    /// What was kept last, and the pages of it, as far as they are whole. A header that is not is one whose batch was not
    /// begun in place. [`Error::Foreign`]: it is of a newer version.
    pub fn read(file: &NamedFile) -> Result<Option<(Kept, Vec<Copied>)>, Error> {
        let Some(kept) = Kept::read(file)? else { return Ok(None) };
        let mut copies = Vec::new();
        for place in 0..kept.pages.len() {
            copies.extend(kept.copy(file, place)?);
        }
        Ok(Some((kept, copies)))
    }
}

/// What the header says was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Of the database.
    pub identity: u64,
    /// The pages, in the order in which they stand, each with its checksum.
    pub pages: Vec<(PageId, u32)>,
    /// The log was durable up to here; 0: not said.
    pub durable: Lsn,
}

impl Kept {
    /// Where the header says of which database it is, in bytes from the file's start.
    pub const IDENTITY: usize = 16;

    /// `None`: there is no header, or none that is whole.
    pub fn read(file: &NamedFile) -> Result<Option<Kept>, Error> {
        let mut header = vec![0; HEADER_BYTES];
        let read = file.read_at(&mut header, 0)?;
        let whole = header[..8] == MAGIC && u32_at(&header, 12) == header_crc(&header);
        if read < HEADER_BYTES || !whole {
            return Ok(None);
        }
        match u32_at(&header, 8) {
            version if version > VERSION => {
                let why = format!("it is of version {version}, newer than this software knows");
                Err(file.foreign(8, why))
            }
            _ => Ok(Kept::decode(&header)),
        }
    }

    fn decode(header: &[u8]) -> Option<Kept> {
        let (version, count) = (u32_at(header, 8), u32_at(header, 24) as usize);
        if version != VERSION || count > BATCH_MAX {
            return None;
        }
        let entries = header[ENTRIES..].chunks_exact(8).take(count);
        let pages = entries.map(|entry| (PageId(u32_at(entry, 0)), u32_at(entry, 4))).collect();
        let durable = Lsn(u64_at(header, DURABLE));
        Some(Kept { identity: u64_at(header, 16), pages, durable })
    }

    /// A copy; `None`: it is not what was kept.
    pub fn copy(&self, file: &NamedFile, place: usize) -> Result<Option<Copied>, Error> {
        let Some((id, checksum)) = self.pages.get(place).copied() else { return Ok(None) };
        let mut page = vec![0; PAGE_BYTES];
        let read = file.read_at(&mut page, Kept::offset_of(place))?;
        let whole = read == PAGE_BYTES && u32_at(&page, 0) == checksum;
        let sound = whole && page::judge(&page, id, self.identity).is_ok();
        Ok(sound.then_some((id, page)))
    }

    /// Where a copy stands in the file.
    pub fn offset_of(place: usize) -> u64 {
        (HEADER_BYTES + place * PAGE_BYTES) as u64
    }
}

fn header_crc(header: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&header[..12]);
    hasher.update(&header[16..HEADER_BYTES]);
    hasher.finalize()
}

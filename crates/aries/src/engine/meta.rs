//! Page 0: what the page file is, and which of its pages are free.
//!
//! ```text
//! body = "OMBAKPGS" version:u32 page_bytes:u32 identity:u64 count:u32 free:u32
//! free page: kind 2, owner = next:u32, 0: the last one
//! ```

use super::Shared;
use crate::error::Error;
use crate::log::Lsn;
use crate::named::NamedFile;
use crate::page::{self, HEADER_BYTES, PAGE_BYTES, Page, PageId, put_u32, u32_at, u64_at};
use crate::physical::{self, PHYSICAL};
use crate::pool::{PAGES_MAX, PageMut};
use crate::scope::{Rewrite, Scope};

const MAGIC: [u8; 8] = *b"OMBAKPGS";
/// The version of the page file that this code writes.
pub const VERSION: u32 = 1;
const PAGE: PageId = PageId(0);
const META: u8 = 1;
const FREE: u8 = 2;
const COUNT: usize = 24;
const FREE_HEAD: usize = 28;

/// What page 0 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    pub identity: u64,
    /// Pages that were ever used, this one included.
    pub count: u32,
    /// The last change of what it says.
    pub lsn: Lsn,
}

impl Meta {
    /// Where the file says of which database it is, in bytes from its start.
    pub const IDENTITY: usize = HEADER_BYTES + 16;

    /// The first page of a new file.
    pub fn page(identity: u64) -> Page {
        let mut page = Page::blank(PAGE);
        page.set_kind(PHYSICAL, META);
        let body = page.body_mut();
        body[..8].copy_from_slice(&MAGIC);
        put_u32(body, 8, VERSION);
        put_u32(body, 12, PAGE_BYTES as u32);
        body[16..24].copy_from_slice(&identity.to_le_bytes());
        put_u32(body, COUNT, 1);
        page
    }

    /// Whether the file was ever written to, and is of this version as far as can be told before it is repaired.
    pub fn is_there(file: &NamedFile) -> Result<bool, Error> {
        let mut bytes = vec![0; PAGE_BYTES];
        file.read_at(&mut bytes, 0)?;
        let (magic, version) = (&bytes[HEADER_BYTES..][..8], u32_at(&bytes, HEADER_BYTES + 8));
        if magic == MAGIC && version > VERSION {
            let why = format!("it is of version {version}, newer than this software knows");
            return Err(file.foreign(HEADER_BYTES + 8, why));
        }
        Ok(bytes.iter().any(|byte| *byte != 0))
    }

    /// What the first page of a file says.
    pub fn read(file: &NamedFile) -> Result<Meta, Error> {
        let mut bytes = vec![0; PAGE_BYTES];
        let read = file.read_at(&mut bytes, 0)?;
        Meta::parse(file.path(), &bytes[..read])
    }

    /// The same of bytes; fewer than a page's are what there is of it. `path` is where they are from.
    pub fn parse(path: &str, found: &[u8]) -> Result<Meta, Error> {
        let mut bytes = found.to_vec();
        bytes.resize(PAGE_BYTES, 0);
        let file = || path.to_string();
        let foreign = |at: usize, why: String| Error::Foreign {
            file: file(),
            offset: (HEADER_BYTES + at) as u64,
            why,
        };
        let body = &bytes[HEADER_BYTES..];
        if found.len() < PAGE_BYTES || body[..8] != MAGIC {
            return Err(foreign(0, "it is no page file of this software".to_string()));
        }
        let (page_bytes, identity) = (u32_at(body, 12), u64_at(body, 16));
        if page_bytes as usize != PAGE_BYTES {
            return Err(foreign(
                12,
                format!("its pages have {page_bytes} bytes, not {PAGE_BYTES}"),
            ));
        }
        page::judge(&bytes, PAGE, identity).map_err(|fault| Error::Damaged {
            file: file(),
            offset: 0,
            page: PAGE,
            fault,
        })?;
        Ok(Meta { identity, count: u32_at(body, COUNT), lsn: Lsn(u64_at(&bytes, 8)) })
    }
}

/// Says what is wrong with a page of the engine's own, if anything is.
pub fn check(page: &Page) -> Result<(), &'static str> {
    match (page.id(), page.kind()) {
        (PAGE, META) if !(1..=PAGES_MAX).contains(&count(page)) => {
            Err("it counts no pages, or too many")
        }
        (PAGE, META) if u32_at(page.body(), FREE_HEAD) >= count(page) => {
            Err("its first free page is beyond all pages")
        }
        (PAGE, META) => Ok(()),
        (PAGE, _) => Err("it should say what the file is, and does not"),
        (_, META) => Err("only page 0 can be what it says"),
        (id, FREE) if u32_at(page.owner(), 0) == id.0 => Err("the free page behind it is itself"),
        _ => Ok(()),
    }
}

/// How many pages were ever used.
pub fn count(page: &Page) -> u32 {
    u32_at(page.body(), COUNT)
}

/// What is to be logged before a page is made anew, if it is a free one, so that it is free again when that is taken back: making it anew
/// can't be. First it becomes a free page and nothing else, whatever was on it; then none.
pub fn taken(page: &Page) -> Vec<Vec<u8>> {
    if !is_free(page) {
        return Vec::new();
    }
    let mut free = Page::blank(page.id());
    free.set_kind(PHYSICAL, FREE);
    free.set_owner(*page.owner());
    let taken = physical::between(&free, &Page::blank(page.id()));
    [physical::format(&free)].into_iter().chain(taken).collect()
}

fn is_free(page: &Page) -> bool {
    (page.manager(), page.kind()) == (PHYSICAL, FREE)
}

impl<'a> Scope<'a> {
    /// Takes `wanted` pages from the free ones, or from beyond the last one, for a nested action that makes them anew.
    /// The change to page 0 comes first, and goes into the same action.
    pub(crate) fn allocate(&self, wanted: usize) -> Result<(Rewrite<'a>, Vec<Rewrite<'a>>), Error> {
        let mut meta = Rewrite::of(self.write(PAGE)?);
        let mut pages = Vec::new();
        for _ in 0..wanted {
            let free = PageId(u32_at(meta.new.body(), FREE_HEAD));
            let page = match free {
                PageId(0) => self.beyond(&mut meta)?,
                free => match self.unlink(&mut meta, free) {
                    // Which pages are free behind it can't be read. They are never used again, and nothing else is lost.
                    Err(Error::Damaged { .. } | Error::Corrupt { .. }) => {
                        put_u32(meta.new.body_mut(), FREE_HEAD, 0);
                        self.beyond(&mut meta)?
                    }
                    page => page?,
                },
            };
            let new = Box::new(Page::blank(page.id()));
            pages.push(Rewrite { page, new, anew: true });
        }
        Ok((meta, pages))
    }

    fn beyond(&self, meta: &mut Rewrite<'a>) -> Result<PageMut<'a>, Error> {
        let next = PageId(count(&meta.new));
        self.shared.pool.grow_to(next)?;
        put_u32(meta.new.body_mut(), COUNT, next.0 + 1);
        self.shared.pool.fresh(next)
    }

    fn unlink(&self, meta: &mut Rewrite<'a>, free: PageId) -> Result<PageMut<'a>, Error> {
        let page = self.write(free)?;
        if !is_free(&page) {
            return Err(self.corrupt(free, "it is among the free pages, and is none"));
        }
        let next = u32_at(page.owner(), 0);
        put_u32(meta.new.body_mut(), FREE_HEAD, next);
        Ok(page)
    }

    /// Gives pages back, for a nested action. The change to page 0 is among the answer.
    pub(crate) fn free(&self, pages: Vec<PageMut<'a>>) -> Result<Vec<Rewrite<'a>>, Error> {
        let mut meta = Rewrite::of(self.write(PAGE)?);
        let mut rewrites = Vec::new();
        for page in pages {
            // What was on it stays: nobody looks at it, and it need not be logged.
            let mut new = Box::new(Page::clone(&page));
            new.set_kind(PHYSICAL, FREE);
            let mut owner = [0; 6];
            owner[..4].copy_from_slice(&u32_at(meta.new.body(), FREE_HEAD).to_le_bytes());
            new.set_owner(owner);
            put_u32(meta.new.body_mut(), FREE_HEAD, page.id().0);
            rewrites.push(Rewrite { page, new, anew: false });
        }
        rewrites.push(meta);
        Ok(rewrites)
    }
}

impl Shared {
    /// Pages that were ever used.
    pub fn pages(&self) -> Result<u32, Error> {
        Ok(count(&*self.pool.read(PAGE)?))
    }
}

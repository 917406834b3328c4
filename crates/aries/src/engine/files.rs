//! The page file and that of the copies: looked at first, whether they and the log are of one database, then opened and
//! repaired.

use ombak_base::{Disk, OpenMode};

use super::{Analysis, Meta};
use crate::error::Error;
use crate::log::{Lsn, ReadLog};
use crate::named::{NamedFile, offset_of};
use crate::page::{self, PAGE_BYTES, PageFault, PageId, u64_at};
use crate::pool::{Copied, DOUBLE_FILE, DoubleWrite, Kept, PAGES_FILE};

/// Refuses files that are not those of the log, or not of the database that is wanted. Changes nothing.
pub fn look<D: Disk>(
    disk: &D,
    dir: &str,
    identity: u64,
    analysis: &Analysis,
    log: &ReadLog<D>,
) -> Result<(), Error> {
    let Some(pages) = begun(disk, dir)? else { return check_nothing_is_gone(dir, analysis) };
    let whose = Whose { wanted: identity, logged: analysis.identity };
    let in_place = Meta::read(&pages);
    if let Ok(meta) = &in_place {
        whose.check(&pages, Meta::IDENTITY, meta.identity)?;
    }
    let copies = Copies::look(disk, dir, &whose)?;
    let Some(meta) = newest(&in_place, copies.meta()?) else { return in_place.map(drop) };
    whose.check(&pages, Meta::IDENTITY, meta.identity)?;
    check_log(dir, log, copies.written().max(meta.lsn))?;
    match analysis.all_from {
        // As long as the backup was when it began. What was made since is made again.
        Some(_) => Ok(()),
        None => check_length(&pages, meta.count),
    }
}

/// The page file, if anything was ever written to it.
fn begun<D: Disk>(disk: &D, dir: &str) -> Result<Option<NamedFile>, Error> {
    let Some(pages) = NamedFile::existing(disk, join(dir, PAGES_FILE))? else { return Ok(None) };
    Ok(Meta::is_there(&pages)?.then_some(pages))
}

/// A log with a checkpoint had pages.
fn check_nothing_is_gone(dir: &str, analysis: &Analysis) -> Result<(), Error> {
    match analysis.checkpoint {
        Lsn(0) => Ok(()),
        _ => Err(Error::Foreign {
            file: join(dir, PAGES_FILE),
            offset: 0,
            why: "it is empty, and the log is not of an empty database".to_string(),
        }),
    }
}

/// Which database it must be: as who opens it says, and as the log says, if it does.
struct Whose {
    wanted: u64,
    logged: Option<u64>,
}

impl Whose {
    /// `offset`: where the file says what was found.
    fn check(&self, file: &NamedFile, offset: usize, found: u64) -> Result<(), Error> {
        let must = [Some(self.wanted), self.logged].into_iter().flatten();
        match must.into_iter().find(|must| *must != found) {
            None => Ok(()),
            Some(must) => {
                Err(file.foreign(offset, format!("it is of database {found}, not {must}")))
            }
        }
    }
}

/// The copies of the pages that were written last, and what was said with them.
#[derive(Default)]
struct Copies {
    path: String,
    kept: Option<Kept>,
    pages: Vec<Copied>,
}

impl Copies {
    fn look<D: Disk>(disk: &D, dir: &str, whose: &Whose) -> Result<Copies, Error> {
        let path = join(dir, DOUBLE_FILE);
        let Some(file) = NamedFile::existing(disk, path.clone())? else {
            return Ok(Copies::default());
        };
        let Some((kept, pages)) = DoubleWrite::read(&file)? else { return Ok(Copies::default()) };
        whose.check(&file, Kept::IDENTITY, kept.identity)?;
        Ok(Copies { path, kept: Some(kept), pages })
    }

    /// What the copy of page 0 says, if there is one.
    fn meta(&self) -> Result<Option<Meta>, Error> {
        let copy = self.pages.iter().find(|(id, _)| *id == PageId(0));
        copy.map(|(_, copy)| Meta::parse(&self.path, copy)).transpose()
    }

    /// The last change that was ever on its way to a page, as far as they say.
    fn written(&self) -> Lsn {
        let pages = self.pages.iter().map(|(_, copy)| Lsn(u64_at(copy, 8)));
        pages.chain(self.kept.iter().map(|kept| kept.durable)).fold(Lsn(0), Lsn::max)
    }
}

/// Page 0 as it was written last, in place or as a copy; the one in place may be torn.
fn newest(in_place: &Result<Meta, Error>, copied: Option<Meta>) -> Option<Meta> {
    in_place.as_ref().ok().copied().into_iter().chain(copied).max_by_key(|meta| meta.lsn)
}

/// A log that ends before what the pages have would give the same LSNs once more, and redo would take the changes under them for
/// done.
fn check_log<D: Disk>(dir: &str, log: &ReadLog<D>, written: Lsn) -> Result<(), Error> {
    // It is made before the page file is.
    let Some(end) = log.end() else {
        let why = "there is no log, and there are the pages of a database";
        return Err(Error::Foreign { file: join(dir, "wal"), offset: 0, why: why.to_string() });
    };
    let first = log.recovery().end;
    if written < first {
        return Ok(());
    }
    let (first, next) = (first.0, written.0.saturating_add(1));
    Err(Error::LogDamaged { file: end.file, offset: end.offset, first, next })
}

/// The file grows, and that is durable, before page 0 counts more pages.
fn check_length(pages: &NamedFile, count: u32) -> Result<(), Error> {
    let length = pages.len()?;
    if length >= offset_of(PageId(count)) {
        return Ok(());
    }
    let last = PageId(count.saturating_sub(1));
    Err(pages.damaged(PageId((length / PAGE_BYTES as u64) as u32), PageFault::Cut { last }))
}

/// The path of a file in a directory; `""` is the disk itself.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") }
}

/// The files, opened and repaired.
pub struct Files {
    pub pages: NamedFile,
    pub double: NamedFile,
    pub identity: u64,
    pub repaired: Vec<PageId>,
}

impl Files {
    /// Opens those that [`look`] has not refused, or makes them.
    pub fn open<D: Disk>(disk: &D, dir: &str, identity: u64) -> Result<Files, Error> {
        let (pages, double) = open_pair(disk, dir)?;
        let mut repaired = Vec::new();
        if !Meta::is_there(&pages)? {
            make(&pages, identity)?;
        } else if let Some((_, copies)) = DoubleWrite::read(&double)? {
            repaired = repair(&pages, identity, &copies)?;
        }
        Ok(Files { pages, double, identity, repaired })
    }
}

/// The page file and that of the copies, made if they are not there.
pub fn open_pair<D: Disk>(disk: &D, dir: &str) -> Result<(NamedFile, NamedFile), Error> {
    let open = |name: &str| NamedFile::open(disk, join(dir, name), OpenMode::Cached);
    let pair = (open(PAGES_FILE)?, open(DOUBLE_FILE)?);
    disk.sync_dir(dir).map_err(Error::io(dir))?;
    Ok(pair)
}

/// Begins a page file.
fn make(pages: &NamedFile, identity: u64) -> Result<(), Error> {
    let mut page = Meta::page(identity);
    page::seal(page.bytes_mut(), identity);
    pages.write_at(&[page.bytes()], 0)?;
    pages.sync()
}

/// Puts pages right that were torn while they were written in place, or did not get there.
pub fn repair(pages: &NamedFile, identity: u64, copies: &[Copied]) -> Result<Vec<PageId>, Error> {
    let mut repaired = Vec::new();
    for (id, copy) in copies {
        let mut there = vec![0; PAGE_BYTES];
        pages.read_at(&mut there, offset_of(*id))?;
        let whole = page::judge(&there, *id, identity).is_ok();
        if whole && u64_at(&there, 8) >= u64_at(copy, 8) {
            continue;
        }
        pages.write_at(&[copy], offset_of(*id))?;
        if !whole {
            repaired.push(*id);
        }
    }
    pages.sync()?;
    Ok(repaired)
}

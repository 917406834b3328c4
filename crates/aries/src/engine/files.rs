//! The page file and that of the copies: looked at first, whether they and the log are of one database, then opened and
//! repaired.

use std::io::{ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode};

use super::{Analysis, Meta};
use crate::error::Error;
use crate::log::{Lsn, ReadLog};
use crate::page::{self, PAGE_BYTES, PageFault, PageId, u64_at};
use crate::pool::{DOUBLE_FILE, DoubleWrite, PAGES_FILE, offset_of};

/// Refuses files that are not those of the log, or not of the database that is wanted. Changes nothing.
pub fn look<D: Disk>(
    disk: &D,
    dir: &str,
    identity: u64,
    analysis: &Analysis,
    log: &ReadLog<D>,
) -> Result<(), Error> {
    let pages = existing(disk, dir, PAGES_FILE)?;
    let is_there = pages.as_ref().map_or(Ok(false), |pages| Meta::is_there(pages))?;
    let Some(pages) = pages.filter(|_| is_there) else {
        return match analysis.checkpoint {
            Lsn(0) => Ok(()),
            _ => Err(foreign(PAGES_FILE, "it is empty, and the log is not of an empty database")),
        };
    };
    let check_identity = |file: &str, found: u64| {
        let wanted = [Some(identity), analysis.identity].into_iter().flatten();
        match wanted.into_iter().find(|wanted| *wanted != found) {
            None => Ok(()),
            Some(other) => Err(foreign(file, &format!("it is of database {found}, not {other}"))),
        }
    };
    let in_place = Meta::read(&pages);
    if let Ok(meta) = &in_place {
        check_identity(PAGES_FILE, meta.identity)?;
    }
    let double = existing(disk, dir, DOUBLE_FILE)?;
    let kept = double.as_ref().map_or(Ok(None), |double| DoubleWrite::read(double))?;
    let (kept, copies) = kept.map_or((None, Vec::new()), |(kept, copies)| (Some(kept), copies));
    if let Some(kept) = &kept {
        check_identity(DOUBLE_FILE, kept.identity)?;
    }
    let copied = copies.iter().find(|(id, _)| *id == PageId(0));
    let copied = copied.map(|(_, copy)| Meta::parse(copy)).transpose()?;
    let newest = in_place.as_ref().ok().into_iter().chain(&copied).max_by_key(|meta| meta.lsn);
    let Some(meta) = newest.copied() else { return in_place.map(drop) };
    check_identity(PAGES_FILE, meta.identity)?;
    let written = copies.iter().map(|(_, copy)| Lsn(u64_at(copy, 8)));
    let written = written.chain(kept.map(|kept| kept.durable)).fold(meta.lsn, Lsn::max);
    check_log(log, written)?;
    match analysis.all_from {
        // As long as the backup was when it began. What was made since is made again.
        Some(_) => Ok(()),
        None => check_length(&pages, meta.count),
    }
}

/// A log that ends before what the pages have would give the same LSNs once more, and redo would take the changes under them for
/// done.
fn check_log<D: Disk>(log: &ReadLog<D>, written: Lsn) -> Result<(), Error> {
    // It is made before the page file is.
    let Some(end) = log.end() else {
        return Err(foreign("wal", "there is no log, and there are the pages of a database"));
    };
    let first = log.recovery().end;
    if written < first {
        return Ok(());
    }
    let (first, next) = (first.0, written.0.saturating_add(1));
    Err(Error::LogDamaged { file: end.file, offset: end.offset, first, next })
}

/// The file grows, and that is durable, before page 0 counts more pages.
fn check_length(pages: &dyn DiskFile, count: u32) -> Result<(), Error> {
    let length = pages.len().map_err(Error::io(PAGES_FILE))?;
    match length < offset_of(PageId(count)) {
        false => Ok(()),
        true => Err(damaged(PageId((length / PAGE_BYTES as u64) as u32), PageFault::Cut)),
    }
}

pub fn damaged(page: PageId, fault: PageFault) -> Error {
    Error::Damaged { file: PAGES_FILE.to_string(), offset: offset_of(page), page, fault }
}

fn foreign(file: &str, why: &str) -> Error {
    Error::Foreign { file: file.to_string(), why: why.to_string() }
}

/// The path of a file in a directory; `""` is the disk itself.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") }
}

fn existing<D: Disk>(disk: &D, dir: &str, name: &str) -> Result<Option<D::File>, Error> {
    match disk.open(&join(dir, name), OpenMode::Read) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(name)(error)),
    }
}

/// The files, opened and repaired.
pub struct Files {
    pub pages: Box<dyn DiskFile>,
    pub double: Box<dyn DiskFile>,
    pub identity: u64,
    pub length: u64,
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
        let length = pages.len().map_err(Error::io(PAGES_FILE))?;
        Ok(Files { pages: Box::new(pages), double: Box::new(double), identity, length, repaired })
    }
}

/// The page file and that of the copies, made if they are not there.
pub fn open_pair<D: Disk>(disk: &D, dir: &str) -> Result<(D::File, D::File), Error> {
    let open = |name: &str| disk.open(&join(dir, name), OpenMode::Cached).map_err(Error::io(name));
    let pair = (open(PAGES_FILE)?, open(DOUBLE_FILE)?);
    disk.sync_dir(dir).map_err(Error::io(dir))?;
    Ok(pair)
}

/// Begins a page file.
fn make(pages: &dyn DiskFile, identity: u64) -> Result<(), Error> {
    let mut page = Meta::page(identity);
    page::seal(page.bytes_mut(), identity);
    let bytes = IoSlice::new(page.bytes());
    pages.write_at(&[bytes], 0).and_then(|()| pages.sync()).map_err(Error::io(PAGES_FILE))
}

/// Puts pages right that were torn while they were written in place, or did not get there.
pub fn repair(
    pages: &dyn DiskFile,
    identity: u64,
    copies: &[(PageId, Vec<u8>)],
) -> Result<Vec<PageId>, Error> {
    let mut repaired = Vec::new();
    for (id, copy) in copies {
        let mut there = vec![0; PAGE_BYTES];
        pages.read_at(&mut there, offset_of(*id)).map_err(Error::io(PAGES_FILE))?;
        let whole = page::judge(&there, *id, identity).is_ok();
        if whole && u64_at(&there, 8) >= u64_at(copy, 8) {
            continue;
        }
        let bytes = IoSlice::new(copy);
        pages.write_at(&[bytes], offset_of(*id)).map_err(Error::io(PAGES_FILE))?;
        if !whole {
            repaired.push(*id);
        }
    }
    pages.sync().map_err(Error::io(PAGES_FILE))?;
    Ok(repaired)
}

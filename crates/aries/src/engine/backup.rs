//! Backups that nobody waits for, and what comes back from them.
//!
//! ```text
//! pages     copies of all pages, each as it was at some time while the backup was taken
//! log/      an archive of the log: from the first record that they may lack, up to the last that they may have
//! backup    "OMBAKBCK" version:u32 crc:u32 identity:u64 redo_from:u64 end:u64 pages:u64      written last:
//!           without it, it is none
//! ```
//!
//! A page is copied under its latch, through the pool, so it is never torn, and has all changes up to its LSN. Copies are of
//! different times, which does not matter: as after a crash, a change is done again if its LSN is above the page's. What
//! was dirty when does not matter either: a copy has what memory had. So the log is needed from where the backup began, or
//! from where the oldest transaction did that ran then; and the earliest time that a backup can be brought to is when its
//! last page had been copied.
//!
//! To restore is to put pages and log where a database belongs, with a note, `restore`, that says from where *all* pages are to be
//! redone, whatever checkpoints in the log say about the page file that was lost. Then the engine is opened as ever. It removes
//! the note once all is done and durable; until then it begins again from there.

use crc32fast::Hasher;
use ombak_base::{Disk, OpenMode};

use super::files::join;
use super::{Engine, Meta, Shared};
use crate::error::Error;
use crate::log::Lsn;
use crate::log::archive::Archive;
use crate::log::{file_number, sync_dirs};
use crate::named::{NamedFile, offset_of};
use crate::page::{self, PAGE_BYTES, PageFault, PageId, u32_at, u64_at};
use crate::pool::PAGES_FILE;

const BACKUP_FILE: &str = "backup";
const RESTORE_FILE: &str = "restore";
const VERSION: u32 = 1;
const NOTE_BYTES: usize = 48;
/// The first notes did not say how many pages there are, and ended in front of that.
const NOTE_BYTES_FIRST: usize = 40;
/// So many pages are copied at once.
const PAGES_AT_ONCE: u32 = 16;

/// What a backup is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backup {
    /// The database's.
    pub identity: u64,
    /// Redo begins with this record.
    pub redo_from: Lsn,
    /// The earliest point to which it can be brought: everything up to here is in it.
    pub end: Lsn,
    /// So many pages were copied; 0: it does not say.
    pub pages: u32,
}

impl Backup {
    /// What the backup in `dir` of `disk` says about itself.
    pub fn read<D: Disk>(disk: &D, dir: &str) -> Result<Backup, Error> {
        let path = join(dir, BACKUP_FILE);
        let found = read_note(disk, &path, *b"OMBAKBCK")?;
        found.ok_or_else(|| unfinished(path, "there is no backup, or it was not finished"))
    }

    fn encode(&self, magic: [u8; 8]) -> [u8; NOTE_BYTES] {
        let mut note = [0; NOTE_BYTES];
        note[..8].copy_from_slice(&magic);
        page::put_u32(&mut note, 8, VERSION);
        let numbers = [self.identity, self.redo_from.0, self.end.0, self.pages.into()];
        for (place, number) in note[16..].chunks_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = note_crc(&note);
        page::put_u32(&mut note, 12, crc);
        note
    }
}

impl Engine {
    /// Copies the database into the directory `dir` of `disk`, while transactions run. What was durable when it began, and
    /// whatever became so until it ended, is in it. Meanwhile the log is kept, so it must have room for what is logged:
    /// else changes are refused ([`Error::LogFull`]).
    ///
    /// A backup that failed is none: remove it.
    pub fn backup<D: Disk>(&self, disk: &D, dir: &str) -> Result<Backup, Error> {
        let dir = dir.trim_matches('/');
        if !disk.list(dir).map_err(Error::io(dir))?.is_empty() {
            let why = "it is not empty: a backup needs a directory of its own";
            return Err(Error::Occupied { dir: dir.to_string(), why });
        }
        let pin = self.0.pin_log()?;
        let pages = self.0.copy_pages(disk, &join(dir, PAGES_FILE))?;
        // Whatever the copies have is in the log.
        self.sync()?;
        let archive = Archive::new(disk.clone(), &join(dir, "log"));
        let end = self.0.log.copy_from(pin.from, &archive)?;
        let backup = Backup { identity: self.0.identity, redo_from: pin.from, end, pages };
        sync_dirs(disk, &join(dir, "log")).map_err(Error::io(dir))?;
        write_note(disk, &join(dir, BACKUP_FILE), &backup.encode(*b"OMBAKBCK"))?;
        disk.sync_dir(dir).map_err(Error::io(dir))?;
        Ok(backup)
    }

    /// Puts the backup in `backup_dir` where a database belongs: into the directory `dir` of `disk`, which has none. With the archives of the log
    /// since, it is brought to `until` (inclusive), or as far as they reach. Answers how far. Then
    /// [`open`](Engine::open) the database: that takes back what had not committed by then.
    ///
    /// If it is interrupted, call it again: what is there is refused by `open` until it is complete.
    pub fn restore<B: Disk, D: Disk>(
        backup_disk: &B,
        backup_dir: &str,
        archives: &[&Archive],
        disk: &D,
        dir: &str,
        until: Option<Lsn>,
    ) -> Result<Lsn, Error> {
        let (backup_dir, dir) = (backup_dir.trim_matches('/'), dir.trim_matches('/'));
        let backup = Backup::read(backup_disk, backup_dir)?;
        if let Some(until) = until.filter(|until| *until < backup.end) {
            return Err(Error::TooEarly { until, earliest: backup.end });
        }
        clear(disk, dir)?;
        let pages = (join(backup_dir, PAGES_FILE), join(dir, PAGES_FILE));
        put_pages(backup_disk, &pages.0, disk, &pages.1, &backup)?;
        let own = Archive::new(backup_disk.clone(), &join(backup_dir, "log"));
        let all: Vec<&Archive> = [&own].into_iter().chain(archives.iter().copied()).collect();
        let wal = join(dir, "wal");
        let restored = Archive::restore_all(&all, disk, &wal, backup.redo_from, until)?;
        let last = restored.last;
        if last < backup.end {
            return Err(restored.missing(Lsn(backup.end.0 + 1)).into());
        }
        sync_dirs(disk, dir).map_err(Error::io(dir))?;
        write_note(disk, &join(dir, RESTORE_FILE), &backup.encode(*b"OMBAKRST"))?;
        Ok(last)
    }

    /// Copies the oldest part of the log that is full and not in the archive yet; `false`: all is. Whoever has
    /// [`EngineOptions::archived`](super::EngineOptions::archived) calls this often enough that the log does not become full.
    pub fn archive(&self, archive: &Archive) -> Result<bool, Error> {
        Ok(self.0.log.archive(archive)?)
    }

    /// Copies all of the log that is durable and not in the archive yet. Answers up to where the archive has everything.
    pub fn archive_durable(&self, archive: &Archive) -> Result<Lsn, Error> {
        Ok(self.0.log.archive_durable(archive)?)
    }
}

impl Shared {
    /// Answers how many there were.
    fn copy_pages<D: Disk>(&self, disk: &D, path: &str) -> Result<u32, Error> {
        let file = NamedFile::open(disk, path.to_string(), OpenMode::Cached)?;
        let count = self.pages()?;
        let mut bytes = Vec::new();
        for first in (0..count).step_by(PAGES_AT_ONCE as usize) {
            bytes.clear();
            for id in first..count.min(first + PAGES_AT_ONCE) {
                let start = bytes.len();
                bytes.extend_from_slice(self.pool.read(PageId(id))?.bytes());
                page::seal(&mut bytes[start..], self.identity);
            }
            file.write_at(&[&bytes], offset_of(PageId(first)))?;
        }
        file.sync()?;
        Ok(count)
    }
}

/// From where all pages are to be redone, if the directory is one to which a backup was restored and that was not opened yet.
pub fn pending<D: Disk>(disk: &D, dir: &str) -> Result<Option<Lsn>, Error> {
    let path = join(dir, RESTORE_FILE);
    if !disk.list(dir).map_err(Error::io(dir))?.iter().any(|name| name == RESTORE_FILE) {
        return Ok(None);
    }
    match read_note(disk, &path, *b"OMBAKRST")? {
        Some(note) => Ok(Some(note.redo_from)),
        None => Err(unfinished(path, "restoring this database was interrupted: restore it again")),
    }
}

/// The database is as good as one that was never restored.
pub fn finish<D: Disk>(disk: &D, dir: &str) -> Result<(), Error> {
    disk.remove(&join(dir, RESTORE_FILE)).map_err(Error::io(RESTORE_FILE))?;
    disk.sync_dir(dir).map_err(Error::io(dir))
}

/// Segments of the log.
pub fn segments<D: Disk>(disk: &D, wal: &str) -> Result<u32, Error> {
    let names = disk.list(wal).map_err(Error::io(wal))?;
    Ok(names.iter().filter(|name| file_number(name).is_some()).count() as u32)
}

/// Makes sure that there is no database, and a note that says that there will be one. What an interrupted restoration left
/// is removed.
fn clear<D: Disk>(disk: &D, dir: &str) -> Result<(), Error> {
    let names = disk.list(dir).map_err(Error::io(dir))?;
    let note = join(dir, RESTORE_FILE);
    let begun = names.iter().any(|name| name == RESTORE_FILE);
    if !begun && names.iter().any(|name| name == PAGES_FILE || name == "wal") {
        let why = "there is a database already";
        return Err(Error::Occupied { dir: dir.to_string(), why });
    }
    write_note(disk, &note, &[0; NOTE_BYTES])?;
    sync_dirs(disk, dir).map_err(Error::io(dir))?;
    for name in names.iter().filter(|name| name.starts_with(PAGES_FILE)) {
        disk.remove(&join(dir, name)).map_err(Error::io(join(dir, name)))?;
    }
    let wal = join(dir, "wal");
    for name in disk.list(&wal).map_err(Error::io(&wal))? {
        disk.remove(&join(&wal, &name)).map_err(Error::io(join(&wal, &name)))?;
    }
    Ok(())
}

/// Copies the page file, if every page is there and sound.
fn put_pages<B: Disk, D: Disk>(
    from: &B,
    from_path: &str,
    to: &D,
    to_path: &str,
    backup: &Backup,
) -> Result<(), Error> {
    let source = NamedFile::open(from, from_path.to_string(), OpenMode::Read)?;
    let target = NamedFile::open(to, to_path.to_string(), OpenMode::Cached)?;
    Meta::is_there(&source)?; // And is of no newer version.
    let there = source.len()? / PAGE_BYTES as u64;
    if there < u64::from(backup.pages) {
        let last = PageId(backup.pages - 1);
        return Err(source.damaged(PageId(there as u32), PageFault::Cut { last }));
    }
    let count = if backup.pages == 0 { there as u32 } else { backup.pages };
    let mut bytes = Vec::new();
    for first in (0..count).step_by(PAGES_AT_ONCE as usize) {
        let pages = (count - first).min(PAGES_AT_ONCE);
        bytes.resize(pages as usize * PAGE_BYTES, 0);
        let offset = offset_of(PageId(first));
        source.read_at(&mut bytes, offset)?;
        for (id, bytes) in (first..).map(PageId).zip(bytes.chunks(PAGE_BYTES)) {
            page::judge(bytes, id, backup.identity).map_err(|fault| source.damaged(id, fault))?;
        }
        target.write_at(&[&bytes], offset)?;
    }
    target.sync()
}

/// Less than a sector, so it is written whole or not at all.
fn write_note<D: Disk>(disk: &D, path: &str, note: &[u8; NOTE_BYTES]) -> Result<(), Error> {
    let file = NamedFile::open(disk, path.to_string(), OpenMode::Cached)?;
    file.write_at(&[note], 0)?;
    file.sync()
}

/// `None`: there is none, or it says that what it is about is not finished.
fn read_note<D: Disk>(disk: &D, path: &str, magic: [u8; 8]) -> Result<Option<Backup>, Error> {
    let Some(file) = NamedFile::existing(disk, path.to_string())? else { return Ok(None) };
    let mut note = [0; NOTE_BYTES];
    let read = file.read_at(&mut note, 0)?;
    if note.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let said = if read == NOTE_BYTES_FIRST { read } else { NOTE_BYTES };
    if note[..8] != magic || u32_at(&note, 12) != note_crc(&note[..said]) {
        let why = "it is damaged, or something else: from which record on its pages are to be redone is lost";
        return Err(file.foreign(0, why));
    }
    match u32_at(&note, 8) {
        VERSION => {}
        version => {
            let why = format!("it is of version {version}, newer than this software knows");
            return Err(file.foreign(8, why));
        }
    }
    let number = |place: usize| u64_at(&note, 16 + 8 * place);
    Ok(Some(Backup {
        identity: number(0),
        redo_from: Lsn(number(1)),
        end: Lsn(number(2)),
        pages: number(3) as u32,
    }))
}

fn note_crc(note: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&note[..12]);
    hasher.update(&note[16..]);
    hasher.finalize()
}

fn unfinished(file: String, why: &str) -> Error {
    Error::Foreign { file, offset: 0, why: why.to_string() }
}

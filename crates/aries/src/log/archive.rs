//! The log's archive: copies of its segments, in a directory that may be on another disk.
//!
//! ```text
//! log-0000000000000007        a whole segment, under its sequence
//! log-0000000000000008.part   what was durable of one that was still written to
//! log-0000000000000008.new    being copied: no part of the archive
//! ```
//!
//! A copy has its name only once all of it is durable, so a crash leaves nothing to be told apart: what is there is whole, and
//! the next step begins with the first segment that is not. A whole segment never changes. So if one of the same sequence
//! is there already, its header must be the same; if not, the archive is of another log, or of the same one before it was
//! restored to an earlier point: then it needs a directory of its own.
//!
//! From a backup and the archive since then, [`Archive::restore`] builds a log that ends where one likes. What no backup that is
//! kept needs, [`Archive::remove_below`] removes: nothing goes by itself.

mod remove;
mod restore;

use std::io::{self, ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode};

use super::format::{BLOCK, NoHeader, SegmentHeader};
use super::segments::Segments;
use super::shared::SharedLog;
use super::{LogError, Lsn};
use crate::aligned::AlignedBuffer;

pub use restore::Restored;

/// How much is copied while the log's files are held.
const PIECE_BYTES: u64 = 1024 * 1024;

/// A directory of copied segments. One log, and one thread at a time, writes to it.
pub struct Archive {
    place: Box<dyn Place>,
    dir: String,
}

/// Why segments could not be copied or a log not be restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A disk failed. What the archive has is unharmed; the next step begins with the same segment. A log that was being
    /// restored is not complete.
    #[error("{place}: {source}")]
    Io {
        /// The file or directory.
        place: String,
        /// What the disk said.
        source: io::Error,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Records that the restored log should have are nowhere in the archives. Nothing was restored.
    #[error("{file} at offset {offset}: nothing is in the archive: records {} up to {} are lost", .first.0, .next.0 - 1)]
    Missing {
        /// The copy that has the first one, or would.
        file: String,
        /// Where it ends.
        offset: u64,
        /// The first one.
        first: Lsn,
        /// The first one behind that is there, or is not asked for.
        next: Lsn,
        /// The segment that has the first one, or would.
        sequence: u64,
    },
    /// What was copied can't be read any more. Nothing was restored.
    #[error("{file} is damaged at offset {offset}: record {} is lost, in this copy", .lsn.0)]
    Damaged {
        /// The copy.
        file: String,
        /// Bytes from its start.
        offset: u64,
        /// The first record that is lost.
        lsn: Lsn,
    },
    /// A file is not what it should be. Nothing was changed.
    #[error("{file} at offset 0: {why}; nothing was changed")]
    Foreign {
        /// Which.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is a log already where one was to be restored. Nothing was changed.
    #[error("{dir} has a log already")]
    Occupied {
        /// The directory.
        dir: String,
    },
}

impl ArchiveError {
    pub(crate) fn io(place: impl Into<String>) -> impl FnOnce(io::Error) -> ArchiveError {
        let place = place.into();
        move |source| ArchiveError::Io { place, source }
    }
}

/// A disk, whatever its type of file.
trait Place: Send {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    fn remove(&self, path: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn sync_dir(&self, path: &str) -> io::Result<()>;
}

impl<D: Disk> Place for D {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Disk::open(self, path, mode)?))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        Disk::list(self, path)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        Disk::remove(self, path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Disk::rename(self, from, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        Disk::sync_dir(self, path)
    }
}

/// A segment of a log, as it was when it was looked at.
struct Source {
    header: SegmentHeader,
    /// Up to here it is durable.
    end: u64,
    /// Nothing is written to it any more.
    whole: bool,
    /// Where the next segment begins, if there is one.
    next: Option<Lsn>,
}

impl Archive {
    /// The archive in the directory `dir` of a disk (`""`: the disk itself), which need not exist.
    pub fn new<D: Disk>(disk: D, dir: &str) -> Archive {
        Archive { place: Box::new(disk), dir: dir.trim_matches('/').to_string() }
    }

    fn path(&self, name: &str) -> String {
        if self.dir.is_empty() { name.to_string() } else { format!("{}/{name}", self.dir) }
    }

    /// Whether the whole segment is there.
    fn has(&self, header: &SegmentHeader) -> Result<bool, ArchiveError> {
        let path = self.path(&name(header.sequence));
        let file = match self.place.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            file => file.map_err(ArchiveError::io(&path))?,
        };
        let mut block = vec![0; BLOCK as usize];
        file.read_at(&mut block, 0).map_err(ArchiveError::io(&path))?;
        match SegmentHeader::decode(&block) {
            Ok(found) if found == *header => Ok(true),
            Err(NoHeader::Version(version)) => {
                Err(LogError::Version { file: path, version }.into())
            }
            _ => Err(ArchiveError::Foreign { file: path, why: "it is a copy of another log" }),
        }
    }

    /// Copies a segment, which `read` reads in pieces.
    fn keep(
        &self,
        source: &Source,
        mut read: impl FnMut(&mut [u8], u64) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let whole = name(source.header.sequence);
        let (new, part) = (self.path(&format!("{whole}.new")), self.path(&format!("{whole}.part")));
        let whole = self.path(&whole);
        let failed = || ArchiveError::io(&new);
        let file = self.place.open(&new, OpenMode::Cached).map_err(failed())?;
        file.set_len(0).map_err(failed())?;
        let mut buffer = AlignedBuffer::with_capacity(PIECE_BYTES.min(source.end) as usize);
        for at in (0..source.end).step_by(PIECE_BYTES as usize) {
            buffer.resize(PIECE_BYTES.min(source.end - at) as usize);
            read(buffer.as_mut_slice(), at)?;
            file.write_at(&[IoSlice::new(buffer.as_slice())], at).map_err(failed())?;
        }
        file.sync().map_err(failed())?;
        let to = if source.whole { &whole } else { &part };
        self.place.rename(&new, to).map_err(ArchiveError::io(to))?;
        self.place.sync_dir(&self.dir).map_err(ArchiveError::io(&self.dir))?;
        if !source.whole {
            return Ok(());
        }
        match self.place.remove(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ArchiveError::io(&part)(error))
            }
            _ => Ok(()),
        }
    }
}

fn name(sequence: u64) -> String {
    format!("log-{sequence:016}")
}

impl<D: Disk> Segments<D> {
    /// The first segment whose sequence is not below.
    fn source(&self, sequence: u64) -> Option<Source> {
        let count = self.live.partition_point(|segment| segment.header.sequence < sequence);
        let segment = self.live.get(count)?;
        let end = segment.end.min(segment.header.bytes);
        let next = self.live.get(count + 1).map(|next| next.header.first_lsn);
        Some(Source { header: segment.header, end, whole: next.is_some(), next })
    }

    fn read_raw(&self, sequence: u64, buffer: &mut [u8], at: u64) -> Result<(), ArchiveError> {
        let place = self.live.binary_search_by_key(&sequence, |segment| segment.header.sequence);
        let segment = place.ok().and_then(|place| self.live.get(place)).ok_or_else(|| {
            let (file, why) = (name(sequence), "the segment was used again while it was copied");
            ArchiveError::Foreign { file, why }
        })?;
        let read = segment.file.read_at(buffer, at).map_err(ArchiveError::io(&segment.path))?;
        buffer[read..].fill(0);
        Ok(())
    }
}

impl<D: Disk> SharedLog<D> {
    /// From now on no segment is used again before [`archive`](SharedLog::archive) has copied it. To be called right after
    /// opening, each time: opening itself uses none again.
    pub fn keep_for_archive(&self) {
        let mut files = self.files();
        let first = files.live.front().map_or(0, |segment| segment.header.sequence);
        files.kept_from.get_or_insert(first);
    }

    /// Copies the oldest segment that is full and not in the archive yet. `false`: all are. Appending goes on meanwhile. It is
    /// always the same archive, or its records are in none. The first call includes
    /// [`keep_for_archive`](SharedLog::keep_for_archive).
    pub fn archive(&self, archive: &Archive) -> Result<bool, ArchiveError> {
        self.archive_one(archive, Lsn(u64::MAX))
    }

    /// The same, if the segment does not begin behind `last`.
    fn archive_one(&self, archive: &Archive, last: Lsn) -> Result<bool, ArchiveError> {
        self.keep_for_archive();
        let files = self.files();
        let source = files.source(files.kept_from.unwrap_or(0));
        drop(files);
        let wanted = |source: &Source| source.whole && source.header.first_lsn <= last;
        let Some(source) = source.filter(wanted) else { return Ok(false) };
        self.copy_segment(&source, archive)?;
        let mut files = self.files();
        files.kept_from = files.kept_from.max(Some(source.header.sequence + 1));
        drop(files);
        self.recount();
        Ok(true)
    }

    /// Copies everything that is durable now and not in the archive yet, the durable part of the current segment included.
    /// Answers up to where (inclusive) the archive has everything.
    pub fn archive_durable(&self, archive: &Archive) -> Result<Lsn, ArchiveError> {
        let last = self.durable();
        while self.archive_one(archive, last)? {}
        self.copy_from(last, archive)
    }

    /// Copies everything that is durable now, from the segment on that has `from`, into an archive that need not be this log's
    /// own. Who calls has a mark at or below `from`. Answers up to where.
    pub(crate) fn copy_from(&self, from: Lsn, archive: &Archive) -> Result<Lsn, ArchiveError> {
        let files = self.files();
        let count = files.live.partition_point(|segment| segment.header.first_lsn <= from);
        let first = files.live.get(count.saturating_sub(1));
        let mut sequence = first.map_or(0, |segment| segment.header.sequence);
        drop(files);
        // What is appended meanwhile is not waited for: it may never end.
        let last = self.durable();
        loop {
            let source = self.files().source(sequence);
            let Some(source) = source else { return Ok(last) };
            self.copy_segment(&source, archive)?;
            if source.next.is_none_or(|next| next > last) {
                return Ok(last);
            }
            sequence = source.header.sequence + 1;
        }
    }

    fn copy_segment(&self, source: &Source, archive: &Archive) -> Result<(), ArchiveError> {
        if source.whole && archive.has(&source.header)? {
            return Ok(());
        }
        let sequence = source.header.sequence;
        archive.keep(source, |buffer, at| self.files().read_raw(sequence, buffer, at))
    }
}

#[cfg(test)]
mod tests;

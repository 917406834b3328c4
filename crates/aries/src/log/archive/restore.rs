//! A log, built from copies of its segments, up to a point.

use std::io::IoSlice;

use ombak_base::{Disk, DiskFile, OpenMode};

use super::super::format::{self, BATCH_HEADER_BYTES, BLOCK, BatchHeader, NoHeader, SegmentHeader};
use super::super::reader::SegmentReader;
use super::super::{LogError, Lsn, Place, recover};
use super::{Archive, ArchiveError, name};

/// What was restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The first record.
    pub first: Lsn,
    /// The last one.
    pub last: Lsn,
    /// Segments: at least so many the log must be allowed, and one more.
    pub segments: u32,
    /// Where the record after the last one would be: a copy of a segment, and where in it.
    pub end: Place,
    /// That segment's sequence.
    pub sequence: u64,
}

impl Restored {
    /// The records behind it, up to `next`, should have been there.
    pub(crate) fn missing(self, next: Lsn) -> ArchiveError {
        let Place { file, offset } = self.end;
        let (first, sequence) = (Lsn(self.last.0 + 1), self.sequence);
        ArchiveError::Missing { file, offset, first, next, sequence }
    }
}

/// A copy of a segment.
pub(super) struct Copy {
    pub path: String,
    file: Box<dyn DiskFile>,
    len: u64,
    pub header: SegmentHeader,
    whole: bool,
}

/// What of a copy is wanted.
struct Wanted {
    copy: Copy,
    batches: Vec<(u64, BatchHeader)>,
}

impl Archive {
    /// Builds a log in the directory `dir` of `disk` out of this archive: records from `from` on (and those before in the
    /// same segment; `Lsn(0)`: all that are there) up to and including `until` (`None`: all that are there). Nothing is
    /// restored unless all of them are there and sound. If it is interrupted, call it again.
    pub fn restore<D: Disk>(
        &self,
        disk: &D,
        dir: &str,
        from: Lsn,
        until: Option<Lsn>,
    ) -> Result<Restored, ArchiveError> {
        Archive::restore_all(&[self], disk, dir, from, until)
    }

    /// The same out of several archives of one log, which may overlap.
    pub fn restore_all<D: Disk>(
        archives: &[&Archive],
        disk: &D,
        dir: &str,
        from: Lsn,
        until: Option<Lsn>,
    ) -> Result<Restored, ArchiveError> {
        let dir = dir.trim_matches('/');
        let mut copies = Vec::new();
        for archive in archives {
            archive.copies(&mut copies)?;
        }
        let path = |sequence| match archives.last() {
            Some(archive) => archive.path(&name(sequence)),
            None => name(sequence),
        };
        let chosen = choose(copies, from, until, path)?;
        let (wanted, next, gap) = read(chosen, until, path)?;
        let Some(first) = wanted.first().map(|wanted| wanted.copy.header) else {
            return Err(Gap::before(1, path).missing(from, Lsn(from.0 + 1)));
        };
        make(disk, dir, &wanted, &first)?;
        let (segments, last) = (wanted.len() as u32, Lsn(next.0 - 1));
        let Gap { file, offset, sequence } = gap;
        let end = Place { file, offset };
        Ok(Restored { first: first.first_lsn, last, segments, end, sequence })
    }

    /// Adds what is here.
    pub(super) fn copies(&self, all: &mut Vec<Copy>) -> Result<(), ArchiveError> {
        for found in self.place.list(&self.dir).map_err(ArchiveError::io(&self.dir))? {
            let plain = found.strip_suffix(".part");
            let digits = plain.unwrap_or(&found).strip_prefix("log-");
            let Some(sequence) = digits.and_then(|digits| digits.parse().ok()) else { continue };
            let path = self.path(&found);
            let file = self.place.open(&path, OpenMode::Read).map_err(ArchiveError::io(&path))?;
            let len = file.len().map_err(ArchiveError::io(&path))? / BLOCK * BLOCK;
            let header = SegmentHeader::decode(SegmentReader::narrow(&*file, len).header_block());
            match header {
                Ok(header) if header.sequence == sequence => {
                    let len = len.min(header.bytes);
                    all.push(Copy { path, file, len, header, whole: plain.is_none() });
                }
                Err(NoHeader::Version(version)) => {
                    return Err(LogError::Version { file: path, version }.into());
                }
                _ => {
                    let why = "its header is damaged, or of another segment";
                    return Err(ArchiveError::Foreign { file: path, why });
                }
            }
        }
        Ok(())
    }
}

/// Of each segment the best copy, from the one on that has `from`.
fn choose(
    mut copies: Vec<Copy>,
    from: Lsn,
    until: Option<Lsn>,
    path: impl Fn(u64) -> String,
) -> Result<Vec<Copy>, ArchiveError> {
    copies.sort_by_key(|copy| (copy.header.sequence, !copy.whole, u64::MAX - copy.len));
    copies.dedup_by_key(|copy| copy.header.sequence);
    let wanted = if from == Lsn(0) { until.unwrap_or(Lsn(u64::MAX)) } else { from };
    let reaching = copies.partition_point(|copy| copy.header.first_lsn <= wanted);
    if reaching == 0 {
        let header = copies.first().map(|copy| copy.header);
        let first = Lsn(wanted.0.min(u64::MAX - 1));
        let next = header.map_or(Lsn(first.0 + 1), |header| header.first_lsn);
        let sequence = header.map_or(1, |header| header.sequence.saturating_sub(1));
        return Err(Gap::before(sequence, path).missing(first, next));
    }
    Ok(if from == Lsn(0) { copies } else { copies.split_off(reaching - 1) })
}

/// Where the next record should be.
struct Gap {
    file: String,
    offset: u64,
    sequence: u64,
}

impl Gap {
    /// In a segment of which there is no copy.
    fn before(sequence: u64, path: impl Fn(u64) -> String) -> Gap {
        Gap { file: path(sequence), offset: 0, sequence }
    }

    fn missing(self, first: Lsn, next: Lsn) -> ArchiveError {
        let Gap { file, offset, sequence } = self;
        ArchiveError::Missing { file, offset, first, next, sequence }
    }
}

/// Reads all that is wanted. Answers the LSN after the last one.
fn read(
    copies: Vec<Copy>,
    until: Option<Lsn>,
    path: impl Fn(u64) -> String,
) -> Result<(Vec<Wanted>, Lsn, Gap), ArchiveError> {
    let end = until.map_or(Lsn(u64::MAX), |until| Lsn(until.0 + 1));
    let mut next = copies.first().map_or(Lsn(1), |copy| copy.header.first_lsn);
    let mut gap = Gap::before(0, &path);
    let mut all = Vec::new();
    for copy in copies {
        if next >= end {
            break;
        }
        let first = copy.header.first_lsn;
        if first > next {
            return Err(gap.missing(next, first));
        }
        let batches = batches(&copy, &mut next, end)?;
        // Where a whole segment ends is known by where the next one begins, else by itself.
        gap = match copy.whole {
            true => Gap::before(copy.header.sequence + 1, &path),
            false => Gap {
                file: copy.path.clone(),
                offset: batches.last().map_or(BLOCK, |(at, batch)| at + batch.padded()),
                sequence: copy.header.sequence,
            },
        };
        all.push(Wanted { copy, batches });
    }
    if until.is_some() && next < end {
        return Err(gap.missing(next, end));
    }
    Ok((all, next, gap))
}

/// The batches of a copy, the last one cut where it must be.
fn batches(copy: &Copy, next: &mut Lsn, end: Lsn) -> Result<Vec<(u64, BatchHeader)>, ArchiveError> {
    let sequence = copy.header.sequence;
    let mut reader = SegmentReader::new(&*copy.file, copy.len);
    let mut all = Vec::new();
    let mut offset = BLOCK;
    while *next < end {
        let wanted = |header: &BatchHeader| header.sequence == sequence && header.lsn >= *next;
        let Some((at, header)) = reader.find(offset, wanted) else { break };
        let damaged = |offset, lsn| ArchiveError::Damaged { file: copy.path.clone(), offset, lsn };
        if header.lsn > *next {
            return Err(damaged(offset, *next));
        }
        let bytes = reader.batch_bytes(at, &header);
        let mut cut = BatchHeader { records: 0, bytes: BATCH_HEADER_BYTES as u32, ..header };
        for record in format::records(bytes, &header).take_while(|record| record.lsn < end) {
            if !record.sound {
                return Err(damaged(at + record.start as u64, record.lsn));
            }
            cut.records += 1;
            cut.bytes = record.payload.end as u32;
        }
        if cut.next_lsn() < header.next_lsn().min(end) {
            return Err(damaged(at + u64::from(cut.bytes), cut.next_lsn()));
        }
        *next = cut.next_lsn();
        offset = at + header.padded();
        all.push((at, cut));
    }
    if let Some(source) = reader.failed_from(0) {
        return Err(ArchiveError::Io { place: copy.path.clone(), source });
    }
    Ok(all)
}

/// Writes the segments, under names that are no log's, and then gives them those that are. The last segment's header says
/// where the log begins, and its name comes first: so whatever a crash leaves either is no log, or lacks segments that it says
/// it has.
fn make<D: Disk>(
    disk: &D,
    dir: &str,
    all: &[Wanted],
    first: &SegmentHeader,
) -> Result<(), ArchiveError> {
    clear(disk, dir)?;
    let path = |name: &str, number: usize| match dir {
        "" => format!("{name}-{number:06}"),
        dir => format!("{dir}/{name}-{number:06}"),
    };
    // There is something to tell that it is not complete before there is anything else.
    for (i, wanted) in all.iter().enumerate().rev() {
        write(disk, &path("restoring", i + 1), wanted, first, i + 1 == all.len())?;
    }
    recover::sync_dirs(disk, dir).map_err(ArchiveError::io(dir))?;
    for i in (0..all.len()).rev() {
        let (from, to) = (path("restoring", i + 1), path("segment", i + 1));
        disk.rename(&from, &to).map_err(ArchiveError::io(to))?;
        if i + 1 == all.len() || i == 0 {
            disk.sync_dir(dir).map_err(ArchiveError::io(dir))?;
        }
    }
    Ok(())
}

/// Removes what an interrupted restoration left.
fn clear<D: Disk>(disk: &D, dir: &str) -> Result<(), ArchiveError> {
    let names = disk.list(dir).map_err(ArchiveError::io(dir))?;
    let is_whole = !names.iter().any(|name| name.starts_with("restoring-"));
    let mut segments: Vec<_> =
        names.iter().filter(|name| recover::file_number(name).is_some()).collect();
    if is_whole && !segments.is_empty() {
        return Err(ArchiveError::Occupied { dir: dir.to_string() });
    }
    let path = |name: &str| if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") };
    // What is left must never look complete: the last segment goes last, and all of them before the other files.
    let last = segments.pop();
    for names in [segments, last.into_iter().collect()] {
        for name in &names {
            disk.remove(&path(name)).map_err(ArchiveError::io(path(name)))?;
        }
        if !names.is_empty() {
            disk.sync_dir(dir).map_err(ArchiveError::io(dir))?;
        }
    }
    for name in names.iter().filter(|name| name.starts_with("restoring-")) {
        disk.remove(&path(name)).map_err(ArchiveError::io(path(name)))?;
    }
    Ok(())
}

fn write<D: Disk>(
    disk: &D,
    path: &str,
    wanted: &Wanted,
    first: &SegmentHeader,
    is_last: bool,
) -> Result<(), ArchiveError> {
    let failed = || ArchiveError::io(path);
    let file = disk.open(path, OpenMode::Cached).map_err(failed())?;
    let Wanted { copy, batches } = wanted;
    let header =
        SegmentHeader { oldest: first.sequence, oldest_lsn: first.first_lsn, ..copy.header };
    file.write_at(&[IoSlice::new(&header.encode())], 0).map_err(failed())?;
    let mut reader = SegmentReader::new(&*copy.file, copy.len);
    let mut end = BLOCK;
    for (at, header) in batches {
        let bytes = &reader.batch_bytes(*at, header)[BATCH_HEADER_BYTES..];
        let head = header.encode(*at);
        let slices = [IoSlice::new(&head), IoSlice::new(bytes)];
        file.write_at(&slices, *at).map_err(failed())?;
        end = at + header.padded();
    }
    // The last one is written to again.
    let len = if is_last { copy.header.bytes } else { end };
    file.set_len(len).map_err(failed())?;
    file.sync().map_err(failed())
}

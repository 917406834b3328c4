//! A log that is looked at, and never written.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::Disk;

use super::batches;
use super::format::{self, BATCH_HEADER_BYTES, HEADER_BYTES, RECORD_HEADER_BYTES};
use super::recover::{self, Found, Replayed};
use super::segments::{Segment, Segments};
use super::{LogError, Lsn, Options, Place, Recovery, StreamId};

/// A log of a program that has stopped, or a copy of one. Reads it as a start would ([`CommitLog::open`](crate::CommitLog))
/// and comes to the same judgement, but every file is opened for reading only: what a start would cut off, it
/// leaves out.
pub struct LogView<D: Disk> {
    segments: Segments<D>,
    recovery: Recovery,
    /// Where the last record of each segment ends.
    ends: BTreeMap<String, u64>,
}

/// A file of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its path.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Bytes up to the end of its last record; 0 if it is spare.
    pub used_bytes: u64,
    /// Which segment of the log it is, counted from the first one ever; 0: it never was one.
    pub sequence: u64,
    /// Its records are those from here...
    pub first_lsn: Lsn,
    /// ... up to here, without this one.
    pub next_lsn: Lsn,
    /// Writes that it consists of.
    pub batches: usize,
    /// Whether nothing needs what is in it.
    pub is_spare: bool,
}

/// A record, and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// Whose it is.
    pub stream: StreamId,
    /// What it says.
    pub payload: &'a [u8],
    /// The segment's path.
    pub file: &'a str,
    /// Where it begins there, in bytes.
    pub offset: u64,
}

impl Entry<'_> {
    /// Where it stands.
    pub fn place(&self) -> Place {
        Place { file: self.file.to_string(), offset: self.offset }
    }
}

/// Bytes of a file that mean something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The path.
    pub file: String,
    /// Bytes from its start.
    pub bytes: std::ops::Range<u64>,
}

impl<D: Disk> LogView<D> {
    /// Reads the log in the directory `dir` of `disk` (`""`: the disk itself). [`LogError::Version`] if a newer version wrote
    /// it; a directory without segments is a log without records.
    pub fn open(disk: D, dir: &str) -> Result<LogView<D>, LogError> {
        LogView::read_all(disk, dir, |_| {})
    }

    /// The same; `replay` sees every record on the way.
    pub(crate) fn read_all(
        disk: D,
        dir: &str,
        mut replay: impl FnMut(Entry<'_>),
    ) -> Result<LogView<D>, LogError> {
        let mut segments = Segments::new(disk, dir, Options::default());
        let mut ends = BTreeMap::new();
        let Found { recovery, .. } = recover::look(&mut segments, |record: Replayed<'_>| {
            let Replayed { stream, lsn, payload, file, offset } = record;
            note_end(&mut ends, file, offset + (RECORD_HEADER_BYTES + payload.len()) as u64);
            replay(Entry { lsn, stream, payload: &payload, file, offset });
        })?;
        Ok(LogView { segments, recovery, ends })
    }

    /// Whether there is no file of a log at all.
    pub fn is_empty(&self) -> bool {
        self.segments.live.is_empty() && self.segments.spares.is_empty()
    }

    /// What a start would find: records, damage, a torn tail, and the LSN that comes next.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The first record that is still in the log; the next one if there is none.
    pub fn first_lsn(&self) -> Lsn {
        self.segments.live.front().map_or(self.recovery.end, |segment| segment.header.first_lsn)
    }

    /// How many times the log was opened.
    pub fn incarnation(&self) -> u64 {
        self.segments.incarnation
    }

    /// Its files: those in use in order, then the spare ones.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let live = &self.segments.live;
        let firsts = live.iter().skip(1).map(|next| next.header.first_lsn);
        let nexts = firsts.chain([self.recovery.end]);
        let in_use = live.iter().zip(nexts).map(|(segment, next_lsn)| self.info(segment, next_lsn));
        let spare = self.segments.spares.iter().map(|spare| SegmentInfo {
            file: spare.path.clone(),
            bytes: spare.zeroed,
            used_bytes: 0,
            sequence: spare.sequence,
            first_lsn: Lsn(0),
            next_lsn: Lsn(0),
            batches: 0,
            is_spare: true,
        });
        in_use.chain(spare).collect()
    }

    fn info(&self, segment: &Segment<D::File>, next_lsn: Lsn) -> SegmentInfo {
        SegmentInfo {
            file: segment.path.clone(),
            bytes: segment.header.bytes,
            used_bytes: self.ends.get(&segment.path).copied().unwrap_or(HEADER_BYTES as u64),
            sequence: segment.header.sequence,
            first_lsn: segment.header.first_lsn,
            next_lsn,
            batches: segment.batches.len(),
            is_spare: false,
        }
    }

    /// Calls `f` with each record from `from` on, in order, until it fails. Damaged ones are left out.
    pub fn scan<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = self.recovery.end;
        self.segments.scan_places(from, |segment, batches::Found { at, record, payload }| {
            if record.lsn >= end {
                return Ok(()); // What a torn batch still has behind the place where it is cut.
            }
            let (lsn, stream, file) = (record.lsn, record.stream, segment.path.as_str());
            f(Entry { lsn, stream, payload: &payload, file, offset: at + record.start as u64 })
        })
    }

    /// One record by its LSN.
    pub fn read(&self, lsn: Lsn) -> Result<(StreamId, Bytes), LogError> {
        if lsn >= self.recovery.end {
            return Err(LogError::Gone { lsn });
        }
        self.segments.read(lsn)
    }

    /// Where a record stands.
    pub fn place_of(&self, lsn: Lsn) -> Place {
        self.segments.place_of(lsn)
    }

    /// The bytes of the log that mean something: of each segment in use the header (its first 512 bytes), and of each batch the
    /// header and the records. Not: the rest of a segment's first block, the padding of a batch to whole blocks, what
    /// lies behind the last batch, and spare files. All that means something is under a checksum.
    pub fn live_bytes(&self) -> Vec<Extent> {
        let mut all = Vec::new();
        for segment in &self.segments.live {
            let headers =
                segment.batches.iter().map(|(_, at)| *at..*at + BATCH_HEADER_BYTES as u64);
            let headers = std::iter::once(0..HEADER_BYTES as u64).chain(headers);
            all.extend(headers.map(|bytes| Extent { file: segment.path.clone(), bytes }));
        }
        let records = self.scan(Lsn(0), |record| {
            let bytes = RECORD_HEADER_BYTES + record.payload.len();
            let bytes = record.offset..record.offset + bytes as u64;
            all.push(Extent { file: record.file.to_string(), bytes });
            Ok::<(), std::convert::Infallible>(())
        });
        records.unwrap_or_else(|never| match never {});
        all
    }

    /// The size of a segment, for who wants to open the log as it is.
    pub(crate) fn options(&self) -> Options {
        let sizes = self.segments.live.iter().map(|segment| segment.header.bytes);
        let segment_bytes = sizes.max().unwrap_or(Options::default().segment_bytes);
        let files = self.segments.live.len() + self.segments.spares.len();
        let more = Options::default().segments_max;
        Options { segment_bytes: format::padded(segment_bytes), segments_max: files as u32 + more }
    }
}

fn note_end(ends: &mut BTreeMap<String, u64>, file: &str, end: u64) {
    match ends.get_mut(file) {
        Some(known) => *known = end,
        None => drop(ends.insert(file.to_string(), end)),
    }
}

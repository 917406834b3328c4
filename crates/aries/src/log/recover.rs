//! What is on the disk, read back: the segments in order, the records in them, and how it ends.

use std::io::IoSlice;
use std::num::NonZeroU32;
use std::thread;

use bytes::Bytes;
use ombak_base::{Disk, DiskFile, OpenMode};

use super::ahead::Ahead;
use super::format::{self, BATCH_HEADER_BYTES, BLOCK, BatchHeader, NoHeader, SegmentHeader};
use super::reader::SegmentReader;
use super::segments::{self, Segment, Segments, Spare};
use super::streams::Streams;
use super::{Damage, LogError, Lsn, Place, Recovery, StreamId};
use crate::aligned::AlignedBuffer;

/// A file of the log as it is found.
struct FoundFile<F> {
    path: String,
    file: F,
    /// Its length in whole blocks.
    len: u64,
    header: Result<SegmentHeader, NoHeader>,
}

/// A record as it is found.
pub struct Replayed<'a> {
    pub stream: StreamId,
    pub lsn: Lsn,
    /// Shares the memory of its batch.
    pub payload: Bytes,
    /// The segment's path.
    pub file: &'a str,
    /// Where the record begins there.
    pub offset: u64,
}

/// What reading a whole log comes to.
pub struct Found {
    pub streams: Streams,
    pub recovery: Recovery,
    /// How the last segment ends; `None`: there is none.
    pub tail: Option<Tail>,
}

/// Opens every file of the log and reads its header. Changes nothing.
fn survey<D: Disk>(
    segments: &mut Segments<D>,
    mode: OpenMode,
    recovery: &mut Recovery,
) -> Result<Vec<FoundFile<D::File>>, LogError> {
    let mut all = Vec::new();
    for name in segments.disk.list(&segments.dir).map_err(LogError::io(&segments.dir))? {
        let Some(number) = file_number(&name) else { continue };
        segments.next_file = segments.next_file.max(number + 1);
        let path = segments.path(&name);
        let file = segments.disk.open(&path, mode).map_err(LogError::io(&path))?;
        let len = file.len().map_err(LogError::io(&path))? / BLOCK * BLOCK;
        let mut first = SegmentReader::narrow(&file, len);
        let mut header = SegmentHeader::decode(first.header_block());
        if let Err(NoHeader::Version(version)) = header {
            return Err(LogError::Version { file: path, version });
        }
        if header.is_err() {
            let mut reader = SegmentReader::new(&file, len);
            header = infer(&mut reader, len).ok_or(NoHeader::Blank).or(header);
            let failed = reader.failed_from(0).or_else(|| first.failed_from(0));
            if let (Err(_), Some(source)) = (&header, failed) {
                return Err(LogError::Io { place: path, source });
            }
            note_lost_header(&path, &header, recovery);
        }
        let header = header.map(|header| SegmentHeader { bytes: header.bytes.min(len), ..header });
        all.push(FoundFile { path, file, len, header });
    }
    Ok(all)
}

pub fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?;
    let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number < u64::MAX)
}

/// What the header of a segment must have said, judging by its batches: those of the highest sequence
/// are the latest life of the file. `oldest` 0 says that it is not known.
fn infer<F: DiskFile>(reader: &mut SegmentReader<'_, F>, len: u64) -> Option<SegmentHeader> {
    let mut best: Option<BatchHeader> = None;
    let mut offset = BLOCK;
    while let Some((at, header)) = reader.find(offset, |_| true) {
        best = best.filter(|best| best.sequence >= header.sequence).or(Some(header));
        offset = at + header.padded();
    }
    let BatchHeader { sequence, lsn, incarnation, .. } = best?;
    let (oldest, oldest_lsn) = (0, lsn);
    Some(SegmentHeader { sequence, first_lsn: lsn, oldest, oldest_lsn, incarnation, bytes: len })
}

/// A blank block is a file that was never used. Anything else had a header, for a sector is written whole
/// or not at all. Whether records are lost as well is seen when they are missed.
fn note_lost_header(path: &str, header: &Result<SegmentHeader, NoHeader>, recovery: &mut Recovery) {
    let lsn = match header {
        Err(NoHeader::Blank) => return,
        Err(_) => Lsn(0),
        Ok(inferred) => inferred.first_lsn,
    };
    let file = path.to_string();
    recovery.damaged.push(Damage { file, offset: 0, first_lsn: lsn, next_lsn: lsn });
}

/// Reads the log, as it is going to be taken up. Nothing in it is changed. With more threads than one, another reads the
/// files ahead.
pub fn recover<D: Disk>(
    segments: &mut Segments<D>,
    threads: NonZeroU32,
    replay: impl FnMut(Replayed<'_>),
) -> Result<Found, LogError> {
    let mut recovery = Recovery::default();
    let files = survey(segments, OpenMode::Direct, &mut recovery)?;
    sync_names(segments)?;
    read(segments, files, recovery, threads, replay)
}

/// Leaves a log that was read ready to be written to, in a new incarnation.
pub fn take_up<D: Disk>(segments: &mut Segments<D>, found: &Found) -> Result<(), LogError> {
    segments.incarnation += 1;
    match &found.tail {
        Some(tail) => settle(segments, tail),
        None => {
            segments.roll(found.recovery.end)?;
            sync_names(segments)
        }
    }
}

/// Reads the log as [`recover`] does, and leaves it as it is.
pub fn look<D: Disk>(
    segments: &mut Segments<D>,
    replay: impl FnMut(Replayed<'_>),
) -> Result<Found, LogError> {
    let mut recovery = Recovery::default();
    let files = survey(segments, OpenMode::Read, &mut recovery)?;
    read(segments, files, recovery, NonZeroU32::MIN, replay)
}

/// Puts the files in order and reads them. Afterwards the incarnation is the highest that was seen.
fn read<D: Disk>(
    segments: &mut Segments<D>,
    files: Vec<FoundFile<D::File>>,
    recovery: Recovery,
    threads: NonZeroU32,
    replay: impl FnMut(Replayed<'_>),
) -> Result<Found, LogError> {
    let newest =
        files.iter().filter_map(|found| found.header.ok()).max_by_key(|h| (h.oldest, h.sequence));
    sort_out(segments, files, newest);
    let start = segments.live.front().map_or(Lsn(1), |front| front.header.first_lsn);
    let start = newest.map_or(start, |newest| newest.oldest_lsn.min(start));
    let mut reading = Reading {
        replay,
        threads,
        streams: Streams::default(),
        next: start,
        incarnation: 0,
        recovery,
        batches: Vec::new(),
    };
    let tail = reading.all(segments)?;
    let Reading { streams, next, incarnation, mut recovery, batches, .. } = reading;
    for (segment, batches) in segments.live.iter_mut().zip(batches) {
        segment.batches = batches;
    }
    recovery.end = next;
    segments.incarnation = segments.incarnation.max(incarnation);
    Ok(Found { streams, recovery, tail })
}

/// A file that was there but whose name was not durable would take synced records with it.
fn sync_names<D: Disk>(segments: &Segments<D>) -> Result<(), LogError> {
    let dir = segments.dir.as_str();
    if segments.disk.list(dir).map_err(LogError::io(dir))?.is_empty() {
        return Ok(()); // It may not exist yet.
    }
    sync_dirs(&segments.disk, dir).map_err(LogError::io(dir))
}

/// Makes the names in a directory durable, and those of all directories above it.
pub fn sync_dirs<D: Disk>(disk: &D, mut dir: &str) -> std::io::Result<()> {
    loop {
        disk.sync_dir(dir)?;
        match dir.rsplit_once('/') {
            Some((parent, _)) => dir = parent,
            None if dir.is_empty() => return Ok(()),
            None => dir = "",
        }
    }
}

/// Segments that the newest header calls needed are in use, in order of their sequence; the rest is spare.
fn sort_out<D: Disk>(
    segments: &mut Segments<D>,
    mut found: Vec<FoundFile<D::File>>,
    newest: Option<SegmentHeader>,
) {
    let (oldest, oldest_lsn) =
        newest.map_or((0, Lsn(0)), |newest| (newest.oldest, newest.oldest_lsn));
    found.sort_by_key(|found| found.header.map_or(0, |header| header.sequence));
    for FoundFile { path, file, len, header } in found {
        let last = segments.live.back().map_or(0, |segment| segment.header.sequence);
        let sequence = header.map_or(0, |header| header.sequence);
        segments.incarnation = segments.incarnation.max(header.map_or(0, |h| h.incarnation));
        match header {
            Ok(mut header) if sequence >= oldest && sequence > last => {
                if header.oldest == 0 {
                    (header.oldest, header.oldest_lsn) = (oldest, oldest_lsn);
                }
                segments.live.push_back(Segment {
                    path,
                    file,
                    header,
                    end: header.bytes,
                    batches: Vec::new(),
                });
            }
            _ => segments.spares.push(Spare { path, file, sequence, zeroed: len }),
        }
    }
}

/// How the last segment ends.
pub struct Tail {
    /// Where the next batch goes.
    pub end: u64,
    /// The last batch, as it shall be, and its place.
    last: Option<(u64, BatchHeader)>,
    /// Whether something torn stands at `end`.
    torn: bool,
}

/// The pass over all records.
struct Reading<R> {
    replay: R,
    threads: NonZeroU32,
    streams: Streams,
    /// The LSN that comes next if nothing is lost.
    next: Lsn,
    /// The highest seen.
    incarnation: u64,
    recovery: Recovery,
    /// Of each segment: its batches and their first records.
    batches: Vec<Vec<(Lsn, u64)>>,
}

impl<R: FnMut(Replayed<'_>)> Reading<R> {
    fn all<D: Disk>(&mut self, segments: &Segments<D>) -> Result<Option<Tail>, LogError> {
        let mut tail: Option<Tail> = None;
        let mut before: Option<&Segment<D::File>> = None;
        for (i, segment) in segments.live.iter().enumerate() {
            let first = segment.header.first_lsn;
            if first > self.next {
                let (file, offset) = gap_place(before, tail.as_ref(), segment);
                self.lose(file, offset, first);
            }
            let is_last = i + 1 == segments.live.len();
            self.batches.push(Vec::new());
            tail = Some(self.open_segment(segment, is_last)?);
            before = Some(segment);
        }
        Ok(tail)
    }

    fn open_segment<F: DiskFile>(
        &mut self,
        segment: &Segment<F>,
        is_last: bool,
    ) -> Result<Tail, LogError> {
        let (file, bytes) = (&segment.file, segment.header.bytes);
        let reader = SegmentReader::new(file, bytes);
        if self.threads == NonZeroU32::MIN {
            return self.segment(segment, is_last, reader);
        }
        thread::scope(|scope| {
            let ahead = Ahead::of(scope, file, BLOCK, bytes);
            self.segment(segment, is_last, reader.behind(ahead))
        })
    }

    /// Reads one segment. Damage is told from a torn tail by what is behind: a batch is written only
    /// after all before it are durable.
    fn segment<F: DiskFile>(
        &mut self,
        segment: &Segment<F>,
        is_last: bool,
        mut reader: SegmentReader<'_, F>,
    ) -> Result<Tail, LogError> {
        let sequence = segment.header.sequence;
        let mut tail = Tail { end: BLOCK, last: None, torn: false };
        while let Some((at, header)) = self.next_batch(&mut reader, tail.end, sequence) {
            if header.lsn > self.next {
                self.lose(segment.path.clone(), tail.end, header.lsn);
            }
            self.incarnation = self.incarnation.max(header.incarnation);
            let walked = Walked::new(reader.batch_bytes(at, &header), header);
            tail.end = at + header.padded();
            if !walked.is_whole()
                && is_last
                && self.next_batch(&mut reader, tail.end, sequence).is_none()
            {
                tail = self.cut(&segment.path, at, walked, tail.last);
                break;
            }
            tail.last = Some((at, header));
            self.note(at, &header);
            self.batch(&segment.path, at, &walked);
        }
        if is_last {
            self.end(segment, &mut reader, &mut tail)?;
        }
        Ok(tail)
    }

    fn note(&mut self, at: u64, header: &BatchHeader) {
        if let Some(batches) = self.batches.last_mut() {
            batches.push((header.lsn, at));
        }
    }

    fn next_batch<F: DiskFile>(
        &self,
        reader: &mut SegmentReader<'_, F>,
        offset: u64,
        sequence: u64,
    ) -> Option<(u64, BatchHeader)> {
        let next = self.next;
        reader.find(offset, |header| header.sequence == sequence && header.lsn >= next)
    }

    /// A batch with others behind it: what cannot be read is lost, what can is replayed.
    fn batch(&mut self, path: &str, at: u64, walked: &Walked) {
        let mut bad = BATCH_HEADER_BYTES;
        for record in walked.records.iter().filter(|record| record.sound) {
            if record.lsn > self.next {
                self.lose(path.to_string(), at + bad as u64, record.lsn);
            }
            bad = record.payload.end;
            self.record(path, at, walked, record);
        }
        if walked.header.next_lsn() > self.next {
            self.lose(path.to_string(), at + bad as u64, walked.header.next_lsn());
        }
    }

    /// The last batch, and it is not whole: the records before the first that is not are kept.
    fn cut(
        &mut self,
        path: &str,
        at: u64,
        walked: Walked,
        before: Option<(u64, BatchHeader)>,
    ) -> Tail {
        let kept = walked.records.iter().take_while(|record| record.sound);
        let bytes = kept.map(|record| self.record(path, at, &walked, record)).last();
        let records = (self.next.0 - walked.header.lsn.0) as u32;
        let torn_at = bytes.unwrap_or(BATCH_HEADER_BYTES);
        self.recovery.torn_tail =
            Some(Place { file: path.to_string(), offset: at + torn_at as u64 });
        let Some(bytes) = bytes else { return Tail { end: at, last: before, torn: true } };
        let header = BatchHeader { records, bytes: bytes as u32, ..walked.header };
        self.note(at, &header);
        Tail { end: at + header.padded(), last: Some((at, header)), torn: false }
    }

    /// Where the log ends. A block there that cannot be read may hold what was acknowledged: no guess.
    fn end<F: DiskFile>(
        &mut self,
        segment: &Segment<F>,
        reader: &mut SegmentReader<'_, F>,
        tail: &mut Tail,
    ) -> Result<(), LogError> {
        let from = tail.last.map_or(tail.end, |(at, _)| at);
        if let Some(source) = reader.failed_from(from) {
            return Err(LogError::Io { place: segment.path.clone(), source });
        }
        if reader.is_trace(tail.end, segment.header.sequence, self.next) {
            tail.torn = true;
            let place = Place { file: segment.path.clone(), offset: tail.end };
            self.recovery.torn_tail.get_or_insert(place);
        }
        Ok(())
    }

    /// Replays one record; answers where it ends in its batch.
    fn record(&mut self, file: &str, at: u64, walked: &Walked, record: &format::RecordAt) -> usize {
        self.next = Lsn(record.lsn.0 + 1);
        self.recovery.records += 1;
        self.recovery.bytes += record.payload.len() as u64;
        self.streams.note(record.stream, record.lsn);
        (self.replay)(Replayed {
            stream: record.stream,
            lsn: record.lsn,
            payload: walked.bytes.slice(record.payload.clone()),
            file,
            offset: at + record.start as u64,
        });
        record.payload.end
    }

    /// The records up to `next_lsn` are not there.
    fn lose(&mut self, file: String, offset: u64, next_lsn: Lsn) {
        let first_lsn = self.next;
        self.recovery.damaged.push(Damage { file, offset, first_lsn, next_lsn });
        self.next = next_lsn;
    }
}

/// A batch and what its checksums say, in memory of its own that the records share.
struct Walked {
    bytes: Bytes,
    header: BatchHeader,
    records: Vec<format::RecordAt>,
}

impl Walked {
    fn new(bytes: &[u8], header: BatchHeader) -> Walked {
        let records = format::records(bytes, &header).collect();
        Walked { bytes: Bytes::copy_from_slice(bytes), header, records }
    }

    fn is_whole(&self) -> bool {
        let all = self.records.len() == self.header.records as usize;
        all && self.records.iter().all(|record| record.sound)
    }
}

/// Where to report records that are missing between two segments.
fn gap_place<F>(
    before: Option<&Segment<F>>,
    tail: Option<&Tail>,
    after: &Segment<F>,
) -> (String, u64) {
    match before {
        Some(before) if before.header.sequence + 1 == after.header.sequence => {
            (before.path.clone(), tail.map_or(0, |tail| tail.end))
        }
        _ => (format!("(missing, before {})", after.path), 0),
    }
}

/// Makes durable what was replayed, in case it was only on its way, cuts off what was torn, and begins a
/// new incarnation. Every sector becomes what it was or what it shall be, so this can be torn as well.
fn settle<D: Disk>(segments: &mut Segments<D>, tail: &Tail) -> Result<(), LogError> {
    let incarnation = segments.incarnation;
    let Some(current) = segments.live.back_mut() else { return Ok(()) };
    current.end = tail.end;
    current.header.incarnation = incarnation;
    if let Some((at, header)) = &tail.last {
        rewrite(&current.file, *at, header).map_err(LogError::io(&current.path))?;
    }
    if tail.torn {
        let mut block = AlignedBuffer::with_capacity(BLOCK as usize);
        block.resize(BLOCK as usize);
        let blanked = current.file.write_at(&[IoSlice::new(block.as_slice())], tail.end);
        blanked.map_err(LogError::io(&current.path))?;
    }
    segments::write_header(&current.file, &current.header).map_err(LogError::io(&current.path))?;
    current.file.sync().map_err(LogError::io(&current.path))
}

/// Writes a batch where it already stands, perhaps shorter.
fn rewrite<F: DiskFile>(file: &F, at: u64, header: &BatchHeader) -> std::io::Result<()> {
    let mut buffer = AlignedBuffer::with_capacity(header.padded() as usize);
    buffer.resize(header.padded() as usize);
    file.read_at(buffer.as_mut_slice(), at)?;
    let bytes = buffer.as_mut_slice();
    bytes[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode(at));
    bytes[header.bytes as usize..].fill(0);
    file.write_at(&[IoSlice::new(buffer.as_slice())], at)
}

//! The files of the log: which are in use, which are spare, and how a spare one is put to use.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode};

use super::batch::Batch;
use super::format::{self, BLOCK, SegmentHeader};
use super::{LogError, Lsn, Options};
use crate::aligned::AlignedBuffer;
use crate::error::is_no_room;

/// Spare files that are kept for reuse; `tidy` removes more.
const SPARES_MAX: usize = 4;
/// How much is zeroed at once.
const ZEROED_BYTES: u64 = 1024 * 1024;

/// A segment in use.
pub struct Segment<F> {
    pub path: String,
    pub file: F,
    pub header: SegmentHeader,
    /// Where the next batch goes.
    pub end: u64,
    /// Where each batch is, and its first record.
    pub batches: Vec<(Lsn, u64)>,
}

/// A file that nothing needs: recycled, or new and not yet zeroed as far as it should be.
pub struct Spare<F> {
    pub path: String,
    pub file: F,
    /// Its sequence in its last life; 0 if it had none.
    pub sequence: u64,
    /// So far it has storage that has been written before, which makes the next write cheap.
    pub zeroed: u64,
}

/// Something to be done when there is time.
pub enum Chore {
    /// Nothing is left.
    None,
    /// It was done on the spot.
    Done,
    /// The spare at this place is to be zeroed a little.
    Zero(usize),
}

impl<F: DiskFile> Spare<F> {
    /// Extends it by some zeros, up to `bytes`. `false`: it is long enough.
    ///
    /// Real zeros, not reserved storage: the first write to a reserved block changes the file's layout,
    /// which the file system has to log, and that would come on top of every sync.
    pub fn zero_some(&mut self, bytes: u64) -> Result<bool, LogError> {
        let bytes = bytes.saturating_sub(self.zeroed).min(ZEROED_BYTES);
        if bytes == 0 {
            return Ok(false);
        }
        let mut zeros = AlignedBuffer::with_capacity(bytes as usize);
        zeros.resize(bytes as usize);
        let written = self.file.write_at(&[IoSlice::new(zeros.as_slice())], self.zeroed);
        written.map_err(full_or_io(&self.path))?;
        self.zeroed += bytes;
        Ok(true)
    }
}

pub struct Segments<D: Disk> {
    pub disk: D,
    pub dir: String,
    /// The size of a segment from now on.
    pub bytes: u64,
    pub files_max: u32,
    pub incarnation: u64,
    /// For the next file's name.
    pub next_file: u64,
    /// Oldest first; the last one is written to. Never empty once the log is open.
    pub live: VecDeque<Segment<D::File>>,
    pub spares: Vec<Spare<D::File>>,
    /// Spares that somebody has taken out to zero them.
    pub out: usize,
    /// Segments from this sequence on are not used again: they are to be archived. `None`: there is no archive.
    pub kept_from: Option<u64>,
    /// Bytes of all batches since the log was opened, as they were written.
    pub written_bytes: u64,
}

impl<D: Disk> Segments<D> {
    /// Nothing yet: a recovery finds what is there.
    pub fn new(disk: D, dir: &str, options: Options) -> Segments<D> {
        Segments {
            disk,
            dir: dir.trim_matches('/').to_string(),
            bytes: options.segment_bytes,
            files_max: options.segments_max,
            incarnation: 0,
            next_file: 1,
            live: VecDeque::new(),
            written_bytes: 0,
            spares: Vec::new(),
            out: 0,
            kept_from: None,
        }
    }

    /// Writes a batch to the end of the log and makes it durable; nothing below `low_water` is needed. After any error but
    /// [`LogError::Full`] it is not known what the disk has.
    pub fn write(&mut self, batch: &mut Batch, low_water: Lsn) -> Result<(), LogError> {
        if batch.padded() > self.room() {
            self.reclaim(low_water);
            self.roll(batch.lsn())?;
        }
        let Some(current) = self.live.back_mut() else { return Err(LogError::Full) };
        let lsn = batch.lsn();
        let bytes = batch.seal(current.header.sequence, current.end);
        let slices = [IoSlice::new(bytes)];
        current.file.write_at(&slices, current.end).map_err(LogError::io(&current.path))?;
        current.file.sync().map_err(LogError::io(&current.path))?;
        current.batches.push((lsn, current.end));
        current.end += bytes.len() as u64;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// What is left of the current segment.
    pub fn room(&self) -> u64 {
        self.live.back().map_or(0, |segment| segment.header.bytes.saturating_sub(segment.end))
    }

    /// Bytes that cannot be reused while nothing below `low_water` is needed.
    pub fn used_bytes(&self, low_water: Lsn) -> u64 {
        let past = self.live.len().saturating_sub(1);
        let free = self.free(low_water);
        let full: u64 = self.live.range(free..past).map(|segment| segment.header.bytes).sum();
        full + self.live.back().map_or(0, |segment| segment.end)
    }

    /// How many segments, from the oldest on, lie wholly below `low_water`, and are archived if they must be. Never the
    /// current one.
    fn free(&self, low_water: Lsn) -> usize {
        let kept = self.kept_from.unwrap_or(u64::MAX);
        let pairs = self.live.iter().zip(self.live.iter().skip(1));
        let free = pairs.take_while(|(segment, next)| {
            next.header.first_lsn <= low_water && segment.header.sequence < kept
        });
        free.count()
    }

    /// Makes spare what lies wholly below `low_water`.
    pub fn reclaim(&mut self, low_water: Lsn) {
        for segment in self.live.drain(..self.free(low_water)) {
            let Segment { path, file, header, .. } = segment;
            self.spares.push(Spare { path, file, sequence: header.sequence, zeroed: header.bytes });
        }
    }

    /// Whether there is a file for another segment, or may be one.
    pub fn can_roll(&self) -> bool {
        !self.spares.is_empty() || self.may_create()
    }

    fn may_create(&self) -> bool {
        self.live.len() + self.spares.len() + self.out < self.files_max as usize
    }

    /// Begins the next segment, whose first record will be `first_lsn`. Its header is durable before any
    /// batch is written to it, so that every batch stands in a segment that can be told.
    pub fn roll(&mut self, first_lsn: Lsn) -> Result<(), LogError> {
        let chosen = self.ready_spare()?;
        let last = self.live.back().map_or(0, |segment| segment.header.sequence);
        let mut header = SegmentHeader {
            sequence: last + 1,
            first_lsn,
            oldest: last + 1,
            oldest_lsn: first_lsn,
            incarnation: self.incarnation,
            bytes: self.bytes,
        };
        if let Some(front) = self.live.front() {
            header.oldest = front.header.sequence;
            header.oldest_lsn = front.header.first_lsn;
        }
        let Spare { path, file, .. } = self.spares.swap_remove(chosen);
        write_header(&file, &header).map_err(LogError::io(&path))?;
        file.sync().map_err(LogError::io(&path))?;
        self.live.push_back(Segment { path, file, header, end: BLOCK, batches: Vec::new() });
        Ok(())
    }

    /// The place of a spare that is as long as a segment; makes one if it must.
    fn ready_spare(&mut self) -> Result<usize, LogError> {
        if self.spares.is_empty() {
            self.create()?;
        }
        let bytes = self.bytes;
        let places = self.spares.iter().enumerate();
        let best = places.min_by_key(|(_, spare)| (spare.zeroed < bytes, spare.sequence));
        let chosen = best.map_or(0, |(place, _)| place);
        while self.zero_some(chosen)? {}
        Ok(chosen)
    }

    /// Adds an empty spare. Its name is durable before anything that it will hold.
    fn create(&mut self) -> Result<(), LogError> {
        if !self.may_create() {
            return Err(LogError::Full);
        }
        let path = self.path(&format!("segment-{:06}", self.next_file));
        self.next_file += 1;
        let file = self.disk.open(&path, OpenMode::Direct).map_err(full_or_io(&path))?;
        self.disk.sync_dir(&self.dir).map_err(LogError::io(&self.dir))?;
        self.spares.push(Spare { path, file, sequence: 0, zeroed: 0 });
        Ok(())
    }

    /// Extends a spare by some zeros. `false`: it is long enough.
    fn zero_some(&mut self, place: usize) -> Result<bool, LogError> {
        self.spares[place].zero_some(self.bytes)
    }

    /// One step towards having one spare that is ready and not too many. `false`: it is so.
    pub fn tidy(&mut self) -> Result<bool, LogError> {
        match self.next_chore()? {
            Chore::None => Ok(false),
            Chore::Done => Ok(true),
            Chore::Zero(place) => self.zero_some(place),
        }
    }

    /// What is to be done next, all of it but what takes long.
    pub fn next_chore(&mut self) -> Result<Chore, LogError> {
        if self.spares.len() > SPARES_MAX && self.remove_one()? {
            return Ok(Chore::Done);
        }
        if self.spares.iter().any(|spare| spare.zeroed >= self.bytes) {
            return Ok(Chore::None);
        }
        match self.spares.len() {
            0 if !self.may_create() => Ok(Chore::None),
            0 => self.create().map(|()| Chore::Done),
            count => Ok(Chore::Zero(count - 1)),
        }
    }

    /// Removes a spare, if one is known to be spare by the *durable* header of the current segment: a
    /// recovery that missed a file would report it as lost.
    fn remove_one(&mut self) -> Result<bool, LogError> {
        let oldest = self.live.back().map_or(0, |segment| segment.header.oldest);
        let Some(place) = self.spares.iter().position(|spare| spare.sequence < oldest) else {
            return Ok(false);
        };
        let Spare { path, .. } = self.spares.swap_remove(place);
        self.disk.remove(&path).map_err(LogError::io(path))?;
        Ok(true)
    }

    pub fn path(&self, name: &str) -> String {
        if self.dir.is_empty() { name.to_string() } else { format!("{}/{name}", self.dir) }
    }
}

/// Writes the first block of a segment.
pub fn write_header<F: DiskFile>(file: &F, header: &SegmentHeader) -> io::Result<()> {
    let mut block = AlignedBuffer::with_capacity(BLOCK as usize);
    block.extend(&header.encode());
    block.resize(format::padded(block.len() as u64) as usize);
    file.write_at(&[IoSlice::new(block.as_slice())], 0)
}

/// A disk without space is a log without space: the caller can do something about it.
fn full_or_io(place: &str) -> impl FnOnce(io::Error) -> LogError {
    let place = place.to_string();
    move |error| match is_no_room(&error) {
        true => LogError::Full,
        false => LogError::io(place)(error),
    }
}

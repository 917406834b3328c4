//! One append-only sequence of files of a vnode, seen from the device: where the next piece goes, what of it is in
//! memory still, and the handles to read the rest with.
//!
//! A vnode has two: `<n>.data` with its records and `<n>.large` with the values that are too large for a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::Partition;

use super::tail::{Position, Tail};

/// Which of a vnode's two sequences of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
    Data,
    Large,
}

impl Kind {
    pub(crate) fn path(self, partition: Partition, file: u32) -> String {
        format!("{}/{file}.{}", directory(partition), self.suffix())
    }

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Kind::Data => "data",
            Kind::Large => "large",
        }
    }
}

/// The directory that all vnodes' directories are in.
pub(crate) const VNODES: &str = "vnodes";

/// The directory of one vnode.
pub(crate) fn directory(partition: Partition) -> String {
    format!("{VNODES}/{}", partition.0)
}

/// Open files by number, shared with reads that run elsewhere.
pub(crate) type Files<F> = Arc<BTreeMap<u32, Arc<F>>>;

#[derive(Debug)]
pub(crate) struct Strand<F> {
    /// Where the next piece goes.
    end: Position,
    /// Lengths of all files before `end.0`.
    closed: BTreeMap<u32, u64>,
    closed_bytes: u64,
    files: Files<F>,
    tail: Tail,
}

impl<F> Default for Strand<F> {
    fn default() -> Self {
        Strand {
            end: (0, 0),
            closed: BTreeMap::new(),
            closed_bytes: 0,
            files: Arc::default(),
            tail: Tail::default(),
        }
    }
}

impl<F> Strand<F> {
    /// A strand that was there before: its files, and how long each of them is.
    pub(crate) fn reopen(files: BTreeMap<u32, Arc<F>>, lengths: &BTreeMap<u32, u64>) -> Strand<F> {
        let end = lengths.last_key_value().map_or((0, 0), |(file, len)| (*file, *len));
        let closed: BTreeMap<u32, u64> =
            lengths.range(..end.0).map(|(file, len)| (*file, *len)).collect();
        Strand {
            end,
            closed_bytes: closed.values().sum(),
            closed,
            files: Arc::new(files),
            tail: Tail::default(),
        }
    }

    /// Where the next piece goes.
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    /// The length of the file before the current one.
    pub(crate) fn previous_len(&self) -> u64 {
        self.closed.last_key_value().map_or(0, |(_, len)| *len)
    }

    /// The first file.
    pub(crate) fn first(&self) -> Option<u32> {
        self.closed.first_key_value().map(|(file, _)| *file)
    }

    /// The files that take no more, with their lengths, as far as all of each can be read from it.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (u32, u64, &Arc<F>)> {
        let written = |file: u32| self.tail.first().is_none_or(|first| first.0 > file);
        let closed = self.closed.iter().filter(move |(file, _)| written(**file));
        closed.filter_map(|(file, len)| Some((*file, *len, self.files.get(file)?)))
    }

    /// The file is not needed any more.
    pub(crate) fn forget(&mut self, file: u32) {
        self.closed_bytes -= self.closed.remove(&file).unwrap_or(0);
        if self.files.contains_key(&file) {
            let mut files = (*self.files).clone();
            files.remove(&file);
            self.files = Arc::new(files);
        }
    }

    /// Ends the current file; the next piece begins another.
    pub(crate) fn roll(&mut self) {
        self.closed.insert(self.end.0, self.end.1);
        self.closed_bytes += self.end.1;
        self.end = (self.end.0 + 1, 0);
    }

    /// Takes `len` bytes at the end.
    pub(crate) fn advance(&mut self, len: u64) {
        self.end.1 += len;
    }

    /// Remembers a piece until [`flushed`](Strand::flushed).
    pub(crate) fn remember(&mut self, at: Position, bytes: Bytes) {
        self.tail.push(at, bytes);
    }

    /// The piece that begins at `at`, if it is in memory.
    pub(crate) fn remembered(&self, at: Position) -> Option<Bytes> {
        self.tail.get(at)
    }

    /// Everything before `upto` is in files, of which `file` is the last.
    pub(crate) fn flushed(&mut self, upto: Position, file: &Arc<F>) {
        if !self.files.contains_key(&upto.0) {
            let mut files = (*self.files).clone();
            files.insert(upto.0, file.clone());
            self.files = Arc::new(files);
        }
        self.tail.forget(upto);
    }

    pub(crate) fn files(&self) -> &Files<F> {
        &self.files
    }

    /// Bytes of all files, as far as they are assigned.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed_bytes + self.end.1
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.tail.bytes()
    }
}

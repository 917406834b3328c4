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
    /// Length of the file before `end.0`.
    previous_len: u64,
    /// Lengths of all files before `end.0`, summed.
    closed_bytes: u64,
    files: Files<F>,
    tail: Tail,
}

impl<F> Default for Strand<F> {
    fn default() -> Self {
        Strand {
            end: (0, 0),
            previous_len: 0,
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
        let before = lengths.range(..end.0);
        Strand {
            end,
            previous_len: before.clone().next_back().map_or(0, |(_, len)| *len),
            closed_bytes: before.map(|(_, len)| len).sum(),
            files: Arc::new(files),
            tail: Tail::default(),
        }
    }

    /// Where the next piece goes.
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    pub(crate) fn previous_len(&self) -> u64 {
        self.previous_len
    }

    /// Ends the current file; the next piece begins another.
    pub(crate) fn roll(&mut self) {
        self.previous_len = self.end.1;
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

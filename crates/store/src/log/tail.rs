//! What was stored and no file has yet: kept in memory, in the order of its places.

use std::collections::VecDeque;

use bytes::Bytes;

/// Where something begins: file, then offset within it.
pub(crate) type Position = (u32, u64);

/// Pieces at growing positions.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pieces: VecDeque<(Position, Bytes)>,
    bytes: u64,
}

impl Tail {
    /// Adds a piece behind all others.
    pub(crate) fn push(&mut self, at: Position, bytes: Bytes) {
        self.bytes += bytes.len() as u64;
        self.pieces.push_back((at, bytes));
    }

    /// The piece that begins at `at`.
    pub(crate) fn get(&self, at: Position) -> Option<Bytes> {
        let found = self.pieces.binary_search_by_key(&at, |piece| piece.0).ok()?;
        Some(self.pieces[found].1.clone())
    }

    /// Where the first piece begins.
    pub(crate) fn first(&self) -> Option<Position> {
        self.pieces.front().map(|(at, _)| *at)
    }

    /// Forgets the pieces in front of `upto`.
    pub(crate) fn forget(&mut self, upto: Position) {
        while self.pieces.front().is_some_and(|piece| piece.0 < upto) {
            let piece = self.pieces.pop_front();
            self.bytes -= piece.map_or(0, |piece| piece.1.len() as u64);
        }
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests;

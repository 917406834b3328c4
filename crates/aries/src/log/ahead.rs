//! Reads a file in a thread of its own: who looks at what is in it does not wait for the disk.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use ombak_base::DiskFile;

use crate::aligned::AlignedBuffer;

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 1024 * 1024;
/// Pieces that wait to be looked at, besides the one that is being read.
const WAITING: usize = 2;

/// The pieces of a file, in order, as far as they could be read: after an error none comes.
pub struct Ahead {
    pieces: Receiver<(u64, AlignedBuffer)>,
}

impl Ahead {
    /// Reads what stands in the file between the two offsets, multiples of the block size, until nobody wants it any more.
    pub fn of<'scope, F: DiskFile>(
        scope: &'scope Scope<'scope, '_>,
        file: &'scope F,
        from: u64,
        end: u64,
    ) -> Ahead {
        let (reader, pieces) = sync_channel(WAITING);
        scope.spawn(move || {
            let offsets = (from..end).step_by(PIECE_BYTES as usize);
            let mut read = offsets.map_while(|at| Some((at, piece(file, at, end)?)));
            read.try_for_each(|piece| reader.send(piece))
        });
        Ahead { pieces }
    }

    /// The piece that comes next. `None`: it does not begin at `offset`, or there is none.
    pub fn next(&mut self, offset: u64) -> Option<AlignedBuffer> {
        let (at, piece) = self.pieces.recv().ok()?;
        (at == offset).then_some(piece)
    }
}

fn piece<F: DiskFile>(file: &F, at: u64, end: u64) -> Option<AlignedBuffer> {
    let bytes = PIECE_BYTES.min(end - at) as usize;
    let mut piece = AlignedBuffer::with_capacity(bytes);
    piece.resize_for_overwrite(bytes);
    let read = file.read_at(piece.as_mut_slice(), at).ok()?;
    (read == bytes).then_some(piece)
}

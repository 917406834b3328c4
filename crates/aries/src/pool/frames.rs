//! All frames of a pool.

use std::sync::OnceLock;

use super::frame::Frame;

/// Frames that get memory together: half a MiB, for which an allocator asks the operating system once.
const CHUNK: usize = 64;

/// So many frames, of which those that were needed so far have memory.
pub struct Frames {
    chunks: Box<[OnceLock<Box<[Frame]>>]>,
    count: usize,
}

impl Frames {
    pub fn new(count: usize) -> Frames {
        Frames { chunks: (0..count.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(), count }
    }

    /// How many there may be.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn get(&self, place: usize) -> &Frame {
        let first = place / CHUNK * CHUNK;
        let count = CHUNK.min(self.count - first);
        let vacant = || std::iter::repeat_with(Frame::vacant).take(count).collect();
        &self.chunks[place / CHUNK].get_or_init(vacant)[place - first]
    }

    /// Those that have memory, and their places.
    pub fn made(&self) -> impl Iterator<Item = (usize, &Frame)> {
        let chunks = self.chunks.iter().enumerate();
        let made = chunks.filter_map(|(number, chunk)| Some((number * CHUNK, chunk.get()?)));
        made.flat_map(|(first, chunk)| (first..).zip(chunk))
    }
}

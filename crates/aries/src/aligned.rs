//! Memory that direct I/O accepts: it begins at a multiple of the block size.

use ombak_base::limits::BLOCK_BYTES;

/// A growable byte buffer whose first byte is aligned to [`BLOCK_BYTES`].
///
/// The vector is allocated one block larger than asked for and its contents begin at the first aligned
/// byte in it: no `unsafe`, at the price of a block.
pub struct AlignedBuffer {
    storage: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// An empty buffer that holds `bytes` without growing.
    pub fn with_capacity(bytes: usize) -> AlignedBuffer {
        let storage = vec![0; bytes + BLOCK_BYTES];
        // Not `align_offset`, which is allowed to give up.
        let start = storage.as_ptr().addr().wrapping_neg() % BLOCK_BYTES;
        AlignedBuffer { storage, start, len: 0 }
    }

    /// Bytes that fit without growing.
    pub fn capacity(&self) -> usize {
        self.storage.len() - BLOCK_BYTES
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        let from = self.len;
        self.resize_for_overwrite(from + bytes.len());
        self.as_mut_slice()[from..].copy_from_slice(bytes);
    }

    /// Cuts, or extends with zeros.
    pub fn resize(&mut self, len: usize) {
        self.reserve(len);
        let (start, old) = (self.start, self.len);
        if len > old {
            self.storage[start + old..start + len].fill(0);
        }
        self.len = len;
    }

    /// As long as asked for, with whatever contents: to be written over as a whole.
    pub fn resize_for_overwrite(&mut self, len: usize) {
        self.reserve(len);
        self.len = len;
    }

    /// Forgets the contents, and the memory where it is more than `capacity_max`.
    pub fn reset(&mut self, capacity_max: usize) {
        if self.capacity() > capacity_max {
            *self = AlignedBuffer::with_capacity(capacity_max);
        }
        self.len = 0;
    }

    /// The contents.
    pub fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }

    /// The contents, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.len]
    }

    fn reserve(&mut self, bytes: usize) {
        if bytes > self.capacity() {
            let mut grown = AlignedBuffer::with_capacity(bytes.next_power_of_two());
            grown.len = self.len;
            grown.as_mut_slice().copy_from_slice(self.as_slice());
            *self = grown;
        }
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

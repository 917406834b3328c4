//! The first bytes of a vnode's file.
//!
//! ```text
//!  0  8 bytes  "ombak-vn"
//!  8  u32      format of this file
//! 12  u32      partition
//! 16  u32      number of this file
//! 20  u32      length of the file before it; 0 for the first
//! 24  u32      zero
//! 28  u32      crc of the above
//! ```
//!
//! The header goes through the commit log in front of the file's first record, so that it needs no sync of its own.

use bytes::{BufMut, BytesMut};
use ombak_base::Partition;

/// Where the first record begins.
pub(crate) const HEADER_BYTES: usize = 32;

const MAGIC: &[u8; 8] = b"ombak-vn";
const VERSION: u32 = 1;

/// What a file says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) partition: Partition,
    pub(crate) file: u32,
    pub(crate) previous_len: u32,
}

impl Header {
    /// Appends [`HEADER_BYTES`].
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_slice(MAGIC);
        out.put_u32_le(VERSION);
        out.put_u32_le(self.partition.0);
        out.put_u32_le(self.file);
        out.put_u32_le(self.previous_len);
        out.put_u32_le(0);
        let crc = crc32fast::hash(&out[start..]);
        out.put_u32_le(crc);
    }

    /// `None`: this is not the beginning of a vnode's file that this version can read.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let sound = word(28)? == crc32fast::hash(&bytes[..28]);
        if !sound || &bytes[..8] != MAGIC || word(8)? != VERSION {
            return None;
        }
        Some(Header { partition: Partition(word(12)?), file: word(16)?, previous_len: word(20)? })
    }
}

#[cfg(test)]
mod tests;

//! The one way in which Ombak's own formats are written and read.
//!
//! Integers are little-endian or LEB128 varints; byte strings carry their length in front. A [`Reader`] never
//! panics, never allocates more than is there, and shares the buffer that it reads from.

use std::fmt;

use bytes::{Buf, Bytes};

/// Why bytes are not what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DecodeError {
    /// The end came too early.
    Truncated,
    /// Bytes are left over.
    Trailing,
    /// A number, tag or length is outside what the format allows: the text says which.
    Invalid(&'static str),
    /// Written by a version that this one does not know.
    Version(u64),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => write!(f, "the data ends too early"),
            DecodeError::Trailing => write!(f, "there is data after the end"),
            DecodeError::Invalid(what) => write!(f, "invalid {what}"),
            DecodeError::Version(version) => {
                write!(f, "format version {version} is not known here")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Something that travels between nodes.
pub trait Wire: Sized {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads what `encode` wrote. All of `bytes` must be used.
    fn decode(bytes: Bytes) -> Result<Self, DecodeError>;
}

/// Appends `value` as a LEB128 varint: 1 to 10 bytes.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes values from the front of a shared buffer.
#[derive(Clone, Debug)]
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    /// Reads `bytes` from the start.
    pub fn new(bytes: Bytes) -> Reader {
        Reader { rest: bytes }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.rest.try_get_u8().map_err(|_| DecodeError::Truncated)
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.rest.try_get_u32_le().map_err(|_| DecodeError::Truncated)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.rest.try_get_u64_le().map_err(|_| DecodeError::Truncated)
    }

    /// Sixteen bytes, little-endian.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        self.rest.try_get_u128_le().map_err(|_| DecodeError::Truncated)
    }

    /// A varint. One that is longer than it need be is invalid, so that equal values have equal bytes.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Invalid("varint"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                return if overlong { Err(DecodeError::Invalid("varint")) } else { Ok(value) };
            }
        }
        Err(DecodeError::Invalid("varint"))
    }

    /// Exactly `len` bytes, shared with the buffer.
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if len > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        Ok(self.rest.split_to(len))
    }

    /// A varint length and so many bytes, at most `len_max`.
    pub fn bytes(&mut self, len_max: usize) -> Result<Bytes, DecodeError> {
        let len = self.varint()?;
        if len > len_max as u64 {
            return Err(DecodeError::Invalid("length"));
        }
        self.take(len as usize)
    }

    /// A varint count of things that take at least `least_bytes` each; more than can be there is invalid.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, DecodeError> {
        let count = self.varint()?;
        if count > (self.rest.len() / least_bytes.max(1)) as u64 {
            return Err(DecodeError::Invalid("count"));
        }
        Ok(count as usize)
    }

    /// All that is left.
    pub fn rest(self) -> Bytes {
        self.rest
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

#[cfg(test)]
mod tests;

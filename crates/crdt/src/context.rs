//! The context as clients see it: opaque bytes that they hand back.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader};

use crate::VersionVector;

/// The longest context that is taken from a client. Ours have one entry per actor that ever wrote the key.
pub const CONTEXT_BYTES_MAX: usize = 64 * 1024;

const VERSION: u8 = 1;

/// The opaque form: a version byte and the vector. Stable: equal contexts have equal bytes.
pub fn encode_context(context: &VersionVector) -> Bytes {
    let mut out = Vec::with_capacity(2 + context.len() * 12);
    out.push(VERSION);
    context.encode(&mut out);
    Bytes::from(out)
}

/// Reads a client's context. Empty bytes are "nothing seen", as Riak has it.
pub fn decode_context(bytes: &Bytes) -> Result<VersionVector, DecodeError> {
    if bytes.is_empty() {
        return Ok(VersionVector::new());
    }
    if bytes.len() > CONTEXT_BYTES_MAX {
        return Err(DecodeError::Invalid("context length"));
    }
    let mut reader = Reader::new(bytes.clone());
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(u64::from(version)));
    }
    let context = VersionVector::decode(&mut reader)?;
    reader.finish()?;
    Ok(context)
}

#[cfg(test)]
mod tests;

//! The context as clients see it: opaque bytes that they hand back.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, RequestId, put_varint};
use serde::{Deserialize, Serialize};

use crate::VersionVector;

/// The longest context that is taken from a client. Ours have one entry per actor that ever wrote the key.
pub const CONTEXT_BYTES_MAX: usize = 64 * 1024;

/// At most so many retried requests are named in one context.
pub const RETRIES_MAX: usize = 32;

const VERSION: u8 = 1;

/// What a client had seen when it wrote.
///
/// A write that was tried at a second coordinator may live on under a second dot that nobody has seen yet, on a node
/// that is down. Whoever replaces one of the two replaces the *request*, so the context names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Context {
    /// The writes seen.
    pub seen: VersionVector,
    /// The requests among them that were tried more than once, ascending.
    pub retried: Vec<RequestId>,
}

impl Context {
    /// Adds what `other` had seen.
    pub fn join(&mut self, other: &Context) {
        self.seen.join(&other.seen);
        self.add_retried(other.retried.iter().copied());
    }

    /// Adds retried requests.
    pub fn add_retried(&mut self, requests: impl IntoIterator<Item = RequestId>) {
        self.retried.extend(requests);
        self.retried.sort_unstable();
        self.retried.dedup();
        self.retried.truncate(RETRIES_MAX);
    }

    /// The opaque form: a version byte, the vector, the retried requests. Equal contexts have equal bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(3 + self.seen.len() * 12 + self.retried.len() * 16);
        out.push(VERSION);
        self.seen.encode(&mut out);
        encode_requests(&self.retried, &mut out);
        Bytes::from(out)
    }

    /// Reads a client's context. Empty bytes are "nothing seen", as Riak has it.
    pub fn decode(bytes: &Bytes) -> Result<Context, DecodeError> {
        if bytes.is_empty() {
            return Ok(Context::default());
        }
        if bytes.len() > CONTEXT_BYTES_MAX {
            return Err(DecodeError::Invalid("context length"));
        }
        let mut reader = Reader::new(bytes.clone());
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(u64::from(version)));
        }
        let seen = VersionVector::decode(&mut reader)?;
        let retried = decode_requests(&mut reader)?;
        reader.finish()?;
        Ok(Context { seen, retried })
    }
}

/// Appends requests: varint count, 16 bytes each.
pub fn encode_requests(requests: &[RequestId], out: &mut Vec<u8>) {
    put_varint(out, requests.len() as u64);
    requests.iter().for_each(|request| out.extend_from_slice(&request.0.to_le_bytes()));
}

/// Reads what `encode_requests` wrote; they must ascend.
pub fn decode_requests(reader: &mut Reader) -> Result<Vec<RequestId>, DecodeError> {
    let count = reader.count(16)?;
    let mut requests: Vec<RequestId> = Vec::with_capacity(count);
    for _ in 0..count {
        let request = RequestId(reader.u128()?);
        if count > RETRIES_MAX || requests.last().is_some_and(|last| *last >= request) {
            return Err(DecodeError::Invalid("retried requests"));
        }
        requests.push(request);
    }
    Ok(requests)
}

#[cfg(test)]
mod tests;

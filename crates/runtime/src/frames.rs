//! Frames between nodes: `u32` length of what follows, `u16` sending shard, `u16` receiving shard, the message's own
//! encoding. All little-endian.

use std::fmt;

use bytes::Bytes;
use ombak_base::limits::PEER_FRAME_BYTES_MAX;
use ombak_base::{ShardId, Wire};

const LEN_BYTES: usize = 4;
const SHARDS_BYTES: usize = 4;
/// A hint for the first allocation of a frame whose sender has yet to prove that it sends so much.
const TRUST_BYTES: usize = 1024 * 1024;

/// Bytes on a peer connection that are not frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadLength(pub u32);

impl fmt::Display for BadLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of {} bytes (allowed: {SHARDS_BYTES} to {PEER_FRAME_BYTES_MAX})", self.0)
    }
}

/// One frame's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub from: ShardId,
    pub to: ShardId,
    pub message: Bytes,
}

/// Appends a frame, straight from the message. `false`: it would be too long, and nothing was appended.
pub(crate) fn put<M: Wire>(out: &mut Vec<u8>, from: ShardId, to: ShardId, message: &M) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; LEN_BYTES]);
    out.extend_from_slice(&from.0.to_le_bytes());
    out.extend_from_slice(&to.0.to_le_bytes());
    message.encode(out);
    let len = out.len() - start - LEN_BYTES;
    if len > PEER_FRAME_BYTES_MAX {
        out.truncate(start);
        return false;
    }
    out[start..start + LEN_BYTES].copy_from_slice(&(len as u32).to_le_bytes());
    true
}

/// Cuts frames out of what arrives.
///
/// Each frame becomes an allocation of its own, of its own size: a small message kept for long must not pin the
/// large buffer that it happened to arrive in. A frame that arrives in pieces is assembled in that allocation.
#[derive(Default)]
pub(crate) struct Assembler {
    /// The start of a frame, its length field included while that is incomplete, then without it.
    partial: Vec<u8>,
    /// Length of the frame that `partial` begins; `None` while the length field is incomplete.
    len: Option<usize>,
}

impl Assembler {
    /// Takes the next frame from the front of `data`; `None` when all of `data` is used up.
    pub fn next(&mut self, data: &mut &[u8]) -> Result<Option<Frame>, BadLength> {
        if self.len.is_none()
            && self.partial.is_empty()
            && let Some((len, rest)) = split_len(data)?
            && rest.len() >= len
        {
            let (frame, rest) = rest.split_at(len);
            *data = rest;
            return Ok(Some(parse(Bytes::copy_from_slice(frame))));
        }
        self.gather(data)
    }

    fn gather(&mut self, data: &mut &[u8]) -> Result<Option<Frame>, BadLength> {
        if self.len.is_none() {
            let missing = LEN_BYTES - self.partial.len();
            self.take(data, missing);
            let Some((len, _)) = split_len(&self.partial)? else { return Ok(None) };
            self.partial = Vec::with_capacity(len.min(TRUST_BYTES.max(data.len())));
            self.len = Some(len);
        }
        let Some(len) = self.len else { return Ok(None) };
        self.take(data, len - self.partial.len());
        if self.partial.len() < len {
            return Ok(None);
        }
        self.len = None;
        Ok(Some(parse(Bytes::from(std::mem::take(&mut self.partial)))))
    }

    fn take(&mut self, data: &mut &[u8], at_most: usize) {
        let (taken, rest) = data.split_at(at_most.min(data.len()));
        self.partial.extend_from_slice(taken);
        *data = rest;
    }
}

/// The checked length and what follows it; `None` when there is not even a length.
fn split_len(data: &[u8]) -> Result<Option<(usize, &[u8])>, BadLength> {
    let Some((len, rest)) = data.split_first_chunk::<LEN_BYTES>() else { return Ok(None) };
    let len = u32::from_le_bytes(*len);
    if (len as usize) < SHARDS_BYTES || len as usize > PEER_FRAME_BYTES_MAX {
        return Err(BadLength(len));
    }
    Ok(Some((len as usize, rest)))
}

/// `frame` holds at least `SHARDS_BYTES`, as `split_len` has checked.
fn parse(mut frame: Bytes) -> Frame {
    let from = ShardId(u16::from_le_bytes([frame[0], frame[1]]));
    let to = ShardId(u16::from_le_bytes([frame[2], frame[3]]));
    Frame { from, to, message: frame.split_off(SHARDS_BYTES) }
}

#[cfg(test)]
mod tests;

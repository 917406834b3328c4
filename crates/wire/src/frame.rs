//! Frames in a stream of bytes.

use bytes::{Buf, Bytes, BytesMut};
use ombak_base::limits::{FRAME_BYTES_MAX, PEER_FRAME_BYTES_MAX};

use crate::FrameError;

/// What stands before the body: the length and the code.
pub const FRAME_HEADER_BYTES: usize = 5;

const LENGTH_BYTES: usize = 4;

/// An answer may hold what several clients wrote concurrently, so it may be longer than what one may send.
const ANSWER_BYTES_MAX: usize = PEER_FRAME_BYTES_MAX;

/// Takes one frame with a request, code and body, from the front of `buffer`, or `None` until all of it is there.
///
/// The body shares the buffer's memory. After an error the buffer is unchanged and holds no further frame.
pub fn split_frame(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, FrameError> {
    split(buffer, FRAME_BYTES_MAX)
}

/// As [`split_frame`], for a client: with the bound of answers.
pub fn split_answer(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, FrameError> {
    split(buffer, ANSWER_BYTES_MAX)
}

fn split(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<(u8, Bytes)>, FrameError> {
    let Some(length) = frame_length(buffer, bytes_max)? else {
        return Ok(None);
    };
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    let mut body = buffer.split_to(length).freeze();
    Ok(Some((body.get_u8(), body)))
}

/// How many bytes must at least be read until [`split_answer`] finds a frame; 0 if one is there.
///
/// A reader that reserves so much reads a large frame without growing its buffer step by step. The answer is bounded by
/// that of answers plus four, but it is the sender's word: reserve a moderate part of it at a time.
pub fn answer_missing(buffer: &[u8]) -> Result<usize, FrameError> {
    let whole = match frame_length(buffer, ANSWER_BYTES_MAX)? {
        Some(length) => LENGTH_BYTES + length,
        None => FRAME_HEADER_BYTES,
    };
    Ok(whole.saturating_sub(buffer.len()))
}

/// The length that stands at the front, once it is there.
fn frame_length(buffer: &[u8], bytes_max: usize) -> Result<Option<usize>, FrameError> {
    let Some(bytes) = buffer.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    match u32::from_be_bytes(*bytes) {
        0 => Err(FrameError::Empty),
        length if length as usize > bytes_max => Err(FrameError::TooLong(length, bytes_max)),
        length => Ok(Some(length as usize)),
    }
}

/// Appends a frame whose body `write_body` appends.
pub(crate) fn put_frame(out: &mut Vec<u8>, code: u8, write_body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.push(code);
    write_body(out);
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests;

//! Frames in a stream of bytes.

use bytes::{Buf, Bytes, BytesMut};
use ombak_base::limits::FRAME_BYTES_MAX;

use crate::FrameError;

/// What stands before the body: the length and the code.
pub const FRAME_HEADER_BYTES: usize = 5;

const LENGTH_BYTES: usize = 4;

/// Takes one frame, code and body, from the front of `buffer`, or `None` until all of it is there.
///
/// The body shares the buffer's memory. After an error the buffer is unchanged and holds no further frame.
pub fn split_frame(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, FrameError> {
    let Some(length) = frame_length(buffer)? else {
        return Ok(None);
    };
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    let mut body = buffer.split_to(length).freeze();
    Ok(Some((body.get_u8(), body)))
}

/// How many bytes must at least be read until [`split_frame`] finds a frame; 0 if one is there.
///
/// A reader that reserves so much reads a large frame without growing its buffer step by step. The answer is bounded by
/// [`FRAME_BYTES_MAX`] plus four, but it is the sender's word: reserve a moderate part of it at a time.
pub fn frame_missing(buffer: &[u8]) -> Result<usize, FrameError> {
    let whole = match frame_length(buffer)? {
        Some(length) => LENGTH_BYTES + length,
        None => FRAME_HEADER_BYTES,
    };
    Ok(whole.saturating_sub(buffer.len()))
}

/// The length that stands at the front, once it is there.
fn frame_length(buffer: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(bytes) = buffer.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    match u32::from_be_bytes(*bytes) {
        0 => Err(FrameError::Empty),
        length if length as usize > FRAME_BYTES_MAX => Err(FrameError::TooLong(length)),
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

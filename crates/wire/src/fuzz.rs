//! What any bytes at all must satisfy.
//!
//! The fuzz targets in `fuzz/` and this crate's property tests call the same functions. They panic where a promise is
//! broken.

use bytes::{Bytes, BytesMut};

use crate::{FrameError, Request, Response, answer_missing, split_answer, split_frame};

/// The first byte is a message code, the rest a body: decoding may fail, but what it yields survives a round trip.
pub fn message(input: &[u8]) {
    let Some((&code, body)) = input.split_first() else { return };
    let body = Bytes::copy_from_slice(body);
    if let Ok(request) = Request::decode(code, body.clone()) {
        assert_eq!(request.code(), code);
        let (code, body) = reframe(|out| request.encode_frame(out));
        assert_eq!(Request::decode(code, body), Ok(request));
    }
    if let Ok(response) = Response::decode(code, body) {
        assert_eq!(response.code(), code);
        let (code, body) = reframe(|out| response.encode_frame(out));
        assert_eq!(Response::decode(code, body), Ok(response));
    }
}

/// The first byte says in what pieces the rest arrives, which must not matter to the frames found in it.
pub fn frames(input: &[u8]) {
    let Some((&piece, stream)) = input.split_first() else { return };
    let whole = frames_of(stream.chunks(stream.len().max(1)));
    let pieces = frames_of(stream.chunks(usize::from(piece).max(1)));
    assert_eq!(whole, pieces);
    assert!(whole.0.iter().map(|(_, body)| body.len() + 5).sum::<usize>() <= stream.len());
}

fn reframe(encode: impl FnOnce(&mut Vec<u8>)) -> (u8, Bytes) {
    let mut out = Vec::new();
    encode(&mut out);
    let mut buffer = BytesMut::from(&out[..]);
    let frame = split_frame(&mut buffer).expect("an encoded frame is valid");
    assert!(buffer.is_empty());
    frame.expect("an encoded frame is whole")
}

type Found = (Vec<(u8, Bytes)>, Option<FrameError>);

fn frames_of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Found {
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if let Err(error) = take_frames(&mut buffer, &mut found) {
            return (found, Some(error));
        }
    }
    (found, None)
}

fn take_frames(buffer: &mut BytesMut, found: &mut Vec<(u8, Bytes)>) -> Result<(), FrameError> {
    loop {
        let missing = answer_missing(buffer)?;
        let frame = split_answer(buffer)?;
        assert_eq!(missing == 0, frame.is_some());
        match frame {
            Some(frame) => found.push(frame),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

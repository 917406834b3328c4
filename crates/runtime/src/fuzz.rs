//! What any bytes at all from a peer's connection must satisfy.
//!
//! The fuzz targets in `fuzz/` and this crate's property tests call the same functions. They panic where a promise is
//! broken.

use bytes::Bytes;
use ombak_base::{DecodeError, Wire};

use crate::frames::{Assembler, BadLength, Frame, put};
use crate::greeting::{
    Garbage, Verdict, parse_hello, parse_verdict, put_accepted, put_hello, put_rejected,
};

/// The first byte says in what pieces the rest arrives, which must not matter to the frames found in it.
pub fn frames(input: &[u8]) {
    let Some((&piece, stream)) = input.split_first() else { return };
    let (whole, error) = frames_of(stream.chunks(stream.len().max(1)));
    let pieces = frames_of(stream.chunks(usize::from(piece).max(1)));
    assert_eq!((&whole, error), (&pieces.0, pieces.1));
    let mut again = Vec::new();
    for Frame { from, to, message } in whole {
        assert!(put(&mut again, from, to, &Raw(message)));
    }
    assert!(stream.starts_with(&again));
}

type Found = (Vec<Frame>, Option<BadLength>);

fn frames_of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Found {
    let mut assembler = Assembler::default();
    let mut found = Vec::new();
    for mut piece in pieces {
        loop {
            match assembler.next(&mut piece) {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (found, None)
}

struct Raw(Bytes);

impl Wire for Raw {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: Bytes) -> Result<Raw, DecodeError> {
        Ok(Raw(bytes))
    }
}

/// Two bytes say how much of the rest has come so far: the first words of either side.
pub fn greeting(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first_chunk::<2>() else { return };
    let some = &bytes[..usize::from(u16::from_le_bytes(*cut)).min(bytes.len())];
    let hello = parse_hello(bytes);
    check_prefix(&parse_hello(some), &hello, some.len() == bytes.len());
    if let Ok(Some(hello)) = hello {
        assert_eq!(written(|out| put_hello(out, &hello)), bytes);
    }
    let verdict = parse_verdict(bytes);
    check_prefix(&parse_verdict(some), &verdict, some.len() == bytes.len());
    match verdict {
        Ok(Some(Verdict::Accepted(hello))) => {
            assert_eq!(written(|out| put_accepted(out, &hello)), bytes);
        }
        // What was no text has been replaced.
        Ok(Some(Verdict::Rejected(reason))) if !reason.contains(char::REPLACEMENT_CHARACTER) => {
            assert_eq!(written(|out| put_rejected(out, &reason)), bytes);
        }
        _ => {}
    }
}

/// What is garbage stays so, and what is complete may not go on.
fn check_prefix<T>(
    some: &Result<Option<T>, Garbage>,
    all: &Result<Option<T>, Garbage>,
    is_all: bool,
) {
    if !is_all && !matches!(some, Ok(None)) {
        assert!(all.is_err());
    }
}

fn written(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn any_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![3 => Just(0u8), 2 => 0u8..9, 1 => any::<u8>()], 0..len)
    }

    /// Frames with lengths that are nearly right.
    fn likely_frames() -> impl Strategy<Value = Vec<u8>> {
        let frame = (0u32..12, vec(any::<u8>(), 12), 0..9usize);
        vec(frame, 0..8).prop_map(|frames| {
            let mut out = Vec::new();
            for (len, body, wrong) in frames {
                let body_len = if wrong == 8 { 12 } else { len as usize };
                out.extend((if wrong == 0 { len } else { len.max(4) }).to_le_bytes());
                out.extend(&body[..body_len.clamp(if wrong == 0 { 0 } else { 4 }, 12)]);
            }
            out
        })
    }

    fn likely_greeting() -> impl Strategy<Value = Vec<u8>> {
        let text = vec(prop_oneof![Just(b'a'), any::<u8>()], 0..20);
        (0..4u8, text, 0..6u8, any::<prop::sample::Index>()).prop_map(|(kind, text, change, at)| {
            let reason = String::from_utf8_lossy(&text).into_owned();
            let mut out = written(|out| match kind {
                0 => put_accepted(out, &text),
                1 => put_rejected(out, &reason),
                _ => put_hello(out, &text),
            });
            match change {
                0 => out.push(7),
                1 => out.truncate(at.index(out.len())),
                2 => {
                    let at = at.index(out.len());
                    out[at] ^= 1;
                }
                _ => {}
            }
            out
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_as_frames(piece in 0u8..30, stream in prop_oneof![likely_frames(), any_bytes(300)]) {
            frames(&[&[piece], &stream[..]].concat());
        }

        #[test]
        fn any_bytes_as_a_greeting(cut in 0u16..40, bytes in prop_oneof![likely_greeting(), any_bytes(60)]) {
            greeting(&[&cut.to_le_bytes(), &bytes[..]].concat());
        }
    }
}

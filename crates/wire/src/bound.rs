//! A bound on what a request can make its decoder build.
//!
//! A repeated message costs two bytes on the wire and up to a hundred in memory, so a frame of 51 MiB of empty links
//! would take gigabytes. Counting fields first costs little: nothing for a short request, and one step a field, whatever
//! its length, for a long one.

use bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::WireError;

/// Fields of one request, those of the messages inside it included.
pub const FIELDS_MAX: usize = 1 << 16;

/// Refuses a body with more than [`FIELDS_MAX`] fields. `inside` are the tags, at the top, of messages that may hold
/// repeated fields. Bytes that are no message pass: decoding says better what is wrong with them.
pub(crate) fn check_fields(body: &[u8], inside: &[u32]) -> Result<(), WireError> {
    // A field takes two bytes at least, one if it is the mark of a group.
    if body.len() <= FIELDS_MAX {
        return Ok(());
    }
    let mut left = FIELDS_MAX;
    walk(body, inside, &mut left)
}

fn walk(mut rest: &[u8], inside: &[u32], left: &mut usize) -> Result<(), WireError> {
    while let Some((tag, payload)) = next_field(&mut rest) {
        *left = left.checked_sub(1).ok_or(WireError::TooManyFields)?;
        if inside.contains(&tag) {
            walk(payload, &[], left)?;
        }
    }
    Ok(())
}

/// Takes one field from the front: its tag, and its bytes if it has a length. `None` at the end and at what is no field.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    if rest.is_empty() {
        return None;
    }
    let (tag, kind) = decode_key(rest).ok()?;
    let len = match kind {
        WireType::Varint => {
            decode_varint(rest).ok()?;
            0
        }
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::LengthDelimited => usize::try_from(decode_varint(rest).ok()?).ok()?,
        WireType::StartGroup | WireType::EndGroup => 0,
    };
    let payload = rest.get(..len)?;
    rest.advance(len);
    Some((tag, payload))
}

#[cfg(test)]
mod tests;

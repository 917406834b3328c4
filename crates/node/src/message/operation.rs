//! Client operations and their answers, as they travel to the shard that coordinates them.

use bytes::Bytes;
use ombak_base::limits::PEER_FRAME_BYTES_MAX;
use ombak_base::{DecodeError, Reader, put_bytes, put_varint};
use ombak_kv::{
    Answer, BucketId, DeleteOp, GetOp, ObjectAnswer, Operation, PutOp, Quorum, Quorums,
    RequestError, Return, decode_content, encode_content,
};

use super::{flag, list, option, put_option};

/// Added to the tag of an operation behind which its node_confirms stand; without them the bytes are those of before.
const CONFIRMED: u8 = 3;

pub(super) fn encode_operation(operation: &Operation, out: &mut Vec<u8>) {
    let tag = match operation {
        Operation::Get(_) => 1,
        Operation::Put(_) => 2,
        Operation::Delete(_) => 3,
    };
    let confirms = operation.quorums().node_confirms;
    out.push(if confirms.is_some() { tag + CONFIRMED } else { tag });
    put_bytes(out, &operation.bucket().bucket_type);
    put_bytes(out, &operation.bucket().name);
    put_bytes(out, operation.key());
    put_small(out, operation.timeout_ms());
    encode_quorums(operation.quorums(), out);
    match operation {
        Operation::Get(op) => {
            out.extend_from_slice(&[choice(op.basic_quorum), choice(op.notfound_ok)])
        }
        Operation::Put(op) => {
            put_bytes(out, &op.context);
            out.push(match op.returns {
                Return::Nothing => 0,
                Return::Head => 1,
                Return::Body => 2,
            });
            out.extend_from_slice(&[u8::from(op.if_none_match), u8::from(op.if_not_modified)]);
            encode_content(&op.content, out);
        }
        Operation::Delete(op) => put_option(out, &op.context),
    }
    if let Some(confirms) = confirms {
        put_varint(out, confirms.into());
    }
}

pub(super) fn decode_operation(reader: &mut Reader) -> Result<Operation, DecodeError> {
    let tag = reader.u8()?;
    let is_confirmed = (1 + CONFIRMED..=3 + CONFIRMED).contains(&tag);
    let mut operation = decode_plain(if is_confirmed { tag - CONFIRMED } else { tag }, reader)?;
    if is_confirmed {
        let confirms = u32::try_from(reader.varint()?);
        let confirms = confirms.map_err(|_| DecodeError::Invalid("node_confirms"))?;
        operation.quorums_mut().node_confirms = Some(confirms);
    }
    Ok(operation)
}

fn decode_plain(tag: u8, reader: &mut Reader) -> Result<Operation, DecodeError> {
    let bucket = BucketId { bucket_type: bytes(reader)?, name: bytes(reader)? };
    let key = bytes(reader)?;
    let timeout_ms = small(reader)?;
    let quorums = decode_quorums(reader)?;
    Ok(match tag {
        1 => {
            let (basic_quorum, notfound_ok) = (chosen(reader)?, chosen(reader)?);
            Operation::Get(GetOp { bucket, key, quorums, basic_quorum, notfound_ok, timeout_ms })
        }
        2 => Operation::Put(PutOp {
            bucket,
            key: Some(key),
            context: bytes(reader)?,
            returns: match reader.u8()? {
                0 => Return::Nothing,
                1 => Return::Head,
                2 => Return::Body,
                _ => return Err(DecodeError::Invalid("return")),
            },
            if_none_match: flag(reader)?,
            if_not_modified: flag(reader)?,
            content: decode_content(reader)?,
            quorums,
            timeout_ms,
        }),
        3 => Operation::Delete(DeleteOp {
            bucket,
            key,
            context: option(reader)?,
            quorums,
            timeout_ms,
        }),
        _ => return Err(DecodeError::Invalid("operation")),
    })
}

fn encode_quorums(quorums: &Quorums, out: &mut Vec<u8>) {
    for quorum in [quorums.r, quorums.pr, quorums.w, quorums.dw, quorums.pw, quorums.rw] {
        put_varint(
            out,
            match quorum {
                Quorum::Default => 0,
                Quorum::One => 1,
                Quorum::Quorum => 2,
                Quorum::All => 3,
                Quorum::Count(count) => u64::from(count) + 4,
            },
        );
    }
    put_small(out, quorums.n_val);
}

fn decode_quorums(reader: &mut Reader) -> Result<Quorums, DecodeError> {
    let mut quorum = || {
        Ok(match reader.varint()? {
            0 => Quorum::Default,
            1 => Quorum::One,
            2 => Quorum::Quorum,
            3 => Quorum::All,
            count => {
                Quorum::Count(u32::try_from(count - 4).map_err(|_| DecodeError::Invalid("quorum"))?)
            }
        })
    };
    let (r, pr, w, dw, pw, rw) = (quorum()?, quorum()?, quorum()?, quorum()?, quorum()?, quorum()?);
    Ok(Quorums { r, pr, w, dw, pw, rw, n_val: small(reader)?, node_confirms: None })
}

pub(super) fn encode_answer(answer: &Answer, out: &mut Vec<u8>) {
    match answer {
        Answer::Object(object) => {
            out.push(1);
            put_bytes(out, &object.context);
            put_option(out, &object.key);
            put_varint(out, object.siblings.len() as u64);
            for (vtag, content) in &object.siblings {
                put_bytes(out, vtag);
                encode_content(content, out);
            }
        }
        Answer::NotFound(context) => {
            out.push(2);
            put_option(out, context);
        }
        Answer::Written(key) => {
            out.push(3);
            put_option(out, key);
        }
        Answer::Failed(error) => {
            out.push(4);
            encode_error(error, out);
        }
        // Listings and properties are answered where they were asked; they are never forwarded.
        Answer::Listed(..) | Answer::Props(_) | Answer::PropsSet => out.push(0),
    }
}

pub(super) fn decode_answer(reader: &mut Reader) -> Result<Answer, DecodeError> {
    Ok(match reader.u8()? {
        1 => {
            let (context, key) = (bytes(reader)?, option(reader)?);
            let sibling = |reader: &mut Reader| Ok((bytes(reader)?, decode_content(reader)?));
            Answer::Object(ObjectAnswer { siblings: list(reader, 7, sibling)?, context, key })
        }
        2 => Answer::NotFound(option(reader)?),
        3 => Answer::Written(option(reader)?),
        4 => Answer::Failed(decode_error(reader)?),
        _ => return Err(DecodeError::Invalid("answer")),
    })
}

/// The number of the one error that has another inside.
const FEWER_FOR_FULL_DISK: u8 = 18;

/// Errors that a coordinator can give. What only the entry can find out never travels.
fn encode_error(error: &RequestError, out: &mut Vec<u8>) {
    use RequestError as E;
    let (tag, a, b) = match error {
        E::NValViolation(n) => (1, u64::from(*n), 0),
        E::RUnsatisfied { need, got } => (2, *need as u64, *got as u64),
        E::PrUnsatisfied { need, got } => (3, *need as u64, *got as u64),
        E::WUnsatisfied { need, got } => (4, *need as u64, *got as u64),
        E::DwUnsatisfied { need, got } => (5, *need as u64, *got as u64),
        E::PwUnsatisfied { need, got } => (6, *need as u64, *got as u64),
        E::Timeout => (7, 0, 0),
        E::Overload => (8, 0, 0),
        E::MatchFound => (9, 0, 0),
        E::Modified => (10, 0, 0),
        E::NotFound => (11, 0, 0),
        E::BadContext => (12, 0, 0),
        E::TooLarge(most) => (13, *most as u64, 0),
        E::TooManySiblings(most) => (14, *most as u64, 0),
        E::NodesUnsatisfied { need, got } => (16, *need as u64, *got as u64),
        E::DiskFull(_) => (17, 0, 0),
        E::FewerForFullDisk(..) => (FEWER_FOR_FULL_DISK, 0, 0),
        _ => (15, 0, 0),
    };
    out.push(tag);
    put_varint(out, a);
    put_varint(out, b);
    match error {
        E::DiskFull(node) => put_bytes(out, node.as_bytes()),
        E::FewerForFullDisk(fewer, node) => {
            put_bytes(out, node.as_bytes());
            encode_error(fewer, out);
        }
        _ if tag == 15 => put_bytes(out, error.to_string().as_bytes()),
        _ => {}
    }
}

fn decode_error(reader: &mut Reader) -> Result<RequestError, DecodeError> {
    let tag = reader.u8()?;
    if tag != FEWER_FOR_FULL_DISK {
        return decode_plain_error(tag, reader);
    }
    reader.varint()?;
    reader.varint()?;
    let node = text(reader)?;
    // One level: what stands inside is a quorum that was not reached.
    match reader.u8()? {
        tag @ 4..=6 => {
            let fewer = Box::new(decode_plain_error(tag, reader)?);
            Ok(RequestError::FewerForFullDisk(fewer, node))
        }
        _ => Err(DecodeError::Invalid("error")),
    }
}

fn decode_plain_error(tag: u8, reader: &mut Reader) -> Result<RequestError, DecodeError> {
    use RequestError as E;
    let (need, got) = (reader.varint()? as usize, reader.varint()? as usize);
    Ok(match tag {
        1 => E::NValViolation(need as u32),
        2 => E::RUnsatisfied { need, got },
        3 => E::PrUnsatisfied { need, got },
        4 => E::WUnsatisfied { need, got },
        5 => E::DwUnsatisfied { need, got },
        6 => E::PwUnsatisfied { need, got },
        7 => E::Timeout,
        8 => E::Overload,
        9 => E::MatchFound,
        10 => E::Modified,
        11 => E::NotFound,
        12 => E::BadContext,
        13 => E::TooLarge(need),
        14 => E::TooManySiblings(need),
        15 => E::Elsewhere(text(reader)?),
        16 => E::NodesUnsatisfied { need, got },
        17 => E::DiskFull(text(reader)?),
        _ => return Err(DecodeError::Invalid("error")),
    })
}

fn text(reader: &mut Reader) -> Result<String, DecodeError> {
    Ok(String::from_utf8_lossy(&reader.bytes(4096)?).into_owned())
}

fn bytes(reader: &mut Reader) -> Result<Bytes, DecodeError> {
    reader.bytes(PEER_FRAME_BYTES_MAX)
}

fn choice(value: Option<bool>) -> u8 {
    match value {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}

fn chosen(reader: &mut Reader) -> Result<Option<bool>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some(false)),
        2 => Ok(Some(true)),
        _ => Err(DecodeError::Invalid("choice")),
    }
}

/// An optional number: 0 for none, else the number plus one.
fn put_small(out: &mut Vec<u8>, value: Option<u32>) {
    put_varint(out, value.map_or(0, |value| u64::from(value) + 1));
}

fn small(reader: &mut Reader) -> Result<Option<u32>, DecodeError> {
    match reader.varint()? {
        0 => Ok(None),
        value => u32::try_from(value - 1).map(Some).map_err(|_| DecodeError::Invalid("number")),
    }
}

//! A content's form between nodes, and in objects that were stored in version 1.

use bytes::Bytes;
use ombak_base::limits::OBJECT_BYTES_MAX;
use ombak_base::{DecodeError, Reader, put_bytes, put_varint};

use super::{Content, Link};

pub(super) const DELETED: u8 = 1;
pub(super) const HAS_TYPE: u8 = 2;
pub(super) const HAS_CHARSET: u8 = 4;
pub(super) const HAS_ENCODING: u8 = 8;

/// Appends a content.
pub fn encode_content(content: &Content, out: &mut Vec<u8>) {
    out.push(flags_of(content));
    put_varint(out, content.last_modified_us);
    for text in
        [&content.content_type, &content.charset, &content.content_encoding].into_iter().flatten()
    {
        put_bytes(out, text);
    }
    encode_lists(content, out);
    put_bytes(out, &content.value);
}

/// Reads a text that is there if the flags say so.
pub(super) fn decode_text(
    reader: &mut Reader,
    flags: u8,
    bit: u8,
) -> Result<Option<Bytes>, DecodeError> {
    if flags & bit == 0 { Ok(None) } else { reader.bytes(OBJECT_BYTES_MAX).map(Some) }
}

/// Which parts there are.
pub(super) fn flags_of(content: &Content) -> u8 {
    let flag = |present: bool, bit: u8| if present { bit } else { 0 };
    flag(content.deleted, DELETED)
        | flag(content.content_type.is_some(), HAS_TYPE)
        | flag(content.charset.is_some(), HAS_CHARSET)
        | flag(content.content_encoding.is_some(), HAS_ENCODING)
}

/// Appends links, user metadata and index entries.
pub(super) fn encode_lists(content: &Content, out: &mut Vec<u8>) {
    put_varint(out, content.links.len() as u64);
    for link in &content.links {
        put_bytes(out, &link.bucket);
        put_bytes(out, &link.key);
        put_bytes(out, &link.tag);
    }
    encode_pairs(&content.user_meta, out);
    encode_pairs(&content.indexes, out);
}

/// Reads what `encode_lists` wrote into `content`.
pub(super) fn decode_lists(reader: &mut Reader, content: &mut Content) -> Result<(), DecodeError> {
    for _ in 0..reader.count(3)? {
        content.links.push(Link {
            bucket: reader.bytes(OBJECT_BYTES_MAX)?,
            key: reader.bytes(OBJECT_BYTES_MAX)?,
            tag: reader.bytes(OBJECT_BYTES_MAX)?,
        });
    }
    content.user_meta = decode_pairs(reader)?;
    content.indexes = decode_pairs(reader)?;
    Ok(())
}

/// Reads what `encode_content` wrote.
pub fn decode_content(reader: &mut Reader) -> Result<Content, DecodeError> {
    let flags = reader.u8()?;
    if flags > 15 {
        return Err(DecodeError::Invalid("content flags"));
    }
    let mut content = Content {
        deleted: flags & DELETED != 0,
        last_modified_us: reader.varint()?,
        ..Content::default()
    };
    content.content_type = decode_text(reader, flags, HAS_TYPE)?;
    content.charset = decode_text(reader, flags, HAS_CHARSET)?;
    content.content_encoding = decode_text(reader, flags, HAS_ENCODING)?;
    decode_lists(reader, &mut content)?;
    content.value = reader.bytes(OBJECT_BYTES_MAX)?;
    Ok(content)
}

fn encode_pairs(pairs: &[(Bytes, Option<Bytes>)], out: &mut Vec<u8>) {
    put_varint(out, pairs.len() as u64);
    for (name, value) in pairs {
        put_bytes(out, name);
        out.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put_bytes(out, value);
        }
    }
}

fn decode_pairs(reader: &mut Reader) -> Result<Vec<(Bytes, Option<Bytes>)>, DecodeError> {
    let mut pairs = Vec::new();
    for _ in 0..reader.count(2)? {
        let name = reader.bytes(OBJECT_BYTES_MAX)?;
        let value = match reader.u8()? {
            0 => None,
            1 => Some(reader.bytes(OBJECT_BYTES_MAX)?),
            _ => return Err(DecodeError::Invalid("pair")),
        };
        pairs.push((name, value));
    }
    Ok(pairs)
}

//! The stored form of an object. Decoding shares the buffer; nothing is copied.
//!
//! Nearly every object is one write of one content that replaced all before it, and has a short form, because a small
//! value's overhead is paid in memory bandwidth and disk at every replica:
//!
//! ```text
//! short    u8 128 | flags   u64 actor   varint n   u128 request   7 bytes last modified   parts   value up to the end
//! general  u8 2   version vector   replaced requests   varint siblings, and for each:
//!          u8 flags   varint place of its actor in the vector   varint n   u128 request   varint last modified   parts
//!          varint length   value
//! parts    content type (one byte for a usual one, else length and text), charset, encoding, lists, as the flags say
//! ```
//!
//! Version 1 had every field of every object, and is still read.

use bytes::Bytes;
use ombak_base::limits::OBJECT_BYTES_MAX;
use ombak_base::{ActorId, DecodeError, Reader, RequestId, put_bytes, put_varint};
use ombak_crdt::{Dot, VersionVector, Versioned, decode_requests, encode_requests};

use super::content::{self, DELETED, HAS_CHARSET, HAS_ENCODING, HAS_TYPE};
use super::{Content, Object, Version, decode_content};

const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
/// The bit of the first byte that says that this is the short form, and that the rest of the byte are flags.
const SHORT: u8 = 128;

/// The content type is one of [`USUAL_TYPES`].
const USUAL_TYPE: u8 = 16;
const HAS_LISTS: u8 = 32;
const RETRIED: u8 = 64;

const LAST_MODIFIED_BYTES: usize = 7;

/// Content types that take one byte. Only ever longer: their places are on disks.
const USUAL_TYPES: [&[u8]; 16] = [
    b"application/octet-stream",
    b"application/json",
    b"text/plain",
    b"text/html",
    b"application/xml",
    b"text/xml",
    b"text/css",
    b"application/javascript",
    b"application/x-www-form-urlencoded",
    b"application/x-erlang-binary",
    b"application/x-erlang-term",
    b"application/x-ruby-marshal",
    b"image/png",
    b"image/jpeg",
    b"image/gif",
    b"binary/octet-stream",
];

impl Object {
    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let values: usize =
            self.siblings().iter().map(|(_, version)| version.content.value.len() + 96).sum();
        let mut out = Vec::with_capacity(values + 16 + 12 * self.seen().len());
        match self.only() {
            Some((dot, version)) => encode_short(dot, version, &mut out),
            None => self.encode_general(&mut out),
        }
        Bytes::from(out)
    }

    /// The only write that this object has seen, if the short form can say it.
    fn only(&self) -> Option<(Dot, &Version)> {
        let [(dot, version)] = self.siblings() else { return None };
        let alone = self.seen().len() == 1 && self.seen().dots().next() == Some(*dot);
        let fits = version.content.last_modified_us >> (8 * LAST_MODIFIED_BYTES) == 0;
        (alone && fits && self.replaced.is_empty()).then_some((*dot, version))
    }

    fn encode_general(&self, out: &mut Vec<u8>) {
        out.push(VERSION_2);
        self.seen().encode(out);
        encode_requests(&self.replaced, out);
        put_varint(out, self.siblings().len() as u64);
        for (dot, version) in self.siblings() {
            let place = self.seen().dots().position(|seen| seen.actor == dot.actor);
            out.push(flags_of(version));
            put_varint(out, place.unwrap_or_default() as u64);
            put_varint(out, dot.n);
            out.extend_from_slice(&version.request.0.to_le_bytes());
            put_varint(out, version.content.last_modified_us);
            encode_parts(&version.content, out);
            put_bytes(out, &version.content.value);
        }
    }

    /// Reads what `encode` wrote, in this version or before.
    pub fn decode(bytes: &Bytes) -> Result<Object, DecodeError> {
        let mut reader = Reader::new(bytes.clone());
        match reader.u8()? {
            VERSION_1 => decode_general(reader, |reader, _| sibling_of_version_1(reader)),
            VERSION_2 => decode_general(reader, sibling),
            flags if flags & SHORT != 0 => decode_short(flags & !SHORT, reader),
            version => Err(DecodeError::Version(u64::from(version))),
        }
    }
}

fn encode_short(dot: Dot, version: &Version, out: &mut Vec<u8>) {
    out.push(SHORT | flags_of(version));
    out.extend_from_slice(&dot.actor.0.to_le_bytes());
    put_varint(out, dot.n);
    out.extend_from_slice(&version.request.0.to_le_bytes());
    let last_modified = version.content.last_modified_us.to_le_bytes();
    out.extend_from_slice(&last_modified[..LAST_MODIFIED_BYTES]);
    encode_parts(&version.content, out);
    out.extend_from_slice(&version.content.value);
}

fn decode_short(flags: u8, mut reader: Reader) -> Result<Object, DecodeError> {
    let dot = Dot { actor: ActorId(reader.u64()?), n: reader.varint()? };
    let request = RequestId(reader.u128()?);
    let mut last_modified = [0; 8];
    last_modified[..LAST_MODIFIED_BYTES].copy_from_slice(&reader.take(LAST_MODIFIED_BYTES)?);
    let mut content = decode_parts(flags, &mut reader)?;
    content.last_modified_us = u64::from_le_bytes(last_modified);
    content.value = reader.rest();
    let version = Version { request, retried: flags & RETRIED != 0, content };
    object(VersionVector::from_iter([dot]), Vec::new(), vec![(dot, version)])
}

type Sibling = (Dot, Version);

fn decode_general(
    mut reader: Reader,
    mut sibling: impl FnMut(&mut Reader, &VersionVector) -> Result<Sibling, DecodeError>,
) -> Result<Object, DecodeError> {
    let seen = VersionVector::decode(&mut reader)?;
    let replaced = decode_requests(&mut reader)?;
    let count = reader.count(20)?;
    let mut siblings = Vec::with_capacity(count);
    for _ in 0..count {
        siblings.push(sibling(&mut reader, &seen)?);
    }
    reader.finish()?;
    object(seen, replaced, siblings)
}

fn object(
    seen: VersionVector,
    replaced: Vec<RequestId>,
    siblings: Vec<Sibling>,
) -> Result<Object, DecodeError> {
    let versions = Versioned::from_parts(seen, siblings).ok_or(DecodeError::Invalid("object"))?;
    Ok(Object { versions, replaced })
}

fn sibling(reader: &mut Reader, seen: &VersionVector) -> Result<Sibling, DecodeError> {
    let flags = reader.u8()?;
    let place = usize::try_from(reader.varint()?).ok();
    let actor = place.and_then(|place| seen.dots().nth(place)).map(|seen| seen.actor);
    let dot = Dot { actor: actor.ok_or(DecodeError::Invalid("actor"))?, n: reader.varint()? };
    let request = RequestId(reader.u128()?);
    let last_modified_us = reader.varint()?;
    let mut content = decode_parts(flags, reader)?;
    content.last_modified_us = last_modified_us;
    content.value = reader.bytes(OBJECT_BYTES_MAX)?;
    Ok((dot, Version { request, retried: flags & RETRIED != 0, content }))
}

fn sibling_of_version_1(reader: &mut Reader) -> Result<Sibling, DecodeError> {
    let dot = Dot { actor: ActorId(reader.u64()?), n: reader.varint()? };
    let request = RequestId(reader.u128()?);
    let retried = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::Invalid("retry")),
    };
    Ok((dot, Version { request, retried, content: decode_content(reader)? }))
}

fn flags_of(version: &Version) -> u8 {
    let content = &version.content;
    let mut flags = content::flags_of(content);
    if content.content_type.as_ref().and_then(usual_type).is_some() {
        flags ^= HAS_TYPE | USUAL_TYPE;
    }
    if has_lists(content) {
        flags |= HAS_LISTS;
    }
    if version.retried { flags | RETRIED } else { flags }
}

fn has_lists(content: &Content) -> bool {
    !(content.links.is_empty() && content.user_meta.is_empty() && content.indexes.is_empty())
}

fn usual_type(content_type: &Bytes) -> Option<u8> {
    USUAL_TYPES.iter().position(|usual| *usual == &content_type[..]).map(|place| place as u8)
}

fn encode_parts(content: &Content, out: &mut Vec<u8>) {
    match (&content.content_type, content.content_type.as_ref().and_then(usual_type)) {
        (_, Some(place)) => out.push(place),
        (Some(text), None) => put_bytes(out, text),
        (None, None) => {}
    }
    for text in [&content.charset, &content.content_encoding].into_iter().flatten() {
        put_bytes(out, text);
    }
    if has_lists(content) {
        content::encode_lists(content, out);
    }
}

/// A content without its value and its time.
fn decode_parts(flags: u8, reader: &mut Reader) -> Result<Content, DecodeError> {
    if flags & SHORT != 0 || flags & HAS_TYPE != 0 && flags & USUAL_TYPE != 0 {
        return Err(DecodeError::Invalid("content flags"));
    }
    let content_type = if flags & USUAL_TYPE == 0 {
        content::decode_text(reader, flags, HAS_TYPE)?
    } else {
        let usual = USUAL_TYPES.get(usize::from(reader.u8()?));
        Some(Bytes::from_static(usual.ok_or(DecodeError::Invalid("content type"))?))
    };
    let mut content = Content {
        content_type,
        charset: content::decode_text(reader, flags, HAS_CHARSET)?,
        content_encoding: content::decode_text(reader, flags, HAS_ENCODING)?,
        deleted: flags & DELETED != 0,
        ..Content::default()
    };
    if flags & HAS_LISTS != 0 {
        content::decode_lists(reader, &mut content)?;
    }
    Ok(content)
}

#[cfg(test)]
mod tests;

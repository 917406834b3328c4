//! Objects: the siblings of a key with their metadata, and their stored form.
//!
//! The stored form begins with its version, then the context, then each sibling: dot, request, metadata, value.
//! Decoding shares the buffer; nothing is copied.

use bytes::Bytes;
use ombak_base::limits::OBJECT_BYTES_MAX;
use ombak_base::{ActorId, DecodeError, Entry, Reader, RequestId, planted, put_bytes, put_varint};
use ombak_crdt::{Dot, VersionVector, Versioned};

/// An entry's tag when the object has a value to show.
pub const TAG_LIVE: u8 = 0;
/// An entry's tag when all siblings are deletions.
pub const TAG_TOMBSTONE: u8 = 1;

const VERSION: u8 = 1;

/// A one-way link to another object.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    /// Bucket of the other object.
    pub bucket: Bytes,
    /// Its key.
    pub key: Bytes,
    /// The link's tag.
    pub tag: Bytes,
}

/// A value with its metadata: what one client wrote.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Content {
    /// The value.
    pub value: Bytes,
    /// MIME type.
    pub content_type: Option<Bytes>,
    /// Character set.
    pub charset: Option<Bytes>,
    /// Content encoding.
    pub content_encoding: Option<Bytes>,
    /// Microseconds since 1970 when it was written, by the coordinator's wall clock.
    pub last_modified_us: u64,
    /// Links.
    pub links: Vec<Link>,
    /// User metadata; a name may come without a value.
    pub user_meta: Vec<(Bytes, Option<Bytes>)>,
    /// Secondary index entries: field and value, carried as they came.
    pub indexes: Vec<(Bytes, Option<Bytes>)>,
    /// Whether this is a deletion.
    pub deleted: bool,
}

/// One write: what was written, under which request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Version {
    /// The client operation, the same through its retries.
    pub request: RequestId,
    /// What was written.
    pub content: Content,
}

/// All that one replica knows of a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Object {
    versions: Versioned<Version>,
}

impl Object {
    /// Everything that this copy has seen.
    pub fn context(&self) -> &VersionVector {
        self.versions.context()
    }

    /// All siblings, deletions included.
    pub fn siblings(&self) -> &[(Dot, Version)] {
        self.versions.values()
    }

    /// The siblings that are no deletions.
    pub fn live(&self) -> impl Iterator<Item = &(Dot, Version)> {
        self.siblings().iter().filter(|(_, version)| !version.content.deleted)
    }

    /// Whether there is nothing to show: only deletions.
    pub fn is_tombstone(&self) -> bool {
        self.live().next().is_none()
    }

    /// The sibling written last by the wall clock; dots break ties, so that all replicas choose the same.
    pub fn latest(&self) -> Option<&(Dot, Version)> {
        self.live().max_by_key(|(dot, version)| (version.content.last_modified_us, *dot))
    }

    /// Takes a write by someone who had seen `seen`.
    pub fn write(&mut self, seen: &VersionVector, dot: Dot, version: Version) {
        self.versions.write(seen, dot, version);
        self.collapse_retries();
    }

    /// Takes over what `other` knows.
    pub fn merge(&mut self, other: &Object) {
        self.versions.merge(&other.versions);
        self.collapse_retries();
    }

    /// Drops what `context` has seen replaced.
    pub fn drop_seen(&mut self, context: &VersionVector) {
        self.versions.retain(|dot, _| !context.covers(dot));
    }

    /// Whether merging `other` in would change nothing.
    pub fn includes(&self, other: &Object) -> bool {
        self.versions.includes(&other.versions)
    }

    /// A retry at another coordinator writes the same thing under another dot. One of the two is enough; the larger
    /// dot stays, on every replica.
    fn collapse_retries(&mut self) {
        if self.siblings().len() < 2 || planted!("retry without the request id") {
            return;
        }
        let all = self.siblings().to_vec();
        self.versions.retain(|dot, version| {
            !all.iter().any(|(other, theirs)| theirs.request == version.request && *other > dot)
        });
    }

    /// As a store entry, tagged.
    pub fn to_entry(&self) -> Entry {
        let tag = if self.is_tombstone() { TAG_TOMBSTONE } else { TAG_LIVE };
        Entry { tag, bytes: self.encode() }
    }

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let values: usize = self.siblings().iter().map(|(_, version)| version.content.value.len() + 128).sum();
        let mut out = Vec::with_capacity(values + 16 + 12 * self.context().len());
        out.push(VERSION);
        self.context().encode(&mut out);
        put_varint(&mut out, self.siblings().len() as u64);
        for (dot, version) in self.siblings() {
            out.extend_from_slice(&dot.actor.0.to_le_bytes());
            put_varint(&mut out, dot.n);
            out.extend_from_slice(&version.request.0.to_le_bytes());
            encode_content(&version.content, &mut out);
        }
        Bytes::from(out)
    }

    /// Reads what `encode` wrote.
    pub fn decode(bytes: &Bytes) -> Result<Object, DecodeError> {
        let mut reader = Reader::new(bytes.clone());
        match reader.u8()? {
            VERSION => {}
            version => return Err(DecodeError::Version(u64::from(version))),
        }
        let context = VersionVector::decode(&mut reader)?;
        let count = reader.count(27)?;
        let mut siblings = Vec::with_capacity(count);
        for _ in 0..count {
            let dot = Dot { actor: ActorId(reader.u64()?), n: reader.varint()? };
            let request = RequestId(reader.u128()?);
            siblings.push((dot, Version { request, content: decode_content(&mut reader)? }));
        }
        reader.finish()?;
        let versions = Versioned::from_parts(context, siblings).ok_or(DecodeError::Invalid("object"))?;
        Ok(Object { versions })
    }
}

/// Names the causal state of an object: equal digests, equal context and siblings (to 64 bits of chance).
pub fn digest(object: &Object) -> u64 {
    let mut state = Vec::with_capacity(64);
    object.context().encode(&mut state);
    for (dot, _) in object.siblings() {
        state.extend_from_slice(&dot.actor.0.to_le_bytes());
        state.extend_from_slice(&dot.n.to_le_bytes());
    }
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    state.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

const DELETED: u8 = 1;
const HAS_TYPE: u8 = 2;
const HAS_CHARSET: u8 = 4;
const HAS_ENCODING: u8 = 8;

/// Appends a content's stored form, which is also its form between nodes.
pub fn encode_content(content: &Content, out: &mut Vec<u8>) {
    let flag = |present: bool, bit: u8| if present { bit } else { 0 };
    out.push(
        flag(content.deleted, DELETED)
            | flag(content.content_type.is_some(), HAS_TYPE)
            | flag(content.charset.is_some(), HAS_CHARSET)
            | flag(content.content_encoding.is_some(), HAS_ENCODING),
    );
    put_varint(out, content.last_modified_us);
    for text in [&content.content_type, &content.charset, &content.content_encoding].into_iter().flatten() {
        put_bytes(out, text);
    }
    put_varint(out, content.links.len() as u64);
    for link in &content.links {
        put_bytes(out, &link.bucket);
        put_bytes(out, &link.key);
        put_bytes(out, &link.tag);
    }
    encode_pairs(&content.user_meta, out);
    encode_pairs(&content.indexes, out);
    put_bytes(out, &content.value);
}

/// Reads what `encode_content` wrote.
pub fn decode_content(reader: &mut Reader) -> Result<Content, DecodeError> {
    let flags = reader.u8()?;
    if flags > 15 {
        return Err(DecodeError::Invalid("content flags"));
    }
    let last_modified_us = reader.varint()?;
    let mut text = |bit: u8| if flags & bit == 0 { Ok(None) } else { reader.bytes(OBJECT_BYTES_MAX).map(Some) };
    let (content_type, charset, content_encoding) = (text(HAS_TYPE)?, text(HAS_CHARSET)?, text(HAS_ENCODING)?);
    let mut links = Vec::new();
    for _ in 0..reader.count(3)? {
        links.push(Link {
            bucket: reader.bytes(OBJECT_BYTES_MAX)?,
            key: reader.bytes(OBJECT_BYTES_MAX)?,
            tag: reader.bytes(OBJECT_BYTES_MAX)?,
        });
    }
    let user_meta = decode_pairs(reader)?;
    let indexes = decode_pairs(reader)?;
    let value = reader.bytes(OBJECT_BYTES_MAX)?;
    let deleted = flags & DELETED != 0;
    Ok(Content {
        value,
        content_type,
        charset,
        content_encoding,
        last_modified_us,
        links,
        user_meta,
        indexes,
        deleted,
    })
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

#[cfg(test)]
mod tests;

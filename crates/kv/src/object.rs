//! Objects: the siblings of a key with their metadata. Their stored form is in `object/stored.rs`.
//!
//! # Retries
//!
//! A write whose coordinator was lost is tried at another one and may then exist under two dots. Merging collapses the
//! two by their request id. But one of the two can lie on a node that is down while the other is read, replaced and
//! gone: when the node returns, its copy is covered by nobody's dots. Hence a version remembers that it was a retry,
//! contexts name the retried requests that their reader had seen, and an object remembers which retried requests were
//! replaced: no dot of them counts any more.

mod content;
mod stored;

use bytes::Bytes;
use ombak_base::{Entry, RequestId, planted};
use ombak_crdt::{Context, Dot, RETRIES_MAX, VersionVector, Versioned};
use serde::{Deserialize, Serialize};

pub use content::{decode_content, encode_content};

/// The bit of an entry's tag that says that all siblings are deletions. See [`Object::tag`].
pub const TAG_TOMBSTONE: u64 = 1;

/// A one-way link to another object.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Bucket of the other object.
    pub bucket: Bytes,
    /// Its key.
    pub key: Bytes,
    /// The link's tag.
    pub tag: Bytes,
}

/// A value with its metadata: what one client wrote.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Version {
    /// The client operation, the same through its retries.
    pub request: RequestId,
    /// Whether an earlier attempt may have written it under another dot.
    pub retried: bool,
    /// What was written.
    pub content: Content,
}

/// All that one replica knows of a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Object {
    versions: Versioned<Version>,
    /// Retried requests that were replaced, ascending.
    replaced: Vec<RequestId>,
}

impl Object {
    /// Every write that this copy has seen.
    pub fn seen(&self) -> &VersionVector {
        self.versions.context()
    }

    /// What a reader of this object has seen.
    pub fn context(&self) -> Context {
        let mut context = Context { seen: self.seen().clone(), retried: self.replaced.clone() };
        let retried = self.siblings().iter().filter(|(_, version)| version.retried);
        context.add_retried(retried.map(|(_, version)| version.request));
        context
    }

    /// What stands for a key that was reaped, having seen `context`: nothing is left, and whoever holds something of it
    /// learns so. It is answered, not stored.
    pub fn grave(context: &Context) -> Object {
        let versions = Versioned::from_parts(context.seen.clone(), Vec::new()).unwrap_or_default();
        Object { versions, replaced: context.retried.clone() }
    }

    /// Whether it stands for a reaped key.
    pub fn is_grave(&self) -> bool {
        self.siblings().is_empty()
    }

    /// All siblings, deletions included.
    pub fn siblings(&self) -> &[(Dot, Version)] {
        self.versions.values()
    }

    /// Whether this copy has seen a write of that request, and it is still there or known to be replaced.
    pub fn knows_request(&self, request: RequestId) -> bool {
        self.siblings().iter().any(|(_, version)| version.request == request)
            || self.replaced.binary_search(&request).is_ok()
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

    /// Takes a write by someone who had seen `context`.
    pub fn write(&mut self, context: &Context, dot: Dot, version: Version) {
        self.versions.write(&context.seen, dot, version);
        self.replace_requests(&context.retried);
        self.collapse_retries();
    }

    /// Takes over what `other` knows.
    pub fn merge(&mut self, other: &Object) {
        self.versions.merge(&other.versions);
        self.replace_requests(&other.replaced);
        self.collapse_retries();
    }

    /// Drops what was seen replaced.
    pub fn drop_seen(&mut self, context: &Context) {
        self.versions.retain(|dot, version| {
            !context.seen.covers(dot) && context.retried.binary_search(&version.request).is_err()
        });
    }

    /// Whether merging `other` in would change nothing.
    pub fn includes(&self, other: &Object) -> bool {
        self.versions.includes(&other.versions)
            && other.replaced.iter().all(|request| self.replaced.binary_search(request).is_ok())
    }

    /// Whether the two disagree on what a dot names, which must never be.
    pub fn contradicts(&self, other: &Object) -> bool {
        self.siblings().iter().any(|(dot, version)| {
            other
                .siblings()
                .iter()
                .any(|(theirs, their)| dot == theirs && version.request != their.request)
        })
    }

    /// Requests whose every dot is replaced, seen or not.
    fn replace_requests(&mut self, requests: &[RequestId]) {
        if !requests.is_empty() {
            self.replaced.extend_from_slice(requests);
            self.replaced.sort_unstable();
            self.replaced.dedup();
            self.replaced.truncate(RETRIES_MAX);
        }
        if !self.replaced.is_empty() {
            let replaced = &self.replaced;
            self.versions.retain(|_, version| replaced.binary_search(&version.request).is_err());
        }
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
        Entry { tag: self.tag(), bytes: self.encode() }
    }

    /// Names the causal state: 63 bits of digest, and [`TAG_TOMBSTONE`].
    ///
    /// A dot names one write, so equal causal states are equal objects, and equal tags are equal objects to 63 bits of
    /// chance. It is compared only between copies of one key, and two of them differ in a few numbers at a time: a
    /// step that is a bijection in the state and in the word, and spreads both over all bits, is hash enough.
    pub fn tag(&self) -> u64 {
        let words = |request: &RequestId| [request.0 as u64, (request.0 >> 64) as u64];
        let seen = self.seen().dots().flat_map(|dot| [dot.actor.0, dot.n]);
        let siblings = self.siblings().iter().flat_map(|(dot, _)| [dot.actor.0, dot.n]);
        let lengths = (self.seen().len() as u64) << 32 | self.replaced.len() as u64;
        let digest = seen
            .chain(self.replaced.iter().flat_map(words))
            .chain(siblings)
            .fold(step(0, lengths), step);
        digest & !TAG_TOMBSTONE | if self.is_tombstone() { TAG_TOMBSTONE } else { 0 }
    }
}

/// One word of a tag (the mixing steps of SplitMix64, Steele, Lea and Flood 2014).
fn step(state: u64, word: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests;

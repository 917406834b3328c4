//! Listings, compared as sets: servers divide them differently, in any order, and the recorded ones have names that no
//! replayed exchange wrote.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::world::Answer;

/// What the replay has ever written to our node, by our names.
#[derive(Default, Debug)]
pub struct Written(BTreeMap<String, BTreeSet<String>>);

impl Written {
    pub fn note(&mut self, bucket: &str, key: &str) {
        self.0.entry(bucket.into()).or_default().insert(key.into());
    }

    /// Notes an HTTP request that was carried out. `location` names the key that a server made.
    pub fn note_path(&mut self, path: &str, location: Option<&str>) {
        let of = |path: &str| {
            let path = path.split('?').next().unwrap_or_default();
            let segments: Vec<String> = path
                .split('/')
                .skip(1)
                .map(|segment| percent_decode_str(segment).decode_utf8().unwrap().into_owned())
                .collect();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            match segments[..] {
                ["buckets", bucket, "keys", key]
                | ["types", _, "buckets", bucket, "keys", key]
                | ["riak", bucket, key] => Some((bucket.to_owned(), key.to_owned())),
                _ => None,
            }
        };
        if let Some((bucket, key)) = of(path).or_else(|| of(location?)) {
            self.note(&bucket, &key);
        }
    }

    pub fn buckets(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    pub fn keys(&self, bucket: &str) -> BTreeSet<String> {
        self.0.get(bucket).cloned().unwrap_or_default()
    }
}

/// What Riak listed, as far as it was written here, is what we list: deleted names on neither side, and no others.
pub fn compare(
    name: &str,
    riaks: &BTreeSet<String>,
    ours: &BTreeSet<String>,
    written: &BTreeSet<String>,
) {
    let wanted: BTreeSet<_> = riaks & written;
    assert!(!wanted.is_empty(), "{name} compares nothing");
    assert_eq!(*ours, wanted, "{name}");
}

/// The names of all parts of a listing over HTTP. Each part is an object with nothing else in it but properties.
pub fn names(answer: &Answer, field: &str) -> BTreeSet<String> {
    let whole = std::slice::from_ref(&answer.body);
    let mut names = Vec::new();
    for part in if answer.chunks.is_empty() { whole } else { &answer.chunks } {
        let mut part: BTreeMap<String, Value> = serde_json::from_slice(part).unwrap();
        part.remove("props");
        let of_part = part.remove(field).unwrap();
        assert!(part.is_empty(), "{part:?}");
        names.extend(serde_json::from_value::<Vec<String>>(of_part).unwrap());
    }
    let set: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(set.len(), names.len(), "something is listed twice");
    set
}

/// The chunks of a body as it was on the wire.
pub fn chunks(mut raw: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let end = raw.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap(), 16).unwrap();
        let (chunk, rest) = raw[end + 2..].split_at(length);
        if length == 0 {
            return chunks;
        }
        chunks.push(chunk.to_vec());
        raw = &rest[2..];
    }
}

//! The buckets and keys that simulated clients work on.

use bytes::Bytes;
use ombak_base::Partition;
use ombak_cluster::hash;
use ombak_kv::props::{PropChange, PropValue};
use ombak_kv::{BucketId, storage_key};

/// What becomes of concurrent writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeps {
    /// They are siblings, from the start.
    Siblings,
    /// The later one is shown.
    Latest,
    /// The later one, until the bucket is turned into one that keeps siblings in the middle of the run.
    Turned,
}

/// A bucket.
pub(crate) struct Bucket {
    pub(crate) name: &'static str,
    pub(crate) keeps: Keeps,
}

/// All of them.
pub(crate) const BUCKETS: [Bucket; 5] = [
    Bucket { name: "siblings", keeps: Keeps::Siblings },
    Bucket { name: "latest", keeps: Keeps::Latest },
    Bucket { name: "turned-0", keeps: Keeps::Turned },
    Bucket { name: "turned-1", keeps: Keeps::Turned },
    Bucket { name: "turned-2", keeps: Keeps::Turned },
];

/// A key. Its name is its place among [`KEYS`].
struct Key {
    bucket: usize,
    /// Keys that are never deleted make sharp rules.
    is_deleted: bool,
}

const fn key(bucket: usize, is_deleted: bool) -> Key {
    Key { bucket, is_deleted }
}

/// Those that clients meet at, then those of the turned buckets, then those that are asked for now and then, so that
/// listings see them come and go.
const KEYS: [Key; 15] = [
    key(0, true),
    key(0, true),
    key(0, false),
    key(1, true),
    key(1, true),
    key(1, false),
    key(2, false),
    key(3, true),
    key(4, false),
    key(0, true),
    key(0, false),
    key(1, true),
    key(1, true),
    key(1, true),
    key(1, false),
];

/// How many keys of each kind.
pub(crate) const BUSY: usize = 6;
pub(crate) const TURNED: usize = 3;
pub(crate) const RARE: usize = KEYS.len() - BUSY - TURNED;

/// All keys.
pub(crate) fn keys() -> impl Iterator<Item = usize> + Clone {
    0..KEYS.len()
}

/// The keys of a bucket.
pub(crate) fn keys_of(bucket: usize) -> impl Iterator<Item = usize> + Clone {
    keys().filter(move |key| bucket_of(*key) == bucket)
}

/// The bucket of a key.
pub(crate) fn bucket_of(key: usize) -> usize {
    KEYS[key].bucket
}

/// Whether clients ever delete it.
pub(crate) fn is_deleted(key: usize) -> bool {
    KEYS[key].is_deleted
}

/// What the database calls a bucket.
pub(crate) fn bucket_id(bucket: usize) -> BucketId {
    BucketId::default_type(BUCKETS[bucket].name)
}

/// What the database calls a key.
pub(crate) fn name(key: usize) -> Bytes {
    Bytes::from(format!("k{key}"))
}

/// The key of that name.
pub(crate) fn by_name(name: &[u8]) -> Option<usize> {
    let number = std::str::from_utf8(name).ok()?.strip_prefix('k')?.parse().ok()?;
    keys().find(|key| *key == number)
}

/// Where a key lies, and under which name it is stored there.
pub(crate) fn place(key: usize, ring_size: u32) -> (Partition, Bytes) {
    place_of(&bucket_id(bucket_of(key)), &name(key), ring_size)
}

/// The same for any key.
pub(crate) fn place_of(bucket: &BucketId, key: &[u8], ring_size: u32) -> (Partition, Bytes) {
    let point = hash::key_point(&bucket.bucket_type, &bucket.name, key);
    (hash::partition_of(&point, ring_size), storage_key(bucket, key))
}

/// The change that makes a bucket keep siblings.
pub(crate) fn keep_siblings() -> Vec<PropChange> {
    vec![PropChange { name: "allow_mult".into(), value: Some(PropValue::Bool(true)) }]
}

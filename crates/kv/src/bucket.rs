//! Buckets, and how their keys lie in a partition.
//!
//! ```text
//!   01 | type length u8 | type | bucket length u16be | bucket | key
//! ```
//!
//! The leading 1 keeps the service's keys apart from the vnode's own, which begin with 0. All keys of a bucket lie
//! together, in key order, so that a listing is one range.

use bytes::Bytes;
use ombak_base::limits::{BUCKET_BYTES_MAX, KEY_BYTES_MAX, TYPE_BYTES_MAX};
use serde::{Deserialize, Serialize};

use crate::{Named, RequestError};

const SERVICE: u8 = 1;

/// A bucket: its type (empty for the default type) and its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BucketId {
    /// Empty for the default type.
    pub bucket_type: Bytes,
    /// The name within the type.
    pub name: Bytes,
}

impl BucketId {
    /// A bucket of the default type.
    pub fn default_type(name: impl Into<Bytes>) -> BucketId {
        BucketId { bucket_type: Bytes::new(), name: name.into() }
    }

    /// Whether the names can be stored.
    pub fn validate(&self) -> Result<(), RequestError> {
        if self.name.is_empty() {
            return Err(RequestError::EmptyBucket);
        }
        if self.name.len() > BUCKET_BYTES_MAX {
            return Err(RequestError::TooLong(Named::Bucket, BUCKET_BYTES_MAX));
        }
        if self.bucket_type.len() > TYPE_BYTES_MAX {
            return Err(RequestError::TooLong(Named::Type, TYPE_BYTES_MAX));
        }
        Ok(())
    }
}

/// Whether a key can be stored.
pub fn validate_key(key: &[u8]) -> Result<(), RequestError> {
    if key.is_empty() {
        return Err(RequestError::EmptyKey);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(RequestError::TooLong(Named::Key, KEY_BYTES_MAX));
    }
    Ok(())
}

/// Where a key lies in its partition.
pub fn storage_key(bucket: &BucketId, key: &[u8]) -> Bytes {
    let mut out = bucket_prefix(bucket, key.len());
    out.extend_from_slice(key);
    Bytes::from(out)
}

/// The range of all keys of a bucket: from, inclusive, and to, exclusive.
pub fn bucket_range(bucket: &BucketId) -> (Bytes, Bytes) {
    range(bucket_prefix(bucket, 0))
}

/// The range of all keys of all buckets of a type.
pub fn type_range(bucket_type: &[u8]) -> (Bytes, Bytes) {
    range(type_prefix(bucket_type, 0))
}

/// The bucket and key that a storage key stands for; `None` for the vnode's own keys.
pub fn key_of(storage_key: &Bytes) -> Option<(BucketId, Bytes)> {
    let type_at = 2;
    let type_len = usize::from(*storage_key.get(1)?);
    let bucket_at = type_at + type_len + 2;
    let bucket_len = storage_key.get(bucket_at - 2..bucket_at)?;
    let key_at = bucket_at + usize::from(u16::from_be_bytes([bucket_len[0], bucket_len[1]]));
    if storage_key[0] != SERVICE || key_at > storage_key.len() {
        return None;
    }
    let bucket = BucketId {
        bucket_type: storage_key.slice(type_at..type_at + type_len),
        name: storage_key.slice(bucket_at..key_at),
    };
    Some((bucket, storage_key.slice(key_at..)))
}

fn type_prefix(bucket_type: &[u8], more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + bucket_type.len() + more);
    out.extend_from_slice(&[SERVICE, bucket_type.len() as u8]);
    out.extend_from_slice(bucket_type);
    out
}

fn bucket_prefix(bucket: &BucketId, key_bytes: usize) -> Vec<u8> {
    let mut out = type_prefix(&bucket.bucket_type, 2 + bucket.name.len() + key_bytes);
    out.extend_from_slice(&(bucket.name.len() as u16).to_be_bytes());
    out.extend_from_slice(&bucket.name);
    out
}

/// All keys that begin with `prefix`.
fn range(prefix: Vec<u8>) -> (Bytes, Bytes) {
    let mut end = prefix.clone();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (Bytes::from(prefix), Bytes::from(end))
}

#[cfg(test)]
mod tests;

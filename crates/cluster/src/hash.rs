//! Riak's key function: SHA-1 over the Erlang external term format of `{Bucket, Key}`, read as a 160-bit number.
//!
//! A typed bucket is `{Type, Bucket}`. Using the same function keeps partition numbers equal to Riak's, which clients
//! can see.

use ombak_base::Partition;
use sha1::{Digest, Sha1};

/// A point of the ring, big-endian.
pub type Point = [u8; 20];

/// Where `key` of `bucket` lies. `bucket_type` is empty for the default type.
pub fn key_point(bucket_type: &[u8], bucket: &[u8], key: &[u8]) -> Point {
    let mut hash = Sha1::new();
    hash.update([VERSION, SMALL_TUPLE, 2]);
    if !bucket_type.is_empty() {
        hash.update([SMALL_TUPLE, 2]);
        put_binary(&mut hash, bucket_type);
    }
    put_binary(&mut hash, bucket);
    put_binary(&mut hash, key);
    hash.finalize().into()
}

/// The first partition of a point's preflist on a ring of `size` partitions (a power of two): the one after the
/// partition that the point falls into.
pub fn partition_of(point: &Point, size: u32) -> Partition {
    let top = u32::from_be_bytes([point[0], point[1], point[2], point[3]]);
    let bits = size.trailing_zeros();
    let within = if bits == 0 { 0 } else { top >> (32 - bits) };
    Partition((within + 1) % size)
}

const VERSION: u8 = 131;
const SMALL_TUPLE: u8 = 104;
const BINARY: u8 = 109;

fn put_binary(hash: &mut Sha1, bytes: &[u8]) {
    hash.update([BINARY]);
    hash.update((bytes.len() as u32).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_riaks() {
        assert_eq!(partition_of(&key_point(b"", b"b", b"f"), 64), Partition(52));
    }

    /// The golden exchange `preflist` of a real node: ring 16, type `plain`, bucket `pbg`, key `k`.
    #[test]
    fn a_typed_bucket_hashes_as_riaks() {
        assert_eq!(partition_of(&key_point(b"plain", b"pbg", b"k"), 16), Partition(14));
    }

    #[test]
    fn a_ring_of_one_has_one_partition() {
        assert_eq!(partition_of(&[0xff; 20], 1), Partition(0));
    }
}

//! The one hash by which things are named for comparison: FNV-1a, 64 bits, the same in every version and process.

/// What a hash begins with.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on from `hash` (at first [`FNV_START`]) over `bytes`. Not for data that an adversary chooses.
pub fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the authors' list of test vectors.
    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(fnv1a(FNV_START, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_START, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_START, b"foobar"), 0x8594_4171_f739_67e8);
    }
}

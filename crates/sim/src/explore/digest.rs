//! The fingerprint of a state: 128 bits, fast, and the same in every process.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A hasher of 128 bits. Not for adversaries.
///
/// Two lanes of 64 bits, each a folded multiplication as in wyhash (Wang Yi, 2019). Small numbers share a word: a
/// state is mostly enum tags and counters, and each would otherwise cost a multiplication of its own.
#[derive(Clone, Debug)]
pub struct Digest {
    lanes: [u64; 2],
    /// Bits that are not mixed in yet, from the low end.
    word: u64,
    bits: u32,
    /// How many words are.
    words: u32,
}

/// Odd, with bits all over: the fractional parts of square roots, as in SHA-512.
const KEYS: [u64; 2] = [0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b];
const START: [u64; 2] = [0x6a09_e667_f3bc_c908, 0xa54f_f53a_5f1d_36f1];
/// In place of a number below it stand 8 bits; 255 announces all 64.
const LONG: u64 = 255;

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Digest {
    /// Nothing so far.
    pub fn new() -> Digest {
        Digest { lanes: START, word: 0, bits: 0, words: 0 }
    }

    /// The fingerprint of one value.
    pub fn of<T: Hash + ?Sized>(value: &T) -> u128 {
        let mut digest = Digest::new();
        value.hash(&mut digest);
        digest.value()
    }

    /// Of all that was taken in, in order.
    pub fn value(&self) -> u128 {
        let mut end = self.clone();
        end.mix(self.word);
        end.mix(self.bits.into());
        let [a, b] = end.lanes;
        let high = fold(a ^ b.rotate_left(32), KEYS[1]);
        let low = fold(b ^ a.rotate_left(29), KEYS[0]);
        u128::from(high) << 64 | u128::from(low)
    }

    /// Takes in the fingerprint of a part, in one go: its halves are hashes of their own, so each lane takes one.
    pub(super) fn take(&mut self, print: u128) {
        if self.bits > 0 {
            self.mix(self.word);
            (self.word, self.bits) = (0, 0);
        }
        self.lanes[0] = fold(self.lanes[0] ^ print as u64, KEYS[0]);
        self.lanes[1] = fold(self.lanes[1].rotate_left(23) ^ (print >> 64) as u64, KEYS[1]);
    }

    /// How much was taken in, about.
    pub(super) fn bytes(&self) -> usize {
        (self.words as usize + 1) * size_of::<u64>()
    }

    fn mix(&mut self, word: u64) {
        self.words += 1;
        self.lanes[0] = fold(self.lanes[0] ^ word, KEYS[0]);
        // The second lane takes the word turned, or what is lost in one product would be lost in both.
        self.lanes[1] = fold(self.lanes[1].rotate_left(23) ^ word.rotate_left(32), KEYS[1]);
    }

    /// The low `bits` of `value`, whose others are 0.
    #[inline]
    fn pack(&mut self, value: u64, bits: u32) {
        if self.bits + bits > u64::BITS {
            self.mix(self.word);
            (self.word, self.bits) = (0, 0);
        }
        // A full word is only mixed in by the next number, so a shift by 64 cannot come up.
        self.word |= value << self.bits;
        self.bits += bits;
    }

    /// Lengths and enum tags: 64 bits by their type, small by nature.
    #[inline]
    fn pack_small(&mut self, value: u64) {
        if value < LONG {
            self.pack(value, 8);
        } else {
            self.pack(LONG, 8);
            self.pack(value, 64);
        }
    }
}

impl Default for Digest {
    fn default() -> Digest {
        Digest::new()
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.value() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.pack(u64::from_le_bytes(*word), 64));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.pack(u64::from_le_bytes(word), rest.len() as u32 * 8);
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.pack(value.into(), 8);
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.pack(value.into(), 16);
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.pack(value.into(), 32);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.pack(value, 64);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.pack(value as u64, 64);
        self.pack((value >> 64) as u64, 64);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.pack_small(value as u64);
    }

    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.pack_small(value as u64);
    }
}

/// `format!` straight into the digest, for values that can be shown and not hashed.
impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.hash(self);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_every_process() {
        let value = (7_u8, "text", Some(1_u64), vec![1_u32, 2], 300_usize);
        assert_eq!(Digest::of(&value), PINNED, "{:#034x}", Digest::of(&value));
    }

    const PINNED: u128 = 0x5703_0d8a_c8b6_52ed_6ff6_56ae_429c_a767;

    #[test]
    fn what_differs_has_another_fingerprint() {
        let mut seen = std::collections::BTreeSet::new();
        for a in 0..200_u64 {
            for b in 0..200_u64 {
                assert!(seen.insert(Digest::of(&(a, b))), "{a} {b}");
                assert!(seen.insert(Digest::of(&(a << 32, b << 56))) || (a, b) == (0, 0));
            }
        }
        assert_ne!(Digest::of("ab"), Digest::of("ab\0"));
        assert_ne!(Digest::of(&["a", "bc"]), Digest::of(&["ab", "c"]));
        assert_ne!(Digest::of(&254_usize), Digest::of(&255_usize));
        assert_ne!(Digest::of(&[0_u8; 7][..]), Digest::of(&[0_u8; 8][..]));
    }

    /// Every bit of the input should turn about half of the bits of the output.
    #[test]
    fn one_bit_changes_half_of_the_bits() {
        for bit in 0..64 {
            let turned: u32 = (0..256_u64)
                .map(|value| (Digest::of(&value) ^ Digest::of(&(value ^ 1 << bit))).count_ones())
                .sum();
            let mean = turned / 256;
            assert!((54..=74).contains(&mean), "bit {bit} turns {mean} of 128");
        }
    }

    #[test]
    fn both_halves_are_hashes_of_their_own() {
        let values: Vec<u128> = (0..100_000_u64).map(|value| Digest::of(&value)).collect();
        for half in [|value: &u128| *value as u64, |value: &u128| (*value >> 64) as u64] {
            let distinct: std::collections::BTreeSet<u64> = values.iter().map(half).collect();
            assert_eq!(distinct.len(), values.len());
        }
    }
}

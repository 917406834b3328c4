//! Free choices: fast, seeded by the operating system, not for secrets.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and three mixes a draw.
pub(crate) struct Chance(u64);

impl Chance {
    /// The standard library seeds `RandomState` from the operating system's entropy.
    pub fn from_entropy(salt: u64) -> Chance {
        Chance(RandomState::new().hash_one(salt))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n` by multiplication (Lemire 2019): the bias is below n / 2^64. 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(n)) >> 64) as u64
    }
}

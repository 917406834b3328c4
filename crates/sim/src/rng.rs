//! Randomness that a seed replays: xoshiro256**, seeded through splitmix64.
//!
//! Integers alone, no dependency whose next version could draw differently: a seed that is pinned in
//! a test means the same run for ever.

/// A deterministic generator.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// Starts from a seed. Neighbouring seeds give unrelated sequences.
    pub fn new(seed: u64) -> Rng {
        let mut seed = seed;
        Rng { state: std::array::from_fn(|_| splitmix(&mut seed)) }
    }

    /// The generator of the `n`-th thing of some kind: it depends on nothing else.
    pub(crate) fn at(seed: u64, kind: u64, n: u64) -> Rng {
        let (mut kind, mut n) = (kind, n);
        Rng::new(seed ^ splitmix(&mut kind) ^ splitmix(&mut n).rotate_left(32))
    }

    /// A generator of its own, so that one consumer's draws do not move another's.
    pub fn fork(&mut self) -> Rng {
        Rng::new(self.next_u64())
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.state;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= shifted;
        *s3 = s3.rotate_left(45);
        result
    }

    /// One of `0..n`; 0 when `n` is 0. The bias of at most n in 2^64 is of no consequence here.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// One of `min..=max`; `min` when `max` is smaller.
    pub fn between(&mut self, min: u64, max: u64) -> u64 {
        min + self.below(max.saturating_sub(min).saturating_add(1))
    }

    /// `true` in `numerator` of `denominator` cases. Draws even when the answer is certain, so that
    /// turning a fault off does not shift every later draw.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator.max(1)) < numerator
    }

    /// One of the items; `None` when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Brings the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;

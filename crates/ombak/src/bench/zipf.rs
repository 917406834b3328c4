//! Keys of which few are popular: the Zipfian distribution, as YCSB draws it.
//!
//! The k-th most popular of n items has a share of k^-0.99 / zeta(n), where zeta(n) is the sum of all k^-0.99 up to n.
//! A draw costs one power and no table: Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD
//! 1994. YCSB then *scrambles*: it draws from ten billion items, whatever the number of keys is, and lets a hash say
//! which key an item is, so popular keys are not neighbours. The most popular key has 3.8 % of the operations, plus
//! its part of the many rare items; with few keys, those make up most of a key's share.

use ombak_base::{FNV_START, fnv1a};

use super::rng::Rng;

/// YCSB's constant: nearer to one is more skewed.
const THETA: f64 = 0.99;
/// YCSB's items before scrambling.
const SCRAMBLED_ITEMS: u64 = 10_000_000_000;
/// So many terms of zeta are added one by one; the rest is an integral.
const TERMS: u64 = 1000;

/// Draws ranks below a number of items; rank 0 is the most popular.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    items: u64,
    zeta: f64,
    /// zeta(2): below it, the draw is one of the first two.
    zeta_two: f64,
    eta: f64,
}

impl Zipf {
    /// At least one item.
    pub(super) fn new(items: u64) -> Zipf {
        let items = items.max(1);
        let (all, two) = (zeta(items), zeta(2));
        Zipf { items, zeta: all, zeta_two: two, eta: eta(items, all) }
    }

    /// One item more, the least popular.
    pub(super) fn grow(&mut self) {
        self.items += 1;
        self.zeta += (self.items as f64).powf(-THETA);
        self.eta = eta(self.items, self.zeta);
    }

    /// The next rank.
    pub(super) fn draw(&self, rng: &mut Rng) -> u64 {
        let unit = rng.unit();
        let place = unit * self.zeta;
        if place < 1.0 {
            return 0;
        }
        if place < self.zeta_two {
            return 1.min(self.items - 1);
        }
        let power = (self.eta * unit - self.eta + 1.0).powf(1.0 / (1.0 - THETA));
        ((self.items as f64 * power) as u64).min(self.items - 1)
    }
}

/// YCSB's scrambled Zipfian over keys from 0 below `keys`.
#[derive(Clone, Debug)]
pub(super) struct Scrambled {
    ranks: Zipf,
    keys: u32,
}

impl Scrambled {
    /// At least one key.
    pub(super) fn new(keys: u32) -> Scrambled {
        Scrambled { ranks: Zipf::new(SCRAMBLED_ITEMS), keys: keys.max(1) }
    }

    /// The next key.
    pub(super) fn draw(&self, rng: &mut Rng) -> u32 {
        key_of(self.ranks.draw(rng), self.keys)
    }
}

/// Which key an item is.
fn key_of(rank: u64, keys: u32) -> u32 {
    (fnv(rank) % u64::from(keys)) as u32
}

/// `Utils.fnvhash64` of YCSB: FNV-1a of the eight bytes, without its sign.
fn fnv(value: u64) -> u64 {
    (fnv1a(FNV_START, &value.to_le_bytes()) as i64).unsigned_abs()
}

/// The sum of k^-0.99 for k from 1 to `items`. Beyond [`TERMS`] by Euler and Maclaurin: the integral, half of the first
/// and last term, and a twelfth of the difference of their slopes. What that leaves out is below 1e-12.
fn zeta(items: u64) -> f64 {
    let term = |k: u64| (k as f64).powf(-THETA);
    let head: f64 = (1..=items.min(TERMS)).map(term).sum();
    if items <= TERMS {
        return head;
    }
    let (from, to) = (TERMS as f64, items as f64);
    let integral = (to.powf(1.0 - THETA) - from.powf(1.0 - THETA)) / (1.0 - THETA);
    let slopes = THETA * (from.powf(-THETA - 1.0) - to.powf(-THETA - 1.0)) / 12.0;
    head + integral + (term(items) - term(TERMS)) / 2.0 + slopes
}

/// Gray's η. For two items it is 0/0, and not used: both ranks are decided before.
fn eta(items: u64, zeta_items: f64) -> f64 {
    (1.0 - (2.0 / items as f64).powf(1.0 - THETA)) / (1.0 - zeta(2) / zeta_items)
}

#[cfg(test)]
mod tests;

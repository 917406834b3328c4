//! How long the tests look that draw from seeds.

use std::ops::Range;

/// So many seeds, or `ARIES_SEEDS` times as many: what comes first is the same.
#[expect(clippy::disallowed_methods, reason = "a test is told from outside how long to look")]
pub fn seeds(count: u64) -> Range<u64> {
    let times = std::env::var("ARIES_SEEDS").ok();
    let times = times.map_or(1, |times| times.parse().expect("ARIES_SEEDS is a number"));
    0..count * times
}

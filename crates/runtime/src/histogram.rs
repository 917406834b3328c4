//! Counting values by size, on the hot path: one thread counts, others read while it does.
//!
//! Values below 16 have a bucket each. Above, each doubling has 16 buckets, so a bucket is at most 1/16 of its values
//! wide, which bounds the error of a quantile. Counting one value is two additions to cells that only this thread
//! writes: relaxed loads and stores, no locked instruction, nothing allocated. Values from 2³¹ on are in the last bucket.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets in each doubling, as a power of two.
const BITS: u32 = 4;
const PER_DOUBLING: usize = 1 << BITS;
/// The highest bit that is told apart: half an hour in microseconds, a gibibyte in bytes.
const HIGHEST_BIT: u32 = 30;
const BUCKETS: usize = PER_DOUBLING * (HIGHEST_BIT - BITS + 2) as usize;

/// A counter of one thread, which others may read.
#[derive(Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    pub fn sub(&self, n: u64) {
        self.0.store(self.get().saturating_sub(n), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one thread counts.
pub(crate) struct HistogramCells {
    buckets: Box<[Cell]>,
    sum: Cell,
}

impl Default for HistogramCells {
    fn default() -> Self {
        HistogramCells {
            buckets: (0..BUCKETS).map(|_| Cell::default()).collect(),
            sum: Cell::default(),
        }
    }
}

impl HistogramCells {
    /// Counts `value` `times` times.
    pub fn record(&self, value: u64, times: u64) {
        self.buckets[bucket_of(value)].add(times);
        self.sum.add(value.wrapping_mul(times));
    }

    pub fn read(&self) -> Histogram {
        let mut buckets: Vec<u64> = self.buckets.iter().map(Cell::get).collect();
        let used = buckets.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        buckets.truncate(used);
        buckets.shrink_to_fit();
        Histogram { buckets, sum: self.sum.get() }
    }
}

/// How many values there were of each size, as of a moment, or between two moments.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Histogram {
    /// By bucket; those above the last one that has anything are left out.
    buckets: Vec<u64>,
    sum: u64,
}

impl Histogram {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Their mean, rounded down; 0 if there were none.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count()).unwrap_or(0)
    }

    /// The largest value that may be in the bucket of the value that `per_mille` of all do not exceed; 0 if there were
    /// none. 1000 asks for the maximum.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let rank = (self.count() * per_mille.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest_of(bucket);
            }
        }
        0
    }

    /// How many values were below `bound`, which is exact where `bound` is a power of two.
    pub fn below(&self, bound: u64) -> u64 {
        let end = bucket_of(bound).min(self.buckets.len());
        self.buckets[..end].iter().sum()
    }

    /// What was counted since `earlier`, a reading of the same histogram.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = earlier.buckets.iter().copied().chain(std::iter::repeat(0));
        let buckets = self.buckets.iter().zip(before).map(|(now, then)| now.saturating_sub(then));
        Histogram { buckets: buckets.collect(), sum: self.sum.wrapping_sub(earlier.sum) }
    }

    /// Both together.
    pub fn add(&mut self, other: &Histogram) {
        let len = self.buckets.len().max(other.buckets.len());
        self.buckets.resize(len, 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, more)| *sum += more);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// The buckets that are not empty, each by its number, and the sum: to be sent, and put together again.
    pub fn parts(&self) -> (Vec<(u32, u64)>, u64) {
        let used = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        (used.map(|(bucket, count)| (bucket as u32, *count)).collect(), self.sum)
    }

    /// What [`parts`](Histogram::parts) took apart. Buckets that there are not are left out.
    pub fn from_parts(parts: &[(u32, u64)], sum: u64) -> Histogram {
        let mut buckets = Vec::new();
        for (bucket, count) in parts.iter().filter(|(bucket, _)| (*bucket as usize) < BUCKETS) {
            let bucket = *bucket as usize;
            buckets.resize(buckets.len().max(bucket + 1), 0);
            buckets[bucket] = *count;
        }
        Histogram { buckets, sum }
    }
}

fn bucket_of(value: u64) -> usize {
    let Some(highest) = value.checked_ilog2().filter(|bit| *bit >= BITS) else {
        return value as usize;
    };
    if highest > HIGHEST_BIT {
        return BUCKETS - 1;
    }
    let within = (value >> (highest - BITS)) as usize & (PER_DOUBLING - 1);
    PER_DOUBLING * (highest - BITS + 1) as usize + within
}

fn highest_of(bucket: usize) -> u64 {
    let (doubling, within) = (bucket / PER_DOUBLING, (bucket % PER_DOUBLING) as u64);
    match doubling.checked_sub(1) {
        None => within,
        Some(shift) => ((PER_DOUBLING as u64 + within + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests;

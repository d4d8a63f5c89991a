//! Histograms with power-of-two bounds, so that finding a bucket is a count of leading zeros.
//!
//! Invariant: `buckets[i]` counts the values `v` with `bounds[i - 1] < v <= bounds[i]`; the last bucket
//! counts those above every bound. Buckets are not cumulative in the segment; the exposition adds them up.

use crate::Cell;
use crate::cell::COUNTING;

/// How many bounds a histogram has at most; the segment's descriptors have room for this many.
pub const MAX_BOUNDS: usize = 16;

/// Retries of one operation: 0, then powers of two to 1024. The storm is in the tail.
pub type RetryHistogram = Histogram<13>;
/// A duration in nanoseconds: powers of four from 64 ns to about 67 ms.
pub type DurationHistogram = Histogram<12>;

/// Upper bounds of [`RetryHistogram`], in retries.
pub const RETRY_BOUNDS: [u64; 12] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// Upper bounds of [`DurationHistogram`], in nanoseconds.
pub const DURATION_BOUNDS: [u64; 11] = {
    let mut bounds = [0; 11];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] = 64 << (2 * i);
        i += 1;
    }
    bounds
};

/// Upper bounds of the time of a scrape, in nanoseconds: 0.5 ms to 1 s. The sidecar counts it, in no slot.
pub const SCRAPE_BOUNDS: [u64; 11] = {
    let mut bounds = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] *= 100_000;
        i += 1;
    }
    bounds
};

/// `BUCKETS` counts (one more than there are bounds) and the sum of all values.
#[repr(C)]
#[derive(Debug)]
pub struct Histogram<const BUCKETS: usize> {
    buckets: [Cell; BUCKETS],
    sum: Cell,
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    /// The counts by bucket, not cumulative.
    pub fn counts(&self) -> [u64; BUCKETS] {
        core::array::from_fn(|bucket| self.buckets[bucket].get())
    }

    fn record_in(&self, bucket: usize, value: u64) {
        if COUNTING {
            self.buckets[bucket].add(1);
            self.sum.add(value);
        }
    }
}

impl RetryHistogram {
    /// Counts one operation that needed `retries` further attempts.
    #[inline]
    pub fn record(&self, retries: u64) {
        self.record_in(retry_bucket(retries), retries);
    }
}

impl DurationHistogram {
    /// Counts one duration, in nanoseconds.
    #[inline]
    pub fn record(&self, nanoseconds: u64) {
        self.record_in(duration_bucket(nanoseconds), nanoseconds);
    }
}

/// The number of bits that `v - 1` takes: the exponent of the smallest power of two that is at least `v`.
fn ceil_log2(v: u64) -> usize {
    (u64::BITS - v.saturating_sub(1).leading_zeros()) as usize
}

fn retry_bucket(retries: u64) -> usize {
    if retries == 0 { 0 } else { (1 + ceil_log2(retries)).min(RETRY_BOUNDS.len()) }
}

fn duration_bucket(nanoseconds: u64) -> usize {
    ceil_log2(nanoseconds).saturating_sub(6).div_ceil(2).min(DURATION_BOUNDS.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The slow and obvious way to find a bucket.
    fn oracle(bounds: &[u64], value: u64) -> usize {
        bounds.iter().position(|&bound| value <= bound).unwrap_or(bounds.len())
    }

    proptest! {
        #[test]
        fn a_value_lands_in_the_bucket_that_its_bounds_say(value in prop_oneof![0_u64..5000, any::<u64>()]) {
            prop_assert_eq!(retry_bucket(value), oracle(&RETRY_BOUNDS, value));
            prop_assert_eq!(duration_bucket(value), oracle(&DURATION_BOUNDS, value));
        }
    }

    #[test]
    fn bounds_themselves_belong_to_their_bucket() {
        for (i, &bound) in RETRY_BOUNDS.iter().enumerate() {
            assert_eq!(retry_bucket(bound), i);
        }
        for (i, &bound) in DURATION_BOUNDS.iter().enumerate() {
            assert_eq!(duration_bucket(bound), i);
            assert_eq!(duration_bucket(bound + 1), i + 1);
        }
    }
}

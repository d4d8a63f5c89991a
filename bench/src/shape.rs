//! How large and how long a workload is.
//!
//! Invariant: a shape that passed [`Shape::check`] can neither overflow a product nor outgrow the pool's region.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use stormglass_allocator::MAX_SIZE;

/// Threads that a workload may have.
pub(crate) const THREADS: RangeInclusive<usize> = 1..=64;
/// Seconds that one run may take.
pub(crate) const SECONDS: RangeInclusive<f64> = 0.01..=3600.0;
/// Blocks that a thread may hold.
pub(crate) const CHUNKS: RangeInclusive<usize> = 1..=1_000_000;
/// The smallest block: two bytes of each are written.
pub(crate) const SMALLEST: usize = 2;
/// Bytes that a workload may hold at once: half of the address space that a pool reserves, as sizes are rounded up.
pub(crate) const HELD_BYTES: usize = 8 << 30;

/// The parameters of a workload. `storm` has blocks of one size and threads that never hand over, so `min`, `max` and
/// `rounds` are larson's alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Threads at once.
    pub threads: usize,
    /// Length of the timed part.
    pub seconds: f64,
    /// Smallest size in bytes.
    pub min: usize,
    /// Upper end of the sizes in bytes: sizes are `min + r % (max - min)`, always `min` where both are equal.
    pub max: usize,
    /// Blocks that each thread holds.
    pub chunks: usize,
    /// A thread hands over to a new one after `rounds * chunks` operations; 0 for never.
    pub rounds: usize,
    /// Seed of all random numbers.
    pub seed: u64,
}

/// What a user asks of a shape, beside threads and seconds; `None` where the workload's own stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeWishes {
    /// Smallest size, bytes.
    pub min: Option<usize>,
    /// Upper end of the sizes, bytes.
    pub max: Option<usize>,
    /// Blocks a thread.
    pub chunks: Option<usize>,
    /// Operations of a larson thread's life, in multiples of its chunks.
    pub life: Option<usize>,
    /// Seed.
    pub seed: Option<u64>,
}

impl SizeWishes {
    /// A workload's own shape, but for what is asked.
    pub(crate) fn applied_to(self, own: Shape) -> Shape {
        Shape {
            min: self.min.unwrap_or(own.min),
            max: self.max.unwrap_or(own.max),
            chunks: self.chunks.unwrap_or(own.chunks),
            rounds: self.life.unwrap_or(own.rounds),
            seed: self.seed.unwrap_or(own.seed),
            ..own
        }
    }
}

impl Shape {
    /// Operations after which a thread hands over.
    pub fn life(&self) -> u64 {
        match self.rounds {
            0 => u64::MAX,
            rounds => (rounds as u64).saturating_mul(self.chunks as u64),
        }
    }

    /// Whether every value is within its limits.
    ///
    /// # Errors
    /// A sentence that names the first value that is not, its limits and its option.
    pub fn check(&self) -> Result<(), String> {
        self.check_limits(MAX_SIZE)?;
        let held = self.threads * self.chunks * self.max;
        if held > HELD_BYTES {
            return Err(format!(
                "{} threads with {} chunks of up to {} bytes may hold {} MiB, and the pool has room for {}: take fewer \
                 threads or chunks, or smaller ones",
                self.threads,
                self.chunks,
                self.max,
                held >> 20,
                HELD_BYTES >> 20
            ));
        }
        Ok(())
    }

    /// Whether every value by itself is within its limits, where blocks may have up to `largest` bytes.
    ///
    /// # Errors
    /// As [`Shape::check`].
    pub(crate) fn check_limits(&self, largest: usize) -> Result<(), String> {
        let outside = |option: &str, value: &dyn std::fmt::Display, low: &str, high: &str| {
            Err(format!("{option} {value} is out of range: it takes {low} to {high}"))
        };
        if !THREADS.contains(&self.threads) {
            return outside("--threads", &self.threads, "1", &THREADS.end().to_string());
        }
        // `contains` is false for NaN.
        if !SECONDS.contains(&self.seconds) {
            return outside("--seconds", &self.seconds, "0.01", &SECONDS.end().to_string());
        }
        if self.min < SMALLEST || self.min > largest {
            return outside("--min", &self.min, &SMALLEST.to_string(), &format!("{largest} bytes"));
        }
        if self.max < self.min || self.max > largest {
            return outside(
                "--max",
                &self.max,
                &format!("--min ({})", self.min),
                &format!("{largest} bytes"),
            );
        }
        if !CHUNKS.contains(&self.chunks) {
            return outside("--chunks", &self.chunks, "1", &CHUNKS.end().to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Shape =
        Shape { threads: 4, seconds: 0.8, min: 2048, max: 32768, chunks: 1000, rounds: 100, seed: 1 };

    #[test]
    fn a_good_shape_passes() {
        assert_eq!(GOOD.check(), Ok(()));
        assert_eq!(Shape { min: 2, max: 2, ..GOOD }.check(), Ok(()));
    }

    #[test]
    fn each_limit_has_its_sentence() {
        let says = |shape: Shape, what: &str| {
            let error = shape.check().expect_err(what);
            assert!(error.contains(what), "{error}");
        };
        says(Shape { threads: 0, ..GOOD }, "--threads 0 is out of range: it takes 1 to 64");
        says(Shape { seconds: 0.0, ..GOOD }, "--seconds 0 is out of range: it takes 0.01 to 3600");
        says(Shape { seconds: f64::NAN, ..GOOD }, "--seconds NaN");
        says(Shape { min: 1, ..GOOD }, "--min 1 is out of range: it takes 2 to 32768 bytes");
        says(Shape { max: 99, ..GOOD }, "--max 99 is out of range: it takes --min (2048) to 32768 bytes");
        says(Shape { max: 32769, ..GOOD }, "--max 32769");
        says(Shape { chunks: 0, ..GOOD }, "--chunks 0");
        says(Shape { chunks: 1_000_000, ..GOOD }, "take fewer threads or chunks");
    }

    #[test]
    fn a_thread_without_rounds_lives_for_ever() {
        assert_eq!(GOOD.life(), 100_000);
        assert_eq!(Shape { rounds: 0, ..GOOD }.life(), u64::MAX);
        assert_eq!(Shape { rounds: usize::MAX, ..GOOD }.life(), u64::MAX);
    }
}

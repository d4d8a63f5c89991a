//! The measures that every view shows, from a [`Delta`] and a [`Select`]: page, exposition, report and check
//! agree because they all call this.
//!
//! Invariant: a ratio without a denominator is `None`, never 0 or NaN; so is one of a metric that the writer does
//! not have, and a rate over a span of unknown length.

use crate::counts::Select;
use crate::schema::{Metric, Op};
use crate::snapshot::Delta;

/// What a span of time looked like, over the selected shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measures {
    /// Allocations a second: ring hits and misses. By class only: a shard has none of its own.
    pub allocations_per_second: Option<f64>,
    /// CAS attempts a second.
    pub cas_attempts_per_second: Option<f64>,
    /// CAS failures a second.
    pub cas_failures_per_second: Option<f64>,
    /// Failed share of CAS attempts, 0 to 1.
    pub failures_per_attempt: Option<f64>,
    /// CAS attempts of pops for each batch that reached a ring.
    pub attempts_per_batch: Option<f64>,
    /// CAS failures of pops for each batch that reached a ring.
    pub failures_per_batch: Option<f64>,
    /// Blocks walked in CAS loops for each block kept; 1 is no waste.
    pub walked_per_kept: Option<f64>,
    /// Blocks walked in vain, a second.
    pub wasted_walk_per_second: Option<f64>,
    /// Seconds waited for locks in each second, over all threads.
    pub lock_wait_ratio: Option<f64>,
    /// Share of lock acquisitions that had to wait, 0 to 1.
    pub lock_contended_ratio: Option<f64>,
    /// Share of allocations that the ring served, 0 to 1.
    pub ring_hit_ratio: Option<f64>,
    /// CASes a second that failed by their version alone.
    pub aba_averted_per_second: Option<f64>,
    /// Mean time of a refill or spill, in nanoseconds of slow path for each batch.
    pub slow_path_nanoseconds_per_batch: Option<f64>,
    /// Processor cycles of one slow path, by those that were sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles_per_slow_path: Option<f64>,
    /// Instructions of one slow path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions_per_slow_path: Option<f64>,
    /// Last-level cache misses of one slow path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_misses_per_slow_path: Option<f64>,
}

fn ratio(numerator: Option<u64>, denominator: Option<u64>) -> Option<f64> {
    let denominator = denominator.filter(|&d| d > 0)?;
    Some(numerator? as f64 / denominator as f64)
}

fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    // What a hostile segment says may be anything; a sum that is capped harms nobody.
    Some(a?.saturating_add(b?))
}

impl Delta {
    /// The measures over the selected shards.
    pub fn measures(&self, select: Select) -> Measures {
        let sum = |metric| self.counts.sum(metric, select);
        let pops = |metric| {
            let of = |op| self.counts.sum(metric, select.op(op));
            add(of(Op::Pop), of(Op::BatchPop))
        };
        let seconds = self.elapsed.map(|elapsed| elapsed.as_secs_f64());
        let rate = |count: Option<u64>| Some(count? as f64 / seconds?);

        let attempts = sum(Metric::CasAttempts);
        let failures = sum(Metric::CasFailures);
        let refills = sum(Metric::Refills);
        let kept = sum(Metric::WalkBlocksKept);
        let wasted = sum(Metric::WalkBlocksWasted);
        let hits = sum(Metric::RingHits);
        let allocations = add(hits, sum(Metric::RingMisses));
        let samples = sum(Metric::SlowPathSamples);
        let lock_wait = self.counts.histogram(Metric::LockWait, select).map(|h| h.sum);
        Measures {
            allocations_per_second: rate(allocations),
            cas_attempts_per_second: rate(attempts),
            cas_failures_per_second: rate(failures),
            failures_per_attempt: ratio(failures, attempts),
            attempts_per_batch: ratio(pops(Metric::CasAttempts), refills),
            failures_per_batch: ratio(pops(Metric::CasFailures), refills),
            walked_per_kept: ratio(add(kept, wasted), kept),
            wasted_walk_per_second: rate(wasted),
            lock_wait_ratio: rate(lock_wait).map(|ns| ns / 1e9),
            lock_contended_ratio: ratio(sum(Metric::LockContended), sum(Metric::LockAcquisitions)),
            ring_hit_ratio: ratio(hits, allocations),
            aba_averted_per_second: rate(sum(Metric::AbaAverted)),
            slow_path_nanoseconds_per_batch: ratio(sum(Metric::SlowPath), refills),
            cycles_per_slow_path: ratio(sum(Metric::SlowPathCycles), samples),
            instructions_per_slow_path: ratio(sum(Metric::SlowPathInstructions), samples),
            cache_misses_per_slow_path: ratio(sum(Metric::SlowPathCacheMisses), samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::counts::{Counts, Schema};

    #[test]
    fn nothing_counted_is_no_ratio_and_a_rate_of_zero() {
        let delta =
            Delta { elapsed: Some(Duration::from_secs(1)), counts: Counts::zero(Arc::new(Schema::own())) };
        let m = delta.measures(Select::ALL);
        assert_eq!(m.failures_per_attempt, None);
        assert_eq!(m.walked_per_kept, None);
        assert_eq!(m.cas_failures_per_second, Some(0.0));
        assert_eq!(delta.measures(Select::ALL.shard(1)).ring_hit_ratio, None);
    }
}

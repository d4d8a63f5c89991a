//! The figures by name: what `stormglass check` asserts and lists. What a figure is, [`Measures`] says, as for every view.
//!
//! Invariants: a name stands for one figure, and for no metric; a figure that is a share of something knows of what
//! ([`Figure::per`]), so that one of a handful of events can be told from one of millions.

use crate::counts::{Counts, Select};
use crate::measures::Measures;
use crate::schema::{Label, Metric};
use crate::snapshot::Held;

/// What a number is counted in, by base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A count, a share, or so many for each.
    Number,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Events a second.
    PerSecond,
    /// Bytes a second.
    BytesPerSecond,
}

impl Dimension {
    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::Number => "a plain number",
            Dimension::Seconds => "seconds",
            Dimension::Bytes => "bytes",
            Dimension::PerSecond => "events a second",
            Dimension::BytesPerSecond => "bytes a second",
        }
    }
}

/// A figure that is worked out from counts.
#[derive(Debug)]
pub struct Figure {
    /// Its name, as `check` takes it.
    pub name: &'static str,
    /// What it is counted in.
    pub dimension: Dimension,
    /// One sentence.
    pub help: &'static str,
    /// What it is a share of: the counts that are divided by. Empty for a rate.
    pub per: &'static [Metric],
    /// A counter with the labels that the figure can be split by.
    split: Metric,
    of: fn(&Measures) -> Option<f64>,
}

impl Figure {
    /// Every figure.
    pub const ALL: &'static [Figure] = &[
        Figure {
            name: "cas_failures_per_batch",
            dimension: Dimension::Number,
            help: "CASes of pops that failed, for each batch that reached a ring: the storm.",
            per: &[Metric::Refills],
            split: Metric::Refills,
            of: |m| m.failures_per_batch,
        },
        Figure {
            name: "cas_attempts_per_batch",
            dimension: Dimension::Number,
            help: "CASes of pops, for each batch that reached a ring.",
            per: &[Metric::Refills],
            split: Metric::Refills,
            of: |m| m.attempts_per_batch,
        },
        Figure {
            name: "cas_failure_ratio",
            dimension: Dimension::Number,
            help: "Share of CASes that another thread beat, 0 to 1.",
            per: &[Metric::CasAttempts],
            split: Metric::CasAttempts,
            of: |m| m.failures_per_attempt,
        },
        Figure {
            name: "cas_attempts_per_second",
            dimension: Dimension::PerSecond,
            help: "CASes a second.",
            per: &[],
            split: Metric::CasAttempts,
            of: |m| m.cas_attempts_per_second,
        },
        Figure {
            name: "cas_failures_per_second",
            dimension: Dimension::PerSecond,
            help: "CASes a second that another thread beat.",
            per: &[],
            split: Metric::CasFailures,
            of: |m| m.cas_failures_per_second,
        },
        Figure {
            name: "aba_averted_per_second",
            dimension: Dimension::PerSecond,
            help: "CASes a second that failed by their version alone.",
            per: &[],
            split: Metric::AbaAverted,
            of: |m| m.aba_averted_per_second,
        },
        Figure {
            name: "walked_per_kept",
            dimension: Dimension::Number,
            help: "Blocks walked in CAS loops for each block kept; 1 is no waste.",
            per: &[Metric::WalkBlocksKept],
            split: Metric::WalkBlocksKept,
            of: |m| m.walked_per_kept,
        },
        Figure {
            name: "wasted_walk_per_second",
            dimension: Dimension::PerSecond,
            help: "Blocks a second that were walked in vain.",
            per: &[],
            split: Metric::WalkBlocksWasted,
            of: |m| m.wasted_walk_per_second,
        },
        Figure {
            name: "lock_wait_ratio",
            dimension: Dimension::Number,
            help: "Seconds waited for locks in each second, over all threads.",
            per: &[],
            split: Metric::LockWait,
            of: |m| m.lock_wait_ratio,
        },
        Figure {
            name: "lock_contended_ratio",
            dimension: Dimension::Number,
            help: "Share of lock acquisitions that had to wait, 0 to 1.",
            per: &[Metric::LockAcquisitions],
            split: Metric::LockAcquisitions,
            of: |m| m.lock_contended_ratio,
        },
        Figure {
            name: "ring_hit_ratio",
            dimension: Dimension::Number,
            help: "Share of allocations that the thread's ring served, 0 to 1.",
            per: &[Metric::RingHits, Metric::RingMisses],
            split: Metric::RingHits,
            of: |m| m.ring_hit_ratio,
        },
        Figure {
            name: "allocations_per_second",
            dimension: Dimension::PerSecond,
            help: "Allocations a second up to the largest class.",
            per: &[],
            split: Metric::RingHits,
            of: |m| m.allocations_per_second,
        },
        Figure {
            name: "slow_path_seconds_per_batch",
            dimension: Dimension::Seconds,
            help: "Mean time of a refill or spill, for each batch that reached a ring.",
            per: &[Metric::Refills],
            split: Metric::Refills,
            of: |m| Some(m.slow_path_nanoseconds_per_batch? / 1e9),
        },
        Figure {
            name: "cycles_per_slow_path",
            dimension: Dimension::Number,
            help: "Processor cycles of one slow path, by those that were sampled; not available without hardware counters.",
            per: &[Metric::SlowPathSamples],
            split: Metric::SlowPathCycles,
            of: |m| m.cycles_per_slow_path,
        },
        Figure {
            name: "instructions_per_slow_path",
            dimension: Dimension::Number,
            help: "Instructions of one slow path, by those that were sampled; not available without hardware counters.",
            per: &[Metric::SlowPathSamples],
            split: Metric::SlowPathInstructions,
            of: |m| m.instructions_per_slow_path,
        },
        Figure {
            name: "cache_misses_per_slow_path",
            dimension: Dimension::Number,
            help: "Last-level cache misses of one slow path, by those that were sampled; not available without hardware counters.",
            per: &[Metric::SlowPathSamples],
            split: Metric::SlowPathCacheMisses,
            of: |m| m.cache_misses_per_slow_path,
        },
    ];

    /// The figure of that name.
    pub fn named(name: &str) -> Option<&'static Figure> {
        Figure::ALL.iter().find(|figure| figure.name == name)
    }

    /// Its value among these measures.
    pub fn value(&self, measures: &Measures) -> Option<f64> {
        (self.of)(measures)
    }

    /// A counter that it is worked out from: where that is not counted, the figure has no value.
    pub fn counter(&self) -> Metric {
        self.split
    }

    /// The labels that it can be split by.
    pub fn labels(&self) -> &'static [Label] {
        self.split.descriptor().labels
    }

    /// How many events it is a share of; `None` for a rate, and where the writer does not count them.
    pub fn events(&self, counts: &Counts, select: Select) -> Option<u64> {
        let sums: Option<Vec<u64>> = self.per.iter().map(|&metric| counts.sum(metric, select)).collect();
        sums.filter(|sums| !sums.is_empty()).map(|sums| sums.into_iter().fold(0, u64::saturating_add))
    }
}

/// Bytes of something; `None` where the writer does not count what that takes.
type Bytes = fn(&Held) -> Option<u64>;

impl Held {
    /// What a process holds, in bytes, by the metric that says so.
    pub const BYTES: [(Metric, Bytes); 6] = [
        (Metric::LiveBytes, |held| held.live_bytes),
        (Metric::CachedBytes, |held| held.cached_bytes),
        (Metric::MappedBytes, |held| held.mapped_bytes),
        (Metric::PurgedBytes, |held| held.purged_bytes),
        (Metric::LargeLiveBytes, |held| held.large_live_bytes),
        (Metric::ResidentBytes, |held| held.resident_bytes),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_figure_or_a_metric_and_its_help_is_a_sentence() {
        let mut seen = std::collections::BTreeSet::new();
        for figure in Figure::ALL {
            assert!(seen.insert(figure.name), "{} is said twice", figure.name);
            assert!(figure.help.ends_with('.'), "{}", figure.name);
            let full = format!("stormglass_{}", figure.name);
            assert!(!Metric::ALL.iter().any(|m| m.descriptor().name.starts_with(&full)), "{full}");
            assert!(Figure::named(figure.name).is_some_and(|found| found.help == figure.help));
            let labels = figure.labels();
            let split_so = |metric: &Metric| {
                let own = metric.descriptor().labels;
                labels.iter().all(|l| own.contains(l))
            };
            assert!(figure.per.iter().all(split_so), "{}: what it divides by has its labels", figure.name);
        }
    }

    #[test]
    fn every_measure_has_a_name() {
        let measures = fields();
        assert_eq!(Figure::ALL.len(), measures, "a measure was added, and check cannot name it");
    }

    /// Fields of [`Measures`], as its debug form lists them.
    fn fields() -> usize {
        format!("{:?}", Measures::default()).matches(": None").count()
    }
}

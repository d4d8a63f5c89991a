//! What a slow path costs by hardware counters, where a process samples its own (`STORMGLASS_PERF=1`, `bench --perf`).
//!
//! Invariant: of a process that counts nothing inside its slow paths there is none of this; what it does not count of the three is
//! absent.

use serde::Serialize;
use stormglass_telemetry::{Counts, Metric, Select};

use crate::grid::{Axes, Sums};
use crate::round::round;

/// Shards that are shown: those whose samples cost most.
const SHOWN: usize = 3;

/// The means of a process and of its dearest shards, over its whole life: one slow path in 64 is sampled, and a second has few of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Inside {
    #[serde(flatten)]
    all: Cost,
    /// Dearest first.
    shards: Vec<Place>,
}

/// Of one sampled slow path, on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Cost {
    samples: u64,
    cycles: Option<f64>,
    instructions: Option<f64>,
    cache_misses: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Place {
    /// Indices into the axes of the grid.
    class: usize,
    shard: usize,
    #[serde(flatten)]
    cost: Cost,
}

impl Cost {
    /// From samples and sums; none without a sample.
    fn new(samples: Option<u64>, sums: [Option<u64>; 3]) -> Option<Cost> {
        let samples = samples.filter(|&samples| samples > 0)?;
        let [cycles, instructions, cache_misses] =
            sums.map(|sum| sum.and_then(|sum| round(sum as f64 / samples as f64)));
        Some(Cost { samples, cycles, instructions, cache_misses })
    }

    /// By misses, if they are counted: they are what one core does to another.
    fn rank(&self) -> f64 {
        self.cache_misses.or(self.cycles).or(self.instructions).unwrap_or(0.0)
    }
}

/// What is averaged.
const COSTS: [Metric; 3] =
    [Metric::SlowPathCycles, Metric::SlowPathInstructions, Metric::SlowPathCacheMisses];

impl Inside {
    /// Of everything that a process has counted.
    pub(crate) fn of(counts: &Counts, axes: &Axes) -> Option<Inside> {
        let sum = |metric| counts.sum(metric, Select::ALL);
        let all = Cost::new(sum(Metric::SlowPathSamples), COSTS.map(sum))?;
        let samples = Sums::of(counts, Metric::SlowPathSamples, axes);
        let costs = COSTS.map(|metric| Sums::of(counts, metric, axes));
        let places =
            (0..axes.classes.len()).flat_map(|class| (0..axes.shards.len()).map(move |shard| (class, shard)));
        let mut shards: Vec<Place> = places
            .filter_map(|(class, shard)| {
                let costs = costs.each_ref().map(|cost| cost.at(class, shard));
                Some(Place { class, shard, cost: Cost::new(samples.at(class, shard), costs)? })
            })
            .collect();
        shards.sort_by(|a, b| b.cost.rank().total_cmp(&a.cost.rank()));
        shards.truncate(SHOWN);
        Some(Inside { all, shards })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stormglass_telemetry::{Inside as Counted, Schema, Shape};

    use super::*;
    use crate::synthetic::{self, SECOND};

    #[test]
    fn the_dearest_shards_come_first_and_what_is_not_counted_is_absent() {
        let mut snapshot = synthetic::snapshot(synthetic::process(1, "mutex"), SECOND);
        let inside = Counted { cycles: true, cache_misses: true, instructions: false };
        snapshot.counts = Counts::zero(Arc::new(Schema::of(Shape { inside, ..Shape::MID })));
        for (shard, misses) in [(0, 20), (1, 310), (2, 5), (3, 40)] {
            for (metric, n) in [
                (Metric::SlowPathSamples, 10),
                (Metric::SlowPathCycles, 1000),
                (Metric::SlowPathCacheMisses, misses),
            ] {
                synthetic::add(&mut snapshot, metric, &[3, shard], 0, n);
            }
        }
        let inside = Inside::of(&snapshot.counts, &Axes::of(&snapshot.counts.schema)).expect("it counts");
        let json = serde_json::to_value(&inside).expect("JSON");
        assert_eq!((&json["samples"], &json["cycles"]), (&40.into(), &100.0.into()));
        assert!(json["instructions"].is_null());
        let shards = json["shards"].as_array().expect("a list");
        assert_eq!(shards.len(), SHOWN);
        assert_eq!((&shards[0]["shard"], &shards[0]["cache_misses"]), (&1.into(), &31.0.into()));
        assert_eq!(shards[1]["shard"], 3);
    }

    #[test]
    fn who_does_not_count_has_nothing_of_this() {
        let snapshot = synthetic::snapshot(synthetic::process(1, "mutex"), SECOND);
        assert_eq!(Inside::of(&snapshot.counts, &Axes::of(&snapshot.counts.schema)), None);
    }
}

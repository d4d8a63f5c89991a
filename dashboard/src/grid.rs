//! The grid of classes and shards: one number a cell, for each measure that the page can colour it by.
//!
//! Invariants: its rows and columns are the classes and shards that the process's writer has. A cell says what
//! `Delta::measures` says of that class and shard; it is computed in one pass over the counts rather than in a selection
//! a cell, because it is done five times a second; a test holds the two together.

use serde::Serialize;
use stormglass_telemetry::{Counts, Delta, Family, Kind, Label, Metric, Schema};

use crate::round::round;

/// Rows by class, columns by shard; `None` where there is no measurement.
type Cells = Vec<Vec<Option<f64>>>;

/// What the page colours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Grid {
    pub(crate) cas_failures_per_second: Cells,
    pub(crate) failures_per_attempt: Cells,
    pub(crate) lock_wait_ratio: Cells,
    pub(crate) walked_per_kept: Cells,
}

/// The labels of a grid: those that the process's writer has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Axes {
    pub(crate) classes: Vec<String>,
    pub(crate) shards: Vec<String>,
}

impl Axes {
    /// Those of a writer.
    pub(crate) fn of(schema: &Schema) -> Axes {
        let values = |label| schema.label_values(label).to_vec();
        Axes { classes: values(Label::Class), shards: values(Label::Shard) }
    }
}

/// Sums of one metric by class and shard, or `None` where the writer does not have it.
pub(crate) struct Sums {
    shards: usize,
    cells: Option<Vec<u64>>,
}

impl Sums {
    pub(crate) fn of(counts: &Counts, metric: Metric, axes: &Axes) -> Sums {
        let shards = axes.shards.len();
        let cells = counts.schema.family(metric).and_then(|family| {
            let class = position(counts, family, Label::Class)?;
            let shard = position(counts, family, Label::Shard)?;
            let mut cells = vec![0_u64; axes.classes.len() * shards];
            counts.each(family, |at, values| {
                // Of a histogram, what is wanted is the sum: its last value.
                let value = if family.kind == Kind::Histogram { values.last() } else { values.first() };
                if let Some(cell) = cells.get_mut(at[class] * shards + at[shard]) {
                    *cell = cell.wrapping_add(*value.unwrap_or(&0));
                }
            });
            Some(cells)
        });
        Sums { shards, cells }
    }

    pub(crate) fn at(&self, class: usize, shard: usize) -> Option<u64> {
        self.cells.as_ref().map(|cells| cells[class * self.shards + shard])
    }
}

/// Which of a family's labels this is.
fn position(counts: &Counts, family: &Family, label: Label) -> Option<usize> {
    family.labels.iter().position(|&l| counts.schema.labels[l].name == label.name())
}

/// The grid of a span of time.
pub(crate) fn grid(delta: &Delta, axes: &Axes) -> Grid {
    let sums = |metric| Sums::of(&delta.counts, metric, axes);
    let attempts = sums(Metric::CasAttempts);
    let failures = sums(Metric::CasFailures);
    let lock_wait = sums(Metric::LockWait);
    let kept = sums(Metric::WalkBlocksKept);
    let in_vain = sums(Metric::WalkBlocksWasted);
    let seconds = delta.elapsed.map(|elapsed| elapsed.as_secs_f64());

    let cells = |value: &dyn Fn(usize, usize) -> Option<f64>| -> Cells {
        (0..axes.classes.len())
            .map(|c| (0..axes.shards.len()).map(|s| value(c, s).and_then(round)).collect())
            .collect()
    };
    Grid {
        cas_failures_per_second: cells(&|c, s| Some(failures.at(c, s)? as f64 / seconds?)),
        failures_per_attempt: cells(&|c, s| ratio(failures.at(c, s)?, attempts.at(c, s)?)),
        lock_wait_ratio: cells(&|c, s| Some(lock_wait.at(c, s)? as f64 / 1e9 / seconds?)),
        walked_per_kept: cells(&|c, s| {
            let kept = kept.at(c, s)?;
            ratio(kept.wrapping_add(in_vain.at(c, s)?), kept)
        }),
    }
}

fn ratio(numerator: u64, denominator: u64) -> Option<f64> {
    (denominator > 0).then(|| numerator as f64 / denominator as f64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use stormglass_telemetry::{Schema, Select, Snapshot};

    use super::*;
    use crate::synthetic::{self, SECOND};

    /// Fills every cell with a number of its own, and holds the grid against the measures.
    fn check(mut snapshot: Snapshot, classes: usize, shards: usize) {
        let mut state = 1_u64;
        for value in snapshot.counts.values.iter_mut() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value = state >> 44;
        }
        let delta = snapshot.lifetime();
        let grid = grid(&delta, &Axes::of(&delta.counts.schema));
        assert_eq!(grid.cas_failures_per_second.len(), classes);
        for class in 0..classes {
            assert_eq!(grid.cas_failures_per_second[class].len(), shards);
            for shard in 0..shards {
                let slow = delta.measures(Select::ALL.class(class).shard(shard));
                let rounded = |v: Option<f64>| v.and_then(round);
                assert_eq!(grid.cas_failures_per_second[class][shard], rounded(slow.cas_failures_per_second));
                assert_eq!(grid.failures_per_attempt[class][shard], rounded(slow.failures_per_attempt));
                assert_eq!(grid.lock_wait_ratio[class][shard], rounded(slow.lock_wait_ratio));
                assert_eq!(grid.walked_per_kept[class][shard], rounded(slow.walked_per_kept));
            }
        }
    }

    #[test]
    fn a_cell_says_what_the_measures_of_its_class_and_shard_say() {
        check(synthetic::snapshot(synthetic::process(1, "lockfree-walk"), 2 * SECOND), 7, 8);
        check(synthetic::general(1, 2 * SECOND), 3, 1);
    }

    #[test]
    fn what_the_writer_does_not_count_is_absent_and_its_classes_are_its_own() {
        let mut schema = Schema::own();
        let class = schema.labels.iter_mut().find(|l| l.name == "class").expect("own label");
        class.values.push("65536".to_owned());
        schema.families.retain(|f| f.name != "stormglass_lock_wait_seconds");
        let schema = Arc::new(Schema::new(schema.labels, schema.families));
        let axes = Axes::of(&schema);
        assert_eq!(axes.classes.last().map(String::as_str), Some("65536"));
        let delta = Delta { elapsed: Some(Duration::from_secs(1)), counts: Counts::zero(schema) };
        let grid = grid(&delta, &axes);
        assert_eq!(grid.lock_wait_ratio[0][0], None);
        assert_eq!(grid.failures_per_attempt[3][3], None, "no attempts, no ratio");
        assert_eq!(grid.cas_failures_per_second[7][3], Some(0.0));
        assert_eq!(grid.cas_failures_per_second.len(), 8);
    }
}

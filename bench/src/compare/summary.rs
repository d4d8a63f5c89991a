//! All workloads together: geometric means of the ratios, and the best peer of each workload.
//!
//! Invariant: a mean is of ratios to one baseline and over the workloads that the allocator ran, whose number stands beside
//! it; the limit is no peer.

use serde::{Deserialize, Serialize};

use super::contender::Serving;
use super::report::{Row, Table};
use crate::stats::Interval;

/// What all tables say together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// One for each allocator but the baseline.
    pub means: Vec<Mean>,
    /// One for each table that has a peer.
    pub best: Vec<Best>,
    /// Geometric mean over the tables of the baseline's speed against the best peer's.
    pub over_best: Option<f64>,
}

/// An allocator over all workloads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Its name.
    pub allocator: String,
    /// Geometric mean of its median ratios of speed to the baseline.
    pub speed: f64,
    /// The same of its speed by processor time; `None` where that is not known.
    pub cpu: Option<f64>,
    /// The same of its peak memory.
    pub peak: f64,
    /// Tables that it has a ratio in.
    pub tables: usize,
}

/// The fastest peer on a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Name of the workload.
    pub workload: String,
    /// Its threads.
    pub threads: usize,
    /// Name of the peer.
    pub allocator: String,
    /// The baseline's speed against it, which is the reciprocal of its own ratio.
    pub baseline_ratio: Interval,
}

impl Summary {
    /// What these tables say of allocators against `baseline`.
    #[must_use]
    pub fn of(baseline: &str, tables: &[Table]) -> Summary {
        let mut names: Vec<&str> = Vec::new();
        for row in tables.iter().flat_map(|table| &table.rows) {
            if row.allocator != baseline && !names.contains(&row.allocator.as_str()) {
                names.push(&row.allocator);
            }
        }
        let best: Vec<Best> = tables.iter().filter_map(best).collect();
        let over_best = geometric(&best.iter().map(|b| b.baseline_ratio.median).collect::<Vec<_>>());
        Summary { means: names.into_iter().filter_map(|name| mean(name, tables)).collect(), best, over_best }
    }
}

fn mean(name: &str, tables: &[Table]) -> Option<Mean> {
    let rows = || tables.iter().filter_map(|table| table.rows.iter().find(|row| row.allocator == name));
    let medians = |of: &dyn Fn(&Row) -> Option<Interval>| -> Vec<f64> {
        rows().filter_map(|row| of(row).map(|ratio| ratio.median)).collect()
    };
    let speeds = medians(&|row| row.ratio);
    Some(Mean {
        allocator: name.to_owned(),
        speed: geometric(&speeds)?,
        cpu: geometric(&medians(&|row| row.cpu_ratio)),
        peak: geometric(&medians(&|row| row.peak_ratio))?,
        tables: speeds.len(),
    })
}

fn best(table: &Table) -> Option<Best> {
    let limit = Serving::Limit.to_string();
    let peers = table.rows.iter().filter(|row| row.allocator != limit);
    let ratios = peers.filter_map(|row| Some((row, row.ratio?)));
    let (row, ratio) = ratios.max_by(|(_, a), (_, b)| a.median.total_cmp(&b.median))?;
    let baseline_ratio =
        Interval { median: 1.0 / ratio.median, low: 1.0 / ratio.high, high: 1.0 / ratio.low, ..ratio };
    Some(Best {
        workload: table.workload.clone(),
        threads: table.shape.threads,
        allocator: row.allocator.clone(),
        baseline_ratio,
    })
}

/// The geometric mean; `None` of nothing, and of what is not above 0.
fn geometric(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    Some((sum / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::report;

    #[test]
    fn means_are_geometric() {
        assert!((geometric(&[0.5, 2.0]).expect("two") - 1.0).abs() < 1e-12);
        assert!((geometric(&[8.0, 1.0, 1.0]).expect("three") - 2.0).abs() < 1e-12);
        assert_eq!(geometric(&[]), None);
        assert_eq!(geometric(&[1.0, 0.0]), None);
    }

    #[test]
    fn the_limit_is_no_peer_and_what_it_did_not_run_is_not_counted() {
        let report = report();
        let best: Vec<_> = report.summary.best.iter().map(|b| b.allocator.as_str()).collect();
        assert_eq!(best, ["jemalloc", "jemalloc"]);
        assert!((report.summary.best[0].baseline_ratio.median - 1.0 / 0.8).abs() < 1e-12);
        let limit = report.summary.means.iter().find(|m| m.allocator == "limit").expect("it ran larson");
        assert_eq!((limit.tables, limit.speed), (1, 1.25));
        assert!((report.summary.over_best.expect("two peers") - 1.25).abs() < 1e-12);
    }
}

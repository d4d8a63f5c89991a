//! What one scrape says, before it is put into the words of a format: plain rows.
//!
//! Invariant: every number of labels and of bounds in a row is one of its answer's.

use stormglass_telemetry::Kind;

use super::labels::Labels;

/// Everything that is said, by the names of the families.
#[derive(Debug)]
pub(super) struct Answer {
    /// Labels that the rows name by number.
    pub(super) labels: Vec<Labels>,
    /// Those that have rows.
    pub(super) families: Vec<Family>,
}

/// A metric with its series.
#[derive(Debug)]
pub(super) struct Family {
    /// Full Prometheus name.
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    /// Upper bounds of its histograms: one list, unless writers differ.
    pub(super) bounds: Vec<Vec<f64>>,
    pub(super) rows: Vec<Row>,
}

/// A series; of a histogram all that it has.
#[derive(Debug)]
pub(super) struct Row {
    /// Number of the labels that say whose it is.
    pub(super) group: usize,
    /// Number of those that say of what.
    pub(super) place: usize,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Number(f64),
    Histogram(Histogram),
}

/// As Prometheus has it: each bucket counts those below it, too.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Number of its family's list of bounds.
    pub(super) bounds: usize,
    /// One for each bound.
    pub(super) cumulative: Vec<u64>,
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Value {
    /// Of a histogram's buckets, that above every bound, sum and count: each is a series to Prometheus.
    pub(super) fn series(&self) -> u64 {
        match self {
            Value::Number(_) => 1,
            Value::Histogram(histogram) => histogram.cumulative.len() as u64 + 3,
        }
    }
}

impl Histogram {
    /// The buckets of a segment are apart, those of Prometheus add up; `buckets` has one more than there are bounds.
    pub(super) fn of(bounds: usize, buckets: &[u64], sum: f64) -> Histogram {
        let mut count = 0_u64;
        let add = |value: &u64| {
            count = count.wrapping_add(*value);
            count
        };
        let mut cumulative: Vec<u64> = buckets.iter().map(add).collect();
        cumulative.pop();
        Histogram { bounds, cumulative, count, sum }
    }
}

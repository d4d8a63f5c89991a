//! How deep the retries of one operation went: the histogram of a row, as plain values.
//!
//! Invariant: a depth is only known up to its bucket, so it is given by the bucket's bound, never by a number in between.

use std::fmt;

use serde::{Deserialize, Serialize};
use stormglass_telemetry::{Delta, Metric, Select};

/// Operations by the number of their retries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Upper bounds of the buckets, ascending.
    pub bounds: Vec<u64>,
    /// Operations by bucket, not cumulative; the last is above every bound.
    pub buckets: Vec<u64>,
    /// Retries of all operations together.
    pub sum: u64,
}

/// A depth as far as its bucket tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// No more than this.
    AtMost(u64),
    /// More than this, the last bound.
    Above(u64),
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Depth::AtMost(bound @ 0..=1) => write!(f, "{bound}"),
            Depth::AtMost(bound) => write!(f, "≤{bound}"),
            Depth::Above(bound) => write!(f, ">{bound}"),
        }
    }
}

impl Retries {
    /// What a delta counted; `None` if its writer has no such histogram.
    pub fn of(delta: &Delta) -> Option<Retries> {
        let counted = delta.counts.histogram(Metric::CasRetries, Select::ALL)?;
        Some(Retries { bounds: counted.bounds, buckets: counted.buckets, sum: counted.sum })
    }

    /// Operations in all.
    pub fn operations(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The depth that the share `q` of all operations does not exceed; `None` of no operations.
    pub fn quantile(&self, q: f64) -> Option<Depth> {
        let operations = self.operations();
        let wanted = ((q * operations as f64).ceil() as u64).clamp(1, operations.max(1));
        let mut seen = 0_u64;
        let bucket = self.buckets.iter().position(|n| {
            seen = seen.saturating_add(*n);
            seen >= wanted
        });
        bucket.and_then(|b| self.depth(b))
    }

    /// The deepest bucket in which there is an operation.
    pub fn deepest(&self) -> Option<Depth> {
        self.buckets.iter().rposition(|&n| n > 0).and_then(|b| self.depth(b))
    }

    /// What a bucket says.
    pub fn depth(&self, bucket: usize) -> Option<Depth> {
        let above = || self.bounds.last().map(|&b| Depth::Above(b));
        self.bounds.get(bucket).map(|&b| Depth::AtMost(b)).or_else(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retries(buckets: Vec<u64>) -> Retries {
        Retries { bounds: vec![0, 1, 2, 4], buckets, sum: 0 }
    }

    #[test]
    fn a_quantile_is_its_buckets_bound() {
        let r = retries(vec![98, 0, 1, 0, 1]);
        assert_eq!(r.quantile(0.5), Some(Depth::AtMost(0)));
        assert_eq!(r.quantile(0.99), Some(Depth::AtMost(2)));
        assert_eq!(r.quantile(1.0), Some(Depth::Above(4)));
        assert_eq!(r.deepest(), Some(Depth::Above(4)));
        assert_eq!(
            [Depth::AtMost(0), Depth::AtMost(4), Depth::Above(4)].map(|d| d.to_string()),
            ["0", "≤4", ">4"]
        );
    }

    #[test]
    fn of_nothing_there_is_no_depth() {
        assert_eq!(retries(vec![0; 5]).quantile(0.5), None);
        assert_eq!(retries(vec![0; 5]).deepest(), None);
        assert_eq!(Retries::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_higher_quantile_is_never_shallower(
            buckets in prop::collection::vec(any::<u64>(), 0..8), a in 0.0_f64..1.0, b in 0.0_f64..1.0,
        ) {
            let r = retries(buckets);
            let rank = |depth: Option<Depth>| match depth {
                None => (0, 0),
                Some(Depth::AtMost(n)) => (1, n),
                Some(Depth::Above(n)) => (2, n),
            };
            prop_assert!(rank(r.quantile(a.min(b))) <= rank(r.quantile(a.max(b))));
        }
    }
}

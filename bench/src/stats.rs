//! Medians of paired ratios, with an interval whose coverage is computed, not assumed.
//!
//! Invariant: nothing here supposes a distribution. If each pair falls above the true median with probability one
//! half, independently of the others, then the `k`th smallest and the `k`th largest of `n` ratios enclose that
//! median with a probability that is a sum of binomial terms; that sum is the [`Interval::coverage`]. Five pairs
//! from smallest to largest cover 93.75%, three cover 75%, one covers nothing.

use serde::{Deserialize, Serialize};

/// The coverage that an interval aims at where there are enough pairs to choose.
const WANTED: f64 = 0.95;
/// The coverage below which nothing is concluded from an interval.
pub(crate) const EVIDENCE: f64 = 0.9;

/// The median of paired ratios, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Median of the ratios; 1 is "as fast as the baseline".
    pub median: f64,
    /// Lower end of the interval, one of the ratios.
    pub low: f64,
    /// Upper end of the interval, one of the ratios.
    pub high: f64,
    /// Probability that such an interval encloses the true median, 0 to 1.
    pub coverage: f64,
    /// Number of ratios.
    pub pairs: usize,
}

impl Interval {
    /// Whether the interval is one that anything may be concluded from: five pairs are, four are not.
    pub fn is_evidence(&self) -> bool {
        self.coverage >= EVIDENCE
    }

    /// Whether the pairs do show a difference: they are enough, and the interval leaves out 1.
    pub fn differs(&self) -> bool {
        self.is_evidence() && (self.low > 1.0 || self.high < 1.0)
    }
}

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[half]),
        _ => Some(f64::midpoint(sorted[half - 1], sorted[half])),
    }
}

/// `values[i] / baseline[i]` for each round `i` that has both; a round that lost a run has no ratio.
pub fn paired_ratios(values: &[Option<f64>], baseline: &[Option<f64>]) -> Vec<f64> {
    values
        .iter()
        .zip(baseline)
        .filter_map(|(value, base)| Some((*value)? / (*base).filter(|b| *b > 0.0)?))
        .collect()
}

/// The median of the ratios and the narrowest interval that covers it with at least 95%; from smallest to
/// largest where there are too few for that. `None` of no ratios.
pub fn interval(ratios: &[f64]) -> Option<Interval> {
    let median = median(ratios)?;
    let sorted = sorted(ratios);
    let n = sorted.len();
    let rank = (1..=n.div_ceil(2)).rev().find(|&k| coverage(n, k) >= WANTED).unwrap_or(1);
    Some(Interval {
        median,
        low: sorted[rank - 1],
        high: sorted[n - rank],
        coverage: coverage(n, rank),
        pairs: n,
    })
}

/// Probability that the `rank`th smallest and the `rank`th largest of `n` values enclose the median of what they
/// were drawn from: one less the two tails, in which fewer than `rank` values fall on one side of it.
pub fn coverage(n: usize, rank: usize) -> f64 {
    // The terms of Binomial(n, 1/2), each from the one before; for n beyond some thousand the first underflows to
    // zero, which makes the interval wider than needed, never narrower than it says.
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for below in 0..rank {
        tail += term;
        term *= (n - below) as f64 / (below + 1) as f64;
    }
    (1.0 - 2.0 * tail).max(0.0)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn coverage_is_the_binomial_sum() {
        for (n, rank, want) in [(1, 1, 0.0), (2, 1, 0.5), (3, 1, 0.75), (5, 1, 0.9375), (6, 1, 0.96875)] {
            assert!(close(coverage(n, rank), want), "{n} values, rank {rank}: {}", coverage(n, rank));
        }
        // 1 - 2 (1 + 10) / 1024
        assert!(close(coverage(10, 2), 1.0 - 22.0 / 1024.0));
        assert!(close(coverage(3, 2), 0.0), "the median itself covers nothing");
    }

    #[test]
    fn five_pairs_go_from_smallest_to_largest() {
        let found = interval(&[0.97, 1.02, 0.9, 0.95, 0.99]).expect("five ratios");
        assert_eq!((found.median, found.low, found.high, found.pairs), (0.97, 0.9, 1.02, 5));
        assert!(close(found.coverage, 0.9375));
        assert!(!found.differs());
    }

    #[test]
    fn many_pairs_leave_the_outliers_out() {
        let ratios: Vec<f64> = (0..30).map(f64::from).collect();
        let found = interval(&ratios).expect("thirty ratios");
        assert!(found.low > 0.0 && found.high < 29.0 && found.coverage >= WANTED);
    }

    #[test]
    fn one_pair_is_no_evidence() {
        let found = interval(&[0.5]).expect("one ratio");
        assert!(close(found.coverage, 0.0));
        assert!(!found.differs());
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn a_round_that_lost_a_run_has_no_ratio() {
        let ratios =
            paired_ratios(&[Some(2.0), None, Some(3.0), Some(1.0)], &[Some(4.0), Some(1.0), None, Some(0.0)]);
        assert_eq!(ratios, [0.5]);
    }

    proptest! {
        #[test]
        fn the_interval_encloses_the_median(ratios in prop::collection::vec(0.01_f64..100.0, 1..60)) {
            let found = interval(&ratios).expect("not empty");
            prop_assert!(found.low <= found.median && found.median <= found.high);
            prop_assert!((0.0..=1.0).contains(&found.coverage));
            prop_assert!(ratios.len() < 6 || found.coverage >= WANTED);
        }

        #[test]
        fn the_order_of_the_values_does_not_matter(mut values in prop::collection::vec(-1e9_f64..1e9, 1..40)) {
            let before = (median(&values), interval(&values));
            values.reverse();
            prop_assert_eq!(before, (median(&values), interval(&values)));
        }

        #[test]
        fn a_wider_rank_never_covers_less(n in 2_usize..200) {
            for rank in 2..=n.div_ceil(2) {
                prop_assert!(coverage(n, rank) <= coverage(n, rank - 1) + 1e-12);
            }
        }

        /// Draws from a uniform distribution: the share of intervals that enclose 1/2 is what the binomial says.
        #[test]
        fn the_coverage_is_true(seed in any::<u64>()) {
            let mut state = seed;
            let mut draw = || crate::random::split_mix(&mut state) as f64 / u64::MAX as f64;
            let rounds = 2000;
            let hits = (0..rounds).filter(|_| {
                let values: Vec<f64> = (0..5).map(|_| draw()).collect();
                let found = interval(&values).expect("five");
                found.low <= 0.5 && 0.5 <= found.high
            });
            let share = hits.count() as f64 / f64::from(rounds);
            // Seven standard deviations of 0.0054: no false alarm in a lifetime.
            prop_assert!((share - 0.9375).abs() < 0.038, "{}", share);
        }
    }
}

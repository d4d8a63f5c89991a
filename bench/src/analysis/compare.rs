//! Two designs, round by round.

use crate::report::{Round, Row};
use crate::stats::{Interval, interval, paired_ratios};

/// The ratios of a figure within each round in which both runs have it.
pub(super) fn pair(of: &Row, against: &Row, figure: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
    let values = |row: &Row| -> Vec<Option<f64>> {
        row.rounds.iter().map(|round| round.as_ref().and_then(&figure)).collect()
    };
    paired_ratios(&values(of), &values(against))
}

/// The speed of a design against another one's.
pub(super) fn speed(of: &Row, against: &Row) -> Option<Interval> {
    interval(&pair(of, against, |round| Some(round.ops_per_second)))
}

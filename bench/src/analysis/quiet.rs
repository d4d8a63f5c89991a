//! Whether the machine was quiet enough for a verdict.
//!
//! Contention is threads that run at once. Where other programs have the processors, a storm is calm, and its calm would
//! refute whatever claims the contrary. So a table that was measured on a busy machine is shown and not judged.

use crate::report::Table;
use crate::stats::median;

/// Share of the machine's time that other programs may take.
pub(crate) const MOST: f64 = 0.2;

/// The share that others took, median over the runs of a table; `None` if it is not known.
pub(crate) fn others(table: &Table) -> Option<f64> {
    let rounds = table.rows.iter().flat_map(|row| row.rounds.iter().flatten());
    median(&rounds.filter_map(|round| round.others).collect::<Vec<_>>())
}

/// The same, if it was too much.
pub(crate) fn busy(table: &Table) -> Option<f64> {
    others(table).filter(|share| *share > MOST)
}

/// Why nothing is judged.
pub(crate) fn reason(share: f64) -> String {
    format!(
        "Other programs took {:.0}% of the machine's time meanwhile, and threads that should meet were kept apart; a verdict takes \
         less than {:.0}%.",
        share * 100.0,
        MOST * 100.0
    )
}

//! Which label combinations anything was ever counted of: by class, by class and shard, by those and what comes besides (the
//! operation). All the others are left out: 56 shards of 30 metrics would drown the few that a process uses, and a design has no
//! zeros of operations that it does not have. Counts never fall, so a series that is there stays.

use std::collections::BTreeMap;

use stormglass_telemetry::{Counts, Family};

/// For lists of labels that begin those of a family: which combinations of their values, the last label's changing first.
#[derive(Default)]
pub(super) struct Touched(BTreeMap<Vec<usize>, Vec<bool>>);

impl Touched {
    pub(super) fn of(counts: &Counts) -> Touched {
        let mut touched = Touched::default();
        for family in &counts.schema.families {
            let cells = counts.cells(family);
            let mut combinations = 1_usize;
            for (at, &label) in family.labels.iter().enumerate() {
                combinations *= counts.schema.labels[label].values.len();
                let place = touched.0.entry(family.labels[..=at].to_vec());
                let place = place.or_insert_with(|| vec![false; combinations]);
                let width = cells.len().checked_div(combinations).unwrap_or(0).max(1);
                for (touched, cells) in place.iter_mut().zip(cells.chunks(width)) {
                    *touched |= cells.iter().any(|&value| value != 0);
                }
            }
        }
        touched
    }

    /// Whether anything was counted at this combination of a family's labels, by any family that has them.
    pub(super) fn shows(&self, family: &Family, combination: usize) -> bool {
        family.labels.is_empty() || self.0.get(&family.labels).is_some_and(|touched| touched[combination])
    }
}

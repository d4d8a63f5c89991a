//! What a process said in about the last second, to take differences from.
//!
//! Invariant: only the newest snapshot is kept whole, without its zeros; of each earlier one, what has changed up to the next. Few
//! counts change in a fraction of a second, so a second of a process takes little more than a moment of it. Exactly one of them is older than the
//! interval, once there is one.

use std::collections::VecDeque;
use std::time::Duration;

use stormglass_telemetry::Snapshot;

use crate::frame::INTERVAL;
use crate::packed::Packed;

/// Samples closer together than this are not both kept.
const SPACING: Duration = Duration::from_millis(150);

/// How to get from a snapshot to the one before it.
struct Step {
    taken: u64,
    /// Index of a value, and by how much it grew since.
    grown: Vec<(u32, u64)>,
}

/// The baselines of one process.
#[derive(Default)]
pub(crate) struct Baselines {
    /// Oldest first.
    steps: VecDeque<Step>,
    newest: Option<Packed>,
}

impl Baselines {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// The newest, if there is one.
    pub(crate) fn newest(&self) -> Option<Snapshot> {
        self.newest.as_ref().map(Packed::whole)
    }

    /// Of those before the newest, the one to take a difference to `now` from: the youngest that is older than the interval or, if
    /// none is, the oldest.
    pub(crate) fn before(&self, now: u64) -> Option<Snapshot> {
        let old = |step: &&Step| Duration::from_nanos(now.saturating_sub(step.taken)) >= INTERVAL;
        let oldest = self.steps.front()?.taken;
        let taken = self.steps.iter().rev().find(old).map_or(oldest, |step| step.taken);
        let mut snapshot = self.newest()?;
        for step in self.steps.iter().rev().take_while(|step| step.taken >= taken) {
            for &(at, by) in &step.grown {
                let value = &mut snapshot.counts.values[at as usize];
                *value = value.wrapping_sub(by);
            }
        }
        snapshot.taken = taken;
        Some(snapshot)
    }

    /// Takes in the next snapshot, unless it comes too soon after the last.
    pub(crate) fn remember(&mut self, snapshot: Packed) {
        let distance = |from: u64, to: &Packed| Duration::from_nanos(to.taken().saturating_sub(from));
        while let Some(second) = self.steps.get(1).map(|step| step.taken).or_else(|| {
            // The newest is the second where there is one step.
            (self.steps.len() == 1).then_some(self.newest.as_ref()?.taken())
        }) {
            if distance(second, &snapshot) < INTERVAL {
                break;
            }
            self.steps.pop_front();
        }
        let Some(newest) = &self.newest else {
            self.newest = Some(snapshot);
            return;
        };
        if distance(newest.taken(), &snapshot) < SPACING {
            return;
        }
        let (newest, now) = (newest.whole(), snapshot.whole());
        // A process keeps its schema for life; should it not, there is nothing to take a difference from.
        if newest.counts.values.len() == now.counts.values.len() {
            let grown = newest.counts.values.iter().zip(&now.counts.values).enumerate();
            let grown = grown
                .filter(|(_, (then, now))| then != now)
                .map(|(at, (then, now))| (at as u32, now.wrapping_sub(*then)))
                .collect::<Vec<_>>();
            self.steps.push_back(Step { taken: newest.taken, grown });
        } else {
            self.steps.clear();
        }
        self.newest = Some(snapshot);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.steps.len() + usize::from(self.newest.is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stormglass_telemetry::Metric;

    use super::*;
    use crate::synthetic::{self, SECOND};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The naive way keeps every snapshot.
        #[test]
        fn a_baseline_is_the_snapshot_that_it_was(pauses in proptest::collection::vec(20..700_u64, 1..40), ahead in 1..900_u64) {
            let mut baselines = Baselines::default();
            let mut kept: Vec<Snapshot> = Vec::new();
            let mut age = 0;
            for (i, pause) in pauses.into_iter().enumerate() {
                age += pause * 1_000_000;
                let mut snapshot = synthetic::snapshot(synthetic::process(1, "mutex"), age);
                synthetic::add(&mut snapshot, Metric::RingHits, &[i % 7], 0, age / 1000);
                let apart = |last: &Snapshot| Duration::from_nanos(snapshot.taken - last.taken) >= SPACING;
                if kept.last().is_none_or(apart) {
                    kept.push(snapshot.clone());
                }
                baselines.remember(snapshot.into());
                let now = 100 * SECOND + age + ahead * 1_000_000;
                let old = |s: &&Snapshot| Duration::from_nanos(now - s.taken) >= INTERVAL;
                let (_, earlier) = kept.split_last().expect("one");
                let Some(before) = baselines.before(now) else { continue };
                let naive = earlier.iter().find(|s| s.taken == before.taken).expect("it was there");
                prop_assert_eq!(&before.counts.values, &naive.counts.values);
                // Nothing between it and the newest would have done.
                if let Some(best) = earlier.iter().rev().find(old) {
                    prop_assert_eq!(best.taken, before.taken);
                }
                prop_assert!(baselines.len() <= 9);
            }
        }
    }
}

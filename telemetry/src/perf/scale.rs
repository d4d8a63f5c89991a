//! Counts of events that took turns on the processor's counters.
//!
//! A group that was counted for part of the time is scaled up by that part. Scaled as a whole, a count would fall when the part
//! grows; so each *change* is scaled by the part of its own span of time. Invariant: totals never fall, and where a group ran all the
//! time they are what was counted.

use super::event::MAX_GROUP;
use super::group::Reading;

/// What one group has counted, scaled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scaled {
    /// Up to where the totals go.
    last: Reading,
    /// In the order of the group's events.
    pub(super) totals: [u64; MAX_GROUP],
    /// Nanoseconds for which it was to be counted, and was, up to the newest reading.
    pub(super) enabled: u64,
    pub(super) running: u64,
}

impl Scaled {
    /// Takes a later reading in.
    pub(super) fn advance(&mut self, now: &Reading) {
        (self.enabled, self.running) = (now.enabled.max(self.enabled), now.running.max(self.running));
        let enabled = now.enabled.saturating_sub(self.last.enabled);
        let running = now.running.saturating_sub(self.last.running);
        if running == 0 {
            // Nothing was counted; what was missed meanwhile is made up for by the next change.
            return;
        }
        for ((total, now), last) in self.totals.iter_mut().zip(now.values).zip(self.last.values) {
            *total = total.saturating_add(scale(now.saturating_sub(last), enabled, running));
        }
        self.last = *now;
    }
}

fn scale(count: u64, enabled: u64, running: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(enabled.max(running)) / u128::from(running);
    scaled.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Readings from steps of time enabled, time running (at most that), and events.
    fn readings(steps: &[(u64, u64, u64)]) -> Vec<Reading> {
        let mut now = Reading::default();
        let step = |&(enabled, running, events): &(u64, u64, u64)| {
            now.enabled += enabled;
            now.running += running.min(enabled);
            now.values[0] += if running.min(enabled) > 0 { events } else { 0 };
            now
        };
        steps.iter().map(step).collect()
    }

    proptest! {
        #[test]
        fn totals_never_fall_and_are_exact_without_turns(
            steps in prop::collection::vec((0..1000_u64, 0..1000_u64, 0..1000_u64), 1..50),
        ) {
            let (mut scaled, mut exact) = (Scaled::default(), Scaled::default());
            for (taking_turns, always) in readings(&steps)
                .into_iter()
                .zip(readings(&steps.iter().map(|&(time, _, events)| (time, time, events)).collect::<Vec<_>>()))
            {
                let before = scaled.totals[0];
                scaled.advance(&taking_turns);
                prop_assert!(scaled.totals[0] >= before);
                prop_assert!(scaled.totals[0] >= scaled.last.values[0]);
                exact.advance(&always);
                prop_assert_eq!(exact.totals[0], exact.last.values[0]);
            }
        }
    }

    #[test]
    fn a_change_is_scaled_by_its_own_span() {
        let mut scaled = Scaled::default();
        let at = |enabled, running, value| Reading { enabled, running, values: [value, 0, 0, 0] };
        for (reading, total) in [
            (at(10, 1, 100), 1000),
            // Scaled as a whole this would be 605.
            (at(11, 2, 110), 1010),
            // Not counted for a while: nothing is said until it is again, and then of the whole while.
            (at(31, 2, 110), 1010),
            (at(41, 12, 120), 1010 + 30),
        ] {
            scaled.advance(&reading);
            assert_eq!(scaled.totals[0], total);
        }
        assert_eq!((scaled.enabled, scaled.running), (41, 12));
        assert_eq!(scale(u64::MAX, 3, 1), u64::MAX);
    }
}

//! What only an allocator of every size has, for the page: bytes by class, and what lies above the classes.
//!
//! Invariant: of a process whose writer has no such counts there is none of this, rather than zeros.

use serde::Serialize;
use stormglass_telemetry::{Delta, Label, Metric, Select, Snapshot};

use crate::round::round;

/// The memory of a process of every size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct General {
    /// By class: bytes that callers hold; `None` for a class that was never used.
    live_bytes_by_class: Vec<Option<u64>>,
    large: Large,
    /// Times that memory went back to the kernel.
    purges: Option<u64>,
    /// Times that memory was refused: by the user's limit, by the kernel.
    limit_refusals: Option<u64>,
    kernel_refusals: Option<u64>,
    forks: Option<u64>,
}

/// Allocations above the largest class, in the whole life of the process unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Large {
    live: u64,
    live_bytes: u64,
    /// In the frame's span of time.
    allocations_per_second: Option<f64>,
    allocations: u64,
    reuses: Option<u64>,
    direct_mappings: Option<u64>,
    grown_in_place: Option<u64>,
    moved: Option<u64>,
    copied: Option<u64>,
}

impl General {
    /// Of a process, and of what it did in the frame's span of time.
    pub(crate) fn of(snapshot: &Snapshot, recent: &Delta) -> Option<General> {
        let total = |metric| snapshot.counts.sum(metric, Select::ALL);
        let live_bytes = snapshot.large_live_bytes()?;
        let allocations = total(Metric::LargeAllocations)?;
        let gone = total(Metric::LargeFrees)?.saturating_add(total(Metric::LargeFailures)?);
        let lately = recent.counts.sum(Metric::LargeAllocations, Select::ALL);
        let used = [Metric::RingHits, Metric::RingMisses, Metric::RingReturns, Metric::RingBypasses]
            .map(|metric| snapshot.counts.by(metric, Label::Class).unwrap_or_default());
        let was_used = |class| used.iter().any(|by_class| by_class.get(class).is_some_and(|&n| n > 0));
        let by_class = snapshot.live_bytes_by_class()?;
        Some(General {
            live_bytes_by_class: by_class
                .into_iter()
                .enumerate()
                .map(|(class, bytes)| was_used(class).then_some(bytes))
                .collect(),
            large: Large {
                live: allocations.saturating_sub(gone),
                live_bytes,
                allocations_per_second: lately
                    .zip(recent.elapsed)
                    .and_then(|(n, span)| round(n as f64 / span.as_secs_f64())),
                allocations,
                reuses: total(Metric::LargeReuses),
                direct_mappings: total(Metric::LargeDirectMappings),
                grown_in_place: total(Metric::LargeGrownInPlace),
                moved: total(Metric::LargeMoved),
                copied: total(Metric::LargeCopied),
            },
            purges: total(Metric::Purges),
            limit_refusals: total(Metric::LimitRefusals),
            kernel_refusals: total(Metric::KernelRefusals),
            forks: total(Metric::Forks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, SECOND};

    #[test]
    fn a_class_that_was_never_used_has_no_bytes_and_one_that_is_empty_has_none() {
        let mut snapshot = synthetic::general(1, 2 * SECOND);
        for (metric, at, n) in [
            (Metric::RingMisses, &[1][..], 3),
            (Metric::RingReturns, &[1], 1),
            (Metric::RingHits, &[2], 4),
            (Metric::RingReturns, &[2], 4),
            (Metric::LargeAllocations, &[], 8),
            (Metric::LargeFrees, &[], 5),
            (Metric::LargeAllocatedBytes, &[], 1 << 20),
        ] {
            synthetic::add(&mut snapshot, metric, at, 0, n);
        }
        let general = General::of(&snapshot, &snapshot.lifetime()).expect("of every size");
        assert_eq!(general.live_bytes_by_class, [None, Some(96), Some(0)]);
        assert_eq!((general.large.live, general.large.live_bytes), (3, 1 << 20));
        assert_eq!(general.large.allocations_per_second, Some(4.0));
    }

    #[test]
    fn a_mid_pool_has_nothing_of_this() {
        let snapshot = synthetic::snapshot(synthetic::process(1, "mutex"), SECOND);
        assert_eq!(General::of(&snapshot, &snapshot.lifetime()), None);
    }
}

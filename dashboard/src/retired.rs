//! What processes have counted whose segments have gone: reaped after their time, or removed by somebody.
//!
//! Without it a sum over processes would fall when a segment goes, and Prometheus takes a counter that falls for one
//! that began anew. Invariant: one snapshot a group, and at most [`GROUPS`] groups; what does not fit is counted as
//! dropped rather than kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use stormglass_telemetry::{Liveness, Process, Snapshot};

/// Groups that are remembered at most. A group takes some tens of kilobytes.
const GROUPS: usize = 64;

/// What tells the series of `/metrics` apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) command: String,
    pub(crate) strategy: String,
    pub(crate) workload: String,
    /// The delay that is injected into it: what it shows is not to be added to what others show.
    pub(crate) injected: Option<String>,
}

impl Group {
    pub(crate) fn of(process: &Process) -> Group {
        Group {
            command: process.command.clone(),
            strategy: process.strategy.clone(),
            workload: process.workload.clone(),
            injected: process.injected.clone(),
        }
    }
}

/// The sums of those that have gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retired {
    groups: BTreeMap<Group, Snapshot>,
    dropped: u64,
}

impl Retired {
    /// Adds the last snapshot of a process whose segment has gone; one that did nothing leaves nothing.
    pub(crate) fn bury(&mut self, mut snapshot: Snapshot) {
        if snapshot.threads_started == 0 && snapshot.counts.values.iter().all(|&value| value == 0) {
            return;
        }
        snapshot.liveness = Liveness::Dead;
        snapshot.segment_bytes = 0;
        let group = Group::of(&snapshot.process);
        if let Some(sum) = self.groups.get_mut(&group) {
            sum.counts.add(&snapshot.counts);
            sum.threads_started = sum.threads_started.saturating_add(snapshot.threads_started);
            sum.threads_dropped = sum.threads_dropped.saturating_add(snapshot.threads_dropped);
            sum.process = Arc::clone(&snapshot.process);
        } else if self.groups.len() < GROUPS {
            self.groups.insert(group, snapshot);
        } else {
            if self.dropped == 0 {
                tracing::warn!(
                    command = %snapshot.process.command,
                    "over {GROUPS} kinds of processes have come and gone: the counts of further kinds leave /metrics \
                     with their segments"
                );
            }
            self.dropped += 1;
        }
    }

    /// One snapshot a group; dead, without a segment.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.groups.values()
    }
}

#[cfg(test)]
mod tests {
    use stormglass_telemetry::{Metric, Select};

    use super::*;
    use crate::synthetic::{self, SECOND};

    fn counted(pid: u32, strategy: &str, hits: u64) -> Snapshot {
        let mut snapshot = synthetic::snapshot(synthetic::process(pid, strategy), SECOND);
        synthetic::add(&mut snapshot, Metric::RingHits, &[0], 0, hits);
        snapshot
    }

    #[test]
    fn the_gone_of_one_kind_are_one_sum() {
        let mut retired = Retired::default();
        retired.bury(counted(1, "mutex", 3));
        retired.bury(counted(2, "mutex", 4));
        retired.bury(counted(3, "page", 5));
        let sums: Vec<_> = retired
            .snapshots()
            .map(|s| (s.counts.sum(Metric::RingHits, Select::ALL), s.threads_started))
            .collect();
        assert_eq!(sums, [(Some(7), 6), (Some(5), 3)]);
    }

    #[test]
    fn kinds_without_end_take_no_memory_without_end() {
        let mut retired = Retired::default();
        for kind in 0..GROUPS as u32 + 10 {
            retired.bury(counted(kind, &format!("design {kind}"), 1));
        }
        assert_eq!((retired.snapshots().count(), retired.dropped), (GROUPS, 10));
    }
}

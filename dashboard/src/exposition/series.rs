//! Which snapshots make one set of series.
//!
//! A series is about the processes of one command, strategy and workload, all added up: those that live, those that
//! are dead and still shown, and those that have gone. A process id would be a label without bound, and each restart of a
//! service would begin its counters anew; the page tells processes apart. Processes with an injected delay are a group
//! of their own, and each of their series says so.
//!
//! Invariants: no two results of [`by_group`] have the same labels, or Prometheus would refuse the whole scrape; what
//! a group has counted stays in its sums for as long as the sidecar runs.

use std::collections::{BTreeMap, BTreeSet};

use stormglass_telemetry::{Counts, Held, Liveness, Process, Snapshot};

use super::INJECTED_LABEL;
use super::labels::{Label, label};
use crate::packed::Packed;
use crate::retired::{Group, Retired};

/// Whose counts are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Processes of one command, strategy and workload.
    #[default]
    Kind,
    /// All processes of one command; the labels `strategy` and `workload` are empty.
    Command,
}

impl Grouping {
    fn of(self, process: &Process) -> Group {
        let group = Group::of(process);
        match self {
            Grouping::Kind => group,
            Grouping::Command => Group { strategy: String::new(), workload: String::new(), ..group },
        }
    }
}

/// The processes of one group, added up.
pub(super) struct Series {
    /// Whether one of them lives.
    pub(super) live: bool,
    /// Threads of the living.
    pub(super) threads: u64,
    /// For each of [`Held::BYTES`], the bytes of the living; `None` where none of the writers counts what that takes.
    pub(super) held: [Option<u64>; Held::BYTES.len()],
    /// Bytes of the segments, also of the dead while they are kept.
    pub(super) segment_bytes: u64,
    /// Threads that ever owned a slot.
    pub(super) threads_started: u64,
    /// Threads that found no slot.
    pub(super) threads_dropped: u64,
    /// Versions of their writers.
    pub(super) versions: BTreeSet<String>,
    /// Everything that they counted.
    pub(super) counts: Counts,
}

impl Series {
    fn of(snapshot: &Snapshot) -> Series {
        let held = snapshot.held();
        Series {
            live: snapshot.liveness == Liveness::Live,
            threads: u64::from(held.threads),
            held: Held::BYTES.map(|(_, bytes)| bytes(&held)),
            segment_bytes: snapshot.segment_bytes,
            threads_started: snapshot.threads_started,
            threads_dropped: snapshot.threads_dropped,
            versions: BTreeSet::from([snapshot.process.version.clone()]),
            counts: snapshot.counts.clone(),
        }
    }

    fn add(&mut self, other: Series) {
        // Saturating: these are what a file says, and a file may say anything.
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b)).or(a).or(b);
        self.live |= other.live;
        self.threads = self.threads.saturating_add(other.threads);
        self.held = core::array::from_fn(|i| sum(self.held[i], other.held[i]));
        self.segment_bytes = self.segment_bytes.saturating_add(other.segment_bytes);
        self.threads_started = self.threads_started.saturating_add(other.threads_started);
        self.threads_dropped = self.threads_dropped.saturating_add(other.threads_dropped);
        self.versions.extend(other.versions);
        self.counts.unite(&other.counts);
    }
}

/// The labels that say which processes.
pub(super) fn labels(group: &Group) -> Vec<Label> {
    let mut labels = vec![
        label("command", &group.command),
        label("strategy", &group.strategy),
        label("workload", &group.workload),
    ];
    labels.extend(group.injected.as_deref().map(|injected| label(INJECTED_LABEL, injected)));
    labels
}

/// Everything that was ever counted, by group.
pub(super) fn by_group(
    snapshots: &[Packed],
    retired: &Retired,
    grouping: Grouping,
) -> BTreeMap<Group, Series> {
    let mut all: BTreeMap<Group, Series> = BTreeMap::new();
    for snapshot in snapshots.iter().map(Packed::whole).chain(retired.snapshots().cloned()) {
        let series = Series::of(&snapshot);
        match all.entry(grouping.of(&snapshot.process)) {
            std::collections::btree_map::Entry::Occupied(mut group) => group.get_mut().add(series),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(series);
            }
        }
    }
    all
}

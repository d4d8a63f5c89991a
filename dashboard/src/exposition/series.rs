//! Which snapshots make one set of series.
//!
//! Invariant: no two results of [`by_process`] have the same labels: Prometheus would refuse the whole scrape.

use std::collections::BTreeSet;
use std::sync::Arc;

use prometheus::proto::LabelPair;
use stormglass_telemetry::{Liveness, Snapshot};

use super::families::label;

/// One or more segments of one process, added up.
pub(super) struct Series {
    sum: Snapshot,
    /// What is injected into any of them: the mark of one is a mark on the sum.
    injected: BTreeSet<String>,
}

impl std::ops::Deref for Series {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.sum
    }
}

impl Series {
    fn of(snapshot: Snapshot) -> Series {
        Series { injected: snapshot.process.injected.iter().cloned().collect(), sum: snapshot }
    }

    /// The delays that are injected into the process.
    pub(super) fn injected(&self) -> impl Iterator<Item = &str> {
        self.injected.iter().map(String::as_str)
    }

    /// The labels that say which process.
    pub(super) fn labels(&self) -> Vec<LabelPair> {
        let process = &self.process;
        vec![
            label("pid", &process.pid.to_string()),
            label("command", &process.command),
            label("strategy", &process.strategy),
            label("workload", &process.workload),
        ]
    }

    fn is_of_same(&self, other: &Snapshot) -> bool {
        let (a, b) = (&self.process, &other.process);
        (a.pid, &a.command, &a.strategy, &a.workload) == (b.pid, &b.command, &b.strategy, &b.workload)
    }

    /// Adds another segment of the process. One whose writer counts other things (two versions in one process, or
    /// a reused pid) cannot be added: then the younger stands.
    fn add(&mut self, other: Snapshot) {
        self.injected.extend(other.process.injected.iter().cloned());
        let sum = &mut self.sum;
        if sum.counts.schema != other.counts.schema {
            if other.born > sum.born {
                *sum = other;
            }
            return;
        }
        for (total, value) in sum.counts.values.iter_mut().zip(&other.counts.values) {
            *total = total.wrapping_add(*value);
        }
        // Saturating: these are what a file says, and a file may say anything.
        sum.threads = sum.threads.saturating_add(other.threads);
        sum.threads_started = sum.threads_started.saturating_add(other.threads_started);
        sum.threads_dropped = sum.threads_dropped.saturating_add(other.threads_dropped);
        sum.segment_bytes = sum.segment_bytes.saturating_add(other.segment_bytes);
        if other.liveness == Liveness::Live {
            sum.liveness = Liveness::Live;
            sum.process = Arc::clone(&other.process);
        }
    }
}

/// Snapshots with the same labels added up, in the order of their first.
pub(super) fn by_process(snapshots: Vec<Snapshot>) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        match all.iter_mut().find(|series| series.is_of_same(&snapshot)) {
            Some(series) => series.add(snapshot),
            None => all.push(Series::of(snapshot)),
        }
    }
    all
}

//! A snapshot without its zeros: how the sidecar holds every process that there is.
//!
//! A moment of a process is some 35 KB of counts, of which nine in ten are 0, and a sidecar holds a moment of each of its processes at any
//! time, and several of some. Invariant: the observer, a scrape and the past go through them with one whole snapshot at a time.

use std::sync::Arc;

use stormglass_telemetry::{Counts, Liveness, Process, Schema, Snapshot, Sparse, Values};

/// A snapshot whose values are kept apart. A clone takes no memory for them.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// Without values: nothing is worked out from it.
    about: Snapshot,
    values: Arc<Sparse>,
}

impl Packed {
    pub(crate) fn of(snapshot: Snapshot) -> Packed {
        let values = Arc::new(Sparse::of(&snapshot.counts.values));
        let counts = Counts { values: Values::zero(0), ..snapshot.counts };
        Packed { about: Snapshot { counts, ..snapshot }, values }
    }

    /// The snapshot that it was made of.
    pub(crate) fn whole(&self) -> Snapshot {
        let mut counts = Counts::zero(Arc::clone(&self.about.counts.schema));
        self.values.add_to(&mut counts.values);
        Snapshot { counts, ..self.about.clone() }
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.about.process
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.about.liveness
    }

    /// When it was read, `CLOCK_MONOTONIC` nanoseconds.
    pub(crate) fn taken(&self) -> u64 {
        self.about.taken
    }

    /// When the segment was made, `CLOCK_MONOTONIC` nanoseconds.
    pub(crate) fn born(&self) -> u64 {
        self.about.born
    }

    /// What the values mean.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.about.counts.schema
    }

    /// What was counted.
    pub(crate) fn values(&self) -> &Arc<Sparse> {
        &self.values
    }
}

impl From<Snapshot> for Packed {
    fn from(snapshot: Snapshot) -> Packed {
        Packed::of(snapshot)
    }
}

/// Many at once.
#[cfg(test)]
pub(crate) fn packed(snapshots: &[Snapshot]) -> Vec<Packed> {
    snapshots.iter().cloned().map(Packed::of).collect()
}

#[cfg(test)]
mod tests {
    use stormglass_telemetry::Metric;

    use super::*;
    use crate::synthetic::{self, SECOND};

    #[test]
    fn a_snapshot_comes_back_whole() {
        let mut snapshot = synthetic::snapshot(synthetic::process(1, "mutex"), SECOND);
        synthetic::add(&mut snapshot, Metric::RingHits, &[6], 0, u64::MAX);
        let packed = Packed::of(snapshot.clone());
        let whole = packed.whole();
        assert_eq!(whole.counts.values, snapshot.counts.values);
        assert_eq!(
            (&whole.process, whole.taken, whole.born),
            (&snapshot.process, packed.taken(), packed.born())
        );
        assert_eq!(whole.resident_bytes, snapshot.resident_bytes);
    }
}

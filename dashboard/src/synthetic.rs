//! Processes that never ran, for tests: every value is said, nothing is read.

use std::sync::Arc;

use stormglass_telemetry::{Counts, Inside, Liveness, Metric, Process, Schema, Shape, Snapshot};

use crate::packed::{Packed, packed};
use crate::retired::Retired;
use crate::source::Source;

/// One second, in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn process(pid: u32, strategy: &str) -> Process {
    Process {
        pid,
        start_time: u64::from(pid) * 10,
        sequence: 0,
        command: "hammer".to_owned(),
        strategy: strategy.to_owned(),
        workload: "storm".to_owned(),
        injected: None,
        version: "0.1.0".to_owned(),
        created: 1_700_000_000,
    }
}

/// A live process without counts, born at 100 s and read `age` nanoseconds later.
pub(crate) fn snapshot(process: Process, age: u64) -> Snapshot {
    Snapshot {
        process: Arc::new(process),
        liveness: Liveness::Live,
        taken: 100 * SECOND + age,
        born: 100 * SECOND,
        heartbeat: 100 * SECOND + age,
        threads: 2,
        threads_started: 3,
        threads_dropped: 0,
        segment_bytes: 1 << 20,
        resident_bytes: Some(8 << 20),
        counts: Counts::zero(Arc::new(Schema::own())),
    }
}

/// As [`snapshot`], of a general allocator with three classes in one shard.
pub(crate) fn general(pid: u32, age: u64) -> Snapshot {
    let shape = Shape { class_bytes: &[16, 48, 8192], shards: 1, totals: true, inside: Inside::NONE };
    Snapshot {
        counts: Counts::zero(Arc::new(Schema::of(shape))),
        ..snapshot(Process { workload: String::new(), ..process(pid, "page") }, age)
    }
}

/// Adds `value` to one cell: `at` are the indices of the metric's labels, `cell` that of the value in it.
pub(crate) fn add(snapshot: &mut Snapshot, metric: Metric, at: &[usize], cell: usize, value: u64) {
    let schema = Arc::clone(&snapshot.counts.schema);
    let family = schema.family(metric).expect("a metric of this build");
    assert_eq!(at.len(), family.labels.len(), "an index for each label");
    let index = family.labels.iter().zip(at).fold(0, |i, (&l, &a)| i * schema.labels[l].values.len() + a);
    snapshot.counts.values[family.start + index * family.width + cell] += value;
}

/// Says the same at each read.
pub(crate) struct Fixed {
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) retired: Retired,
}

impl Fixed {
    pub(crate) fn new(snapshots: Vec<Snapshot>) -> Fixed {
        Fixed { snapshots, retired: Retired::default() }
    }
}

impl Source for Fixed {
    fn snapshots(&mut self) -> Vec<Packed> {
        packed(&self.snapshots)
    }

    fn retired(&self) -> &Retired {
        &self.retired
    }

    fn errors(&self) -> u64 {
        2
    }
}

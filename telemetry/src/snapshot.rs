//! What the sidecar knows of a process at one moment, and the change between two moments. Plain values: no
//! mapping, no file, no clock is behind them.

use std::sync::Arc;
use std::time::Duration;

use crate::counts::Counts;

/// Who a segment belongs to. Never the command line: it may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id, in the writer's pid namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`); with the pid it names a process.
    pub start_time: u64,
    /// Number of the segment within its process.
    pub sequence: u32,
    /// Command name, as the kernel truncates it.
    pub command: String,
    /// Free-list design.
    pub strategy: String,
    /// What a benchmark runs; empty for others.
    pub workload: String,
    /// The delay that is injected into this process's lists, as its writer puts it: its counts show what was asked for, not
    /// what the machine does by itself.
    pub injected: Option<String>,
    /// Version of stormglass in the writer.
    pub version: String,
    /// When the segment was made, seconds since 1970.
    pub created: u64,
}

/// Whether the process still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It holds its segment's lock, and pid and start time agree where they can be seen.
    Live,
    /// It has gone; the segment is kept for a post-mortem.
    Dead,
}

/// One process at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose.
    pub process: Arc<Process>,
    /// Whether it lived when it was read.
    pub liveness: Liveness,
    /// When it was read, `CLOCK_MONOTONIC` nanoseconds.
    pub taken: u64,
    /// When the segment was made, `CLOCK_MONOTONIC` nanoseconds.
    pub born: u64,
    /// The latest slow path of any of its threads, `CLOCK_MONOTONIC` nanoseconds; 0 before the first.
    pub heartbeat: u64,
    /// Threads that own a slot; of a dead process, those that were killed with it.
    pub threads: u32,
    /// Threads that ever owned a slot.
    pub threads_started: u64,
    /// Threads that found no slot.
    pub threads_dropped: u64,
    /// Size of the segment in bytes.
    pub segment_bytes: u64,
    /// Resident memory of the whole process, where it lives and this process can see it.
    pub resident_bytes: Option<u64>,
    /// Sums over all threads, living and dead.
    pub counts: Counts,
}

impl Snapshot {
    /// What happened since `earlier`, a snapshot of the same process; `None` if it is of another, or no older.
    pub fn since(&self, earlier: &Snapshot) -> Option<Delta> {
        if self.process != earlier.process || self.taken <= earlier.taken {
            return None;
        }
        Some(Delta {
            elapsed: Some(Duration::from_nanos(self.taken - earlier.taken)),
            counts: self.counts.since(&earlier.counts),
        })
    }

    /// What happened in the whole life of the process. A dead one's life is as long as its threads say, each in the heartbeat
    /// with which it gives its slot back. One that was killed did not get to that: it may have lived from its rings long
    /// after its last slow path, and the length of its life is not known.
    pub fn lifetime(&self) -> Delta {
        let end = match self.liveness {
            Liveness::Live => Some(self.taken),
            Liveness::Dead => (self.threads == 0 && self.heartbeat > 0).then_some(self.heartbeat),
        };
        let elapsed = end.map(|end| Duration::from_nanos(end.saturating_sub(self.born).max(1)));
        Delta { elapsed, counts: self.counts.clone() }
    }

    /// What the process holds now. A dead one holds nothing, whatever its segment says: it may have been killed in mid-work.
    pub fn held(&self) -> Held {
        let alive = self.liveness == Liveness::Live;
        let bytes = |bytes: Option<u64>| if alive { bytes } else { bytes.map(|_| 0) };
        Held {
            threads: if alive { self.threads } else { 0 },
            live_bytes: bytes(self.live_bytes()),
            cached_bytes: bytes(self.cached_bytes()),
            mapped_bytes: bytes(self.mapped_bytes()),
            purged_bytes: bytes(self.purged_bytes()),
            large_live_bytes: bytes(self.large_live_bytes()),
            resident_bytes: bytes(self.resident_bytes),
        }
    }
}

/// What a process holds at one moment, in bytes as memory.rs explains them; `None` where its writer does not count what that
/// takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Threads that own a slot.
    pub threads: u32,
    /// With callers.
    pub live_bytes: Option<u64>,
    /// Free, in the rings of threads.
    pub cached_bytes: Option<u64>,
    /// In pages and spans, used or free.
    pub mapped_bytes: Option<u64>,
    /// Given back to the kernel, and kept for use again.
    pub purged_bytes: Option<u64>,
    /// Of the live, above the largest class.
    pub large_live_bytes: Option<u64>,
    /// Of the whole process, as the kernel counts them.
    pub resident_bytes: Option<u64>,
}

/// What happened in a span of time.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Length of the span, never zero; `None` where nobody knows it, and then there are no rates.
    pub elapsed: Option<Duration>,
    /// What was counted in it.
    pub counts: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::{Schema, Select};
    use crate::schema::Metric;

    /// Born at 10 s, heard of at 10.000049 s, read at 12 s.
    fn snapshot(liveness: Liveness, threads: u32) -> Snapshot {
        let schema = Arc::new(Schema::own());
        let mut counts = Counts::zero(Arc::clone(&schema));
        for metric in [Metric::RingHits, Metric::PageMappedBytes] {
            counts.values[schema.family(metric).expect("own metric").start] = 5_000_000;
        }
        let process = Process {
            pid: 1,
            start_time: 1,
            sequence: 0,
            command: String::new(),
            strategy: String::new(),
            workload: String::new(),
            injected: None,
            version: String::new(),
            created: 0,
        };
        Snapshot {
            process: Arc::new(process),
            liveness,
            taken: 12_000_000_000,
            born: 10_000_000_000,
            heartbeat: 10_000_049_000,
            threads,
            threads_started: 1,
            threads_dropped: 0,
            segment_bytes: 0,
            resident_bytes: None,
            counts,
        }
    }

    #[test]
    fn a_life_is_as_long_as_it_is_known_to_be() {
        let of = |liveness, threads| snapshot(liveness, threads).lifetime();
        assert_eq!(of(Liveness::Live, 1).elapsed, Some(Duration::from_secs(2)));
        assert_eq!(of(Liveness::Dead, 0).elapsed, Some(Duration::from_micros(49)));
        let killed = of(Liveness::Dead, 1);
        assert_eq!(killed.elapsed, None);
        let measures = killed.measures(Select::ALL);
        assert_eq!((measures.allocations_per_second, measures.lock_wait_ratio), (None, None));
        assert_eq!(measures.ring_hit_ratio, Some(1.0), "a ratio of counts needs no time");
    }

    #[test]
    fn the_dead_hold_nothing() {
        let alive = snapshot(Liveness::Live, 1).held();
        assert!(alive.threads == 1 && alive.live_bytes > Some(0) && alive.mapped_bytes > Some(0));
        let nothing = Held {
            threads: 0,
            live_bytes: Some(0),
            cached_bytes: Some(0),
            mapped_bytes: Some(0),
            purged_bytes: Some(0),
            large_live_bytes: None,
            resident_bytes: None,
        };
        assert_eq!(snapshot(Liveness::Dead, 1).held(), nothing);
    }
}

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
    /// Threads that own a slot.
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
            elapsed: Duration::from_nanos(self.taken - earlier.taken),
            counts: self.counts.since(&earlier.counts),
        })
    }

    /// What happened in the whole life of the process, up to its last heartbeat if it is dead.
    pub fn lifetime(&self) -> Delta {
        let end = match self.liveness {
            Liveness::Live => self.taken,
            Liveness::Dead => self.heartbeat,
        };
        Delta {
            elapsed: Duration::from_nanos(end.saturating_sub(self.born).max(1)),
            counts: self.counts.clone(),
        }
    }
}

/// What happened in a span of time.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Length of the span; never zero.
    pub elapsed: Duration,
    /// What was counted in it.
    pub counts: Counts,
}

//! What the page shows at one moment. Pure: snapshots, what is remembered of them, and a time go in, plain values
//! with a JSON form come out.
//!
//! Invariant: everything under one process is about one span of time: of a live one the last second, of a dead one
//! its life; only `lifetime` is always the whole life.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;
use stormglass_telemetry::{Delta, Liveness, Measures, Metric, Process, Select, Snapshot};

use crate::general::General;
use crate::grid::{Axes, Grid, grid};
use crate::inside::Inside;
use crate::perf::PerfFrame;
use crate::shown::Shown;

/// A process's name for the page: pids are reused, and one process may have several segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessId {
    pid: u32,
    start_time: u64,
    sequence: u32,
}

impl ProcessId {
    pub(crate) fn of(process: &Process) -> ProcessId {
        ProcessId { pid: process.pid, start_time: process.start_time, sequence: process.sequence }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.pid, self.start_time, self.sequence)
    }
}

impl Serialize for ProcessId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The moment that a frame is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Milliseconds since 1970, as an [`Epoch`] has them.
    pub(crate) unix_ms: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub(crate) monotonic: u64,
}

/// What the wall clock said at one moment. From there on time is counted by the monotonic clock: a wall clock that is set
/// back or forth bends no time line and stops none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(Now);

impl Epoch {
    pub(crate) fn of(unix_ms: u64, monotonic: u64) -> Epoch {
        Epoch(Now { unix_ms, monotonic })
    }

    /// The moment at which the monotonic clock says this; it may lie before the first one.
    pub(crate) fn at(self, monotonic: u64) -> Now {
        let milliseconds = |span: u64| span / 1_000_000;
        let unix_ms = if monotonic >= self.0.monotonic {
            self.0.unix_ms.saturating_add(milliseconds(monotonic - self.0.monotonic))
        } else {
            self.0.unix_ms.saturating_sub(milliseconds(self.0.monotonic - monotonic))
        };
        Now { unix_ms, monotonic }
    }
}

/// Everything that the page shows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Frame {
    /// Milliseconds since 1970; never less than in a frame before.
    pub(crate) time: u64,
    pub(crate) processes: Vec<ProcessFrame>,
    /// What is wrong with the sidecar itself.
    pub(crate) sidecar_verdicts: Vec<Shown>,
    /// Processes that found no room in the frame.
    pub(crate) left_out: usize,
    /// Series that the last scrape of /metrics left out.
    pub(crate) series_left_out: u64,
    /// The newest benchmark report.
    pub(crate) results: Option<Arc<Value>>,
}

/// One process in a frame.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProcessFrame {
    /// Seconds since its last heartbeat.
    age_seconds: f64,
    /// What the processor and the kernel count of it; null where nobody asked for that.
    perf: Option<PerfFrame>,
    /// What is wrong now, the worst first; and what was, the newest first.
    verdicts: Vec<Shown>,
    past_verdicts: Vec<Shown>,
    #[serde(flatten)]
    body: Arc<Body>,
}

/// What does not change any more once a process is dead.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Body {
    id: ProcessId,
    pid: u32,
    command: String,
    strategy: String,
    workload: String,
    /// The delay that is injected, as its writer puts it.
    injected: Option<String>,
    version: String,
    live: bool,
    created: u64,
    threads: u32,
    threads_dropped: u64,
    live_bytes: Option<u64>,
    mapped_bytes: Option<u64>,
    cached_bytes: Option<u64>,
    purged_bytes: Option<u64>,
    resident_bytes: Option<u64>,
    rates: Measures,
    lifetime: Measures,
    #[serde(flatten)]
    axes: Axes,
    grid: Grid,
    retries: Retries,
    /// What an allocator of every size has beside its grid; null for a mid pool.
    general: Option<General>,
    /// What a slow path costs by hardware counters; null where they are not read inside.
    inside: Option<Inside>,
}

/// Operations by how often they had to try again; empty if the writer does not count that.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Retries {
    bounds: Vec<u64>,
    /// Not cumulative; one more than there are bounds.
    buckets: Vec<u64>,
}

impl ProcessFrame {
    /// `verdicts` are those that are on, and those that were.
    pub(crate) fn new(
        body: Arc<Body>,
        snapshot: &Snapshot,
        now: Now,
        verdicts: (Vec<Shown>, Vec<Shown>),
    ) -> ProcessFrame {
        let heard = if snapshot.heartbeat == 0 { snapshot.born } else { snapshot.heartbeat };
        // Milliseconds are as fine as anybody reads.
        let milliseconds = now.monotonic.saturating_sub(heard) / 1_000_000;
        ProcessFrame {
            age_seconds: milliseconds as f64 / 1000.0,
            verdicts: verdicts.0,
            past_verdicts: verdicts.1,
            perf: None,
            body,
        }
    }

    /// With what is counted of it from outside.
    pub(crate) fn with_perf(self, perf: Option<PerfFrame>) -> ProcessFrame {
        ProcessFrame { perf, ..self }
    }

    /// The measures of the frame's span.
    #[cfg(test)]
    pub(crate) fn rates(&self) -> &Measures {
        &self.body.rates
    }
}

impl Body {
    pub(crate) fn new(snapshot: &Snapshot, spans: &Spans) -> Body {
        let process = &snapshot.process;
        let recent = spans.recent.as_ref().unwrap_or(&spans.lifetime);
        let lifetime = spans.lifetime.measures(Select::ALL);
        let axes = Axes::of(&recent.counts.schema);
        let held = snapshot.held();
        Body {
            id: ProcessId::of(process),
            pid: process.pid,
            command: process.command.clone(),
            strategy: process.strategy.clone(),
            workload: process.workload.clone(),
            injected: process.injected.clone(),
            version: process.version.clone(),
            live: snapshot.liveness == Liveness::Live,
            created: process.created,
            threads: held.threads,
            threads_dropped: snapshot.threads_dropped,
            live_bytes: held.live_bytes,
            mapped_bytes: held.mapped_bytes,
            cached_bytes: held.cached_bytes,
            purged_bytes: held.purged_bytes,
            resident_bytes: held.resident_bytes,
            rates: spans.recent.as_ref().map_or(lifetime, |d| d.measures(Select::ALL)),
            lifetime,
            grid: grid(recent, &axes),
            inside: Inside::of(&snapshot.counts, &axes),
            axes,
            general: General::of(snapshot, recent),
            retries: recent
                .counts
                .histogram(Metric::CasRetries, Select::ALL)
                .map_or_else(Retries::default, |h| Retries { bounds: h.bounds, buckets: h.buckets }),
        }
    }

    /// The measures of the frame's span of time.
    pub(crate) fn rates(&self) -> &Measures {
        &self.rates
    }
}

/// How far back the difference is taken: about a second. Samples do not fall on whole seconds, so a baseline that
/// is a little younger will do.
pub(crate) const INTERVAL: Duration = Duration::from_millis(900);
/// A process younger than this has no more than its life.
pub(crate) const YOUTH: Duration = Duration::from_millis(1100);
/// A difference over less than this says more about chance than about the process.
const LEAST: Duration = Duration::from_millis(80);

/// The spans of time that a frame is about.
pub(crate) struct Spans {
    /// The last second; `None` of a dead process, and of a live one that has only just been found.
    pub(crate) recent: Option<Delta>,
    /// The whole life.
    pub(crate) lifetime: Delta,
}

impl Spans {
    /// The spans up to `snapshot`, from what is remembered of its process: `earlier`, oldest first.
    pub(crate) fn new<'a>(
        snapshot: &Snapshot,
        earlier: impl DoubleEndedIterator<Item = &'a Snapshot> + Clone,
    ) -> Spans {
        let mut lifetime = snapshot.lifetime();
        if snapshot.liveness == Liveness::Dead {
            // One that was killed does not say how long it lived. What was seen alive lived at least that long, and a sample
            // longer at most.
            if let Some(seen) = earlier.clone().rev().find(|s| s.liveness == Liveness::Live) {
                let until = seen.taken.max(snapshot.heartbeat).saturating_sub(snapshot.born);
                lifetime.elapsed = lifetime.elapsed.max(Some(Duration::from_nanos(until.max(1))));
            }
            return Spans { recent: None, lifetime };
        }
        let lived = Duration::from_nanos(snapshot.taken.saturating_sub(snapshot.born));
        if lived <= YOUTH {
            return Spans { recent: Some(lifetime.clone()), lifetime };
        }
        let age = |s: &Snapshot| Duration::from_nanos(snapshot.taken.saturating_sub(s.taken));
        let baseline = earlier
            .clone()
            .rev()
            .find(|s| age(s) >= INTERVAL)
            .or_else(|| earlier.clone().next().filter(|s| age(s) >= LEAST));
        Spans { recent: baseline.and_then(|s| snapshot.since(s)), lifetime }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, SECOND};

    /// A process that allocates a million times a second and fails ten CASes for each refill of 2 048-byte blocks.
    fn at(age: u64) -> Snapshot {
        let mut snapshot = synthetic::snapshot(synthetic::process(1, "lockfree-single"), age);
        let millionths = age / 1000;
        synthetic::add(&mut snapshot, Metric::RingHits, &[0], 0, millionths);
        synthetic::add(&mut snapshot, Metric::CasFailures, &[0, 3, 0], 0, millionths / 10);
        synthetic::add(&mut snapshot, Metric::CasAttempts, &[0, 3, 0], 0, millionths / 5);
        synthetic::add(&mut snapshot, Metric::CasRetries, &[0, 3], 4, millionths / 100);
        snapshot
    }

    fn recent(now: u64, earlier: &[u64]) -> Option<Duration> {
        let earlier: Vec<Snapshot> = earlier.iter().map(|&age| at(age)).collect();
        Spans::new(&at(now), earlier.iter()).recent.and_then(|d| d.elapsed)
    }

    #[test]
    fn the_interval_is_the_last_second() {
        let tenth = SECOND / 10;
        assert_eq!(
            recent(50 * tenth, &[38 * tenth, 40 * tenth, 42 * tenth]),
            Some(Duration::from_secs(1)),
            "the youngest that is a second old"
        );
        assert_eq!(recent(5 * tenth, &[tenth]), Some(Duration::from_millis(500)), "younger: since birth");
        assert_eq!(recent(50 * tenth, &[47 * tenth]), Some(Duration::from_millis(300)), "the best there is");
        assert_eq!(recent(50 * tenth, &[]), None, "only just found");
        assert_eq!(recent(50 * tenth, &[50 * tenth - 1000]), None, "a microsecond is no interval");
    }

    #[test]
    fn a_dead_process_shows_its_life() {
        let mut dead = at(4 * SECOND);
        dead.liveness = Liveness::Dead;
        dead.taken += 60 * SECOND;
        dead.threads = 0;
        let spans = Spans::new(&dead, [].iter());
        assert!(spans.recent.is_none());
        assert_eq!(spans.lifetime.elapsed, Some(Duration::from_secs(4)));

        dead.heartbeat = dead.born + 1;
        dead.threads = 1;
        assert_eq!(Spans::new(&dead, [].iter()).lifetime.elapsed, None, "killed unseen");
        let seen = at(3 * SECOND);
        assert_eq!(Spans::new(&dead, [seen].iter()).lifetime.elapsed, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_card_of_a_killed_process_holds_nothing() {
        let mut killed = at(4 * SECOND);
        killed.liveness = Liveness::Dead;
        let body = Body::new(&killed, &Spans::new(&killed, [].iter()));
        assert_eq!((body.threads, body.live_bytes, body.mapped_bytes), (0, Some(0), Some(0)));
    }

    #[test]
    fn the_shape_is_the_one_that_the_page_reads() {
        let process = Process {
            injected: Some("class=2048,shard=3,delay=1us".to_owned()),
            ..synthetic::process(1, "lockfree-single")
        };
        let process = Arc::new(process);
        let of = |age| Snapshot { process: Arc::clone(&process), ..at(age) };
        let snapshot = of(10 * SECOND);
        let earlier = [of(9 * SECOND)];
        let spans = Spans::new(&snapshot, earlier.iter());
        let now = Now { unix_ms: 5, monotonic: snapshot.taken + SECOND / 4 };
        let body = Arc::new(Body::new(&snapshot, &spans));
        let frame = Frame {
            time: now.unix_ms,
            processes: vec![ProcessFrame::new(body, &snapshot, now, Default::default())],
            sidecar_verdicts: Vec::new(),
            left_out: 3,
            series_left_out: 7,
            results: None,
        };
        let json = serde_json::to_value(&frame).expect("a frame is JSON");
        assert_eq!(json["time"], 5);
        assert_eq!(json["left_out"], 3);
        assert_eq!(json["series_left_out"], 7);
        assert!(json["results"].is_null());
        let process = &json["processes"][0];
        assert_eq!(process["id"], "1-10-0");
        assert_eq!(process["classes"][3], "8192");
        assert_eq!(process["shards"].as_array().map(Vec::len), Some(8));
        assert!(process["general"].is_null());
        assert!(process["perf"].is_null() && process["inside"].is_null());
        assert_eq!(process["live"], true);
        assert_eq!(process["age_seconds"], 0.25);
        assert_eq!(process["strategy"], "lockfree-single");
        assert_eq!(process["injected"], "class=2048,shard=3,delay=1us");
        assert_eq!(process["rates"]["allocations_per_second"], 1e6);
        assert_eq!(process["rates"]["failures_per_attempt"], 0.5);
        assert_eq!(process["grid"]["cas_failures_per_second"][0][3], 1e5);
        assert!(process["grid"]["walked_per_kept"][0][3].is_null());
        assert_eq!(process["retries"]["bounds"].as_array().map(Vec::len), Some(12));
        assert_eq!(process["retries"]["buckets"][4], 10_000);
        for key in [
            "pid",
            "command",
            "workload",
            "version",
            "created",
            "threads",
            "threads_dropped",
            "resident_bytes",
        ] {
            assert!(!process[key].is_null(), "{key}");
        }
    }
}

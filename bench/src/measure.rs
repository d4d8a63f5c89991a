//! One measurement, in this process, which should be a fresh one.
//!
//! Invariant: time and counts are of the same span, the workload's timed part. The counts are read the way the sidecar
//! reads them, from the segment, so a report cannot say what no viewer could have seen.

use std::fmt;
use std::time::{Duration, Instant};

use stormglass_allocator::{Injection, Pool, PoolConfig, PoolError, StrategyId};
use stormglass_telemetry::{Directory, Identity, Inside, ReadError, Segment, Snapshot, Writer, perf};

use crate::measurement::{Counted, Measurement};
use crate::neighbours::Usage;
use crate::shape::Shape;
use crate::workload::{Meter, Trouble, Workload, reach};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The workload.
    pub workload: &'static dyn Workload,
    /// The free-list design.
    pub design: StrategyId,
    /// How large and how long.
    pub shape: Shape,
    /// A delay to inject.
    pub inject: Option<Injection>,
}

impl Request {
    /// Whether it can be measured.
    ///
    /// # Errors
    /// A sentence that says what cannot be.
    pub fn check(&self) -> Result<(), String> {
        self.workload.check(&self.shape)?;
        self.inject.map_or(Ok(()), |injection| reach::check(self.workload, &self.shape, injection))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.shape.threads == 1 { "" } else { "s" };
        write!(f, "{}, {}, {} thread{s}", self.workload.name(), self.design, self.shape.threads)?;
        self.inject.map_or(Ok(()), |injection| write!(f, ", delay injected: {injection}"))
    }
}

/// Why there is no measurement.
#[derive(Debug)]
pub enum MeasureError {
    /// There is no pool.
    Pool(PoolError),
    /// The workload has no result.
    Workload(Trouble),
    /// The process's own segment could not be read.
    Read(ReadError),
    /// Bytes that the workload freed are missing.
    Lost(u64),
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MeasureError::Pool(error) => error.fmt(f),
            MeasureError::Workload(trouble) => trouble.fmt(f),
            MeasureError::Read(error) => write!(f, "the run's own counters cannot be read: {error}"),
            MeasureError::Lost(bytes) => write!(
                f,
                "the allocator's answer was wrong: all blocks were freed, and by its own count {bytes} bytes are still held"
            ),
        }
    }
}

impl std::error::Error for MeasureError {}

/// Whether slow paths are to be sampled by hardware counters; said to a child as to every program under the allocator.
fn counts_inside() -> bool {
    std::env::var_os("STORMGLASS_PERF").is_some_and(|value| value == "1")
}

/// Measures.
///
/// # Errors
/// If memory or threads ran out, or the allocator's answer was wrong. Without shared memory it measures all the same,
/// and the measurement says so in its warning.
pub fn measure(request: &Request, directory: &Directory) -> Result<Measurement, MeasureError> {
    let s = &request.shape;
    let name = format!("{} {}T", request.workload.name(), s.threads);
    let injected = request.inject.map_or_else(String::new, |injection| injection.to_string());
    let inside = if counts_inside() { perf::inside() } else { Inside::NONE };
    let identity = Identity { strategy: request.design.name(), workload: &name, injected: &injected, inside };
    let (writer, warning) = match Writer::create(directory, &identity) {
        Ok(writer) => (writer, None),
        Err(error) => (Writer::detached(), Some(format!("this run cannot be watched: {error}"))),
    };
    let segment = match writer.path().map(Segment::open) {
        Some(Ok(segment)) => Some(segment),
        Some(Err(error)) => return Err(MeasureError::Read(error)),
        None => None,
    };
    let config = PoolConfig {
        strategy: request.design,
        home: request.workload.home(),
        inject: request.inject,
        inside,
        ..PoolConfig::default()
    };
    let pool = Pool::new(config, writer).map_err(MeasureError::Pool)?;
    let mut meter = Span::new(segment.as_ref());
    let operations = request.workload.run(&pool, s, &mut meter).map_err(MeasureError::Workload)?;
    let others = meter.others();
    let (elapsed, counted) = meter.result().map_err(MeasureError::Read)?;
    if let Some(segment) = &segment {
        let lost = segment.snapshot().map_err(MeasureError::Read)?.live_bytes();
        if let Some(bytes) = lost.filter(|&bytes| bytes > 0) {
            return Err(MeasureError::Lost(bytes));
        }
    }
    Ok(Measurement { others, ..Measurement::new(operations, elapsed, counted, warning) })
}

/// The meter: a clock, and a look at the segment at both ends.
struct Span<'s> {
    segment: Option<&'s Segment>,
    usage: [Option<Usage>; 2],
    started: Option<(Instant, Option<Result<Snapshot, ReadError>>)>,
    stopped: Option<(Instant, Option<Result<Snapshot, ReadError>>)>,
}

impl<'s> Span<'s> {
    fn new(segment: Option<&'s Segment>) -> Span<'s> {
        Span { segment, usage: [None; 2], started: None, stopped: None }
    }

    fn look(&self) -> Option<Result<Snapshot, ReadError>> {
        self.segment.map(Segment::snapshot)
    }

    fn others(&self) -> Option<f64> {
        let [before, after] = self.usage;
        after?.others_since(before?)
    }

    fn result(self) -> Result<(Duration, Option<Counted>), ReadError> {
        let (Some((from, before)), Some((to, after))) = (self.started, self.stopped) else {
            return Ok((Duration::ZERO, None));
        };
        let counted = match (before.transpose()?, after.transpose()?) {
            (Some(before), Some(after)) => after.since(&before).as_ref().map(Counted::of),
            _ => None,
        };
        Ok((to - from, counted))
    }
}

impl Meter for Span<'_> {
    fn start(&mut self) {
        self.usage[0] = Usage::now();
        let seen = self.look();
        self.started = Some((Instant::now(), seen));
    }

    fn stop(&mut self) {
        let now = Instant::now();
        self.stopped = Some((now, self.look()));
        self.usage[1] = Usage::now();
    }
}

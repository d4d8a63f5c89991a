//! `/metrics`: reads the segments when it is asked, and answers in the words that the client takes.
//!
//! ```text
//! snapshots -> groups (series.rs) -> parts: verdicts.rs, watching.rs, processes.rs, hardware.rs, sidecar.rs -> families, within the budget
//! -> an answer of plain rows (answer.rs) -> text, OpenMetrics, protobuf
//! ```
//!
//! What else is to be exposed is one more part, in a file of its own.
//!
//! Invariants: a series is about the processes of one group together, and is said once; a metric that no writer of a group has
//! is absent, never 0; the series of a shard appear with its first count and stay, so that a counter only ever rises.

mod answer;
mod budget;
mod families;
mod format;
mod gzip;
mod hardware;
mod labels;
mod lines;
mod openmetrics;
mod processes;
mod protobuf;
mod series;
mod sidecar;
mod text;
mod touched;
mod verdicts;
mod watching;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use stormglass_telemetry::SCRAPE_BOUNDS;

use crate::perf::SharedPerf;
use crate::retired::Group;
use crate::source::SharedSource;
use crate::verdicts::Verdicts;
use crate::watching::Watching;
use answer::Answer;
use budget::{Budget, Order};
use families::Families;
use series::Series;

pub(crate) use format::{Format, takes_gzip};
pub use series::Grouping;

/// Labels of every series that is about processes.
const PROCESS_LABELS: [&str; 3] = ["command", "strategy", "workload"];
/// Label of the series of processes with an injected delay, and of no others.
const INJECTED_LABEL: &str = "injected";

/// Bytes by which a text may be longer than the one before it, and stay where it is.
const SPARE: usize = 16 << 10;

/// How much is said, and of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Whose counts are added up.
    pub(crate) grouping: Grouping,
    /// Series of a scrape at most, the sidecar's own not counted.
    pub(crate) max_series: u64,
}

/// What the sidecar knows of its own scrapes, which no segment does.
#[derive(Debug, Default)]
pub(crate) struct OwnCounts {
    scrapes: AtomicU64,
    /// How many took how long, by the bounds of the histogram.
    took: [AtomicU64; SCRAPE_BOUNDS.len() + 1],
    /// How long all took together.
    nanoseconds: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    /// Series that the last scrape left out.
    pub(crate) left_out: AtomicU64,
}

/// Everything that one scrape is made from.
struct Moment<'a> {
    segments: usize,
    /// In the order in which they were first seen.
    groups: &'a [(Group, Series)],
    errors: u64,
    own: &'a OwnCounts,
    verdicts: &'a Verdicts,
    watching: &'a Watching,
    perf: &'a SharedPerf,
}

/// What is exposed, in the order in which the budget is given out; the last is about the scrape itself.
const PARTS: [fn(&Moment<'_>, &mut Families); 5] =
    [verdicts::add, watching::add, processes::add, hardware::add, sidecar::add];

/// Answers scrapes.
#[derive(Clone)]
pub(crate) struct Exposition(Arc<Inner>);

struct Inner {
    source: SharedSource,
    verdicts: Verdicts,
    watching: Watching,
    options: Options,
    own: Arc<OwnCounts>,
    order: Mutex<Order>,
    warned: AtomicBool,
    /// Bytes of the last text.
    length: AtomicUsize,
}

/// A family that could not be written; a defect, because all of them are made here.
#[derive(Debug)]
pub(crate) struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl Exposition {
    #[cfg(test)]
    pub(crate) fn new(source: SharedSource, verdicts: Verdicts, options: Options) -> Exposition {
        Exposition::knowing(source, verdicts, Watching::default(), options)
    }

    /// One that also tells what watching costs.
    pub(crate) fn knowing(
        source: SharedSource,
        verdicts: Verdicts,
        watching: Watching,
        options: Options,
    ) -> Exposition {
        let (own, order, warned) = (Arc::default(), Mutex::default(), AtomicBool::new(false));
        let length = AtomicUsize::new(0);
        Exposition(Arc::new(Inner { source, verdicts, watching, options, own, order, warned, length }))
    }

    /// What it counts of itself.
    pub(crate) fn own(&self) -> &Arc<OwnCounts> {
        &self.0.own
    }

    /// The answer to one scrape.
    pub(crate) fn render(&self, format: Format, gzip: bool) -> Result<Vec<u8>, Unwritable> {
        let start = Instant::now();
        let text = self.encode(&self.answer(), format).map_err(Unwritable)?;
        let body = if gzip { gzip::compress(&text) } else { text };
        let own = self.own();
        let took = start.elapsed().as_nanos() as u64;
        // Relaxed: statistics; nothing is concluded from their order.
        own.took[SCRAPE_BOUNDS.partition_point(|&bound| bound < took)].fetch_add(1, Ordering::Relaxed);
        own.nanoseconds.fetch_add(took, Ordering::Relaxed);
        own.scrapes.fetch_add(1, Ordering::Relaxed);
        own.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        tracing::debug!(?format, gzip, bytes = body.len(), took = ?start.elapsed(), "answered a scrape");
        Ok(body)
    }

    fn answer(&self) -> Answer {
        let Inner { source, verdicts, watching, options, own, order, .. } = &*self.0;
        let (snapshots, groups, errors) = {
            let mut source = source.lock();
            let snapshots = source.snapshots();
            let groups = series::by_group(&snapshots, source.retired(), options.grouping);
            (snapshots, groups, source.errors())
        };
        source.perf.follow(&snapshots);
        // A panic while it was held cannot leave it in a bad state: it only ever learns.
        let groups = order.lock().unwrap_or_else(PoisonError::into_inner).sort(groups);
        let moment = Moment {
            segments: snapshots.len(),
            groups: &groups,
            errors,
            own,
            verdicts,
            watching,
            perf: &source.perf,
        };
        let mut families = Families::within(Budget::of(options.max_series));
        for part in PARTS {
            part(&moment, &mut families);
        }
        self.warn_of(families.dropped());
        families.finish()
    }

    fn encode(&self, answer: &Answer, format: Format) -> Result<Vec<u8>, String> {
        match format {
            Format::Text => Ok(self.written(|out| text::encode(answer, out))),
            Format::OpenMetrics => Ok(self.written(|out| openmetrics::encode(answer, out))),
            Format::Protobuf => protobuf::encode(answer),
        }
    }

    /// The text that `write` appends, in a place as long as the last one: text that outgrows its place is moved.
    fn written(&self, write: impl FnOnce(&mut String)) -> Vec<u8> {
        // Relaxed: a guess.
        let mut out = String::with_capacity(self.0.length.load(Ordering::Relaxed) + SPARE);
        write(&mut out);
        self.0.length.store(out.len(), Ordering::Relaxed);
        out.into_bytes()
    }

    /// Says once that there is more than may be shown.
    fn warn_of(&self, dropped: u64) {
        // Relaxed: said twice by two scrapes at one time it would still be said.
        if dropped > 0 && !self.0.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                dropped,
                "/metrics leaves out series, because there are more than --max-series {} allows: allow more, or add up \
                 the processes of a command with --group-by command",
                self.0.options.max_series
            );
        }
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

//! `/metrics`: a collector that reads the segments when it is asked, behind the registry and the text encoder of
//! the `prometheus` crate.
//!
//! Invariants: a series is about the processes of one command, strategy and workload together, and is said once; a
//! metric that no writer of a group has is absent, never 0; the series of a shard appear with its first count and stay,
//! so that a counter only ever rises.

mod families;
mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};
use stormglass_telemetry::{Metric, Unit};

use crate::error::ServeError;
use crate::source::SharedSource;
use crate::verdicts::Verdicts;
use families::Families;

/// Labels of every series that is about processes.
const PROCESS_LABELS: [&str; 3] = ["command", "strategy", "workload"];
/// Label of the series of processes with an injected delay, and of no others.
const INJECTED_LABEL: &str = "injected";

/// Value of the header `content-type`.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of the sidecar itself, which no segment knows.
#[derive(Debug, Default)]
struct OwnCounts {
    scrapes: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Answers scrapes.
#[derive(Clone)]
pub(crate) struct Exposition {
    registry: Registry,
    own: Arc<OwnCounts>,
}

impl Exposition {
    pub(crate) fn new(source: SharedSource, verdicts: Verdicts) -> Result<Exposition, ServeError> {
        let own = Arc::new(OwnCounts::default());
        let collector = SegmentCollector::new(source, verdicts, Arc::clone(&own));
        let registry = Registry::new();
        collector
            .and_then(|c| registry.register(Box::new(c)))
            .map_err(|e| ServeError::Metrics(e.to_string()))?;
        Ok(Exposition { registry, own })
    }

    /// The answer to one scrape.
    pub(crate) fn render(&self) -> Result<String, prometheus::Error> {
        let start = Instant::now();
        let text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        // Relaxed: two statistics; nothing is concluded from their order.
        self.own.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.own.scrapes.fetch_add(1, Ordering::Relaxed);
        Ok(text)
    }
}

/// Reads the segments at each `collect`.
struct SegmentCollector {
    source: SharedSource,
    verdicts: Verdicts,
    own: Arc<OwnCounts>,
    descriptors: Vec<Desc>,
}

impl SegmentCollector {
    fn new(
        source: SharedSource,
        verdicts: Verdicts,
        own: Arc<OwnCounts>,
    ) -> Result<SegmentCollector, prometheus::Error> {
        let descriptors = Metric::ALL
            .iter()
            .map(|&metric| {
                let d = metric.descriptor();
                let process = PROCESS_LABELS.iter().filter(|_| !is_of_sidecar(metric)).copied();
                let labels = process.chain(d.labels.iter().map(|l| l.name())).map(str::to_owned);
                Desc::new(d.name.to_owned(), d.help.to_owned(), labels.collect(), [].into())
            })
            .collect::<Result<_, _>>()?;
        Ok(SegmentCollector { source, verdicts, own, descriptors })
    }
}

/// Whether a metric is about the sidecar rather than about a process.
fn is_of_sidecar(metric: Metric) -> bool {
    matches!(metric, Metric::Segments | Metric::SegmentErrors | Metric::ScrapeDuration | Metric::Scrapes)
}

impl Collector for SegmentCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptors.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (snapshots, retired, errors) = {
            let mut source = self.source.lock();
            let snapshots = source.snapshots();
            (snapshots, source.retired().clone(), source.errors())
        };
        let mut families = Families::default();
        families.value(Metric::Segments, &[], snapshots.len() as f64);
        families.value(Metric::SegmentErrors, &[], errors as f64);
        // Relaxed, both: statistics that tolerate lag.
        let nanoseconds = self.own.nanoseconds.load(Ordering::Relaxed);
        families.value(Metric::ScrapeDuration, &[], nanoseconds as f64 / Unit::Seconds.divisor());
        families.value(Metric::Scrapes, &[], self.own.scrapes.load(Ordering::Relaxed) as f64);
        for (group, series) in series::by_group(&snapshots, &retired) {
            let labels = series::labels(&group);
            families.value(Metric::Up, &labels, f64::from(u8::from(series.live)));
            families.value(Metric::Threads, &labels, series.threads as f64);
            families.value(Metric::ThreadsStarted, &labels, series.threads_started as f64);
            families.value(Metric::ThreadsDropped, &labels, series.threads_dropped as f64);
            families.value(Metric::SegmentBytes, &labels, series.segment_bytes as f64);
            for ((metric, _), bytes) in series::HELD.iter().zip(series.held) {
                if let Some(bytes) = bytes {
                    families.value(*metric, &labels, bytes as f64);
                }
            }
            families.counts(&series.counts, &labels);
            for version in &series.versions {
                let mut labels = labels.clone();
                labels.push(families::label("version", version));
                families.value(Metric::ProcessInfo, &labels, 1.0);
            }
        }
        self.verdicts(&mut families);
        families.finish()
    }
}

impl SegmentCollector {
    /// What has been found, by the labels that the metric table does not have.
    fn verdicts(&self, families: &mut Families) {
        let ledger = self.verdicts.lock();
        for (group, verdict, place, on) in ledger.active() {
            let mut labels = series::labels(group);
            let value = |of: &Option<String>| of.as_deref().unwrap_or_default().to_owned();
            labels.push(families::label("class", &value(&place.class)));
            labels.push(families::label("shard", &value(&place.shard)));
            labels.push(families::label("verdict", verdict.id()));
            families.value(Metric::VerdictActive, &labels, f64::from(u8::from(on)));
        }
        for (group, verdict, count) in ledger.raised() {
            let mut labels = series::labels(group);
            labels.push(families::label("verdict", verdict.id()));
            families.value(Metric::VerdictsRaised, &labels, count as f64);
        }
    }
}

#[cfg(test)]
mod tests;

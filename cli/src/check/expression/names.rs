//! The names that an assertion may use, and which one was probably meant.

use stormglass_telemetry::perf::Event;
use stormglass_telemetry::{Dimension, Figure, Held, Kind, Metric, Scope, Snapshot};

use super::What;
use crate::check::verdicts;

/// Labels of a process, which everything may be asked by.
const PROCESS_LABELS: [&str; 5] = ["command", "strategy", "workload", "injected", "pid"];
const PREFIX: &str = "stormglass_";

/// A number that a process has at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gauge(pub(crate) Metric);

impl Gauge {
    pub(crate) fn all() -> impl Iterator<Item = Gauge> {
        Metric::ALL.iter().copied().filter_map(Gauge::of)
    }

    fn of(metric: Metric) -> Option<Gauge> {
        let known = matches!(
            metric,
            Metric::Threads | Metric::ThreadsStarted | Metric::ThreadsDropped | Metric::SegmentBytes
        ) || Held::BYTES.iter().any(|&(of, _)| of == metric);
        known.then_some(Gauge(metric))
    }

    pub(crate) fn dimension(self) -> Dimension {
        What::Counter(self.0).dimension()
    }

    /// Its value; `None` where the writer does not count what that takes.
    pub(crate) fn value(self, snapshot: &Snapshot) -> Option<f64> {
        let held = snapshot.held();
        let value = match self.0 {
            Metric::Threads => u64::from(held.threads),
            Metric::ThreadsStarted => snapshot.threads_started,
            Metric::ThreadsDropped => snapshot.threads_dropped,
            Metric::SegmentBytes => snapshot.segment_bytes,
            metric => {
                Held::BYTES.iter().find(|&&(of, _)| of == metric).and_then(|(_, bytes)| bytes(&held))?
            }
        };
        Some(value as f64)
    }
}

/// Whether a name is a metric's; its prefix may be left out, and so may `_total`.
fn is_metric(metric: Metric, name: &str) -> bool {
    let full = metric.descriptor().name;
    let short = full.strip_prefix(PREFIX).unwrap_or(full);
    full == name || short == name || short.strip_suffix("_total") == Some(name)
}

/// What a name of a figure or a metric means; a metric's prefix may be left out, and so may `_total`.
pub(super) fn what(name: &str) -> Option<What> {
    if let Some(figure) = Figure::named(name) {
        return Some(What::Figure(figure));
    }
    let metric = Metric::ALL.iter().copied().find(|&metric| is_metric(metric, name))?;
    let descriptor = metric.descriptor();
    match (descriptor.scope, descriptor.kind) {
        (Scope::Process, _) => Gauge::of(metric).map(What::Gauge),
        (_, Kind::Histogram) => Some(What::Histogram(metric)),
        (_, Kind::Counter) => Some(What::Counter(metric)),
        (_, Kind::Gauge) => None,
    }
}

/// The label that says which of the events of `perf_events` is meant.
pub(crate) const EVENT: &str = "event";

/// Whether a name is that of the events that a sidecar with `--perf` counts.
pub(super) fn is_events(name: &str) -> bool {
    is_metric(Metric::PerfEvents, name)
}

/// The event of that name.
pub(super) fn event(name: &str) -> Option<Event> {
    Event::ALL.into_iter().find(|event| event.name() == name)
}

/// What to say if it is not said which event is meant.
pub(super) fn which_event(name: &str) -> String {
    let all: Vec<&str> = Event::ALL.iter().map(|event| event.name()).collect();
    format!(
        "`{name}` is of one event, such as {name}{{event=\"cache_misses\"}}: take one of {}",
        all.join(", ")
    )
}

/// The labels of an event.
pub(super) fn event_labels() -> Vec<&'static str> {
    std::iter::once(EVENT).chain(PROCESS_LABELS).collect()
}

/// The labels by which this can be asked for.
pub(super) fn labels(what: What) -> Vec<&'static str> {
    let own = match what {
        What::Figure(figure) => figure.labels(),
        What::Counter(metric) | What::Rate(metric) | What::Histogram(metric) => metric.descriptor().labels,
        What::Gauge(_) | What::Event(_) | What::EventRate(_) => &[],
    };
    own.iter().map(|label| label.name()).chain(PROCESS_LABELS).collect()
}

/// Those of a verdict.
pub(super) fn verdict_labels() -> Vec<&'static str> {
    ["class", "shard"].into_iter().chain(PROCESS_LABELS).collect()
}

/// A name, what kind of thing it is, and a sentence on it.
pub(crate) struct Listed {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) labels: Vec<&'static str>,
    pub(crate) dimension: Dimension,
    pub(crate) help: String,
}

/// Everything that an assertion may name, but for the verdicts.
pub(crate) fn listed() -> Vec<Listed> {
    let figures = Figure::ALL.iter().map(|figure| (figure.name.to_owned(), figure.help));
    let metrics = Metric::ALL.iter().map(|metric| {
        let descriptor = metric.descriptor();
        (descriptor.name.strip_prefix(PREFIX).unwrap_or(descriptor.name).to_owned(), descriptor.help)
    });
    let all = figures.chain(metrics).filter_map(|(name, help)| {
        let what = what(&name)?;
        let kind = match what {
            What::Figure(_) => "figure",
            What::Counter(_) | What::Rate(_) | What::Event(_) | What::EventRate(_) => "counter",
            What::Gauge(_) => "gauge",
            What::Histogram(_) => "histogram",
        };
        let own = labels(what).into_iter().filter(|label| !PROCESS_LABELS.contains(label)).collect();
        Some(Listed { kind, name, labels: own, dimension: what.dimension(), help: help.to_owned() })
    });
    let events = Metric::PerfEvents.descriptor();
    let events = Listed {
        kind: "counter",
        name: events.name.strip_prefix(PREFIX).unwrap_or(events.name).to_owned(),
        labels: vec![EVENT],
        dimension: Dimension::Number,
        help: events.help.to_owned(),
    };
    all.chain([events]).collect()
}

/// The known name that is nearest to one that is not known, if one is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |of: &str| {
        // Part of a name is a name that somebody began, or cut.
        let part = name.len() >= 4 && (of.contains(name) || name.contains(of));
        let like = strsim::normalized_damerau_levenshtein(name, of);
        if part { like.max(0.7) } else { like }
    };
    known
        .into_iter()
        .map(|of| (likeness(of), of))
        .filter(|&(likeness, _)| likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, of)| of)
}

/// A sentence on a name that nothing has, with the one that was probably meant.
pub(super) fn no_such<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    rest: &str,
) -> String {
    match nearest(name, known) {
        Some(near) => format!("{what}; did you mean `{near}`? ({rest})"),
        None => format!("{what}: {rest}"),
    }
}

/// What to say of a name that is of no figure, metric or verdict.
pub(super) fn unknown(name: &str) -> String {
    let all = listed();
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    let mut names: Vec<&str> = all.iter().map(|listed| listed.name.as_str()).collect();
    // Not chained: they live longer than the others, and a chain would want all to.
    names.extend_from_slice(&verdicts::names().collect::<Vec<_>>());
    let known = names.iter().copied();
    if Metric::ALL.iter().any(|&metric| is_metric(metric, short)) {
        return format!("`{name}` is about the sidecar, not about a process: nothing can be asserted of it");
    }
    let what = format!("there is no figure, metric or verdict `{name}`");
    no_such(&what, short, known, "`stormglass check --list` has them all")
}

/// What to say of a label that does not fit.
pub(super) fn no_label(label: &str, of: &str, labels: &[&str]) -> String {
    let rest = format!("it has {}", labels.join(", "));
    no_such(&format!("{of} has no label `{label}`"), label, labels.iter().copied(), &rest)
}

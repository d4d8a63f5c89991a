//! Which counts an assertion's labels select: of processes, and of the cells of a process. Pure.
//!
//! Invariant: what a label takes is decided here alone, for single values and for what is worked out from several.

use stormglass_telemetry::perf::Event;
use stormglass_telemetry::{Counts, Delta, Label, Metric, Select};

use super::evidence::Seconds;
use super::expression::{Matcher, What};

/// Whether the labels that are a process's own fit.
pub(super) fn is_asked(labels: &[Matcher], track: &Seconds) -> bool {
    let process = &track.last.process;
    labels.iter().all(|matcher| match matcher.label {
        "command" => matcher.takes(&process.command),
        "strategy" => matcher.takes(&process.strategy),
        "workload" => matcher.takes(&process.workload),
        "injected" => matcher.takes(process.injected.as_deref().unwrap_or_default()),
        "pid" => matcher.takes(&process.pid.to_string()),
        _ => true,
    })
}

/// Whether there are such cells; of one that there is not, 0 would be no measurement.
pub(super) fn has_cells(labels: &[Matcher], track: &Seconds) -> bool {
    cell_matchers(labels).iter().filter(|matcher| matcher.equal).all(|matcher| {
        let mut described =
            track.last.counts.schema.labels.iter().filter(|label| label.name == matcher.label);
        described.any(|label| label.values.contains(&matcher.value))
    })
}

/// The labels that are those of cells.
pub(super) fn cell_matchers(labels: &[Matcher]) -> Vec<Matcher> {
    labels.iter().filter(|matcher| matches!(matcher.label, "class" | "shard" | "op")).cloned().collect()
}

/// The same without what other cells counted.
pub(super) fn filtered(delta: &Delta, kept: &[Matcher]) -> Delta {
    if kept.is_empty() {
        return delta.clone();
    }
    let schema = &delta.counts.schema;
    let mut counts = Counts::zero(std::sync::Arc::clone(schema));
    for family in &schema.families {
        // What has not all of these labels is of no such cell.
        let names: Vec<&str> = family.labels.iter().map(|&l| schema.labels[l].name.as_str()).collect();
        if !kept.iter().all(|matcher| matcher.label == "op" || names.contains(&matcher.label)) {
            continue;
        }
        let mut at = family.start;
        delta.counts.each(family, |indices, values| {
            let fits = kept.iter().all(|matcher| {
                let position = names.iter().position(|name| *name == matcher.label);
                position.is_none_or(|p| matcher.takes(&schema.labels[family.labels[p]].values[indices[p]]))
            });
            if fits {
                counts.values[at..at + values.len()].copy_from_slice(values);
            }
            at += family.width;
        });
    }
    Delta { elapsed: delta.elapsed, counts }
}

/// The cells that something is split into, each with its class and shard.
pub(super) fn selections(what: What, counts: &Counts) -> Vec<(Select, Option<String>, Option<String>)> {
    let labels = match what {
        What::Figure(figure) => figure.labels(),
        What::Counter(metric) | What::Rate(metric) | What::Histogram(metric) => metric.descriptor().labels,
        What::Gauge(_) | What::Event(_) | What::EventRate(_) => &[],
    };
    let mut all = vec![(Select::ALL, None, None)];
    if labels.contains(&Label::Class) {
        let classes = counts.schema.label_values(Label::Class);
        all = classes
            .iter()
            .enumerate()
            .map(|(i, class)| (Select::ALL.class(i), Some(class.clone()), None))
            .collect();
    }
    if labels.contains(&Label::Shard) {
        let shards = counts.schema.label_values(Label::Shard);
        all = all
            .into_iter()
            .flat_map(|(select, class, _)| {
                shards
                    .iter()
                    .enumerate()
                    .map(move |(i, shard)| (select.shard(i), class.clone(), Some(shard.clone())))
            })
            .collect();
    }
    all
}

/// How often an event happened, if it is counted: a sidecar's, so that its cells stand beside those that this build's writers know.
pub(super) fn event(counts: &Counts, event: Event) -> Option<u64> {
    let schema = &counts.schema;
    let name = Metric::PerfEvents.descriptor().name;
    let family = schema.families.iter().find(|family| family.name == name)?;
    let label = &schema.labels[*family.labels.first()?];
    let at = label.values.iter().position(|value| value == event.name())?;
    counts.values.get(family.start + at).copied()
}

/// The bound at or below which this share of the values lies, in base units; infinite if it is above every bound, so that
/// nothing is promised of it.
pub(super) fn quantile(delta: &Delta, metric: Metric, share: f64) -> Option<f64> {
    let histogram = delta.counts.histogram(metric, Select::ALL)?;
    let count = histogram.count();
    if count == 0 {
        return None;
    }
    let wanted = (count as f64 * share).ceil().max(1.0) as u64;
    let mut seen = 0_u64;
    for (bucket, bound) in histogram.buckets.iter().zip(&histogram.bounds) {
        seen = seen.saturating_add(*bucket);
        if seen >= wanted {
            return Some(*bound as f64 / metric.descriptor().unit.divisor());
        }
    }
    Some(f64::MAX)
}

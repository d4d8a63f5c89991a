//! Builds metric families out of counts.
//!
//! Invariant: a family has one type and one set of label names, whichever process a series comes from. Of a metric
//! that this build knows, they are those of the metric table; of one that only a newer writer knows, those of the
//! first writer that was read. No name is that of another family's sample, in any of the formats.

use std::collections::{BTreeMap, HashSet};

use prometheus::proto::Metric as Sample;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, MetricFamily, MetricType};
use stormglass_telemetry::{Counts, Family, Kind, Metric};

use super::budget::Budget;
use super::{INJECTED_LABEL, PROCESS_LABELS};

/// A label with its value.
pub(super) fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

struct Entry {
    family: MetricFamily,
    /// Names of the labels after the group's.
    labels: Vec<String>,
}

/// The families of one scrape.
pub(super) struct Families {
    by_name: BTreeMap<String, Entry>,
    budget: Budget,
}

impl Families {
    pub(super) fn within(budget: Budget) -> Families {
        Families { by_name: BTreeMap::new(), budget }
    }

    pub(super) fn finish(self) -> Vec<MetricFamily> {
        let families = self.by_name.into_values().map(|entry| entry.family);
        families.filter(|family| !family.get_metric().is_empty()).collect()
    }

    /// Series that were added.
    pub(super) fn shown(&self) -> u64 {
        self.budget.shown
    }

    /// Series for which there was no room.
    pub(super) fn dropped(&self) -> u64 {
        self.budget.dropped
    }

    /// Adds the one series that a group has of a metric.
    pub(super) fn value(&mut self, metric: Metric, labels: &[LabelPair], value: f64) {
        if self.budget.takes(1) {
            self.push(metric, labels, value);
        }
    }

    /// Adds the one series that the sidecar has of a metric, whatever the budget.
    pub(super) fn own(&mut self, metric: Metric, labels: &[LabelPair], value: f64) {
        self.budget.besides(1);
        self.push(metric, labels, value);
    }

    fn push(&mut self, metric: Metric, labels: &[LabelPair], value: f64) {
        let d = metric.descriptor();
        let entry = self
            .by_name
            .entry(d.name.to_owned())
            .or_insert_with(|| Entry { family: empty(d.name, d.help, d.kind), labels: Vec::new() });
        let mut sample = Sample::from_label(labels.to_vec());
        set_value(&mut sample, d.kind, value);
        entry.family.mut_metric().push(sample);
    }

    /// Adds the series of a group's counts. Counters of a shard that is at work are shown with their zeros, because a
    /// rate needs the 0 from which a counter rises; a histogram, which is many lines, only once it has a value.
    pub(super) fn counts(&mut self, counts: &Counts, group: &[LabelPair]) {
        let touched = Touched::of(counts);
        let mut families: Vec<&Family> = counts.schema.families.iter().collect();
        // Stable: what is of one rank stays in the writer's order.
        families.sort_by_key(|family| (family.kind == Kind::Histogram, family.labels.len()));
        for family in families {
            let names = family.labels.iter().map(|&l| counts.schema.labels[l].name.as_str());
            let names: Vec<&str> = names.collect();
            let Some(entry) = self.entry(family, &names) else { continue };
            let known = entry.family.get_metric().len();
            let samples = entry.family.mut_metric();
            counts.each(family, |at, values| {
                let said = match family.kind {
                    Kind::Histogram => values.iter().any(|v| *v != 0),
                    _ => touched.shows(family, at),
                };
                if !said {
                    return;
                }
                let mut labels = Vec::with_capacity(group.len() + at.len());
                labels.extend_from_slice(group);
                labels.extend(
                    at.iter()
                        .zip(&family.labels)
                        .zip(&names)
                        .map(|((&index, &l), name)| label(name, &counts.schema.labels[l].values[index])),
                );
                let mut sample = Sample::from_label(labels);
                match family.kind {
                    Kind::Histogram => sample.set_histogram(histogram(family, values)),
                    kind => set_value(&mut sample, kind, values[0] as f64 / family.divisor),
                }
                samples.push(sample);
            });
            // Buckets, that above every bound, sum and count.
            let width = if family.kind == Kind::Histogram { family.bounds.len() as u64 + 3 } else { 1 };
            let added = (samples.len() - known) as u64 * width;
            if !self.budget.takes(added)
                && let Some(entry) = self.by_name.get_mut(&family.name)
            {
                entry.family.mut_metric().truncate(known);
            }
        }
    }

    /// The entry that a writer's family belongs to; `None` if its shape is not that of the family's name, or if
    /// its names are none that Prometheus would take.
    fn entry(&mut self, family: &Family, labels: &[&str]) -> Option<&mut Entry> {
        if !self.by_name.contains_key(&family.name) {
            let known = Metric::ALL.iter().map(|m| m.descriptor()).find(|d| d.name == family.name);
            let usable = match &known {
                Some(d) => {
                    d.kind == family.kind && d.labels.iter().map(|l| l.name()).eq(labels.iter().copied())
                }
                None => {
                    is_name(&family.name)
                        && self.is_apart(family)
                        && labels
                            .iter()
                            .all(|l| is_name(l) && !PROCESS_LABELS.contains(l) && *l != INJECTED_LABEL)
                }
            };
            if !usable {
                return None;
            }
            let help = known.map_or(family.help.as_str(), |d| d.help);
            let labels = labels.iter().map(|&l| l.to_owned()).collect();
            let entry = Entry { family: empty(&family.name, help, family.kind), labels };
            self.by_name.insert(family.name.clone(), entry);
        }
        self.by_name.get_mut(&family.name).filter(|entry| {
            entry.family.get_field_type() == metric_type(family.kind) && entry.labels == labels
        })
    }

    /// Whether a family that this build does not know has a name of its own.
    fn is_apart(&self, family: &Family) -> bool {
        let name = base(&family.name);
        let good = match family.kind {
            Kind::Counter => family.name.ends_with("_total"),
            _ => true,
        };
        let known = Metric::ALL.iter().map(|metric| metric.descriptor().name);
        good && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            && known.chain(self.by_name.keys().map(String::as_str)).all(|other| base(other) != name)
    }
}

/// What a family that this build does not know must not be called: what a sample of another one may be.
const SUFFIXES: [&str; 6] = ["_total", "_bucket", "_sum", "_count", "_info", "_created"];

/// What OpenMetrics calls a family.
fn base(name: &str) -> &str {
    name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name)
}

/// Whether Prometheus takes this as the name of a metric or of a label.
fn is_name(name: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|c| !c.is_ascii_digit())
}

fn metric_type(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    }
}

fn empty(name: &str, help: &str, kind: Kind) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(metric_type(kind));
    family
}

fn set_value(sample: &mut Sample, kind: Kind, value: f64) {
    if kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        sample.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        sample.set_gauge(gauge);
    }
}

/// The buckets of a segment are apart, those of Prometheus add up; the last, above every bound, is its `+Inf`.
fn histogram(family: &Family, values: &[u64]) -> Histogram {
    let (sum, buckets) = values.split_last().unwrap_or((&0, &[]));
    let mut count = 0_u64;
    let mut cumulative = Vec::with_capacity(family.bounds.len());
    for (index, value) in buckets.iter().enumerate() {
        count = count.wrapping_add(*value);
        if let Some(&bound) = family.bounds.get(index) {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound as f64 / family.divisor);
            bucket.set_cumulative_count(count);
            cumulative.push(bucket);
        }
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(cumulative);
    histogram.set_sample_count(count);
    histogram.set_sample_sum(*sum as f64 / family.divisor);
    histogram
}

/// Which label combinations anything was ever counted of: by class, by class and shard, by those and what comes
/// besides (the operation). All the others are left out: 56 shards of 30 metrics would drown the few that a process uses,
/// and a design has no zeros of operations that it does not have. Counts never fall, so a series that is there stays.
#[derive(Default)]
struct Touched(HashSet<u128>);

impl Touched {
    fn of(counts: &Counts) -> Touched {
        let mut touched = Touched::default();
        for family in &counts.schema.families {
            counts.each(family, |at, values| {
                if values.iter().any(|v| *v != 0) {
                    touched.0.extend(places(family, at));
                }
            });
        }
        touched
    }

    fn shows(&self, family: &Family, at: &[usize]) -> bool {
        places(family, at).last().is_none_or(|place| self.0.contains(&place))
    }
}

/// Names for the first label's value, the first two's, and so on: 32 bits a label, which hold its number and its value's, and are
/// never 0; a reader takes at most four labels a metric.
fn places(family: &Family, at: &[usize]) -> impl Iterator<Item = u128> {
    family.labels.iter().zip(at).scan(0_u128, |place, (&label, &value)| {
        *place = *place << 32 | (((label as u128) << 20 | value as u128) + 1);
        Some(*place)
    })
}

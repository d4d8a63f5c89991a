//! Builds families out of counts.
//!
//! Invariant: a family has one type and one set of label names, whichever process a series comes from. Of a metric
//! that this build knows, they are those of the metric table; of one that only a newer writer knows, those of the
//! first writer that was read. No name is that of another family's sample, in any of the formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use stormglass_telemetry::{Counts, Family as Written, Kind, Metric, Schema};

use super::answer::{Answer, Family, Histogram, Row, Value};
use super::budget::Budget;
use super::labels::{Label, Labels, label};
use super::touched::Touched;
use super::{INJECTED_LABEL, PROCESS_LABELS};

struct Entry {
    family: Family,
    /// Names of the labels after the group's.
    labels: Vec<String>,
}

/// The families of one scrape.
pub(super) struct Families {
    by_name: BTreeMap<String, Entry>,
    /// The first are none.
    labels: Vec<Labels>,
    /// Number of the group's labels that were said last.
    group: usize,
    places: Vec<Places>,
    budget: Budget,
}

/// The labels that a schema splits some of its families by.
struct Places {
    schema: Arc<Schema>,
    labels: Vec<usize>,
    /// Of each combination of their values, the number of its labels; 0 before it is first said.
    numbers: Vec<usize>,
}

impl Families {
    pub(super) fn within(budget: Budget) -> Families {
        let (by_name, places) = (BTreeMap::new(), Vec::new());
        Families { by_name, labels: vec![Labels::default()], group: 0, places, budget }
    }

    pub(super) fn finish(self) -> Answer {
        let families = self.by_name.into_values().map(|entry| entry.family);
        Answer { labels: self.labels, families: families.filter(|family| !family.rows.is_empty()).collect() }
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
    pub(super) fn value(&mut self, metric: Metric, labels: &[Label], value: f64) {
        if self.budget.takes(1) {
            self.push(metric, labels, value);
        }
    }

    /// Adds the one series that the sidecar has of a metric, whatever the budget.
    pub(super) fn own(&mut self, metric: Metric, labels: &[Label], value: f64) {
        self.budget.besides(1);
        self.push(metric, labels, value);
    }

    /// Adds the one histogram that the sidecar has of a metric, whatever the budget: its buckets, apart, and their sum.
    pub(super) fn own_histogram(&mut self, metric: Metric, values: &[u64]) {
        let written = Written::of(&metric.descriptor());
        let family = self.own_family(metric);
        let value = Value::Histogram(histogram(&written, family.bounds(&written), values));
        let series = value.series();
        family.rows.push(Row { group: 0, place: 0, value });
        self.budget.besides(series);
    }

    fn push(&mut self, metric: Metric, labels: &[Label], value: f64) {
        let group = self.group(labels);
        self.own_family(metric).rows.push(Row { group, place: 0, value: Value::Number(value) });
    }

    /// The family of a metric that the sidecar works out.
    fn own_family(&mut self, metric: Metric) -> &mut Family {
        let d = metric.descriptor();
        let entry = self.by_name.entry(d.name.to_owned());
        let new = || Entry { family: empty(d.name, d.help, d.kind), labels: Vec::new() };
        &mut entry.or_insert_with(new).family
    }

    /// The number of these labels; a group says its own many times in a row.
    fn group(&mut self, labels: &[Label]) -> usize {
        if self.labels[self.group].pairs != labels {
            self.group = self.labels.len();
            self.labels.push(Labels::of(labels.to_vec()));
        }
        self.group
    }

    /// Adds the series of a group's counts. Counters of a shard that is at work are shown with their zeros, because a
    /// rate needs the 0 from which a counter rises; a histogram, which is many lines, only once it has a value.
    pub(super) fn counts(&mut self, counts: &Counts, group: &[Label]) {
        let touched = Touched::of(counts);
        let group = self.group(group);
        let mut families: Vec<&Written> = counts.schema.families.iter().collect();
        // Stable: what is of one rank stays in the writer's order.
        families.sort_by_key(|family| (family.kind == Kind::Histogram, family.labels.len()));
        for family in families {
            let names = family.labels.iter().map(|&l| counts.schema.labels[l].name.as_str());
            let names: Vec<&str> = names.collect();
            let Some(bounds) = self.entry(family, &names).map(|entry| entry.family.bounds(family)) else {
                continue;
            };
            let mut rows = Vec::new();
            for (combination, values) in counts.cells(family).chunks_exact(family.width).enumerate() {
                let value = match family.kind {
                    Kind::Histogram if values.iter().any(|&value| value != 0) => {
                        Value::Histogram(histogram(family, bounds, values))
                    }
                    Kind::Counter if touched.shows(family, combination) => {
                        Value::Number(values[0] as f64 / family.divisor)
                    }
                    _ => continue,
                };
                rows.push(Row {
                    group,
                    place: self.place(&counts.schema, &family.labels, combination),
                    value,
                });
            }
            let series = rows.iter().map(|row| row.value.series()).sum();
            if self.budget.takes(series)
                && let Some(entry) = self.by_name.get_mut(&family.name)
            {
                entry.family.rows.append(&mut rows);
            }
        }
    }

    /// The number of a combination of labels' values: the last label's changes first.
    fn place(&mut self, schema: &Arc<Schema>, labels: &[usize], combination: usize) -> usize {
        let is = |places: &Places| Arc::ptr_eq(&places.schema, schema) && places.labels == labels;
        let at = self.places.iter().position(is).unwrap_or_else(|| {
            let combinations = labels.iter().map(|&l| schema.labels[l].values.len()).product();
            let (schema, labels) = (Arc::clone(schema), labels.to_vec());
            self.places.push(Places { schema, labels, numbers: vec![0; combinations] });
            self.places.len() - 1
        });
        let number = &mut self.places[at].numbers[combination];
        if *number == 0 && !labels.is_empty() {
            *number = self.labels.len();
            let mut rest = combination;
            let mut pairs: Vec<Label> = Vec::with_capacity(labels.len());
            for &l in labels.iter().rev() {
                let known = &schema.labels[l];
                pairs.push(label(&known.name, &known.values[rest % known.values.len()]));
                rest /= known.values.len();
            }
            pairs.reverse();
            self.labels.push(Labels::of(pairs));
        }
        *number
    }

    /// The entry that a writer's family belongs to; `None` if its shape is not that of the family's name, or if
    /// its names are none that Prometheus would take.
    fn entry(&mut self, family: &Written, labels: &[&str]) -> Option<&mut Entry> {
        if !self.by_name.contains_key(&family.name) {
            let known = Metric::ALL.iter().map(|m| m.descriptor()).find(|d| d.name == family.name);
            let usable = match &known {
                Some(d) => {
                    d.kind == family.kind && d.labels.iter().map(|l| l.name()).eq(labels.iter().copied())
                }
                None => is_name(&family.name) && self.is_apart(family) && labels.iter().all(|l| is_free(l)),
            };
            if !usable {
                return None;
            }
            let help = known.map_or(family.help.as_str(), |d| d.help);
            let labels = labels.iter().map(|&l| l.to_owned()).collect();
            let entry = Entry { family: empty(&family.name, help, family.kind), labels };
            self.by_name.insert(family.name.clone(), entry);
        }
        let entry = self.by_name.get_mut(&family.name);
        entry.filter(|entry| entry.family.kind == family.kind && entry.labels == labels)
    }

    /// Whether a family that this build does not know has a name of its own.
    fn is_apart(&self, family: &Written) -> bool {
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

/// Whether a family that this build does not know may have a label of that name: one that is neither a group's nor a
/// histogram's or summary's own, nor among those that Prometheus keeps for itself. For one that is, Prometheus would refuse the
/// whole scrape.
fn is_free(label: &str) -> bool {
    let taken = PROCESS_LABELS.contains(&label) || [INJECTED_LABEL, "le", "quantile"].contains(&label);
    is_name(label) && !taken && !label.starts_with("__")
}

fn empty(name: &str, help: &str, kind: Kind) -> Family {
    Family { name: name.to_owned(), help: help.to_owned(), kind, bounds: Vec::new(), rows: Vec::new() }
}

/// One of a family: its buckets, apart, and their sum.
fn histogram(family: &Written, bounds: usize, values: &[u64]) -> Histogram {
    let (sum, buckets) = values.split_last().unwrap_or((&0, &[]));
    Histogram::of(bounds, buckets, *sum as f64 / family.divisor)
}

impl Family {
    /// The number of a writer's bounds.
    fn bounds(&mut self, written: &Written) -> usize {
        let bounds: Vec<f64> = written.bounds.iter().map(|&bound| bound as f64 / written.divisor).collect();
        self.bounds.iter().position(|known| *known == bounds).unwrap_or_else(|| {
            self.bounds.push(bounds);
            self.bounds.len() - 1
        })
    }
}

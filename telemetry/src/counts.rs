//! Counts as plain values: what a segment said at one moment, and what changed between two.
//!
//! Invariant: a [`Counts`] has one value for each cell of its [`Schema`], in the schema's order, and the schema
//! is the *writer's*: a metric that the writer does not know is absent, never 0.

use std::sync::Arc;

use crate::schema::{Descriptor, Inside, Kind, Label, Metric, Op, Shape};
use crate::values::Values;

/// Metrics that a schema has at most.
pub(crate) const MAX_FAMILIES: usize = 1024;
/// Values that a schema has at most: bounds the memory of whoever reads it.
pub(crate) const MAX_VALUES: usize = 1 << 20;

/// A label as the writer described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelValues {
    /// Name of the label.
    pub name: String,
    /// Its values, in the order of their cells.
    pub values: Vec<String>,
}

/// A metric as the writer described it.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Full Prometheus name.
    pub name: String,
    /// Counter or histogram; gauges are not kept in slots.
    pub kind: Kind,
    /// Unit of the stored values, by its name.
    pub unit: String,
    /// What a stored value is divided by to be exposed.
    pub divisor: f64,
    /// One sentence.
    pub help: String,
    /// Indices into [`Schema::labels`], outermost first.
    pub labels: Vec<usize>,
    /// Upper bounds of a histogram's buckets, in stored units.
    pub bounds: Vec<u64>,
    /// Index of the first value in [`Counts::values`].
    pub start: usize,
    /// Values of one label combination.
    pub width: usize,
}

impl Family {
    /// A metric of this build, with all labels of the table.
    pub fn of(descriptor: &Descriptor) -> Family {
        Family {
            name: descriptor.name.to_owned(),
            kind: descriptor.kind,
            unit: descriptor.unit.name().to_owned(),
            divisor: descriptor.unit.divisor(),
            help: descriptor.help.to_owned(),
            labels: descriptor.labels.iter().map(|&label| label as usize).collect(),
            bounds: descriptor.bounds.to_vec(),
            start: 0,
            width: descriptor.width(),
        }
    }
}

/// What a writer counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The labels.
    pub labels: Vec<LabelValues>,
    /// The metrics, in the writer's order.
    pub families: Vec<Family>,
    /// Number of values in a [`Counts`].
    pub len: usize,
    /// For each [`Metric`] of this build, its index in `families`.
    known: Vec<Option<usize>>,
}

impl Schema {
    /// A schema of the given families; their `start` is filled in here.
    #[must_use]
    pub fn new(labels: Vec<LabelValues>, mut families: Vec<Family>) -> Schema {
        let mut len = 0;
        for family in &mut families {
            family.start = len;
            len += family.labels.iter().map(|&l| labels[l].values.len()).product::<usize>() * family.width;
        }
        let known = Metric::ALL
            .iter()
            .map(|m| {
                let d = m.descriptor();
                families.iter().position(|f| {
                    f.name == d.name
                        && f.kind == d.kind
                        && f.labels
                            .iter()
                            .map(|&l| labels[l].name.as_str())
                            .eq(d.labels.iter().map(|l| l.name()))
                })
            })
            .collect();
        Schema { labels, families, len, known }
    }

    /// The schema of this build's mid pool.
    #[must_use]
    pub fn own() -> Schema {
        Schema::of(Shape::MID)
    }

    /// The schema of this build for a segment of that shape.
    #[must_use]
    pub fn of(shape: Shape<'_>) -> Schema {
        let labels = Label::ALL
            .iter()
            .map(|&l| LabelValues { name: l.name().to_owned(), values: l.values(shape) })
            .collect();
        let families = shape.metrics().map(|metric| Family::of(&metric.descriptor())).collect();
        Schema::new(labels, families)
    }

    /// Which hardware counters the writer's slow paths are sampled by.
    pub fn inside(&self) -> Inside {
        let has = |metric| self.family(metric).is_some();
        Inside {
            cycles: has(Metric::SlowPathCycles),
            instructions: has(Metric::SlowPathInstructions),
            cache_misses: has(Metric::SlowPathCacheMisses),
        }
    }

    /// The family of a metric that this build knows, if the writer has it.
    pub fn family(&self, metric: Metric) -> Option<&Family> {
        self.known[metric as usize].map(|i| &self.families[i])
    }

    /// Number of values of a family.
    fn span(&self, family: &Family) -> usize {
        family.labels.iter().map(|&l| self.labels[l].values.len()).product::<usize>() * family.width
    }

    /// Whether two families, each by its own schema, have the same cells with the same meaning.
    fn is_same(&self, ours: &Family, other: &Schema, theirs: &Family) -> bool {
        let labels = |schema: &Schema, family: &Family| -> Vec<LabelValues> {
            family.labels.iter().map(|&l| schema.labels[l].clone()).collect()
        };
        (&ours.name, ours.kind, &ours.bounds) == (&theirs.name, theirs.kind, &theirs.bounds)
            && ours.divisor.to_bits() == theirs.divisor.to_bits()
            && labels(self, ours) == labels(other, theirs)
    }

    /// The values of a label that this build knows; empty if the writer has no such label.
    pub fn label_values(&self, label: Label) -> &[String] {
        self.labels.iter().find(|l| l.name == label.name()).map_or(&[], |l| &l.values)
    }
}

/// Which cells of a metric to add up: all, or those of one class, shard or operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Select {
    class: Option<usize>,
    shard: Option<usize>,
    op: Option<usize>,
}

impl Select {
    /// Every cell.
    pub const ALL: Select = Select { class: None, shard: None, op: None };

    /// Only this class, by its index.
    #[must_use]
    pub fn class(self, index: usize) -> Select {
        Select { class: Some(index), ..self }
    }

    /// Only this shard, by its index.
    #[must_use]
    pub fn shard(self, index: usize) -> Select {
        Select { shard: Some(index), ..self }
    }

    /// Only this operation.
    #[must_use]
    pub fn op(self, op: Op) -> Select {
        Select { op: Some(op as usize), ..self }
    }

    fn of(self, label: &str) -> Option<usize> {
        match label {
            "class" => self.class,
            "shard" => self.shard,
            "op" => self.op,
            _ => None,
        }
    }
}

/// A histogram's counts over some cells.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramCounts {
    /// Upper bounds, in stored units.
    pub bounds: Vec<u64>,
    /// Values by bucket, not cumulative; the last is above every bound.
    pub buckets: Vec<u64>,
    /// Sum of all values, in stored units.
    pub sum: u64,
}

impl HistogramCounts {
    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// One value for each cell of a schema.
#[derive(Clone, Debug)]
pub struct Counts {
    /// What the values mean.
    pub schema: Arc<Schema>,
    /// The values, in the schema's order.
    pub values: Values,
}

impl Counts {
    /// All zero.
    #[must_use]
    pub fn zero(schema: Arc<Schema>) -> Counts {
        let values = Values::zero(schema.len);
        Counts { schema, values }
    }

    /// The sum of a counter over the selected cells; `None` if the writer does not have it.
    pub fn sum(&self, metric: Metric, select: Select) -> Option<u64> {
        let family = self.schema.family(metric).filter(|f| f.kind == Kind::Counter)?;
        if select == Select::ALL {
            // A counter's cells follow each other.
            return Some(self.cells(family).iter().fold(0, |sum, value| sum.wrapping_add(*value)));
        }
        let mut sum = 0_u64;
        self.visit(family, select, |values| sum = sum.wrapping_add(values[0]));
        Some(sum)
    }

    /// The sums of a counter by the values of one of its labels; `None` if the writer does not have it, or not by that.
    pub fn by(&self, metric: Metric, label: Label) -> Option<Vec<u64>> {
        let family = self.schema.family(metric).filter(|f| f.kind == Kind::Counter)?;
        let position = family.labels.iter().position(|&l| self.schema.labels[l].name == label.name())?;
        let mut sums = vec![0_u64; self.schema.labels[family.labels[position]].values.len()];
        self.each(family, |at, values| {
            let sum = &mut sums[at[position]];
            *sum = sum.wrapping_add(values[0]);
        });
        Some(sums)
    }

    /// A histogram over the selected cells; `None` if the writer does not have it.
    pub fn histogram(&self, metric: Metric, select: Select) -> Option<HistogramCounts> {
        let family = self.schema.family(metric).filter(|f| f.kind == Kind::Histogram)?;
        let mut buckets = vec![0_u64; family.bounds.len() + 1];
        let mut sum = 0_u64;
        self.visit(family, select, |values| {
            for (total, value) in buckets.iter_mut().zip(values) {
                *total = total.wrapping_add(*value);
            }
            sum = sum.wrapping_add(*values.last().unwrap_or(&0));
        });
        Some(HistogramCounts { bounds: family.bounds.clone(), buckets, sum })
    }

    /// What has been counted since `earlier`, which must be of the same process. A value that went down (it
    /// cannot, by the segment's rules) counts as no change rather than as a huge one.
    #[must_use]
    pub fn since(&self, earlier: &Counts) -> Counts {
        let values = self.values.iter().zip(&earlier.values).map(|(now, then)| now.saturating_sub(*then));
        Counts { schema: Arc::clone(&self.schema), values: values.collect::<Vec<u64>>().into() }
    }

    /// Adds what another process of the same kind has counted. One whose writer counts other things (another version)
    /// adds those metrics that both have, with the same labels, and brings those that are new here; one that means something
    /// else by a name is left out of that name.
    pub fn add(&mut self, other: &Counts) {
        if Arc::ptr_eq(&self.schema, &other.schema) || self.schema == other.schema {
            for (total, value) in self.values.iter_mut().zip(&other.values) {
                *total = total.saturating_add(*value);
            }
            return;
        }
        self.learn(&other.schema);
        let ours = Arc::clone(&self.schema);
        for family in &ours.families {
            let Some(theirs) = other.schema.families.iter().find(|f| ours.is_same(family, &other.schema, f))
            else {
                continue;
            };
            let len = ours.span(family);
            let added = other.values[theirs.start..theirs.start + len].iter();
            for (total, value) in self.values[family.start..family.start + len].iter_mut().zip(added) {
                *total = total.saturating_add(*value);
            }
        }
    }

    /// Appends the metrics that only `other` has, as zeros; as many as a segment may have in all, lest versions without end
    /// take memory without end.
    fn learn(&mut self, other: &Schema) {
        let mut labels = self.schema.labels.clone();
        let mut families = self.schema.families.clone();
        let mut len = self.schema.len;
        for family in &other.families {
            let span = other.span(family);
            if families.len() >= MAX_FAMILIES || len + span > MAX_VALUES {
                break;
            }
            if families.iter().any(|ours| ours.name == family.name) {
                continue;
            }
            let mut place = |label: &LabelValues| {
                labels.iter().position(|ours| ours == label).unwrap_or_else(|| {
                    labels.push(label.clone());
                    labels.len() - 1
                })
            };
            let labels = family.labels.iter().map(|&l| place(&other.labels[l])).collect();
            families.push(Family { labels, ..family.clone() });
            len += span;
        }
        if families.len() > self.schema.families.len() {
            self.schema = Arc::new(Schema::new(labels, families));
            self.values.resize(self.schema.len);
        }
    }

    /// The values of a family, label combination by label combination: the last label's values follow each other.
    pub fn cells(&self, family: &Family) -> &[u64] {
        &self.values[family.start..family.start + self.schema.span(family)]
    }

    /// Calls `f` with the label indices and the values of each label combination of a family.
    pub fn each(&self, family: &Family, mut f: impl FnMut(&[usize], &[u64])) {
        let dims: Vec<usize> = family.labels.iter().map(|&l| self.schema.labels[l].values.len()).collect();
        let mut at = vec![0; dims.len()];
        let cells = dims.iter().product::<usize>();
        for cell in 0..cells {
            let start = family.start + cell * family.width;
            f(&at, &self.values[start..start + family.width]);
            // The next one, as a counter of kilometres goes on.
            for (index, dim) in at.iter_mut().zip(&dims).rev() {
                *index += 1;
                if *index < *dim {
                    break;
                }
                *index = 0;
            }
        }
    }

    fn visit(&self, family: &Family, select: Select, mut f: impl FnMut(&[u64])) {
        let wanted: Vec<Option<usize>> =
            family.labels.iter().map(|&l| select.of(&self.schema.labels[l].name)).collect();
        if wanted.iter().all(Option::is_none) {
            return self.cells(family).chunks_exact(family.width).for_each(f);
        }
        self.each(family, |at, values| {
            if wanted.iter().zip(at).all(|(want, index)| want.is_none_or(|w| w == *index)) {
                f(values);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_adds_what_both_count() {
        let own = Arc::new(Schema::own());
        let mut families = own.families.clone();
        families.retain(|f| f.name != "stormglass_cas_retries");
        families[0].name = "stormglass_novelties_total".to_owned();
        families.reverse();
        let newer = Arc::new(Schema::new(own.labels.clone(), families));
        let mut sum = Counts::zero(Arc::clone(&own));
        let mut other = Counts::zero(newer);
        sum.values.fill(1);
        other.values.fill(2);
        sum.add(&other);
        let at = |metric| sum.values[own.family(metric).expect("own metric").start];
        assert_eq!(at(Metric::CasFailures), 3);
        assert_eq!((at(Metric::CasRetries), at(Metric::RingHits)), (1, 1), "what only one counts stays");
        let novelty = sum.schema.families.last().expect("families");
        assert_eq!(novelty.name, "stormglass_novelties_total", "and what only the other counts comes");
        assert_eq!(sum.values[novelty.start], 2);
        other.values.fill(u64::MAX);
        sum.add(&other);
        assert_eq!(sum.values[own.family(Metric::LockSpins).expect("own metric").start], u64::MAX);
    }

    #[test]
    fn the_order_of_versions_does_not_matter() {
        let own = Schema::own();
        let mut labels = own.labels.clone();
        labels.insert(
            0,
            LabelValues { name: "weather".to_owned(), values: vec!["calm".into(), "storm".into()] },
        );
        let moved = |f: &Family| Family { labels: f.labels.iter().map(|l| l + 1).collect(), ..f.clone() };
        let mut families: Vec<Family> = own.families.iter().map(moved).collect();
        families.insert(
            3,
            Family { name: "stormglass_moods_total".to_owned(), labels: vec![1, 0], ..families[0].clone() },
        );
        let of = |schema: Schema, value: u64| {
            let mut counts = Counts::zero(Arc::new(schema));
            counts.values.fill(value);
            counts
        };
        let (older, newer) = (of(own, 1), of(Schema::new(labels, families), 10));
        let said = |first: &Counts, second: &Counts| {
            let mut sum = first.clone();
            sum.add(second);
            sum.add(second);
            let mut said = std::collections::BTreeMap::new();
            for family in &sum.schema.families {
                sum.each(family, |at, values| {
                    let at: Vec<_> = family
                        .labels
                        .iter()
                        .zip(at)
                        .map(|(&l, &i)| {
                            (sum.schema.labels[l].name.clone(), sum.schema.labels[l].values[i].clone())
                        })
                        .collect();
                    said.insert((family.name.clone(), at), values.to_vec());
                });
            }
            said
        };
        let (one, other) = (said(&older, &newer), said(&newer, &older));
        assert!(one.keys().eq(other.keys()));
        let mood = |said: &std::collections::BTreeMap<_, Vec<u64>>| {
            said.iter()
                .filter(|((name, _), _): &(&(String, _), _)| name.contains("moods"))
                .map(|(_, v)| v[0])
                .collect::<Vec<_>>()
        };
        assert_eq!((mood(&one), mood(&other)), (vec![20; 14], vec![10; 14]));
    }

    #[test]
    fn versions_without_end_take_no_memory_without_end() {
        let own = Schema::own();
        let mut sum = Counts::zero(Arc::new(own.clone()));
        for version in 0..MAX_FAMILIES + 100 {
            let family = Family { name: format!("stormglass_{version}_total"), ..own.families[0].clone() };
            sum.add(&Counts::zero(Arc::new(Schema::new(own.labels.clone(), vec![family]))));
        }
        assert_eq!(sum.schema.families.len(), MAX_FAMILIES);
    }

    #[test]
    fn sums_follow_the_selection() {
        let schema = Arc::new(Schema::own());
        let mut counts = Counts::zero(Arc::clone(&schema));
        let family = schema.family(Metric::CasFailures).expect("own metric");
        let index = |c: usize, s: usize, o: Op| family.start + (c * 8 + s) * Op::ALL.len() + o as usize;
        counts.values[index(3, 3, Op::Pop)] = 5;
        counts.values[index(3, 4, Op::BatchPop)] = 7;
        let sum = |select| counts.sum(Metric::CasFailures, select);
        assert_eq!(sum(Select::ALL), Some(12));
        assert_eq!(sum(Select::ALL.class(3).shard(4)), Some(7));
        assert_eq!(sum(Select::ALL.op(Op::Pop)), Some(5));
        assert_eq!(sum(Select::ALL.class(2)), Some(0));
        assert_eq!(counts.by(Metric::CasFailures, Label::Class), Some(vec![0, 0, 0, 12, 0, 0, 0]));
        assert_eq!(
            counts.by(Metric::CasFailures, Label::Op).map(|sums| sums[Op::BatchPop as usize]),
            Some(7)
        );
        assert_eq!(counts.by(Metric::RingHits, Label::Shard), None);
        assert_eq!(counts.sum(Metric::Up, Select::ALL), None, "a gauge has no cells");
    }
}

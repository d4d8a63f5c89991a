//! Adding up writers of different shapes, for views that show several kinds of processes as one.
//!
//! Invariant: a cell of the sum is that of one metric and one set of label *values*, whatever their places in either writer;
//! nothing that a writer counted is lost, unless it means something else by a name, or there are more than [`VALUES`] classes.

use std::sync::Arc;

use crate::counts::{Counts, Family, LabelValues, MAX_FAMILIES, MAX_VALUES, Schema};

/// Values of a label at most: shapes without end take no memory without end, and what finds no place is left out.
const VALUES: usize = 512;

impl Counts {
    /// Adds what another process has counted, of whichever shape. One that means something else by a name (another kind, other
    /// bounds) is left out of that name.
    pub fn unite(&mut self, other: &Counts) {
        if !(Arc::ptr_eq(&self.schema, &other.schema) || self.schema == other.schema) {
            let schema = union(&self.schema, &other.schema);
            if schema != *self.schema {
                let mut sum = Counts::zero(Arc::new(schema));
                sum.put(self);
                *self = sum;
            }
            self.put(other);
            return;
        }
        self.add(other);
    }

    /// Adds each cell to that of the same label values; the schema has them.
    fn put(&mut self, other: &Counts) {
        let ours = Arc::clone(&self.schema);
        for theirs in &other.schema.families {
            let family = ours.families.iter().find(|family| is_like(&ours, family, &other.schema, theirs));
            let Some(family) = family else { continue };
            // For each label of the family, where the values of theirs are in ours.
            let places: Vec<Vec<Option<usize>>> = family
                .labels
                .iter()
                .zip(&theirs.labels)
                .map(|(&l, &t)| {
                    let place = |value: &String| ours.labels[l].values.iter().position(|own| own == value);
                    other.schema.labels[t].values.iter().map(place).collect()
                })
                .collect();
            other.each(theirs, |at, values| {
                let index =
                    at.iter().zip(&places).zip(&family.labels).try_fold(0, |index, ((&at, places), &l)| {
                        Some(index * ours.labels[l].values.len() + places[at]?)
                    });
                let Some(index) = index else { return };
                let start = family.start + index * family.width;
                for (total, value) in self.values[start..start + family.width].iter_mut().zip(values) {
                    *total = total.saturating_add(*value);
                }
            });
        }
    }
}

/// Whether two families differ in nothing but the values of their labels.
fn is_like(ours: &Schema, family: &Family, other: &Schema, theirs: &Family) -> bool {
    let names = |schema: &Schema, family: &Family| -> Vec<String> {
        family.labels.iter().map(|&l| schema.labels[l].name.clone()).collect()
    };
    (&family.name, family.kind, &family.bounds) == (&theirs.name, theirs.kind, &theirs.bounds)
        && family.divisor.to_bits() == theirs.divisor.to_bits()
        && names(ours, family) == names(other, theirs)
}

/// All metrics and all label values of both, as far as a schema may go.
fn union(one: &Schema, other: &Schema) -> Schema {
    let mut labels: Vec<LabelValues> = Vec::new();
    for label in one.labels.iter().chain(&other.labels) {
        match labels.iter_mut().find(|own| own.name == label.name) {
            None => labels.push(label.clone()),
            Some(own) => {
                let new: Vec<String> =
                    label.values.iter().filter(|value| !own.values.contains(value)).cloned().collect();
                let room = VALUES.saturating_sub(own.values.len());
                own.values.extend(new.into_iter().take(room));
            }
        }
    }
    let mut families: Vec<Family> = Vec::new();
    let mut len = 0;
    for (schema, family) in one
        .families
        .iter()
        .map(|family| (one, family))
        .chain(other.families.iter().map(|family| (other, family)))
    {
        if families.len() >= MAX_FAMILIES || families.iter().any(|own| own.name == family.name) {
            continue;
        }
        let place = |&l: &usize| labels.iter().position(|own| own.name == schema.labels[l].name);
        let Some(places) = family.labels.iter().map(place).collect::<Option<Vec<usize>>>() else { continue };
        let span = places.iter().map(|&l| labels[l].values.len()).product::<usize>() * family.width;
        if len + span <= MAX_VALUES {
            len += span;
            families.push(Family { labels: places, ..family.clone() });
        }
    }
    Schema::new(labels, families)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Select;
    use crate::schema::{Label, Metric, Shape};

    fn of(class_bytes: &[u32], shards: usize, value: u64) -> Counts {
        let schema =
            Schema::of(Shape { class_bytes, shards, totals: shards == 1, inside: crate::Inside::NONE });
        let mut counts = Counts::zero(Arc::new(schema));
        counts.values.fill(value);
        counts
    }

    #[test]
    fn shapes_are_added_by_their_labels_in_either_order() {
        let (small, large) = (of(&[16, 2048], 1, 1), of(&[2048, 4096], 2, 10));
        for (first, second, classes) in
            [(&small, &large, ["16", "2048", "4096"]), (&large, &small, ["2048", "4096", "16"])]
        {
            let mut sum = first.clone();
            sum.unite(second);
            sum.unite(second);
            let twice =
                |counts: &Counts, value: u64| if std::ptr::eq(counts, second) { 2 * value } else { value };
            assert_eq!(sum.schema.label_values(Label::Class), classes);
            let hits = sum.by(Metric::RingHits, Label::Class).expect("counted");
            let at = |class: &str| hits[classes.iter().position(|c| *c == class).expect("a class")];
            let (one, ten) = (twice(&small, 1), twice(&large, 10));
            assert_eq!((at("16"), at("2048"), at("4096")), (one, one + ten, ten));
            // Two classes in one shard, and two in two.
            assert_eq!(sum.sum(Metric::Refills, Select::ALL), Some(2 * one + 4 * ten));
            assert_eq!(sum.sum(Metric::LargeFrees, Select::ALL), Some(one), "what only one has");
        }
    }

    #[test]
    fn one_name_with_two_meanings_is_the_first_ones() {
        let mut sum = of(&[16], 1, 1);
        let mut families = sum.schema.families.clone();
        families[0].divisor = 2.0;
        let mut other = Counts::zero(Arc::new(Schema::new(sum.schema.labels.clone(), families)));
        other.values.fill(5);
        sum.unite(&other);
        assert_eq!(sum.sum(Metric::RingHits, Select::ALL), Some(1));
        assert_eq!(sum.sum(Metric::RingMisses, Select::ALL), Some(6));
    }

    #[test]
    fn shapes_without_end_take_no_memory_without_end() {
        let mut sum = of(&[1], 1, 1);
        for class in 0..12 {
            sum.unite(&of(&(class * 100..class * 100 + 60).collect::<Vec<u32>>(), 1, 1));
        }
        assert_eq!(sum.schema.label_values(Label::Class).len(), VALUES);
        assert!(sum.values.len() <= MAX_VALUES);
    }
}

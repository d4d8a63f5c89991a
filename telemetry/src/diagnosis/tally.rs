//! The counts that the rules look at, by class and shard, out of whatever a writer has.
//!
//! Invariant: a metric that the writer does not count is 0 here, and no rule speaks on a 0: what is not known is silence.

use crate::counts::{Counts, Family};
use crate::schema::{Kind, Label, Metric, Op};
use crate::sparse::Sparse;

/// What is counted of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum ByShard {
    /// CASes that take from the list: single pops and batch pops.
    PopAttempts,
    PopFailures,
    /// CASes on the list, of whatever kind.
    ListAttempts,
    ListFailures,
    /// CASes on the remote-free stack.
    RemoteAttempts,
    RemoteFailures,
    WalkKept,
    WalkWasted,
    LockAcquisitions,
    LockContended,
    /// Nanoseconds.
    LockWait,
    RemoteFrees,
    RemoteDrains,
    RemoteDrained,
    Refills,
    RefilledBlocks,
    StealScans,
    StolenBlocks,
    MaskMisses,
}

/// What is counted of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum ByClass {
    Hits,
    Misses,
    /// Frees, wherever they went.
    Frees,
}

const SHARD_COUNTS: usize = ByShard::MaskMisses as usize + 1;
const CLASS_COUNTS: usize = ByClass::Frees as usize + 1;

const TAKES: &[Op] = &[Op::Pop, Op::BatchPop];
const LIST: &[Op] = &[Op::Pop, Op::Push, Op::BatchPop, Op::BatchPush, Op::Drain];
const REMOTE: &[Op] = &[Op::RemotePush];

/// Where each count comes from; the operations, where the metric is split by them.
const SHARD_SOURCES: [(ByShard, Metric, &[Op]); SHARD_COUNTS] = [
    (ByShard::PopAttempts, Metric::CasAttempts, TAKES),
    (ByShard::PopFailures, Metric::CasFailures, TAKES),
    (ByShard::ListAttempts, Metric::CasAttempts, LIST),
    (ByShard::ListFailures, Metric::CasFailures, LIST),
    (ByShard::RemoteAttempts, Metric::CasAttempts, REMOTE),
    (ByShard::RemoteFailures, Metric::CasFailures, REMOTE),
    (ByShard::WalkKept, Metric::WalkBlocksKept, &[]),
    (ByShard::WalkWasted, Metric::WalkBlocksWasted, &[]),
    (ByShard::LockAcquisitions, Metric::LockAcquisitions, &[]),
    (ByShard::LockContended, Metric::LockContended, &[]),
    (ByShard::LockWait, Metric::LockWait, &[]),
    (ByShard::RemoteFrees, Metric::RemoteFrees, &[]),
    (ByShard::RemoteDrains, Metric::RemoteDrains, &[]),
    (ByShard::RemoteDrained, Metric::RemoteDrainedBlocks, &[]),
    (ByShard::Refills, Metric::Refills, &[]),
    (ByShard::RefilledBlocks, Metric::RefilledBlocks, &[]),
    (ByShard::StealScans, Metric::StealScans, &[]),
    (ByShard::StolenBlocks, Metric::StolenBlocks, &[]),
    (ByShard::MaskMisses, Metric::MaskMisses, &[]),
];

const CLASS_SOURCES: [(ByClass, &[Metric]); CLASS_COUNTS] = [
    (ByClass::Hits, &[Metric::RingHits]),
    (ByClass::Misses, &[Metric::RingMisses]),
    (ByClass::Frees, &[Metric::RingReturns, Metric::RingSpills, Metric::RingBypasses]),
];

/// The metrics that the rules read: what a recording must have for verdicts to come of it.
pub const METRICS_READ: [Metric; 20] = [
    Metric::CasAttempts,
    Metric::CasFailures,
    Metric::WalkBlocksKept,
    Metric::WalkBlocksWasted,
    Metric::LockAcquisitions,
    Metric::LockContended,
    Metric::LockWait,
    Metric::RemoteFrees,
    Metric::RemoteDrains,
    Metric::RemoteDrainedBlocks,
    Metric::Refills,
    Metric::RefilledBlocks,
    Metric::StealScans,
    Metric::StolenBlocks,
    Metric::MaskMisses,
    Metric::RingHits,
    Metric::RingMisses,
    Metric::RingReturns,
    Metric::RingSpills,
    Metric::RingBypasses,
];

/// The counts of a process, or what has been added to them in a span of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tally {
    pub(super) classes: usize,
    pub(super) shards: usize,
    /// By count, class and shard.
    by_shard: Vec<u64>,
    /// By count and class.
    by_class: Vec<u64>,
}

/// A tally without its zeros, for as long as nobody works with it: a sidecar has one of each process.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    classes: usize,
    shards: usize,
    by_shard: Sparse,
    by_class: Sparse,
}

impl Packed {
    pub(super) fn of(tally: &Tally) -> Packed {
        Packed {
            classes: tally.classes,
            shards: tally.shards,
            by_shard: Sparse::of(&tally.by_shard),
            by_class: Sparse::of(&tally.by_class),
        }
    }

    /// The tally that it was made of.
    pub(super) fn whole(&self) -> Tally {
        let mut tally = Tally::zero(self.classes, self.shards);
        self.by_shard.add_to(&mut tally.by_shard);
        self.by_class.add_to(&mut tally.by_class);
        tally
    }
}

impl Tally {
    fn zero(classes: usize, shards: usize) -> Tally {
        let (by_shard, by_class) =
            (vec![0; SHARD_COUNTS * classes * shards], vec![0; CLASS_COUNTS * classes]);
        Tally { classes, shards, by_shard, by_class }
    }

    pub(super) fn of(counts: &Counts) -> Tally {
        let values = |label| counts.schema.label_values(label).len();
        let (classes, shards) = (values(Label::Class), values(Label::Shard));
        let cells = classes * shards;
        let mut tally = Tally::zero(classes, shards);
        for (count, metric, ops) in SHARD_SOURCES {
            let start = count as usize * cells;
            add(counts, metric, ops, &mut tally.by_shard[start..start + cells]);
        }
        for (count, metrics) in CLASS_SOURCES {
            let start = count as usize * classes;
            for &metric in metrics {
                add(counts, metric, &[], &mut tally.by_class[start..start + classes]);
            }
        }
        tally
    }

    /// What has been counted since; a count that went down says nothing.
    pub(super) fn since(&self, earlier: &Tally) -> Tally {
        let less =
            |now: &[u64], then: &[u64]| now.iter().zip(then).map(|(n, t)| n.saturating_sub(*t)).collect();
        Tally {
            by_shard: less(&self.by_shard, &earlier.by_shard),
            by_class: less(&self.by_class, &earlier.by_class),
            ..*self
        }
    }

    /// Whether this can be what `earlier` has become: the same cells, none of them smaller.
    pub(super) fn continues(&self, earlier: &Tally) -> bool {
        let grew = |now: &[u64], then: &[u64]| now.iter().zip(then).all(|(n, t)| n >= t);
        self.is_like(earlier)
            && grew(&self.by_shard, &earlier.by_shard)
            && grew(&self.by_class, &earlier.by_class)
    }

    /// Whether nothing was counted.
    pub(super) fn is_silent(&self) -> bool {
        self.by_shard.iter().chain(&self.by_class).all(|&count| count == 0)
    }

    pub(super) fn is_like(&self, other: &Tally) -> bool {
        (self.classes, self.shards) == (other.classes, other.shards)
    }

    /// Adds a span that follows; it must be of the same cells.
    pub(super) fn add(&mut self, other: &Tally) {
        let sum = |to: &mut [u64], from: &[u64]| {
            for (to, from) in to.iter_mut().zip(from) {
                *to = to.saturating_add(*from);
            }
        };
        sum(&mut self.by_shard, &other.by_shard);
        sum(&mut self.by_class, &other.by_class);
    }

    pub(super) fn shard(&self, count: ByShard, class: usize, shard: usize) -> u64 {
        self.by_shard[(count as usize * self.classes + class) * self.shards + shard]
    }

    /// Over all shards of a class.
    pub(super) fn shards_of(&self, count: ByShard, class: usize) -> u64 {
        (0..self.shards).fold(0, |sum, shard| sum.saturating_add(self.shard(count, class, shard)))
    }

    pub(super) fn class(&self, count: ByClass, class: usize) -> u64 {
        self.by_class[count as usize * self.classes + class]
    }
}

/// Adds a metric to cells of the same order; a family that has other cells than these is left out.
fn add(counts: &Counts, metric: Metric, ops: &[Op], cells: &mut [u64]) {
    let Some(family) = counts.schema.family(metric) else { return };
    let split = split(counts, family);
    let len = cells.len() * split * family.width;
    let Some(values) = counts.values.get(family.start..family.start + len) else { return };
    if cells.is_empty() || split == 0 {
        return;
    }
    // Of a histogram, what is wanted is the sum: its last value.
    let wanted = if family.kind == Kind::Histogram { family.width - 1 } else { 0 };
    for (cell, values) in cells.iter_mut().zip(values.chunks_exact(split * family.width)) {
        for (op, values) in values.chunks_exact(family.width).enumerate() {
            if ops.is_empty() || ops.iter().any(|&o| o as usize == op) {
                *cell = cell.saturating_add(values[wanted]);
            }
        }
    }
}

/// Into how many operations each cell of a family is split.
fn split(counts: &Counts, family: &Family) -> usize {
    let labels = || family.labels.iter().map(|&l| &counts.schema.labels[l]);
    labels().find(|l| l.name == Label::Op.name()).map_or(1, |l| l.values.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::counts::{Schema, Select};

    #[test]
    fn a_tally_says_what_the_sums_say() {
        let mut counts = Counts::zero(Arc::new(Schema::own()));
        let mut state = 1_u64;
        for value in counts.values.iter_mut() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value = state >> 44;
        }
        let tally = Tally::of(&counts);
        assert_eq!(Packed::of(&tally).whole(), tally);
        for class in 0..tally.classes {
            for shard in 0..tally.shards {
                let at = Select::ALL.class(class).shard(shard);
                for (count, metric, ops) in SHARD_SOURCES {
                    let sum = if metric == Metric::LockWait {
                        counts.histogram(metric, at).map(|h| h.sum)
                    } else if ops.is_empty() {
                        counts.sum(metric, at)
                    } else {
                        ops.iter().map(|&op| counts.sum(metric, at.op(op))).sum()
                    };
                    assert_eq!(Some(tally.shard(count, class, shard)), sum, "{count:?}");
                }
            }
            for (count, metrics) in CLASS_SOURCES {
                let sum = metrics.iter().map(|&m| counts.sum(m, Select::ALL.class(class))).sum();
                assert_eq!(Some(tally.class(count, class)), sum, "{count:?}");
            }
        }
    }

    #[test]
    fn what_the_writer_does_not_count_is_nothing() {
        let own = Schema::own();
        let mut families = own.families.clone();
        families.retain(|f| !f.name.contains("cas"));
        let mut counts = Counts::zero(Arc::new(Schema::new(own.labels, families)));
        counts.values.fill(7);
        let tally = Tally::of(&counts);
        assert_eq!((tally.shard(ByShard::ListFailures, 3, 3), tally.shard(ByShard::Refills, 3, 3)), (0, 7));
    }

    #[test]
    fn every_count_has_its_source_in_its_place() {
        assert!(SHARD_SOURCES.iter().enumerate().all(|(i, (count, ..))| *count as usize == i));
        assert!(CLASS_SOURCES.iter().enumerate().all(|(i, (count, _))| *count as usize == i));
        let read =
            SHARD_SOURCES.iter().map(|s| s.1).chain(CLASS_SOURCES.iter().flat_map(|s| s.1.iter().copied()));
        assert!(read.into_iter().all(|metric| METRICS_READ.contains(&metric)));
    }
}

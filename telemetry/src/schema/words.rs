//! The words that the metric table is written in.

use super::{CLASS_BYTES, Metric, SHARDS};

/// What a CAS was for; the label `op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Op {
    /// Takes one block off a shared list (under design `page`: one page heap off the idle stack).
    Pop,
    /// Puts one block on a shared list (under design `page`: a page on its owner's queue, or a page heap on the idle
    /// stack).
    Push,
    /// Takes a batch off a shared list at once.
    BatchPop,
    /// Puts a chain of blocks on a shared list at once.
    BatchPush,
    /// Splices a drained remote-free chain into the shared list.
    Drain,
    /// Pushes a block that another shard owns on that shard's remote-free stack (under design `page`: blocks that another
    /// thread owns to their page).
    RemotePush,
}

impl Op {
    /// Every operation, in the order of their cells.
    pub const ALL: [Op; 6] = [Op::Pop, Op::Push, Op::BatchPop, Op::BatchPush, Op::Drain, Op::RemotePush];

    /// The value of the label `op`.
    pub const fn name(self) -> &'static str {
        match self {
            Op::Pop => "pop",
            Op::Push => "push",
            Op::BatchPop => "batch_pop",
            Op::BatchPush => "batch_push",
            Op::Drain => "drain",
            Op::RemotePush => "remote_push",
        }
    }
}

/// A label that splits a metric into several cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Block size in bytes.
    Class,
    /// Shard number of the class.
    Shard,
    /// Operation, see [`Op`].
    Op,
}

impl Label {
    /// Every label, in the order of their ids in the segment.
    pub const ALL: [Label; 3] = [Label::Class, Label::Shard, Label::Op];

    /// The label's name in the exposition.
    pub const fn name(self) -> &'static str {
        match self {
            Label::Class => "class",
            Label::Shard => "shard",
            Label::Op => "op",
        }
    }

    /// The label's values under a shape, as the exposition writes them.
    pub fn values(self, shape: Shape<'_>) -> Vec<String> {
        match self {
            Label::Class => shape.class_bytes.iter().map(u32::to_string).collect(),
            Label::Shard => (0..shape.shards).map(|shard| shard.to_string()).collect(),
            Label::Op => Op::ALL.iter().map(|op| op.name().to_owned()).collect(),
        }
    }
}

/// What a metric is counted by: which of a slot's blocks of counters it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// By size class.
    Class,
    /// By size class and shard.
    Shard,
    /// By neither: what the allocator of a whole process does beside its classes.
    Totals,
    /// In no slot: the sidecar works it out.
    Process,
}

/// Which hardware counters count inside slow paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Inside {
    /// Processor cycles.
    pub cycles: bool,
    /// Instructions.
    pub instructions: bool,
    /// Last-level cache misses.
    pub cache_misses: bool,
}

impl Inside {
    /// None: not asked for, or not to be had.
    pub const NONE: Inside = Inside { cycles: false, instructions: false, cache_misses: false };

    /// Whether a metric is counted, as far as it depends on this. [`Inside::NONE`] has every metric that takes no hardware counter.
    #[must_use]
    pub fn has(self, metric: Metric) -> bool {
        match metric {
            Metric::SlowPathCycles => self.cycles,
            Metric::SlowPathInstructions => self.instructions,
            Metric::SlowPathCacheMisses => self.cache_misses,
            Metric::SlowPathSamples => self != Inside::NONE,
            _ => true,
        }
    }
}

/// What a segment's counts are split by, and whether it has [`Scope::Totals`]. The writer says it, each for itself.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Block sizes of its classes, in bytes.
    pub class_bytes: &'a [u32],
    /// Shards of each class.
    pub shards: usize,
    /// Whether it serves more than its classes. One that does not leaves those metrics out: they are not 0, there are none.
    pub totals: bool,
    /// Which hardware counters its slow paths are sampled by; the metrics of the others are left out as well.
    pub inside: Inside,
}

impl Shape<'_> {
    /// The mid pool's.
    pub const MID: Shape<'static> =
        Shape { class_bytes: &CLASS_BYTES, shards: SHARDS, totals: false, inside: Inside::NONE };

    /// The metrics that a slot of this shape has.
    pub fn metrics(self) -> impl Iterator<Item = Metric> {
        let counted = move |scope| match scope {
            Scope::Class | Scope::Shard => true,
            Scope::Totals => self.totals,
            Scope::Process => false,
        };
        Metric::ALL
            .iter()
            .copied()
            .filter(move |metric| counted(metric.descriptor().scope) && self.inside.has(*metric))
    }
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down; known to the sidecar, not kept in a slot.
    Gauge,
    /// Counts by bucket, and a sum.
    Histogram,
}

/// What a metric's cells count. Durations are kept in nanoseconds and exposed in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things that happened, or that there are.
    Events,
    /// Blocks that are handed out.
    Blocks,
    /// Further attempts of one operation.
    Retries,
    /// Nanoseconds in the segment, seconds in the exposition.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The unit's word in docs and descriptors.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Events => "events",
            Unit::Blocks => "blocks",
            Unit::Retries => "retries",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        }
    }

    /// What a stored value is divided by to be exposed.
    pub const fn divisor(self) -> f64 {
        match self {
            Unit::Seconds => 1e9,
            _ => 1.0,
        }
    }
}

/// Everything that is known of a metric without reading a value.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Full Prometheus name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Unit of a stored value.
    pub unit: Unit,
    /// What it is counted by.
    pub scope: Scope,
    /// Labels, outermost first.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets, in stored units; empty for the others.
    pub bounds: &'static [u64],
    /// One sentence for `# HELP`.
    pub help: &'static str,
    /// Bytes from the start of its scope's counters to its own; meaningless for one of the whole process.
    pub offset: usize,
}

impl Descriptor {
    /// Cells of one label combination: 1 for a counter, buckets and sum for a histogram.
    pub const fn width(&self) -> usize {
        match self.kind {
            Kind::Histogram => self.bounds.len() + 2,
            _ => 1,
        }
    }
}

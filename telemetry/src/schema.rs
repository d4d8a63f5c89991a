//! The one metric table. Each metric is said here once: name, kind, labels, unit, help.
//!
//! From it come the layout of a thread's slot (the structs below), the descriptors in the segment, the
//! exposition, docs/METRICS.md and the lint of the Grafana queries. Invariant: the slot's layout and the
//! descriptors cannot disagree, because both are made from the same row.

use core::mem::{offset_of, size_of};

use crate::Cell;
use crate::histogram::{DURATION_BOUNDS, DurationHistogram, RETRY_BOUNDS, RetryHistogram};

/// Block sizes of the mid pool's classes, in bytes: a geometric row from 2 to 32 KiB, in whole KiB.
pub const CLASS_BYTES: [u32; 7] = [2048, 3072, 5120, 8192, 12288, 20480, 32768];
/// Bytes of one page of blocks: what a shard takes from the region when it runs dry.
pub const PAGE_BYTES: usize = 1 << 20;
/// Size classes of the mid pool.
pub const CLASSES: usize = CLASS_BYTES.len();
/// Shards of each class.
pub const SHARDS: usize = 8;

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

    /// How many values the label has.
    pub const fn cardinality(self) -> usize {
        match self {
            Label::Class => CLASSES,
            Label::Shard => SHARDS,
            Label::Op => Op::ALL.len(),
        }
    }

    /// The label's `index`th value, as the exposition writes it.
    pub fn value(self, index: usize) -> String {
        match self {
            Label::Class => CLASS_BYTES[index].to_string(),
            Label::Shard => index.to_string(),
            Label::Op => Op::ALL[index].name().to_owned(),
        }
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
    /// Blocks of the mid pool.
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
    /// Labels, each with the distance in bytes between neighbouring values' cells.
    pub labels: &'static [(Label, usize)],
    /// Upper bounds of a histogram's buckets, in stored units; empty for the others.
    pub bounds: &'static [u64],
    /// One sentence for `# HELP`.
    pub help: &'static str,
    /// Bytes from the start of a slot to the first cell; meaningless for a gauge.
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

macro_rules! cell_type {
    (Counter) => {
        Cell
    };
    (Counter op) => {
        [Cell; Op::ALL.len()]
    };
    (Histogram Retries) => {
        RetryHistogram
    };
    (Histogram Seconds) => {
        DurationHistogram
    };
}

macro_rules! full_name {
    (Counter $field:ident Seconds) => {
        concat!("stormglass_", stringify!($field), "_seconds_total")
    };
    (Counter $field:ident $unit:ident) => {
        concat!("stormglass_", stringify!($field), "_total")
    };
    (Histogram $field:ident Seconds) => {
        concat!("stormglass_", stringify!($field), "_seconds")
    };
    (Histogram $field:ident $unit:ident) => {
        concat!("stormglass_", stringify!($field))
    };
    (Gauge $field:ident $unit:ident) => {
        concat!("stormglass_", stringify!($field))
    };
}

macro_rules! bounds {
    (Histogram Retries) => {
        &RETRY_BOUNDS
    };
    (Histogram Seconds) => {
        &DURATION_BOUNDS
    };
    ($kind:ident $unit:ident) => {
        &[]
    };
}

/// Type of a field: only `Counter` takes an `op`, only `Histogram` looks at its unit.
macro_rules! field_type {
    (Counter $unit:ident) => { cell_type!(Counter) };
    (Counter $unit:ident op) => { cell_type!(Counter op) };
    (Histogram $unit:ident) => { cell_type!(Histogram $unit) };
}

macro_rules! label_list {
    ([$($outer:expr),*]) => { &[$($outer),*] };
    ([$($outer:expr),*] op) => { &[$($outer,)* (Label::Op, size_of::<Cell>())] };
}

macro_rules! metrics {
    (
        class { $($cf:ident = $cm:ident: $ck:ident $([$cx:ident])? => $cu:ident, $ch:literal;)* }
        shard { $($sf:ident = $sm:ident: $sk:ident $([$sx:ident])? => $su:ident, $sh:literal;)* }
        process { $($pf:ident = $pm:ident: $pk:ident => $pu:ident, $ph:literal;)* }
    ) => {
        /// Counters of one class, one cache line: what the ring's own path touches.
        #[repr(C, align(64))]
        #[derive(Debug)]
        pub struct ClassCounters { $(#[doc = $ch] pub $cf: field_type!($ck $cu $($cx)?),)* }

        /// Counters of one shard of one class.
        #[repr(C, align(64))]
        #[derive(Debug)]
        pub struct ShardCounters { $(#[doc = $sh] pub $sf: field_type!($sk $su $($sx)?),)* }

        /// Every metric that this build knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Metric {
            $(#[doc = $ch] $cm,)*
            $(#[doc = $sh] $sm,)*
            $(#[doc = $ph] $pm,)*
        }

        impl Metric {
            /// Every metric, in the order of the table.
            pub const ALL: &'static [Metric] = &[$(Metric::$cm,)* $(Metric::$sm,)* $(Metric::$pm,)*];

            /// What the table says of this metric.
            pub const fn descriptor(self) -> Descriptor {
                match self {
                    $(Metric::$cm => Descriptor {
                        name: full_name!($ck $cf $cu),
                        kind: Kind::$ck,
                        unit: Unit::$cu,
                        labels: label_list!([(Label::Class, size_of::<ClassCounters>())] $($cx)?),
                        bounds: bounds!($ck $cu),
                        help: $ch,
                        offset: offset_of!(SlotCounters, classes) + offset_of!(ClassCounters, $cf),
                    },)*
                    $(Metric::$sm => Descriptor {
                        name: full_name!($sk $sf $su),
                        kind: Kind::$sk,
                        unit: Unit::$su,
                        labels: label_list!([
                            (Label::Class, SHARDS * size_of::<ShardCounters>()),
                            (Label::Shard, size_of::<ShardCounters>())
                        ] $($sx)?),
                        bounds: bounds!($sk $su),
                        help: $sh,
                        offset: offset_of!(SlotCounters, shards) + offset_of!(ShardCounters, $sf),
                    },)*
                    $(Metric::$pm => Descriptor {
                        name: full_name!($pk $pf $pu),
                        kind: Kind::$pk,
                        unit: Unit::$pu,
                        labels: &[],
                        bounds: &[],
                        help: $ph,
                        offset: usize::MAX,
                    },)*
                }
            }
        }
    };
}

metrics! {
    class {
        ring_hits = RingHits: Counter => Events, "Allocations served by the thread-local ring.";
        ring_returns = RingReturns: Counter => Events, "Frees taken by the thread-local ring.";
        ring_misses = RingMisses: Counter => Events, "Allocations that found the ring empty and had to refill it.";
        ring_spills = RingSpills: Counter => Events, "Frees that found the ring full and had to spill a batch.";
        ring_bypasses = RingBypasses: Counter => Events, "Frees that passed the ring by, because another shard owns the block.";
        ring_refilled_blocks = RingRefilledBlocks: Counter => Blocks, "Blocks that refills brought into the ring.";
        ring_spilled_blocks = RingSpilledBlocks: Counter => Blocks, "Blocks that spills and thread exits moved out of the ring.";
        allocation_failures = AllocationFailures: Counter => Events, "Allocations that failed for want of memory.";
    }
    shard {
        cas_attempts = CasAttempts: Counter [op] => Events, "Compare-and-swap attempts on a shared list.";
        cas_failures = CasFailures: Counter [op] => Events, "Compare-and-swap attempts that another thread beat.";
        walk_blocks_kept = WalkBlocksKept: Counter => Blocks, "Blocks walked inside a CAS loop that the successful CAS took.";
        walk_blocks_wasted = WalkBlocksWasted: Counter => Blocks, "Blocks walked inside a CAS loop for a CAS that failed.";
        aba_averted = AbaAverted: Counter => Events, "CASes that failed by their version alone: without it each would have gone through on a list that had changed.";
        lock_acquisitions = LockAcquisitions: Counter => Events, "Times the shard's lock was taken.";
        lock_contended = LockContended: Counter => Events, "Times the shard's lock was taken only after waiting.";
        lock_try_failures = LockTryFailures: Counter => Events, "Times a try-lock found the shard's lock held.";
        lock_spins = LockSpins: Counter => Events, "Turns of the spin loop in front of the shard's lock.";
        remote_frees = RemoteFrees: Counter => Blocks, "Blocks handed to the thread or the shard that owns them by a thread that does not: frees that pass the ring by, or, under design page, blocks of others that a ring spills.";
        remote_drains = RemoteDrains: Counter => Events, "Times a shard's remote-free stack (under design page: a page's) was taken whole and was not empty.";
        remote_drained_blocks = RemoteDrainedBlocks: Counter => Blocks, "Blocks that those drains found.";
        refills = Refills: Counter => Events, "Batches taken from this shard's list (under design page: from pages) to refill a ring.";
        refilled_blocks = RefilledBlocks: Counter => Blocks, "Blocks in those batches.";
        steal_scans = StealScans: Counter => Events, "Times a thread of another shard looked here for blocks to steal.";
        stolen_blocks = StolenBlocks: Counter => Blocks, "Blocks that threads of other shards took from here.";
        mask_misses = MaskMisses: Counter => Events, "Times the non-empty mask named this shard and it was empty.";
        pages_mapped = PagesMapped: Counter => Events, "Fresh pages of blocks given to this shard, or to its threads.";
        pages_abandoned = PagesAbandoned: Counter => Events, "Pages left behind by threads that ended.";
        pages_adopted = PagesAdopted: Counter => Events, "Pages taken over from threads that had ended.";
        heaps_adopted = HeapsAdopted: Counter => Events, "Page heaps of ended threads taken over, each whole, with all its pages and free blocks.";
        slow_path = SlowPath: Counter => Seconds, "Time in refills and spills with this home shard.";
        cas_retries = CasRetries: Histogram => Retries, "Retries of one operation on a shared list.";
        lock_wait = LockWait: Histogram => Seconds, "Time from wanting the shard's lock to having it, where it was contended.";
        lock_hold = LockHold: Histogram => Seconds, "Time the shard's lock was held.";
    }
    process {
        up = Up: Gauge => Events, "1 while a process with these labels lives, 0 when all are dead.";
        process_info = ProcessInfo: Gauge => Events, "Always 1; labels tell the strategy, the workload and the writer's version.";
        threads = Threads: Gauge => Events, "Threads that own a slot now.";
        threads_started = ThreadsStarted: Counter => Events, "Threads that ever owned a slot.";
        threads_dropped = ThreadsDropped: Counter => Events, "Threads that found no slot, so that their counts are not shown.";
        live_bytes = LiveBytes: Gauge => Bytes, "Bytes of blocks that callers hold, by allocations less frees.";
        mapped_bytes = MappedBytes: Gauge => Bytes, "Bytes of the pages that the pool has taken.";
        segment_bytes = SegmentBytes: Gauge => Bytes, "Size of the shared-memory segments, also of the dead while they are kept.";
        segments = Segments: Gauge => Events, "Segments that the sidecar shows (no process labels).";
        segment_errors = SegmentErrors: Counter => Events, "Files in the segment directory that the sidecar refused to read (no process labels).";
        scrape_duration = ScrapeDuration: Counter => Seconds, "Time that scrapes spent reading segments and building the answer (no process labels).";
        scrapes = Scrapes: Counter => Events, "Scrapes of /metrics answered (no process labels).";
    }
}

/// Everything that one thread counts. Lies in the segment; one owner at a time.
///
/// A slot outlives its thread: its counts stay as *retired* counts, and the next thread that claims the slot goes
/// on from them. That is why totals never fall, and why no count has to be moved when a thread exits.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct SlotCounters {
    /// Monotonic time of the owner's last slow path, in nanoseconds (`CLOCK_MONOTONIC`); 0 before the first.
    pub heartbeat: Cell,
    /// Bit `class * SHARDS + shard` is set before the first count of that shard: what a reader may skip.
    touched: Cell,
    reserved: [Cell; 6],
    /// By class.
    pub classes: [ClassCounters; CLASSES],
    shards: [[ShardCounters; SHARDS]; CLASSES],
}

impl SlotCounters {
    /// Bytes from the start of a slot to its touched word.
    pub const TOUCHED_OFFSET: usize = offset_of!(SlotCounters, touched);
    /// Bytes from the start of a slot to its heartbeat.
    pub const HEARTBEAT_OFFSET: usize = offset_of!(SlotCounters, heartbeat);

    /// The counters of one shard, marked as touched.
    #[inline]
    pub fn shard(&self, class: usize, shard: usize) -> &ShardCounters {
        let bit = 1 << (class * SHARDS + shard);
        let touched = self.touched.get();
        if touched & bit == 0 {
            self.touched.set(touched | bit);
        }
        &self.shards[class][shard]
    }

    /// All zero, outside any segment: for tests and for threads that found no slot.
    pub fn zeroed() -> Box<SlotCounters> {
        // SAFETY: every field is an `AtomicU64` or an array of them, for which all-zero bytes are a valid value.
        unsafe { Box::new_zeroed().assume_init() }
    }
}

const _: () = assert!(CLASSES * SHARDS <= 64, "the touched word has a bit for each shard");
const _: () = assert!(size_of::<ClassCounters>() == 64, "the ring's counters fill one cache line");
const _: () = assert!(size_of::<SlotCounters>().is_multiple_of(128));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in Metric::ALL {
            let d = metric.descriptor();
            assert!(seen.insert(d.name), "{} is said twice", d.name);
            assert!(d.name.starts_with("stormglass_"), "{}", d.name);
            assert_eq!(d.kind == Kind::Counter, d.name.ends_with("_total"), "{}", d.name);
            assert!(d.help.ends_with('.'), "{}: help is a sentence", d.name);
        }
    }

    #[test]
    fn a_descriptor_points_at_the_cell_that_the_struct_names() {
        let slot = SlotCounters::zeroed();
        let base = core::ptr::from_ref(&*slot).addr();
        let cell = core::ptr::from_ref(&slot.shard(3, 5).cas_failures[Op::BatchPop as usize]).addr();
        let d = Metric::CasFailures.descriptor();
        let at = [3, 5, Op::BatchPop as usize];
        let offset = d.offset + d.labels.iter().zip(at).map(|((_, stride), i)| stride * i).sum::<usize>();
        assert_eq!(cell - base, offset);
    }
}

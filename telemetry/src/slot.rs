//! One thread's counters: the blocks of the metric table, as often as the writer has classes and shards.
//!
//! ```text
//! | heartbeat, touched | totals | class 0 | class 1 | ... | class 0: shard 0, shard 1, ... | class 1: ... | ...
//! ```
//!
//! Invariant: [`SlotCounters::place`] says where the struct keeps a metric, because it asks the struct.

use core::mem::{offset_of, size_of};

use crate::Cell;
use crate::cell::COUNTING;
use crate::schema::{CLASSES, ClassCounters, Metric, SHARDS, Scope, ShardCounters, TotalCounters};

/// Everything that one thread counts. Lies in the segment; one owner at a time. Of the mid pool, unless said otherwise.
///
/// A slot outlives its thread: its counts stay as *retired* counts, and the next thread that claims the slot goes
/// on from them. That is why totals never fall, and why no count has to be moved when a thread exits.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct SlotCounters<const C: usize = CLASSES, const S: usize = SHARDS> {
    /// Monotonic time of the owner's last slow path, in nanoseconds (`CLOCK_MONOTONIC`); 0 before the first.
    pub heartbeat: Cell,
    /// Bit `class * S + shard` is set before the first count of that shard: what a reader may skip.
    touched: Cell,
    reserved: [Cell; 6],
    /// What has no class. Shown only if the segment's writer says that it counts it.
    pub totals: TotalCounters,
    /// By class.
    pub classes: [ClassCounters; C],
    shards: [[ShardCounters; S]; C],
}

/// Where a slot keeps a metric.
pub(crate) struct Place {
    /// Bytes from the start of the slot to the first cell.
    pub(crate) offset: usize,
    /// For each label, the distance in bytes between the cells of neighbouring values.
    pub(crate) strides: Vec<usize>,
}

impl SlotCounters {
    /// A mid pool's slot outside any segment, all zero: for tests.
    pub fn zeroed() -> Box<SlotCounters> {
        SlotCounters::blank()
    }
}

impl<const C: usize, const S: usize> SlotCounters<C, S> {
    /// Bytes from the start of a slot to its touched word.
    pub const TOUCHED_OFFSET: usize = offset_of!(Self, touched);
    /// Bytes from the start of a slot to its heartbeat.
    pub const HEARTBEAT_OFFSET: usize = offset_of!(Self, heartbeat);

    /// Refuses to compile with more shards than the touched word has bits.
    pub(crate) const FITS: () = assert!(C * S <= 64, "the touched word has a bit for each shard");

    /// The counters of one shard, marked as touched.
    #[inline]
    pub fn shard(&self, class: usize, shard: usize) -> &ShardCounters {
        const { Self::FITS };
        let bit = 1 << (class * S + shard);
        let touched = self.touched.get();
        if COUNTING && touched & bit == 0 {
            self.touched.set(touched | bit);
        }
        &self.shards[class][shard]
    }

    /// The counters of one shard, if it is marked as touched: what is not has counted nothing, and need not be looked at.
    pub fn touched_shard(&self, class: usize, shard: usize) -> Option<&ShardCounters> {
        let touched = self.touched.get() & (1 << (class * S + shard)) != 0;
        touched.then(|| &self.shards[class][shard])
    }

    /// All zero, outside any segment.
    pub fn blank() -> Box<SlotCounters<C, S>> {
        // SAFETY: every field is an `AtomicU64` or an array of them, for which all-zero bytes are a valid value.
        unsafe { Box::new_zeroed().assume_init() }
    }

    /// Where the slot keeps a metric; none for one of the whole process.
    pub(crate) fn place(metric: Metric) -> Option<Place> {
        let d = metric.descriptor();
        let class = size_of::<ClassCounters>();
        let shard = size_of::<ShardCounters>();
        let (start, strides) = match d.scope {
            Scope::Process => return None,
            Scope::Totals => (offset_of!(Self, totals), vec![]),
            Scope::Class => (offset_of!(Self, classes), vec![class]),
            Scope::Shard => (offset_of!(Self, shards), vec![S * shard, shard]),
        };
        // What is split further is split into cells that follow each other.
        let inner = d.labels.len() - strides.len();
        let strides = strides.into_iter().chain(core::iter::repeat_n(size_of::<Cell>(), inner)).collect();
        Some(Place { offset: start + d.offset, strides })
    }
}

const _: () = assert!(size_of::<SlotCounters>().is_multiple_of(128));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Op;

    /// Checks one cell's address against what its metric's place says.
    fn check<const C: usize, const S: usize>(
        slot: &SlotCounters<C, S>,
        cell: &Cell,
        metric: Metric,
        at: &[usize],
    ) {
        let place = SlotCounters::<C, S>::place(metric).expect("in a slot");
        assert_eq!(place.strides.len(), at.len(), "a stride for each label");
        let offset = place.offset + place.strides.iter().zip(at).map(|(stride, i)| stride * i).sum::<usize>();
        assert_eq!(core::ptr::from_ref(cell).addr() - core::ptr::from_ref(slot).addr(), offset);
    }

    fn check_all<const C: usize, const S: usize>() {
        let slot = SlotCounters::<C, S>::blank();
        let (class, shard) = (C - 1, S - 1);
        let op = Op::BatchPop as usize;
        let counters = slot.shard(class, shard);
        check(&slot, &counters.cas_failures[op], Metric::CasFailures, &[class, shard, op]);
        check(&slot, &counters.slow_path, Metric::SlowPath, &[class, shard]);
        check(&slot, &slot.classes[class].ring_misses, Metric::RingMisses, &[class]);
        check(&slot, &slot.totals.forks, Metric::Forks, &[]);
        assert_eq!(slot.touched.get(), 1 << (class * S + shard));
        let seen = slot.touched_shard(class, shard).map(core::ptr::from_ref);
        assert_eq!(seen, Some(core::ptr::from_ref(counters)));
        if class > 0 {
            assert!(slot.touched_shard(0, shard).is_none());
        }
    }

    #[test]
    fn a_place_is_where_the_struct_has_the_cell() {
        check_all::<7, 8>();
        check_all::<40, 1>();
        check_all::<1, 1>();
        check_all::<3, 21>();
        check_all::<64, 1>();
        assert!(SlotCounters::<7, 8>::place(Metric::Up).is_none());
    }
}

//! Counts that go from one slot to another: from the private one in which a process begins, to the segment's.
//!
//! Invariant: a reader of the segment sees each count once. The private slot is seen by nobody.

use core::mem::offset_of;

use stormglass_telemetry::{Cell, ClassCounters, ShardCounters};

use super::size_class::CLASSES;
use super::thread::Counters;

/// What is made of cells alone, each of which only goes up.
///
/// # Safety
/// It must be.
unsafe trait Cells: Sized {
    fn cells(&self) -> &[Cell] {
        // SAFETY: the value is cells and nothing else, by the promise of the trait.
        unsafe {
            core::slice::from_raw_parts(
                core::ptr::from_ref(self).cast(),
                size_of::<Self>() / size_of::<Cell>(),
            )
        }
    }
}

// SAFETY: counters and histograms, which are arrays of counters; what pads them to a line of the cache is none, or zero.
unsafe impl Cells for ClassCounters {}
// SAFETY: as above.
unsafe impl Cells for ShardCounters {}
// SAFETY: as above.
unsafe impl Cells for stormglass_telemetry::TotalCounters {}

/// Adds the counts of `from` to those of `to`, which the caller owns.
pub(super) fn carry(from: &Counters, to: &Counters) {
    add(&from.totals, &to.totals);
    for class in 0..CLASSES {
        add(&from.classes[class], &to.classes[class]);
        // Most are not, and to look at them would give them memory.
        if let Some(seen) = from.touched_shard(class, 0) {
            add(seen, to.shard(class, 0));
        }
    }
    to.heartbeat.set(from.heartbeat.get());
}

fn add<T: Cells>(from: &T, to: &T) {
    for (from, to) in from.cells().iter().zip(to.cells()) {
        let count = from.get();
        if count != 0 {
            to.add(count);
        }
    }
}

const _: () = assert!(offset_of!(ClassCounters, ring_hits) == 0 && size_of::<Cell>() == 8);

//! What a thread counts of its large blocks, and what they are charged to.

use stormglass_telemetry::Cell;

use crate::general::limit::Limit;

/// One thread's counts, without class.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Large blocks handed out.
    pub(crate) large_allocations: Cell,
    /// Large blocks taken back.
    pub(crate) large_frees: Cell,
    /// Large blocks that could not be had.
    pub(crate) large_failures: Cell,
    /// Usable bytes of all blocks handed out, and of what blocks grew by.
    pub(crate) large_allocated_bytes: Cell,
    /// Usable bytes of all blocks taken back, and of what blocks shrank by.
    pub(crate) large_freed_bytes: Cell,
    /// Blocks handed out with memory that freed ones had left.
    pub(crate) large_reuses: Cell,
    /// Mappings made for single blocks.
    pub(crate) large_direct_mappings: Cell,
    /// Reallocations that left the block where it was.
    pub(crate) large_grown_in_place: Cell,
    /// Reallocations for which the kernel moved the pages.
    pub(crate) large_moved: Cell,
    /// Bytes that became part of a block for the first time, and of mappings.
    pub(crate) large_mapped_bytes: Cell,
    /// Bytes of mappings that went back.
    pub(crate) large_unmapped_bytes: Cell,
    /// Bytes of free spans whose memory went back.
    pub(crate) large_purged_bytes: Cell,
    /// Bytes that became part of a block again after their memory had gone back.
    pub(crate) large_retaken_bytes: Cell,
    /// Times that the lock was held by another thread.
    pub(crate) large_lock_contended: Cell,
    /// Times that the limit refused.
    pub(crate) limit_refusals: Cell,
    /// Times that the kernel refused.
    pub(crate) kernel_refusals: Cell,
}

/// Who pays for memory: the process's limit, and the calling thread's counters.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) limit: &'a Limit,
    pub(super) counters: &'a Totals,
}

impl Account<'_> {
    /// Charges `bytes`, or counts that the limit refuses.
    pub(super) fn charge(self, bytes: usize) -> bool {
        let may = self.limit.take(bytes);
        if !may {
            self.counters.limit_refusals.add(1);
        }
        may
    }

    /// Counts what a block grew or shrank by.
    pub(super) fn count_change(self, old: usize, new: usize) {
        self.counters.large_allocated_bytes.add(new.saturating_sub(old) as u64);
        self.counters.large_freed_bytes.add(old.saturating_sub(new) as u64);
    }
}

//! What a thread counts of its large blocks.

use stormglass_telemetry::Cell;

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
    pub(crate) large_bytes_allocated: Cell,
    /// Usable bytes of all blocks taken back, and of what blocks shrank by.
    pub(crate) large_bytes_freed: Cell,
    /// Mappings made for single blocks.
    pub(crate) large_mappings: Cell,
    /// Reallocations that left the block where it was.
    pub(crate) large_resized_in_place: Cell,
    /// Reallocations for which the kernel moved the pages.
    pub(crate) large_moved: Cell,
    /// Times that the lock was held by another thread.
    pub(crate) large_lock_contended: Cell,
}

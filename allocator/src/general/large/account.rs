//! What a large block's memory is charged to.

pub(crate) use stormglass_telemetry::TotalCounters as Totals;

use crate::general::limit::Limit;

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

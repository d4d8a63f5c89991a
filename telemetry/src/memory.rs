//! Where a process's memory is, by what its writer counts: a gauge is a difference of counters.
//!
//! ```text
//! fresh ---mapped--> in use <---retaken--- purged        live:   with callers
//!                      |  \-----purged-------^           cached: free, in the rings of threads
//!                      \--unmapped--> gone               the rest of what is mapped: free, in pages and spans
//! ```
//!
//! Invariants: a transition is counted once, so no byte is in two states; `None` says that the writer does not count
//! what a gauge takes. All are approximate while threads run, because counts are read one after another; none is
//! ever negative.

use crate::counts::Select;
use crate::schema::{Label, Metric};
use crate::snapshot::Snapshot;

impl Snapshot {
    /// Bytes of blocks that callers hold: allocations less frees, by class, and those above the largest class.
    pub fn live_bytes(&self) -> Option<u64> {
        let classes = self.by_class(|of| {
            let failed = of(Metric::AllocationFailures)?;
            let allocated =
                of(Metric::RingHits)?.saturating_add(of(Metric::RingMisses)?).saturating_sub(failed);
            let freed = of(Metric::RingReturns)?.saturating_add(of(Metric::RingSpills)?);
            Some(allocated.saturating_sub(freed.saturating_add(of(Metric::RingBypasses)?)))
        })?;
        Some(classes.saturating_add(self.large_live_bytes().unwrap_or(0)))
    }

    /// Bytes of free blocks in the rings of threads: what came in (frees that the ring took, the block of each free
    /// that made it spill, refills) less what went out (hits, the block of each miss that was served, spills).
    pub fn cached_bytes(&self) -> Option<u64> {
        self.by_class(|of| {
            let freed = of(Metric::RingReturns)?.saturating_add(of(Metric::RingSpills)?);
            let came = freed.saturating_add(of(Metric::RingRefilledBlocks)?);
            let served = of(Metric::RingMisses)?.saturating_sub(of(Metric::AllocationFailures)?);
            let went = served.saturating_add(of(Metric::RingHits)?);
            Some(came.saturating_sub(went.saturating_add(of(Metric::RingSpilledBlocks)?)))
        })
    }

    /// Bytes of pages, spans and direct mappings, used or free, without what went back to the kernel.
    pub fn mapped_bytes(&self) -> Option<u64> {
        let pages =
            self.total(Metric::PageMappedBytes)?.saturating_add(self.total(Metric::PageRetakenBytes)?);
        let pages = pages.saturating_sub(self.total(Metric::PagePurgedBytes)?);
        let spans = || {
            let came =
                self.total(Metric::LargeMappedBytes)?.saturating_add(self.total(Metric::LargeRetakenBytes)?);
            let went =
                self.total(Metric::LargePurgedBytes)?.saturating_add(self.total(Metric::LargeUnmappedBytes)?);
            Some(came.saturating_sub(went))
        };
        Some(pages.saturating_add(spans().unwrap_or(0)))
    }

    /// Bytes of address space whose memory went back to the kernel and has not been taken again.
    pub fn purged_bytes(&self) -> Option<u64> {
        let left = |purged, retaken| Some(self.total(purged)?.saturating_sub(self.total(retaken)?));
        let pages: u64 = left(Metric::PagePurgedBytes, Metric::PageRetakenBytes)?;
        let spans = left(Metric::LargePurgedBytes, Metric::LargeRetakenBytes);
        Some(pages.saturating_add(spans.unwrap_or(0)))
    }

    /// Bytes that callers hold in allocations above the largest class.
    pub fn large_live_bytes(&self) -> Option<u64> {
        let allocated = self.total(Metric::LargeAllocatedBytes)?;
        Some(allocated.saturating_sub(self.total(Metric::LargeFreedBytes)?))
    }

    fn total(&self, metric: Metric) -> Option<u64> {
        self.counts.sum(metric, Select::ALL)
    }

    /// Adds up a number of blocks by class, in bytes: the sizes are those that the writer says.
    fn by_class(&self, blocks: impl Fn(&dyn Fn(Metric) -> Option<u64>) -> Option<u64>) -> Option<u64> {
        let classes = self.counts.schema.label_values(Label::Class);
        classes.iter().enumerate().try_fold(0_u64, |bytes, (class, size)| {
            let select = Select::ALL.class(class);
            let blocks = blocks(&|metric| self.counts.sum(metric, select))?;
            Some(bytes.saturating_add(blocks.saturating_mul(size.parse().ok()?)))
        })
    }
}

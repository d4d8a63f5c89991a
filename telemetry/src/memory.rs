//! Where a process's memory is, by what its writer counts: a gauge is a difference of counters.
//!
//! ```text
//! fresh ---mapped--> in use <---retaken--- purged        live:   with callers
//!                      |  \-----purged-------^           cached: free, in the rings of threads
//!                      \--unmapped--> gone               the rest of what is mapped: free, in pages, in spans,
//!                                                          and in batches between rings
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
        let classes = sum(&self.live_bytes_by_class()?);
        Some(classes.saturating_add(self.large_live_bytes().unwrap_or(0)))
    }

    /// Bytes of blocks that callers hold, class by class.
    pub fn live_bytes_by_class(&self) -> Option<Vec<u64>> {
        self.by_class(
            [Metric::RingHits, Metric::RingMisses],
            [Metric::AllocationFailures, Metric::RingReturns, Metric::RingSpills, Metric::RingBypasses],
        )
    }

    /// Bytes of free blocks in the rings of threads. In came the frees that a ring took, the block of each free that made
    /// it spill, and refills; out went hits, spills, and the block of each miss that was served. A batch that waits between two
    /// rings has left one and has not come to the other: it is not here, as what lies in pages is not. What others take from
    /// the rings of threads that have ended counts as spilled.
    pub fn cached_bytes(&self) -> Option<u64> {
        let by_class = self.by_class(
            [Metric::RingReturns, Metric::RingSpills, Metric::RingRefilledBlocks, Metric::AllocationFailures],
            [Metric::RingHits, Metric::RingMisses, Metric::RingSpilledBlocks],
        )?;
        Some(sum(&by_class))
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

    /// Blocks that came less those that went, class by class, in bytes: the sizes are those that the writer says.
    fn by_class<const N: usize, const M: usize>(
        &self,
        came: [Metric; N],
        went: [Metric; M],
    ) -> Option<Vec<u64>> {
        let counts = |metric| self.counts.by(metric, Label::Class);
        let came: Vec<Vec<u64>> = came.into_iter().map(counts).collect::<Option<_>>()?;
        let went: Vec<Vec<u64>> = went.into_iter().map(counts).collect::<Option<_>>()?;
        let of = |all: &[Vec<u64>], class: usize| {
            all.iter().fold(0_u64, |blocks, by_class| {
                blocks.saturating_add(by_class.get(class).copied().unwrap_or(0))
            })
        };
        let sizes = self.counts.schema.label_values(Label::Class).iter().enumerate();
        sizes
            .map(|(class, size)| {
                let blocks = of(&came, class).saturating_sub(of(&went, class));
                Some(blocks.saturating_mul(size.parse().ok()?))
            })
            .collect()
    }
}

fn sum(by_class: &[u64]) -> u64 {
    by_class.iter().fold(0, |bytes, class| bytes.saturating_add(*class))
}

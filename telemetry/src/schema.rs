//! The one metric table. Each metric is said here once: name, kind, labels, unit, help.
//!
//! From it come the blocks of a thread's slot (slot.rs), the descriptors in the segment, the exposition,
//! docs/METRICS.md and the lint of the Grafana queries. Invariant: the slot's layout and the descriptors cannot disagree,
//! because both are made from the same row. What the classes and shards are is not said here: each writer has its own
//! ([`Shape`]).

#[macro_use]
mod derive;
mod words;

use core::mem::offset_of;

use crate::Cell;
use crate::histogram::{DURATION_BOUNDS, DurationHistogram, RETRY_BOUNDS, RetryHistogram, SCRAPE_BOUNDS};
pub use words::{Descriptor, Inside, Kind, Label, Op, Scope, Shape, Unit};

/// Block sizes of the mid pool's classes, in bytes: a geometric row from 2 to 32 KiB, in whole KiB.
pub const CLASS_BYTES: [u32; 7] = [2048, 3072, 5120, 8192, 12288, 20480, 32768];
/// Bytes of one page of the mid pool's blocks: what a shard takes from the region when it runs dry.
pub const PAGE_BYTES: usize = 1 << 20;
/// Size classes of the mid pool.
pub const CLASSES: usize = CLASS_BYTES.len();
/// Shards of each of its classes.
pub const SHARDS: usize = 8;

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
        page_mapped_bytes = PageMappedBytes: Counter => Bytes, "Bytes of those pages.";
        page_purged_bytes = PagePurgedBytes: Counter => Bytes, "Bytes of free pages whose memory went back to the kernel.";
        page_retaken_bytes = PageRetakenBytes: Counter => Bytes, "Bytes of pages taken into use again after they had gone back, whichever class they were of.";
        pages_abandoned = PagesAbandoned: Counter => Events, "Pages left behind by threads that ended.";
        pages_adopted = PagesAdopted: Counter => Events, "Pages taken over from threads that had ended.";
        heaps_adopted = HeapsAdopted: Counter => Events, "Page heaps of ended threads taken over, each whole, with all its pages and free blocks.";
        slow_path = SlowPath: Counter => Seconds, "Time in refills and spills with this home shard.";
        slow_path_samples = SlowPathSamples: Counter => Events, "Slow paths, and visits to this shard by steals, that were sampled by hardware counters.";
        slow_path_cycles = SlowPathCycles: Counter => Events, "Processor cycles in user mode inside those; divide by the samples.";
        slow_path_instructions = SlowPathInstructions: Counter => Events, "Instructions in user mode inside those.";
        slow_path_cache_misses = SlowPathCacheMisses: Counter => Events, "Last-level cache misses in user mode inside those.";
        cas_retries = CasRetries: Histogram => Retries, "Retries of one operation on a shared list.";
        lock_wait = LockWait: Histogram => Seconds, "Time from wanting the shard's lock to having it, where it was contended.";
        lock_hold = LockHold: Histogram => Seconds, "Time the shard's lock was held.";
    }
    totals {
        large_allocations = LargeAllocations: Counter => Events, "Allocations above the largest class.";
        large_frees = LargeFrees: Counter => Events, "Frees of those.";
        large_failures = LargeFailures: Counter => Events, "Allocations above the largest class that failed for want of memory.";
        large_allocated_bytes = LargeAllocatedBytes: Counter => Bytes, "Usable bytes of allocations above the largest class, and what they grew by.";
        large_freed_bytes = LargeFreedBytes: Counter => Bytes, "Usable bytes that were freed of those, and what they shrank by.";
        large_reuses = LargeReuses: Counter => Events, "Allocations above the largest class that were served by a span kept for reuse.";
        large_direct_mappings = LargeDirectMappings: Counter => Events, "Allocations above the largest class that got a mapping of their own.";
        large_grown_in_place = LargeGrownInPlace: Counter => Events, "Reallocations above the largest class that grew where they were.";
        large_moved = LargeMoved: Counter => Events, "Reallocations above the largest class whose pages the kernel moved (mremap), without a copy.";
        large_copied = LargeCopied: Counter => Events, "Reallocations above the largest class that were copied.";
        large_mapped_bytes = LargeMappedBytes: Counter => Bytes, "Bytes of fresh spans and direct mappings.";
        large_unmapped_bytes = LargeUnmappedBytes: Counter => Bytes, "Bytes of direct mappings that were unmapped.";
        large_purged_bytes = LargePurgedBytes: Counter => Bytes, "Bytes of free spans whose memory went back to the kernel.";
        large_retaken_bytes = LargeRetakenBytes: Counter => Bytes, "Bytes of spans taken into use again after they had gone back.";
        large_lock_contended = LargeLockContended: Counter => Events, "Times that the lock over the blocks above the largest class was held by another thread.";
        purges = Purges: Counter => Events, "Times that a thread gave memory back to the kernel.";
        purge = Purge: Counter => Seconds, "Time that threads spent on giving memory back.";
        limit_refusals = LimitRefusals: Counter => Events, "Times that memory was not mapped because it would have passed the limit that the user set.";
        kernel_refusals = KernelRefusals: Counter => Events, "Times that the kernel refused memory.";
        early_allocations = EarlyAllocations: Counter => Events, "Allocations from the arena that serves while the allocator is being made; what they hold is never given back.";
        early_bytes = EarlyBytes: Counter => Bytes, "Bytes of those.";
        forks = Forks: Counter => Events, "Forks of the process; a child counts by itself.";
    }
    process {
        up = Up: Gauge => Events, "1 while a process with these labels lives, 0 when all are dead.";
        process_info = ProcessInfo: Gauge => Events, "Always 1; labels tell the strategy, the workload and the writer's version.";
        threads = Threads: Gauge => Events, "Threads that own a slot now.";
        threads_started = ThreadsStarted: Counter => Events, "Threads that ever owned a slot.";
        threads_dropped = ThreadsDropped: Counter => Events, "Threads that found no slot, so that their counts are not shown.";
        live_bytes = LiveBytes: Gauge => Bytes, "Bytes of blocks that callers hold, by allocations less frees.";
        cached_bytes = CachedBytes: Gauge => Bytes, "Bytes of free blocks in the rings of threads.";
        mapped_bytes = MappedBytes: Gauge => Bytes, "Bytes of pages, spans and direct mappings that the allocator has, used or free, without what it gave back.";
        purged_bytes = PurgedBytes: Gauge => Bytes, "Bytes of address space whose memory went back to the kernel and which is kept for use again.";
        large_live_bytes = LargeLiveBytes: Gauge => Bytes, "Bytes that callers hold in allocations above the largest class.";
        resident_bytes = ResidentBytes: Gauge => Bytes, "Resident memory of the whole process as the kernel counts it; a process with two segments shows it in both.";
        segment_bytes = SegmentBytes: Gauge => Bytes, "Size of the shared-memory segments, also of the dead while they are kept.";
        perf_events = PerfEvents: Counter => Events, "Events in processes that `--perf` is attached to, by `event` (`task_clock` in nanoseconds), scaled where they took turns.";
        perf_state = PerfState: Gauge => Events, "1 for each `state` in which an `event` is: `counting`, `scaled`, `unsupported`, `forbidden`, `failed` (label `event`).";
        perf_running_ratio = PerfRunningRatio: Gauge => Events, "Share of the time for which an `event` was on a counter, 0 to 1.";
        verdict_active = VerdictActive: Gauge => Events, "1 while the verdict that the label verdict names is on at this class and shard (each empty where it is about no single one), 0 once it is off; a series appears when it is first on. See docs/VERDICTS.md.";
        verdicts_raised = VerdictsRaised: Counter => Events, "Times that the verdict that the label verdict names has turned on, at any class and shard.";
        watching_cost_ratio = WatchingCostRatio: Gauge => Events, "Speed of this user's last `stormglass bench --cost` here with its events counted (label watched `counted`), or counted and scraped at 10 Hz besides (`scraped`), as a share of the speed of a build that counts nothing: median of paired runs (label allocator `general` or `pool`; no command).";
        watching_cost_low_ratio = WatchingCostLowRatio: Gauge => Events, "Lower end of the interval of that median.";
        watching_cost_high_ratio = WatchingCostHighRatio: Gauge => Events, "Upper end of the interval of that median.";
        watching_cost_measured_timestamp_seconds = WatchingCostMeasured: Gauge => Seconds, "When that was measured, since 1970 (no process labels).";
        segments = Segments: Gauge => Events, "Segments that the sidecar shows (no process labels).";
        segment_errors = SegmentErrors: Counter => Events, "Files in the segment directory that the sidecar refused to read, and times that the directory itself could not be read (no process labels).";
        scrape_duration = ScrapeDuration: Histogram => Seconds, "Time that a scrape spent reading segments and building the answer; bounds from 0.5 ms to 1 s (no process labels).";
        scrapes = Scrapes: Counter => Events, "Scrapes of /metrics answered (no process labels).";
        scrape_bytes = ScrapeBytes: Counter => Bytes, "Bytes of the answers to scrapes, compressed where they were (no process labels).";
        series = Series: Gauge => Events, "Series of this scrape, each bucket of a histogram one (no process labels).";
        series_dropped = SeriesDropped: Counter => Events, "Series that scrapes left out because they would have passed --max-series, counted at each scrape (no process labels).";
        build_info = BuildInfo: Gauge => Events, "Always 1; the label tells the sidecar's version (no process labels).";
    }
}

const _: () = assert!(size_of::<ClassCounters>() == 64, "the ring's counters fill one cache line");

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
}

//! What the process has at one moment, added up over its threads.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::figures::Sums;
use super::process::{self, LARGE, LIMIT};
use super::size_class::{CLASS_BYTES, CLASSES};
use super::thread::Home;

/// One class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Bytes of a block.
    pub bytes: usize,
    /// Blocks that were handed out.
    pub allocations: u64,
    /// Blocks that came back.
    pub frees: u64,
}

/// Figures of the process. Threads go on while they are read, so sums may be off by what happened meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of pages, spans and mappings that may have memory behind them.
    pub mapped: usize,
    /// Bytes of blocks that callers have.
    pub live: usize,
    /// Bytes that are mapped and that no caller has: free blocks, in rings, pages and spans.
    pub cached: usize,
    /// Bytes of pages whose memory went back to the kernel, in all.
    pub purged: u64,
    /// Blocks that were handed out.
    pub allocations: u64,
    /// Blocks that came back.
    pub frees: u64,
    /// Threads that have a heap.
    pub threads: usize,
    /// Heaps that threads ever got.
    pub threads_started: u64,
    /// By class.
    pub classes: [ClassStats; CLASSES],
}

pub(super) fn read() -> Stats {
    let mut stats = Stats {
        mapped: LIMIT.taken(),
        live: LARGE.figures().live,
        cached: 0,
        purged: 0,
        allocations: 0,
        frees: 0,
        threads: 0,
        threads_started: 0,
        classes: [ClassStats::default(); CLASSES],
    };
    let Some(core) = process::core() else { return stats };
    let sums = core.threads.with(None, |threads| {
        stats.threads = threads.living;
        stats.threads_started = threads.started;
        let mut sums: Sums = threads.ended;
        let mut next = NonNull::new(threads.first);
        while let Some(home) = next {
            // SAFETY: homes never go away.
            let home: &'static Home = unsafe { home.as_ref() };
            // Relaxed: under the lock.
            next = NonNull::new(home.next.load(Ordering::Relaxed));
            sums.add(&home.figures.own());
        }
        sums
    });
    stats.purged = core.purged();
    [stats.allocations, stats.frees] = sums.large;
    for (class, [allocations, frees]) in sums.classes.into_iter().enumerate() {
        let bytes = CLASS_BYTES[class] as usize;
        stats.classes[class] = ClassStats { bytes, allocations, frees };
        stats.allocations = stats.allocations.wrapping_add(allocations);
        stats.frees = stats.frees.wrapping_add(frees);
        stats.live += usize::try_from(allocations.saturating_sub(frees)).unwrap_or(0) * bytes;
    }
    stats.cached = stats.mapped.saturating_sub(stats.live);
    stats
}

//! The thread-local ring of one class: a stack of pointers whose cursors are its hit counters.
//!
//! Invariant: `ring_returns - ring_hits + bias` blocks lie in the ring. Hits and returns are counters in the thread's
//! slot, which only go up and are what the sidecar shows; `bias` is private and takes the blocks that come and go in
//! batches. So the number that is shown is the number that the ring works with: counting a hit costs nothing more.

use core::ptr::NonNull;

use stormglass_telemetry::ClassCounters;

use crate::batch::BATCH;

/// Blocks that a ring holds at most: two batches, so that a refill and a spill never follow each other at once.
pub(crate) const CAPACITY: usize = 2 * BATCH;

/// One class's ring.
pub(crate) struct Ring {
    bias: u64,
    blocks: [*mut u8; CAPACITY],
}

impl Ring {
    /// An empty ring over counters that may come from an earlier owner of the slot.
    pub(crate) fn new(counters: &ClassCounters) -> Ring {
        let bias = counters.ring_hits.get().wrapping_sub(counters.ring_returns.get());
        Ring { bias, blocks: [core::ptr::null_mut(); CAPACITY] }
    }

    #[inline]
    pub(crate) fn len(&self, counters: &ClassCounters) -> usize {
        counters.ring_returns.get().wrapping_sub(counters.ring_hits.get()).wrapping_add(self.bias) as usize
    }

    /// The newest block, counted as a hit.
    #[inline]
    pub(crate) fn take(&mut self, counters: &ClassCounters) -> Option<NonNull<u8>> {
        let top = self.len(counters).wrapping_sub(1);
        let block = *self.blocks.get(top)?;
        counters.ring_hits.add(1);
        NonNull::new(block)
    }

    /// Takes a block back, counted as a return; `false` if the ring is full.
    #[inline]
    pub(crate) fn put(&mut self, block: NonNull<u8>, counters: &ClassCounters) -> bool {
        let len = self.len(counters);
        let Some(place) = self.blocks.get_mut(len) else { return false };
        *place = block.as_ptr();
        counters.ring_returns.add(1);
        true
    }

    /// Adds a block that is not a return; the caller has made room.
    pub(crate) fn add(&mut self, block: NonNull<u8>, counters: &ClassCounters) {
        self.blocks[self.len(counters)] = block.as_ptr();
        self.bias = self.bias.wrapping_add(1);
    }

    /// Takes the `n` oldest blocks out, for a spill: those that are least likely to be in the cache.
    pub(crate) fn take_oldest(&mut self, n: usize, counters: &ClassCounters, mut f: impl FnMut(NonNull<u8>)) {
        let len = self.len(counters);
        let n = n.min(len);
        for block in &self.blocks[..n] {
            if let Some(block) = NonNull::new(*block) {
                f(block);
            }
        }
        self.blocks.copy_within(n..len, 0);
        self.bias = self.bias.wrapping_sub(n as u64);
    }

    /// Takes the newest block out without counting a hit: the one that a miss hands to its caller.
    pub(crate) fn take_newest(&mut self, counters: &ClassCounters) -> Option<NonNull<u8>> {
        let top = self.len(counters).wrapping_sub(1);
        let block = *self.blocks.get(top)?;
        self.bias = self.bias.wrapping_sub(1);
        NonNull::new(block)
    }
}

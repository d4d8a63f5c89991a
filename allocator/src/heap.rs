//! One thread's part of a pool: a ring for each class, a home shard, and the thread's own counters.
//!
//! Invariant: what the rings hold is owned by this heap, and goes back to the exchange (exchange.rs) when the heap is
//! dropped. Nothing on the rings' path knows the design.

use core::ptr::NonNull;

use stormglass_telemetry::perf::Sampler;
use stormglass_telemetry::{Slot, clock};

use crate::batch::{BATCH, Batch};
use crate::block::Block;
use crate::exchange::Exchange;
use crate::free_list::{Attached, with_exchange};
use crate::misuse;
use crate::pool::Pool;
use crate::ring::{CAPACITY, Ring};
use crate::site::{ShardId, Sites};
use crate::size_class::Class;

/// What one thread allocates from and frees to.
pub struct Heap<'p> {
    rings: [Ring; stormglass_telemetry::schema::CLASSES],
    slot: Slot<'p>,
    pool: &'p Pool,
    home: usize,
    attached: Attached<'p>,
    /// Hardware counters of the thread that uses it, opened by its first slow path.
    sampler: Sampler,
}

impl<'p> Heap<'p> {
    pub(crate) fn new(pool: &'p Pool, slot: Slot<'p>, home: usize) -> Heap<'p> {
        let rings = core::array::from_fn(|class| Ring::new(&slot.classes[class]));
        Heap { rings, slot, pool, home, attached: pool.strategy.attach(), sampler: Sampler::off() }
    }

    /// A block of at least `size` bytes (1 to 32768; 0 counts as 1), aligned to 1024 bytes; `None` if the size is too
    /// large or memory is used up. Its contents are undefined. It must go back through [`Heap::free`] of a heap of the
    /// same pool, and not be used after the pool is dropped.
    #[inline]
    pub fn alloc(&mut self, size: usize) -> Option<NonNull<u8>> {
        let class = Class::of(size)?;
        let counters = &self.slot.classes[class.index()];
        match self.rings[class.index()].take(counters) {
            Some(block) => Some(block),
            None => self.alloc_after_refill(class),
        }
    }

    /// Takes back a block.
    ///
    /// An address that this pool never gave out ends the process with a message.
    ///
    /// # Safety
    /// `block` must come from [`Heap::alloc`] of a heap of the same pool, and must not have been freed since; nobody may
    /// use its memory afterwards.
    #[inline]
    pub unsafe fn free(&mut self, block: NonNull<u8>) {
        let Some(owner) = self.pool.region.owner(block) else { misuse::foreign(block) };
        if owner.shard != self.home {
            return self.free_remote(block, owner);
        }
        let class = owner.class;
        let counters = &self.slot.classes[class.index()];
        if !self.rings[class.index()].put(block, counters) {
            self.free_after_spill(block, class);
        }
    }

    fn home(&self, class: Class) -> ShardId {
        ShardId { class, shard: self.home }
    }

    /// A view of the counters, next to which the other fields can still be changed.
    fn sites<'a>(slot: &'a Slot<'_>, pool: &'a Pool, sampler: &'a Sampler) -> Sites<'a> {
        Sites { links: pool.region.links(), slot, clock: pool.clock, inject: pool.inject.as_ref(), sampler }
    }

    fn block(&self, address: NonNull<u8>, class: Class) -> Block {
        // The address was the caller's or lay in a ring: it is owned, and nobody else has its token.
        Block::claim(self.pool.region.number(address, class))
    }

    /// Slow because it goes to the shared lists, perhaps to the kernel.
    #[cold]
    fn alloc_after_refill(&mut self, class: Class) -> Option<NonNull<u8>> {
        let start = self.begin_slow_path();
        let home = self.home(class);
        let sites = Heap::sites(&self.slot, self.pool, &self.sampler);
        let mut batch = with_exchange!(&mut self.attached, exchange, local => {
            Exchange::refill(*exchange, local, home, &self.pool.region, sites)
        });
        let counters = &self.slot.classes[class.index()];
        counters.ring_misses.add(1);
        counters.ring_refilled_blocks.add(batch.len() as u64);
        if batch.is_empty() {
            counters.allocation_failures.add(1);
        }
        let ring = &mut self.rings[class.index()];
        while let Some(block) = batch.pop() {
            ring.add(self.pool.region.address(&block, class), counters);
        }
        let block = ring.take_newest(counters);
        self.end_slow_path(home, start);
        block
    }

    /// Slow because it goes to the shared lists.
    #[cold]
    fn free_after_spill(&mut self, address: NonNull<u8>, class: Class) {
        let start = self.begin_slow_path();
        let counters = &self.slot.classes[class.index()];
        counters.ring_spills.add(1);
        self.spill_oldest(class, CAPACITY - BATCH);
        let counters = &self.slot.classes[class.index()];
        self.rings[class.index()].add(address, counters);
        self.end_slow_path(self.home(class), start);
    }

    /// Moves the `n` oldest blocks (a batch at most) of a class's ring to where other threads can have them.
    fn spill_oldest(&mut self, class: Class, n: usize) {
        let counters = &self.slot.classes[class.index()];
        let region = &self.pool.region;
        let mut batch = Batch::new();
        self.rings[class.index()].take_oldest(n.min(BATCH), counters, |address| {
            // The ring gave it up, so this is its only token.
            batch.push(Block::claim(region.number(address, class)));
        });
        counters.ring_spilled_blocks.add(batch.len() as u64);
        let site = Heap::sites(&self.slot, self.pool, &self.sampler).at(ShardId { class, shard: self.home });
        with_exchange!(&mut self.attached, exchange, local => Exchange::spill(*exchange, local, batch, site));
    }

    /// Slow because another shard's cache line is written.
    #[cold]
    fn free_remote(&mut self, address: NonNull<u8>, owner: ShardId) {
        let block = self.block(address, owner.class);
        self.slot.classes[owner.class.index()].ring_bypasses.add(1);
        let site = Heap::sites(&self.slot, self.pool, &self.sampler).at(owner);
        with_exchange!(&mut self.attached, exchange, local => Exchange::free_remote(*exchange, local, block, site));
    }

    fn begin_slow_path(&mut self) -> u64 {
        if !self.sampler.is_settled() {
            self.sampler.settle(self.pool.inside);
        }
        let start = clock::ticks();
        self.sampler.begin(start);
        start
    }

    fn end_slow_path(&self, home: ShardId, start: u64) {
        let nanoseconds = self.pool.clock.since(start);
        let shard = self.slot.shard(home.class.index(), home.shard);
        shard.slow_path.add(nanoseconds);
        self.sampler.end(shard);
        self.slot.heartbeat.set(clock::monotonic());
    }
}

impl Drop for Heap<'_> {
    fn drop(&mut self) {
        for class in Class::all() {
            while self.rings[class.index()].len(&self.slot.classes[class.index()]) > 0 {
                self.spill_oldest(class, BATCH);
            }
        }
        let sites = Heap::sites(&self.slot, self.pool, &self.sampler);
        with_exchange!(&mut self.attached, exchange, local => {
            Exchange::retire(*exchange, local, self.home, sites);
        });
    }
}

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

    /// Opens the calling thread's hardware counters, if the pool wants them and that has not been done.
    #[inline]
    pub(crate) fn settle_sampler(&mut self) {
        if !self.sampler.is_settled() {
            self.sampler.settle(self.pool.inside);
        }
    }

    /// Closes them.
    pub(crate) fn close_sampler(&mut self) {
        self.sampler.close();
    }

    fn begin_slow_path(&mut self) -> u64 {
        self.settle_sampler();
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

#[cfg(test)]
mod tests {
    use stormglass_telemetry::perf::{Event, Kernel, Mode};
    use stormglass_telemetry::{Inside, Metric, Writer};

    use super::*;
    use crate::{PoolConfig, StrategyId};

    /// Events that every machine counts, in place of those that need a PMU.
    const SOFTWARE: [(Event, Mode); 3] =
        [(Event::TaskClock, Mode::User), (Event::PageFaults, Mode::User), (Event::Migrations, Mode::User)];

    /// A heap whose slow paths are counted; none where this kernel counts nothing for this user.
    fn counted(pool: &Pool) -> Option<Heap<'_>> {
        let mut heap = pool.heap().expect("a heap");
        heap.sampler.start(&Kernel::here(), &SOFTWARE);
        let here = heap.sampler.is_counting();
        if !here {
            eprintln!("skipped: this kernel counts nothing for this user");
        }
        here.then_some(heap)
    }

    fn samples(heap: &Heap<'_>, shard: usize) -> [u64; 2] {
        let shard = heap.slot.shard(0, shard);
        [shard.slow_path_samples.get(), shard.slow_path_cycles.get()]
    }

    #[test]
    fn what_a_slow_path_costs_goes_to_the_shards_that_it_was_on() {
        for strategy in [StrategyId::Mutex, StrategyId::LockfreeWalk, StrategyId::LockfreeSingle] {
            let config = PoolConfig { strategy, ..PoolConfig::default() };
            let pool = Pool::new(config, Writer::detached()).expect("a pool");
            let mut owner = pool.heap().expect("a heap");
            let Some(mut thief) = counted(&pool) else { return };
            // Enough for both in the owner's shard; what the thief takes is the owner's again, so the thief's own shard stays empty.
            let blocks: Vec<_> = (0..4 * CAPACITY).map(|_| owner.alloc(2048).expect("memory")).collect();
            // SAFETY: its own, once.
            blocks.into_iter().for_each(|block| unsafe { owner.free(block) });
            let enough = |[samples, nanoseconds]: [u64; 2]| samples > 2 && nanoseconds > 0;
            let (own, others) = (thief.home, owner.home);
            let all = |thief: &Heap<'_>| [own, others].map(|shard| samples(thief, shard));
            for _ in 0..100_000 {
                let blocks: Vec<_> = (0..BATCH).map(|_| thief.alloc(2048).expect("memory")).collect();
                // SAFETY: of the owner's shard, once.
                blocks.into_iter().for_each(|block| unsafe { owner.free(block) });
                if all(&thief).into_iter().all(enough) {
                    break;
                }
            }
            assert!(all(&thief).into_iter().all(enough), "{strategy}: {:?}", all(&thief));
            assert_eq!(samples(&owner, owner.home), [0, 0], "{strategy}: it was not asked to count");
        }
    }

    #[test]
    fn a_metric_is_there_if_it_is_counted() {
        use stormglass_telemetry::{Schema, Shape};
        let schema = |inside| Schema::of(Shape { inside, ..Shape::MID });
        let all = [
            Metric::SlowPathSamples,
            Metric::SlowPathCycles,
            Metric::SlowPathInstructions,
            Metric::SlowPathCacheMisses,
        ];
        let none = schema(Inside::NONE);
        assert!(all.iter().all(|&metric| none.family(metric).is_none()));
        let some = schema(Inside { cycles: true, ..Inside::NONE });
        assert_eq!(all.map(|metric| some.family(metric).is_some()), [true, true, false, false]);
    }
}

//! How blocks come into a thread's rings and leave them: refills, spills, and what a resting heap gives up.
//!
//! ```text
//!  ring empty: turn, then a batch of transfer.rs, else of the pages (upkeep.rs); now and then of the thread's own pages first
//!  ring full:  turn, then its older half: to the thread's own pages if it is of those, else to transfer.rs, else to its pages
//! ```
//!
//! Invariant: a block is counted where it enters a ring (`ring_refilled_blocks`) and where it leaves one other than to a caller
//! (`ring_spilled_blocks`), by whoever moves it.

use core::ptr::NonNull;

use stormglass_telemetry::{COUNTING, clock};

use super::{Counters, ThreadHeap, tally_of};
use crate::batch::{BATCH, Batch};
use crate::block::Block;
use crate::general::capacity::{self, Turn};
use crate::general::process::{Core, TRANSFER};
use crate::general::size_class::Class;
use crate::general::space::Blocks;
use crate::general::transfer::{self, Detour, Filter};
use crate::misuse;
use crate::page::Pages;
use crate::site::Tally;

/// With every so many refills of a class a thread looks into its own pages first. Batches that pass from ring to ring take blocks away from
/// the pages that they are of, and each thread's heap would come to own as many free blocks as it ever lacked at once:
/// `larson-short` at 4 threads took 153 MiB without this, 119 with it, and gperftools' tcmalloc 113 (docs/PERFORMANCE.md).
const OWN_FIRST: u8 = 4;

/// One in so many blocks of a spill is asked whose it is.
const SAMPLE: usize = 4;

/// The token of a block that a ring or a batch gave up, so that this is its only one.
fn owned(address: NonNull<u8>, class: Class, blocks: Blocks) -> Block {
    match blocks.number(address) {
        Some(number) => Block::claim(number),
        None => misuse::interior(address, class.bytes()),
    }
}

/// Counts how a batch passed the lock, or why it did not.
fn count_passage<T>(passage: Result<T, Detour>, tally: Tally<'_>) -> Option<T> {
    match passage {
        Ok(_) => tally.counters.lock_acquisitions.add(1),
        Err(Detour::Held) => tally.counters.lock_try_failures.add(1),
        Err(Detour::Nothing) => {}
    }
    passage.ok()
}

impl ThreadHeap {
    /// A block after the ring was found empty.
    pub(in crate::general) fn allocate_after_refill(
        &mut self,
        class: Class,
        core: &Core,
    ) -> Option<NonNull<u8>> {
        self.front.take(class).or_else(|| {
            self.turn(class, Turn::Refill);
            let (start, most) = (self.begin_slow_path(), self.front.capacity(class) / 2);
            let refills = &mut self.refills[class.index()];
            *refills = refills.wrapping_add(1);
            let own_first = refills.is_multiple_of(OWN_FIRST);
            own_first
                .then(|| self.allocate_from_own_pages(class, most, start, core))
                .flatten()
                .or_else(|| self.allocate_from_transfer(class, start, core))
                .or_else(|| self.allocate_from_pages(class, most, start, core).map(|(block, _)| block))
        })
    }

    /// A block of a batch of at most `most` that the thread's own pages have, the others of which go into the ring.
    fn allocate_from_own_pages(
        &mut self,
        class: Class,
        most: usize,
        start: u64,
        core: &Core,
    ) -> Option<NonNull<u8>> {
        let (mut batch, tally) = (Batch::of_at_most(most), self.tally(class));
        core.pages.refill_own(class.index(), &self.held, &mut batch, tally);
        if batch.is_empty() {
            return None;
        }
        self.shed(class, core);
        self.refill_with(class, batch, start, core)
    }

    /// A block, and whether it is known to be all zeroes: one that was never handed out, and that no ring has passed.
    pub(in crate::general) fn allocate_zeroed(
        &mut self,
        class: Class,
        core: &Core,
    ) -> Option<(NonNull<u8>, bool)> {
        self.front.take(class).map(|block| (block, false)).or_else(|| {
            let start = self.begin_slow_path();
            self.allocate_from_pages(class, 1, start, core)
        })
    }

    /// A block of a batch that another ring has spilled, the others of which go into the ring.
    fn allocate_from_transfer(&mut self, class: Class, start: u64, core: &Core) -> Option<NonNull<u8>> {
        let (counters, tally) = (self.counters_apart(), self.tally(class));
        let taken = TRANSFER.take(class, |batch| {
            let fit = self.front.add_all(class, transfer::blocks(batch));
            self.to_pages(class, transfer::blocks(&batch[fit..]), core, counters);
            fit
        });
        let fit = count_passage(taken, tally)?;
        tally.counters.refills.add(1);
        tally.counters.refilled_blocks.add(fit as u64);
        counters.classes[class.index()].ring_refilled_blocks.add(fit as u64);
        counters.classes[class.index()].ring_misses.add(1);
        let block = self.front.take_newest(class);
        self.end_slow_path(class, start, core);
        block
    }

    /// A block of a batch of at most `most`, the others of which go into the ring.
    fn allocate_from_pages(
        &mut self,
        class: Class,
        most: usize,
        start: u64,
        core: &Core,
    ) -> Option<(NonNull<u8>, bool)> {
        let mut batch = Batch::of_at_most(most);
        self.fill(class, &mut batch, core);
        if batch.is_empty() {
            self.fill_for_want(class, &mut batch, core);
        }
        let zeroed = most == 1 && batch.is_zeroed();
        self.refill_with(class, batch, start, core).map(|block| (block, zeroed))
    }

    /// A block of a batch, the others of which go into the ring; none if it is empty, which is a failure.
    fn refill_with(
        &mut self,
        class: Class,
        mut batch: Batch,
        start: u64,
        core: &Core,
    ) -> Option<NonNull<u8>> {
        let counters = &self.counters_apart().classes[class.index()];
        if batch.is_empty() {
            counters.allocation_failures.add(1);
        }
        counters.ring_misses.add(1);
        let blocks = core.space.blocks(class);
        let refilled = core::iter::from_fn(|| batch.pop()).map(|block| blocks.address(block.number()));
        let fit = self.front.add_all(class, refilled);
        counters.ring_refilled_blocks.add(fit as u64);
        // A batch is half of what the ring may hold; but where more memory was taken than ever, the ring may be smaller now.
        if !batch.is_empty() {
            core.pages.spill(class.index(), &self.held, batch, self.tally(class));
        }
        let block = self.front.take_newest(class);
        self.end_slow_path(class, start, core);
        block
    }

    /// Takes a block back after the ring was found full.
    pub(in crate::general) fn free_after_spill(&mut self, class: Class, block: NonNull<u8>, core: &Core) {
        if self.front.put(block.as_ptr()) || (self.turn(class, Turn::Spill) && self.front.put(block.as_ptr()))
        {
            return;
        }
        let start = self.begin_slow_path();
        self.spill_batch(class, core);
        let counters = &self.counters_apart().classes[class.index()];
        counters.ring_spills.add(1);
        // There is room now.
        let _fits = self.front.add(class, block);
        self.end_slow_path(class, start, core);
    }

    /// Notes what a slow path of a ring does; whether the ring may hold more now.
    pub(super) fn turn(&mut self, class: Class, now: Turn) -> bool {
        let last = core::mem::replace(&mut self.turns[class.index()], now);
        let larger = capacity::ALL.grow(class, self.front.capacity(class), last, now);
        larger.inspect(|&larger| self.front.set_capacity(class, larger)).is_some()
    }

    /// Moves the older half of a ring to where another ring finds it, or to their pages.
    fn spill_batch(&mut self, class: Class, core: &Core) {
        let (half, tally) = ((self.front.capacity(class) / 2).min(BATCH), self.tally(class));
        let blocks = core.space.blocks(class);
        if class.goes_home() && self.are_own(class, half, blocks, core) {
            return self.spill_oldest(class, half, core);
        }
        let put = TRANSFER.put(class, |places| {
            let (mut len, mut seen) = (0, Filter::new());
            self.front.take_oldest(class, half, |address| {
                // What is no block must not become another thread's, nor a block that of two.
                let Some(number) = blocks.number(address) else { misuse::interior(address, class.bytes()) };
                if seen.perhaps(number) && places[..len].contains(&address.as_ptr()) {
                    misuse::freed_twice_in_a_ring();
                }
                places[len] = address.as_ptr();
                len += 1;
            });
            len
        });
        if count_passage(put, tally).is_some() {
            self.counters().classes[class.index()].ring_spilled_blocks.add(half as u64);
        } else {
            self.spill_oldest(class, half, core);
        }
    }

    /// Whether at least half of the `n` oldest blocks of a ring are of the thread's own pages. Such go home: passed on to other threads, blocks of
    /// one line of the cache would come to be used by several, and the line would go to and fro between them for as long as they live
    /// (false sharing that the allocator induces: Berger and others, Hoard, ASPLOS 2000). `churn` at 2 threads did 66 million
    /// operations a second without this and 160 with it, at an hour when the cores were slow to reach each other (docs/PERFORMANCE.md).
    fn are_own(&self, class: Class, n: usize, blocks: Blocks, core: &Core) -> bool {
        let some = self.front.oldest(class, n).step_by(SAMPLE);
        core.pages.are_own(class.index(), &self.held, some.map(|address| blocks.spot(address).page))
    }

    /// Moves the `n` oldest blocks of a ring to their pages.
    fn spill_oldest(&mut self, class: Class, n: usize, core: &Core) {
        self.spill_counting(class, n, core, self.counters_apart());
        self.shed(class, core);
    }

    /// As [`ThreadHeap::spill_oldest`], counted by whoever does it.
    fn spill_counting(&self, class: Class, n: usize, core: &Core, counters: &Counters) {
        let mut batch = Batch::new();
        let blocks = core.space.blocks(class);
        self.front
            .take_oldest(class, n.min(batch.room()), |address| batch.push(owned(address, class, blocks)));
        counters.classes[class.index()].ring_spilled_blocks.add(batch.len() as u64);
        core.pages.spill(class.index(), &self.held, batch, tally_of(counters, class));
    }

    /// Gives blocks that are in no ring to their pages.
    pub(in crate::general) fn to_pages(
        &self,
        class: Class,
        addresses: impl Iterator<Item = NonNull<u8>>,
        core: &Core,
        counters: &Counters,
    ) {
        let mut batch = Batch::new();
        let blocks = core.space.blocks(class);
        for address in addresses.take(BATCH) {
            batch.push(owned(address, class, blocks));
        }
        core.pages.spill(class.index(), &self.held, batch, tally_of(counters, class));
    }

    fn spill_whole(&mut self, class: Class, core: &Core) {
        while self.front.len(class) > 0 {
            self.spill_oldest(class, self.front.len(class), core);
        }
    }

    pub(super) fn spill_all(&mut self, core: &Core) {
        for class in Class::all() {
            self.spill_whole(class, core);
        }
    }

    /// Empties the rings that were not used since this was last called, and makes them as small as at first.
    pub(in crate::general) fn spill_unused(&mut self, core: &Core) {
        for class in Class::all() {
            let counters = &self.counters_apart().classes[class.index()];
            let used = if COUNTING {
                counters.ring_hits.get().wrapping_add(counters.ring_returns.get())
            } else {
                // As good a guess as there is: a ring that is in use seldom holds as many blocks as the last time.
                self.front.len(class) as u64
            };
            if core::mem::replace(&mut self.used[class.index()], used) == used {
                self.spill_whole(class, core);
                self.shrink(class, capacity::first(class));
            }
        }
    }

    fn shrink(&mut self, class: Class, to: usize) {
        capacity::ALL.give_back(class, self.front.capacity(class));
        self.front.set_capacity(class, to);
        self.turns[class.index()] = Turn::None;
    }

    fn begin_slow_path(&mut self) -> u64 {
        let start = clock::stamp();
        self.sampler.begin(start);
        start
    }

    fn end_slow_path(&mut self, class: Class, start: u64, core: &Core) {
        let nanoseconds = core.clock.nanoseconds(clock::stamp().wrapping_sub(start));
        let shard = self.counters().shard(class.index(), 0);
        shard.slow_path.add(nanoseconds);
        self.sampler.end(shard);
        self.tick(core);
    }

    /// Gives what it has of a class to whoever comes next, counted by who asks for it; whether that was anything.
    pub(in crate::general) fn give_up(&mut self, class: Class, core: &Core, counters: &Counters) -> bool {
        let any = self.front.len(class) > 0 || Pages::has_any(class.index(), &self.held);
        while self.front.len(class) > 0 {
            self.spill_counting(class, self.front.len(class), core, counters);
        }
        self.shrink(class, capacity::first(class));
        if !any {
            return false;
        }
        core.pages.retire(class.index(), &mut self.held, tally_of(counters, class));
        true
    }
}

//! `page`: option B1 (MF2). A page of blocks belongs to one thread at a time; no list is shared.
//!
//! ```text
//!            thread A                                   thread B
//!   ring <-- refill -- page heap                  page heap -- spill --> ring
//!                       |  available: pages with free blocks  |
//!                       |  pending:   pages with remote blocks|
//!              page: | free map | remote map |  <--- one CAS for each 64 blocks of a page that B spills
//!                       ^ holder     ^ anyone          (and once, until A has seen them: the page onto A's pending queue)
//! ```
//!
//! The same code serves the mid pool, whose pages are all 1 MiB, and the general allocator (../general/), whose pages are 8 KiB
//! to 1 MiB: a block's number says its page and its place in it, and where that is in memory is not asked here.
//!
//! A *page heap* has pages of one class. One thread *holds* it; only the holder touches its free maps, with plain loads
//! and stores. A free goes into the freeing thread's ring, whoever holds the page: only what a ring spills is sorted by
//! page. Blocks of pages that the thread holds go back to their free maps; blocks of others' pages go to the pages'
//! remote maps, which the holder takes whole when it runs dry.
//!
//! A thread that runs dry goes on in this order: free maps, pending pages, an idle page heap, a fresh page.
//!
//! ## Whole page heaps are adopted
//! A thread that ends puts its page heaps on the class's idle stack, each with all pages and free blocks: one CAS.
//! The next thread that wants a block of the class takes one off: one CAS again. Pages do not change hands one by one,
//! so there is no race between an adoption and the remote frees of a page: those go to the page and to the page heap,
//! held or idle. Nothing happens at a thread's start, and a thread holds nothing of a class that it does not use.
//!
//! A thread that runs dry while it holds a page heap takes an idle one over and *merges* the two (page_heap.rs), rather
//! than let free blocks lie idle or scan several heaps from then on. So a thread holds at most one page heap a class, and
//! a refill looks at a bounded number of places. What a thread that lives on holds is never taken from it: that is the
//! price of having no shared list, and memory that is free there does not help another thread that is out of it, unless whole
//! pages of it are: those can leave (leaving.rs), where the owner of the pages asks for it.
//!
//! ## Why maps and not lists
//! A page has at most 512 blocks, so its free blocks are a bitmap of at most one cache line. The links of the other designs
//! lie outside user memory, one cache line a block (links.rs): a batch of 32 that is spilled and refilled by lists
//! touches 32 of those lines twice, and where another thread spilled it, each is a miss of its own. The records of a page,
//! with both maps, are two lines (four where a page has more than 320 blocks) whatever the batch. A fresh page is carved by setting the bits
//! of its map. Blocks are taken lowest first, so a page's untouched end stays untouched for as long as possible. And where
//! lists are taken whole by an exchange, so are maps, 64 blocks at a time: no pusher's CAS depends on what lies below, so
//! there is no ABA and nothing is walked.
//!
//! ## Invariants
//! 1. Each page heap is held by one thread, or idle, or vacant: without pages, to be founded anew. Its token is [`PageHeap`].
//! 2. The holder alone reads and writes the free maps of its pages and the heap's own fields; the next holder sees them as
//!    the last one left them (Release and Acquire on the idle stack).
//! 3. A page is on the stack of whole pages of its heap if all its blocks are in its free map, on the available stack if some
//!    are, else on none; its record counts those that are not.
//! 4. A page whose remote map is not empty is on a pending stack, once, or exactly one thread is about to put it there
//!    (remote_map.rs, pending.rs). The stack is that of its heap, or for a while that of one that it has left (leaving.rs).
//! 5. A page belongs to one page heap, which lists it among its pages, or to none and has no block out.

mod free_map;
mod idle;
mod leaving;
mod page_heap;
mod pending;
mod record;
mod remote_map;
mod run;
mod runs;
mod table;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod scene;
// Each of its tests is about what is counted.
#[cfg(all(test, not(loom), not(feature = "uncounted")))]
mod scripted;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::batch::Batch;
use crate::block::FreshPage;
use crate::site::Tally;
use crate::sync::Padded;

use self::idle::IdleStack;
use self::page_heap::PageHeap;
pub(crate) use self::record::Records;
use self::runs::Runs;

/// All pages of `CLASSES` classes, and the page heaps that no thread holds.
pub(crate) struct Pages<const CLASSES: usize> {
    records: Records,
    idle: [Padded<IdleStack>; CLASSES],
}

/// The page heaps that one thread holds: at most one a class.
pub(crate) struct Held<const CLASSES: usize>([Option<PageHeap>; CLASSES]);

impl<const CLASSES: usize> Default for Held<CLASSES> {
    fn default() -> Self {
        Held([const { None }; CLASSES])
    }
}

/// Counts what a batch was filled with, if it was.
fn count_refill(batch: &Batch, tally: Tally<'_>) {
    if !batch.is_empty() {
        tally.counters.refills.add(1);
        tally.counters.refilled_blocks.add(batch.len() as u64);
    }
}

impl<const CLASSES: usize> Pages<CLASSES> {
    pub(crate) fn new(records: Records) -> Self {
        Pages { records, idle: core::array::from_fn(|_| Padded(IdleStack::empty())) }
    }

    fn idle(&self, class: usize) -> &IdleStack {
        &self.idle[class].0
    }

    /// Fills `batch`, which is empty, for the thread that holds `held`, from wherever there are blocks; `fresh` takes a page from
    /// where pages come from, and counts its bytes. The batch stays empty if there is none.
    pub(crate) fn refill(
        &self,
        class: usize,
        held: &mut Held<CLASSES>,
        batch: &mut Batch,
        tally: Tally<'_>,
        fresh: impl FnOnce() -> Option<FreshPage>,
    ) {
        self.refill_own(class, held, batch, tally);
        if !batch.is_empty() {
            return;
        }
        let held = &mut held.0[class];
        while batch.is_empty()
            && let Some(idle) = self.idle(class).pop(&self.records, tally)
        {
            tally.counters.heaps_adopted.add(1);
            tally.counters.pages_adopted.add(u64::from(idle.pages(&self.records)));
            let heap = match held.take() {
                Some(dry) => dry.merge(idle, &self.records, tally),
                None => idle,
            };
            held.insert(heap).take(batch, &self.records, tally);
        }
        if batch.is_empty() {
            // The heap first: a page that had none would be lost.
            if held.is_none() {
                *held = self.records.found(tally);
            }
            if let Some(heap) = held
                && let Some(page) = fresh()
            {
                tally.counters.pages_mapped.add(1);
                heap.add_page(page, &self.records);
                heap.take(batch, &self.records, tally);
            }
        }
        count_refill(batch, tally);
    }

    /// Fills `batch`, which is empty, from the pages that the thread holds.
    pub(crate) fn refill_own(&self, class: usize, held: &Held<CLASSES>, batch: &mut Batch, tally: Tally<'_>) {
        if let Some(heap) = &held.0[class] {
            heap.take(batch, &self.records, tally);
        }
        count_refill(batch, tally);
    }

    /// Whether at least half of these pages are of the thread's heap.
    pub(crate) fn are_own(
        &self,
        class: usize,
        held: &Held<CLASSES>,
        pages: impl Iterator<Item = u32>,
    ) -> bool {
        let Some(heap) = &held.0[class] else { return false };
        let (mut own, mut all) = (0, 0);
        for page in pages {
            own += u32::from(heap.has(page, &self.records));
            all += 1;
        }
        2 * own >= all
    }

    /// Sorts out what a ring spills: each block goes back to its page.
    pub(crate) fn spill(&self, class: usize, held: &Held<CLASSES>, batch: Batch, tally: Tally<'_>) {
        let held = held.0[class].as_ref();
        let mut runs = Runs::of(batch);
        while let Some(run) = runs.pop() {
            let page = run.page();
            match held {
                Some(heap) if heap.has(page, &self.records) => heap.add(run, &self.records),
                _ => {
                    self.records.page(page).remote().push(run, tally);
                    if !runs.has(page) {
                        self.records.announce(page, tally);
                    }
                }
            }
        }
    }

    /// Puts what a thread held of a class on the idle stack; whether that was anything.
    pub(crate) fn retire(&self, class: usize, held: &mut Held<CLASSES>, tally: Tally<'_>) -> bool {
        let Some(heap) = held.0[class].take() else { return false };
        tally.counters.pages_abandoned.add(u64::from(heap.pages(&self.records)));
        self.leave_idle(class, heap, tally);
        true
    }

    fn leave_idle(&self, class: usize, heap: PageHeap, tally: Tally<'_>) {
        if heap.pages(&self.records) == 0 {
            heap.dissolve(&self.records, tally);
        } else {
            self.idle(class).push(heap, &self.records, tally);
        }
    }

    /// Lets whole pages of a class that the thread holds go until no more than `keep` are left; `leave` gets their numbers
    /// (leaving.rs). Cheap where there are no more.
    pub(crate) fn shed(&self, class: usize, held: &Held<CLASSES>, keep: u32, leave: impl FnMut(u32)) {
        if let Some(heap) = &held.0[class]
            && self.records.heap(heap.number()).wholes() > keep
        {
            heap.shed(keep, &self.records, leave);
        }
    }

    /// Whether the thread holds anything of a class.
    pub(crate) fn has_any(class: usize, held: &Held<CLASSES>) -> bool {
        held.0[class].is_some()
    }

    /// Whether the thread holds a whole page of a class.
    pub(crate) fn has_whole(&self, class: usize, held: &Held<CLASSES>) -> bool {
        held.0[class].as_ref().is_some_and(|heap| self.records.heap(heap.number()).wholes() > 0)
    }

    /// Lets every whole page of a class that the thread holds go, after a look at what other threads have given back.
    pub(crate) fn release_held(
        &self,
        class: usize,
        held: &Held<CLASSES>,
        tally: Tally<'_>,
        leave: impl FnMut(u32),
    ) {
        if let Some(heap) = &held.0[class] {
            heap.release(&self.records, tally, leave);
        }
    }

    /// As [`Pages::release_held`], for the heaps of a class that no thread holds.
    pub(crate) fn release_idle(&self, class: usize, tally: Tally<'_>, mut leave: impl FnMut(u32)) {
        let mut next = self.idle(class).take_all(tally);
        while let Some(heap) = next {
            next = IdleStack::below(&heap, &self.records);
            heap.release(&self.records, tally, &mut leave);
            self.leave_idle(class, heap, tally);
        }
    }
}

/// The mid pool's pages.
#[cfg(not(loom))]
pub(crate) type MidPages = Pages<{ stormglass_telemetry::schema::CLASSES }>;

#[cfg(not(loom))]
impl crate::exchange::Exchange for MidPages {
    type Local = Held<{ stormglass_telemetry::schema::CLASSES }>;

    fn over(region: &crate::region::Region) -> Result<Box<MidPages>, crate::error::PoolError> {
        // A heap is founded where a page is taken, and pages never leave a region: there are never more heaps than pages.
        Ok(Box::new(Pages::new(Records::reserve(region.pages(), region.pages())?)))
    }

    fn refill(
        &self,
        held: &mut Self::Local,
        home: crate::site::ShardId,
        region: &crate::region::Region,
        sites: crate::site::Sites<'_>,
    ) -> Batch {
        let mut batch = Batch::new();
        let tally: Tally<'_> = sites.at(home).into();
        self.refill(home.class.index(), held, &mut batch, tally, || {
            let page = region.take_page(home)?;
            tally.counters.page_mapped_bytes.add(stormglass_telemetry::schema::PAGE_BYTES as u64);
            Some(page)
        });
        batch
    }

    fn spill(&self, held: &mut Self::Local, batch: Batch, site: crate::site::Site<'_>) {
        self.spill(site.at.class.index(), held, batch, site.into());
    }

    /// Without shards every block is of the home shard, so no heap calls this; it would do the right thing.
    fn free_remote(&self, held: &mut Self::Local, block: crate::block::Block, site: crate::site::Site<'_>) {
        let mut batch = Batch::new();
        batch.push(block);
        crate::exchange::Exchange::spill(self, held, batch, site);
    }

    fn retire(&self, held: &mut Self::Local, home: usize, sites: crate::site::Sites<'_>) {
        for class in crate::size_class::Class::EACH {
            if held.0[class.index()].is_none() {
                continue;
            }
            let site = sites.at(crate::site::ShardId { class, shard: home });
            self.retire(class.index(), held, site.into());
        }
    }
}

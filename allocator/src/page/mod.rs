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
//! price of having no shared list, and memory that is free there does not help another thread that is out of it.
//!
//! ## Why maps and not lists
//! A page has at most 512 blocks, so its free blocks are a bitmap of at most one cache line. The links of the other designs
//! lie outside user memory, one cache line a block (links.rs): a batch of 32 that is spilled and refilled by lists
//! touches 32 of those lines twice, and where another thread spilled it, each is a miss of its own. The records of a page,
//! with both maps, are two lines (four below class 5120) whatever the batch. A fresh page is carved by setting the bits
//! of its map. Blocks are taken lowest first, so a page's untouched end stays untouched for as long as possible. And where
//! lists are taken whole by an exchange, so are maps, 64 blocks at a time: no pusher's CAS depends on what lies below, so
//! there is no ABA and nothing is walked.
//!
//! ## Invariants
//! 1. Each page heap is held by one thread, or idle, or merged into another for ever. Its token is [`PageHeap`].
//! 2. The holder alone reads and writes the free maps of its pages and the heap's own fields; the next holder sees them as
//!    the last one left them (Release and Acquire on the idle stack).
//! 3. A page is on the available stack of its heap exactly if its free map is not empty.
//! 4. A page whose remote map is not empty is on the pending queue of its heap, or exactly one thread is about to put it
//!    there (remote_map.rs, pending.rs).
//! 5. A page heap is founded on a fresh page and has that page's number, so there are never more than pages, and the table
//!    has room for all of them.

mod free_map;
mod idle;
mod page_heap;
mod pending;
mod record;
mod remote_map;
mod run;
mod table;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod scene;
#[cfg(all(test, not(loom)))]
mod scripted;
#[cfg(all(test, not(loom)))]
mod tests;

use stormglass_telemetry::schema::{CLASSES, PAGE_BYTES};

use crate::batch::Batch;
use crate::block::FreshPage;
#[cfg(not(loom))]
use crate::site::ShardId;
use crate::site::Site;
use crate::size_class::Class;
use crate::sync::Padded;

use self::idle::IdleStack;
use self::page_heap::PageHeap;
use self::record::Records;
use self::run::Run;

/// All pages of a pool, and the page heaps that no thread holds.
pub(crate) struct Pages {
    records: Records,
    idle: [Padded<IdleStack>; CLASSES],
}

/// The page heaps that one thread holds: at most one a class.
#[derive(Default)]
pub(crate) struct Held([Option<PageHeap>; CLASSES]);

impl Pages {
    fn new(records: Records) -> Pages {
        Pages { records, idle: core::array::from_fn(|_| Padded(IdleStack::empty())) }
    }

    fn idle(&self, class: Class) -> &IdleStack {
        &self.idle[class.index()].0
    }

    /// Takes up to a batch of blocks for the thread that holds `held`; `fresh` takes a page from the region.
    fn refill(&self, held: &mut Held, site: Site<'_>, fresh: impl FnOnce() -> Option<FreshPage>) -> Batch {
        let held = &mut held.0[site.at.class.index()];
        let mut batch = Batch::new();
        if let Some(heap) = held {
            heap.take(&mut batch, &self.records, site);
        }
        while batch.is_empty()
            && let Some(idle) = self.idle(site.at.class).pop(&self.records, site)
        {
            site.counters.heaps_adopted.add(1);
            site.counters.pages_adopted.add(u64::from(idle.pages(&self.records)));
            let heap = match held.take() {
                Some(dry) => dry.merge(idle, &self.records, site),
                None => idle,
            };
            held.insert(heap).take(&mut batch, &self.records, site);
        }
        if batch.is_empty()
            && let Some(page) = fresh()
        {
            site.counters.pages_mapped.add(1);
            site.counters.page_mapped_bytes.add(PAGE_BYTES as u64);
            let heap = held.get_or_insert_with(|| PageHeap::found_on(&page));
            heap.add_page(page, &self.records);
            heap.take(&mut batch, &self.records, site);
        }
        if !batch.is_empty() {
            site.counters.refills.add(1);
            site.counters.refilled_blocks.add(batch.len() as u64);
        }
        batch
    }

    /// Sorts out what a ring spills: each block goes back to its page.
    fn spill(&self, held: &Held, mut batch: Batch, site: Site<'_>) {
        let held = held.0[site.at.class.index()].as_ref();
        let mut foreign = Batch::new();
        while let Some(block) = batch.pop() {
            match held {
                Some(heap) if heap.has(Run::page_of(block.number()), &self.records) => {
                    heap.add(Run::one(block), &self.records);
                }
                _ => foreign.push(block),
            }
        }
        foreign.sort();
        while let Some(run) = Run::pop_from(&mut foreign) {
            let page = run.page();
            self.records.page(page).remote().push(run, site);
            if foreign.peek().map(Run::page_of) != Some(page) {
                self.records.announce(page, site);
            }
        }
    }

    /// Puts all that a thread held on the idle stacks.
    fn retire<'a>(&self, held: &mut Held, site_of: impl Fn(Class) -> Site<'a>) {
        for (class, heap) in Class::all().zip(&mut held.0) {
            let Some(heap) = heap.take() else { continue };
            let site = site_of(class);
            site.counters.pages_abandoned.add(u64::from(heap.pages(&self.records)));
            self.idle(class).push(heap, &self.records, site);
        }
    }
}

#[cfg(not(loom))]
impl crate::exchange::Exchange for Pages {
    type Local = Held;

    fn over(region: &crate::region::Region) -> Result<Box<Pages>, crate::error::PoolError> {
        Ok(Box::new(Pages::new(Records::reserve(region.pages())?)))
    }

    fn refill(
        &self,
        held: &mut Held,
        home: ShardId,
        region: &crate::region::Region,
        sites: crate::site::Sites<'_>,
    ) -> Batch {
        self.refill(held, sites.at(home), || region.take_page(home))
    }

    fn spill(&self, held: &mut Held, batch: Batch, site: Site<'_>) {
        self.spill(held, batch, site);
    }

    /// Without shards every block is of the home shard, so no heap calls this; it would do the right thing.
    fn free_remote(&self, held: &mut Held, block: crate::block::Block, site: Site<'_>) {
        let mut batch = Batch::new();
        batch.push(block);
        self.spill(held, batch, site);
    }

    fn retire(&self, held: &mut Held, home: usize, sites: crate::site::Sites<'_>) {
        self.retire(held, |class| sites.at(ShardId { class, shard: home }));
    }
}

//! Loom models of the pages: every interleaving, and every reordering that the orderings allow, at shrunk sizes.
//!
//! A map is one word and a batch two blocks. What all models check at the end: every block is there, once.

use loom::sync::Arc;
use loom::sync::Mutex;
use loom::thread;
use stormglass_telemetry::SlotCounters;
use stormglass_telemetry::clock::Clock;

use super::record::Records;
use super::{Held, Pages};
use crate::batch::Batch;
use crate::block::{Block, FreshPage, NUMBERS_PER_PAGE};
use crate::links::Links;
use crate::site::{ShardId, Site};
use crate::size_class::Class;

/// Pages of the region, each with this many blocks.
const PAGES: u32 = 3;

/// A pool with its region.
struct World {
    pages: Pages,
    links: Links,
    clock: Clock,
    blocks: u32,
    /// The next fresh page; a lock, because a region is not what is modelled.
    fresh: Mutex<u32>,
}

/// A thread: what it holds, and its counters.
struct Thread {
    world: Arc<World>,
    held: Held,
    counters: Box<SlotCounters>,
}

impl World {
    fn new(blocks: u32) -> Arc<World> {
        Arc::new(World {
            pages: Pages::new(Records::model(PAGES as usize)),
            links: Links::model(1),
            clock: Clock::calibrate(),
            blocks,
            fresh: Mutex::new(0),
        })
    }

    /// A block's number in models: by page, without gaps.
    fn all(&self, pages: u32) -> Vec<u32> {
        (0..pages).flat_map(|page| (0..self.blocks).map(move |block| page * 64 + block)).collect()
    }
}

impl Thread {
    fn of(world: &Arc<World>) -> Thread {
        Thread { world: Arc::clone(world), held: Held::default(), counters: SlotCounters::zeroed() }
    }

    fn site(&self) -> Site<'_> {
        let class = Class::from_index(0).expect("class");
        Site {
            at: ShardId { class, shard: 0 },
            links: &self.world.links,
            counters: self.counters.shard(0, 0),
            clock: self.world.clock,
        }
    }

    fn refill_from(&mut self, fresh: bool) -> Vec<u32> {
        let world = Arc::clone(&self.world);
        let mut held = core::mem::take(&mut self.held);
        let take = || {
            let mut next = world.fresh.lock().expect("no panic");
            let number = *next;
            (fresh && number < PAGES).then(|| {
                *next += 1;
                FreshPage::model(number, world.blocks)
            })
        };
        let mut batch = world.pages.refill(&mut held, self.site(), take);
        self.held = held;
        core::iter::from_fn(|| batch.pop()).map(|block| block.number()).collect()
    }

    /// Blocks from wherever there are some, or from a fresh page.
    fn refill(&mut self) -> Vec<u32> {
        self.refill_from(true)
    }

    /// All blocks that can be had without a fresh page.
    fn refill_all(&mut self) -> Vec<u32> {
        let mut numbers = Vec::new();
        loop {
            let some = self.refill_from(false);
            if some.is_empty() {
                return numbers;
            }
            numbers.extend(some);
        }
    }

    fn spill(&self, numbers: &[u32]) {
        let mut batch = Batch::new();
        for &number in numbers {
            batch.push(Block::claim(number));
        }
        self.world.pages.spill(&self.held, batch, self.site());
    }

    fn end(mut self) {
        let held = core::mem::take(&mut self.held);
        self.world.pages.retire(held, |_| self.site());
    }
}

fn check(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    const { assert!(NUMBERS_PER_PAGE == 64) };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

fn all_there(mut numbers: Vec<u32>, expected: Vec<u32>) {
    numbers.sort_unstable();
    assert_eq!(numbers, expected);
}

/// Two threads free blocks of one page while its holder runs dry: one of them queues the page, the holder takes the page's
/// blocks while the other may still be at it.
#[test]
fn remote_frees_reach_a_holder_that_is_taking_them() {
    check(3, || {
        let world = World::new(2);
        let mut holder = Thread::of(&world);
        let blocks = holder.refill();
        assert_eq!(blocks.len(), 2);
        let freeing: Vec<_> = blocks
            .into_iter()
            .map(|number| {
                let thread = Thread::of(&world);
                thread::spawn(move || thread.spill(&[number]))
            })
            .collect();
        let mut numbers = holder.refill_from(false);
        for thread in freeing {
            thread.join().expect("no panic");
        }
        numbers.extend(holder.refill_all());
        all_there(numbers, world.all(1));
    });
}

/// The holder frees to its own page and takes from it again while another thread frees there, twice.
#[test]
fn local_and_remote_frees_of_one_page_do_not_meet() {
    check(3, || {
        let world = World::new(3);
        let mut holder = Thread::of(&world);
        let first = holder.refill();
        let last = holder.refill();
        let other = Thread::of(&world);
        let freeing = thread::spawn(move || {
            other.spill(&first[..1]);
            other.spill(&first[1..]);
        });
        holder.spill(&last);
        let mut numbers = holder.refill();
        numbers.extend(holder.refill_from(false));
        freeing.join().expect("no panic");
        numbers.extend(holder.refill_all());
        all_there(numbers, world.all(1));
    });
}

/// Two threads start while one ends: its page heap goes to one of them or stays idle, never to both.
#[test]
fn an_idle_heap_has_one_next_holder() {
    check(3, || {
        let world = World::new(2);
        let mut ending = Thread::of(&world);
        let left = ending.refill();
        ending.spill(&left);
        let ends = thread::spawn(move || ending.end());
        let mut other = Thread::of(&world);
        let starts = thread::spawn(move || {
            let numbers = other.refill();
            (other, numbers)
        });
        let mut this = Thread::of(&world);
        let mut numbers = this.refill();
        ends.join().expect("no panic");
        let (other, more) = starts.join().expect("no panic");
        assert!(!numbers.is_empty() && !more.is_empty());
        numbers.extend(more);
        other.end();
        numbers.extend(this.refill_all());
        let pages = *world.fresh.lock().expect("no panic");
        all_there(numbers, world.all(pages));
    });
}

/// A thread frees blocks of a page heap that is idle and is adopted meanwhile.
#[test]
fn remote_frees_reach_whoever_adopts_the_heap() {
    check(3, || {
        let world = World::new(2);
        let mut gone = Thread::of(&world);
        let blocks = gone.refill();
        let freeing = Thread::of(&world);
        let frees = thread::spawn(move || freeing.spill(&blocks));
        let ends = thread::spawn(move || gone.end());
        let mut adopts = Thread::of(&world);
        let mut numbers = adopts.refill_from(false);
        frees.join().expect("no panic");
        ends.join().expect("no panic");
        numbers.extend(adopts.refill_all());
        all_there(numbers, world.all(1));
    });
}

/// A thread that runs dry merges its heap with an idle one, while blocks of both are freed. The idle heap has
/// `idle_pages` pages against one: it is the smaller or the larger.
fn merges(idle_pages: u32) {
    check(3, move || {
        let world = World::new(1);
        let mut gone = Thread::of(&world);
        let mut out: Vec<u32> = (0..idle_pages).flat_map(|_| gone.refill()).collect();
        let mut dry = Thread::of(&world);
        let own = dry.refill();
        gone.end();
        // One block of each heap; the batch is sorted, so give the order its turn by two threads.
        let of_idle = out.pop().expect("a block");
        let frees = |number: u32| {
            let thread = Thread::of(&world);
            thread::spawn(move || thread.spill(&[number]))
        };
        let (first, second) = (frees(of_idle), frees(own[0]));
        let mut numbers = dry.refill_from(false);
        first.join().expect("no panic");
        second.join().expect("no panic");
        numbers.extend(dry.refill_all());
        numbers.extend(out);
        all_there(numbers, world.all(idle_pages + 1));
    });
}

#[test]
fn remote_frees_survive_a_merge_into_the_dry_heap() {
    merges(1);
}

#[test]
fn remote_frees_survive_a_merge_into_the_idle_heap() {
    merges(2);
}

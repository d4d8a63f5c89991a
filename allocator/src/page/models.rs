//! Loom models of the pages: every interleaving, and every reordering that the orderings allow, at shrunk sizes.
//!
//! A word has two blocks, a page two words, and a batch is two blocks. What the models check at the end: every block is
//! there, once, and every page has one heap.
//!
//! The models were tried against wrong versions of the code: a queue that is merged but not closed, a page whose blocks are
//! taken before it is un-queued, or that is queued twice, a link that is read too late, a word that is taken by a load and a
//! store, an idle stack without version, and the orderings of the queue, of `queued` and of the idle stack weakened one by
//! one; pages that leave without saying so or without being taken out of their map, a stack whose finder takes every page for
//! its own, an announcement that is not taken back. They fail on each but two: where a load must stay before a later store
//! (`announce` acquires what `take_all` releases), loom explores no other order. What callers write into blocks is not
//! modelled.

use loom::sync::Arc;
use loom::sync::Mutex;
use loom::thread;
use stormglass_telemetry::{ShardCounters, SlotCounters};

use super::record::Records;
use super::{Held, Pages};
use crate::batch::{BATCH, Batch};
use crate::block::{Block, FreshPage, NUMBERS_PER_PAGE};
use crate::injection::Delay;
use crate::site::Tally;

/// Pages of the region.
const PAGES: u32 = 4;
/// Classes; most models need one.
const CLASSES: usize = 2;

/// A pool with its region.
struct World {
    pages: Pages<CLASSES>,
    /// Blocks of each page.
    blocks: u32,
    /// Where pages come from; a lock, because that is not what is modelled.
    region: Mutex<Region>,
}

struct Region {
    /// The next page that never was anybody's.
    fresh: u32,
    /// Pages that have left their heaps.
    left: Vec<u32>,
}

/// A thread that works in one class: what it holds, and its counters.
struct Thread {
    world: Arc<World>,
    class: usize,
    held: Held<CLASSES>,
    counters: Box<SlotCounters>,
}

impl World {
    fn new(blocks: u32) -> Arc<World> {
        Arc::new(World {
            pages: Pages::new(Records::model(PAGES as usize)),
            blocks,
            region: Mutex::new(Region { fresh: 0, left: Vec::new() }),
        })
    }

    /// Every block of the first pages.
    fn all(&self, pages: u32) -> Vec<u32> {
        (0..pages)
            .flat_map(|page| (0..self.blocks).map(move |block| page * NUMBERS_PER_PAGE as u32 + block))
            .collect()
    }
}

impl Thread {
    fn of(world: &Arc<World>) -> Thread {
        Thread::of_class(0, world)
    }

    fn of_class(class: usize, world: &Arc<World>) -> Thread {
        Thread { world: Arc::clone(world), class, held: Held::default(), counters: SlotCounters::zeroed() }
    }

    fn tally(&self) -> Tally<'_> {
        Tally { counters: self.counts(), delay: Delay::NONE }
    }

    fn refill_from(&mut self, fresh: bool) -> Vec<u32> {
        let world = Arc::clone(&self.world);
        let mut held = core::mem::take(&mut self.held);
        let take = || {
            let mut region = world.region.lock().expect("no panic");
            if !fresh {
                return None;
            }
            let number = region.left.pop().or_else(|| {
                region.fresh += 1;
                (region.fresh <= PAGES).then(|| region.fresh - 1)
            });
            number.map(|number| FreshPage::claim(number, world.blocks))
        };
        let mut batch = Batch::new();
        world.pages.refill(self.class, &mut held, &mut batch, self.tally(), take);
        self.held = held;
        core::iter::from_fn(|| batch.pop()).map(|block| block.number()).collect()
    }

    /// Lets all pages go whose blocks have all come back.
    fn release(&self) {
        self.world.pages.release_held(self.class, &self.held, self.tally(), |page| {
            self.world.region.lock().expect("no panic").left.push(page);
        });
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
        for numbers in numbers.chunks(BATCH) {
            let mut batch = Batch::new();
            for &number in numbers {
                batch.push(Block::claim(number));
            }
            self.world.pages.spill(self.class, &self.held, batch, self.tally());
        }
    }

    fn pages(&self) -> u32 {
        self.held.0[self.class].as_ref().map_or(0, |heap| heap.pages(&self.world.pages.records))
    }

    fn counts(&self) -> &ShardCounters {
        self.counters.shard(0, 0)
    }

    fn end(mut self) {
        let mut held = core::mem::take(&mut self.held);
        for class in 0..held.0.len() {
            self.world.pages.retire(class, &mut held, self.tally());
        }
    }
}

fn check(bound: usize, model: impl Fn() + Sync + Send + 'static) {
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

/// Two threads start while one ends: its page heap goes to one of them or stays idle, never to both, and whoever has it
/// sees the free blocks that were left in it.
#[test]
fn an_idle_heap_has_one_next_holder() {
    check(3, || {
        let world = World::new(2);
        let mut ending = Thread::of(&world);
        let ends = thread::spawn(move || {
            let left = ending.refill();
            ending.spill(&left);
            ending.end();
        });
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
        let pages = world.region.lock().expect("no panic").fresh;
        all_there(numbers, world.all(pages));
        assert_eq!(this.pages(), pages);
    });
}

/// A thread takes both idle heaps, merges them and leaves them as one, while another looks at the top of the stack: the
/// interleaving in which a head without version gives a heap to two threads.
#[test]
fn an_idle_stack_is_not_fooled_by_a_heap_that_comes_back() {
    check(3, || {
        let world = World::new(2);
        let (mut first, mut second) = (Thread::of(&world), Thread::of(&world));
        let mut numbers = first.refill();
        numbers.extend(second.refill());
        first.end();
        second.end();
        let mut both = Thread::of(&world);
        let merges = thread::spawn(move || {
            assert!(both.refill_all().is_empty());
            both.end();
        });
        let mut this = Thread::of(&world);
        assert!(this.refill_all().is_empty());
        merges.join().expect("no panic");
        assert!(this.refill_all().is_empty());
        assert_eq!(this.pages(), 2, "each page has one heap");
        this.spill(&numbers);
        assert_eq!(this.refill_all().len(), 4);
        assert_eq!(this.counts().remote_frees.get(), 0, "its own pages");
    });
}

/// The holder looks through a queue of two pages while another thread frees into both once more.
#[test]
fn a_page_that_is_queued_again_takes_no_other_along() {
    check(3, || {
        let world = World::new(3);
        let mut holder = Thread::of(&world);
        let mut out: Vec<u32> = (0..2).flat_map(|_| [holder.refill(), holder.refill()]).flatten().collect();
        assert_eq!(out.len(), 6);
        out.sort_unstable();
        let other = Thread::of(&world);
        // The second page is on top of the first.
        other.spill(&[out[0]]);
        other.spill(&[out[3]]);
        let again = [out[2], out[5]];
        let frees = thread::spawn(move || other.spill(&again));
        let mut numbers = holder.refill_from(false);
        frees.join().expect("no panic");
        numbers.extend(holder.refill_all());
        numbers.extend([out[1], out[4]]);
        all_there(numbers, world.all(2));
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
/// `idle` pages, the dry one `dry`.
fn merges(idle: u32, dry: u32) {
    check(2, move || {
        let world = World::new(1);
        let (mut gone, mut merging) = (Thread::of(&world), Thread::of(&world));
        let of_idle: Vec<u32> = (0..idle).flat_map(|_| gone.refill()).collect();
        let of_dry: Vec<u32> = (0..dry).flat_map(|_| merging.refill()).collect();
        gone.end();
        let frees = |numbers: Vec<u32>| {
            let thread = Thread::of(&world);
            thread::spawn(move || thread.spill(&numbers))
        };
        let threads = [frees(of_idle), frees(of_dry)];
        let mut numbers = merging.refill_from(false);
        for thread in threads {
            thread.join().expect("no panic");
        }
        numbers.extend(merging.refill_all());
        all_there(numbers, world.all(idle + dry));
        assert_eq!(merging.pages(), idle + dry);
    });
}

#[test]
fn remote_frees_survive_a_merge_into_the_dry_heap() {
    merges(2, 2);
}

#[test]
fn remote_frees_survive_a_merge_into_the_idle_heap() {
    merges(2, 1);
}

/// A page leaves its heap while a thread that freed its last block is late with the announcement, and is used anew by a
/// thread of another class, whose blocks are freed by a third.
#[test]
fn a_page_that_leaves_is_used_anew_by_another_class() {
    check(2, || {
        let world = World::new(2);
        let mut first = Thread::of(&world);
        let blocks = first.refill();
        assert_eq!(blocks.len(), 2);
        let frees = |thread: Thread, number: u32| thread::spawn(move || thread.spill(&[number]));
        let late = frees(Thread::of(&world), blocks[0]);
        // The other one's announcement brings the holder to the page, where it may find the late thread's bit.
        Thread::of(&world).spill(&blocks[1..]);
        first.release();
        let mut second = Thread::of_class(1, &world);
        let anew = second.refill();
        let third = frees(Thread::of_class(1, &world), anew[0]);
        second.spill(&anew[1..]);
        let mut numbers = second.refill_from(false);
        late.join().expect("no panic");
        third.join().expect("no panic");
        // What waits on the stack of a heap that the page has left is sent on when that is looked through.
        let of_first = first.refill_all();
        numbers.extend(second.refill_all());
        let pages = world.region.lock().expect("no panic").fresh;
        numbers.extend(of_first);
        all_there(numbers, world.all(pages));
    });
}

/// A heap is merged and its number founds another heap, of another class, while a thread that knows the number is late.
#[test]
fn the_number_of_a_merged_heap_is_used_anew() {
    check(2, || {
        let world = World::new(1);
        let (mut gone, mut merging) = (Thread::of(&world), Thread::of(&world));
        let of_gone = gone.refill();
        let of_merging = [merging.refill(), merging.refill()].concat();
        gone.end();
        let freeing = Thread::of(&world);
        let late = thread::spawn(move || freeing.spill(&of_gone));
        let mut numbers = merging.refill_from(false);
        let mut other = Thread::of_class(1, &world);
        let others = other.refill();
        assert_eq!(others.len(), 1);
        other.spill(&others);
        late.join().expect("no panic");
        let of_other = other.refill_all();
        numbers.extend(merging.refill_all());
        assert_eq!(of_other, others, "no block of another class");
        numbers.extend(of_other);
        numbers.extend(of_merging);
        all_there(numbers, world.all(4));
    });
}

/// As above, while the heap that the page has left is looked through: whatever is found there of the page is not the finder's.
#[test]
fn a_page_that_left_is_not_taken_for_ones_own() {
    check(2, || {
        let world = World::new(2);
        let mut first = Thread::of(&world);
        let blocks = first.refill();
        let late = Thread::of(&world);
        let left = blocks[0];
        let late = thread::spawn(move || late.spill(&[left]));
        Thread::of(&world).spill(&blocks[1..]);
        first.release();
        let looks = thread::spawn(move || {
            let found = first.refill_from(false);
            (first, found)
        });
        let mut second = Thread::of_class(1, &world);
        let anew = second.refill();
        Thread::of_class(1, &world).spill(&anew);
        let mut numbers = second.refill_from(false);
        late.join().expect("no panic");
        let (mut first, found) = looks.join().expect("no panic");
        numbers.extend(found);
        // What stands on the wrong stack is sent on when that is looked through.
        numbers.extend(first.refill_all());
        numbers.extend(second.refill_all());
        let pages = world.region.lock().expect("no panic").fresh;
        all_there(numbers, world.all(pages));
    });
}

/// The heaps that nobody holds are looked through while one thread frees into them and another starts.
#[test]
fn idle_heaps_are_looked_through_while_others_free_and_adopt() {
    check(2, || {
        let world = World::new(1);
        let (mut some, mut more) = (Thread::of(&world), Thread::of(&world));
        let of_some = some.refill();
        let of_more = more.refill();
        some.end();
        more.spill(&of_more);
        more.end();
        let freeing = Thread::of(&world);
        let frees = thread::spawn(move || freeing.spill(&of_some));
        let mut starting = Thread::of(&world);
        let starts = thread::spawn(move || {
            let numbers = starting.refill();
            (starting, numbers)
        });
        let this = Thread::of(&world);
        world.pages.release_idle(0, this.tally(), |page| {
            world.region.lock().expect("no panic").left.push(page);
        });
        frees.join().expect("no panic");
        let (starting, mut numbers) = starts.join().expect("no panic");
        assert!(!numbers.is_empty(), "there is always a page");
        starting.end();
        let mut last = Thread::of(&world);
        // Pages that left are fresh ones.
        let pages = world.region.lock().expect("no panic").fresh;
        while numbers.len() < pages as usize {
            numbers.extend(last.refill());
        }
        all_there(numbers, world.all(pages));
    });
}

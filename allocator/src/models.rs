//! Loom models: every interleaving (and every reordering that the orderings allow) of the protocols, at shrunk sizes: a
//! batch is two blocks, a link line two words, a spin loop one turn.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p stormglass-allocator --release --lib models`.
//!
//! Most models stand over the list of designs: a new line there is modelled without a line here. The models that show
//! what is *needed* (a version, an ordering) expect a failure.

mod needed;

use loom::sync::Arc;
use loom::thread;
use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::{Op, ShardCounters, SlotCounters};

use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::free_list::{FreeList, Patience, each_design, list};
use crate::injection::Delay;
use crate::links::Links;
use crate::mask::Mask;
use crate::remote::RemoteStack;
use crate::site::{ShardId, Site};
use crate::size_class::Class;

const BLOCKS: usize = 4;

struct World<L: FreeList> {
    list: L,
    shared: L::Shared,
    links: Links,
    clock: Clock,
}

impl<L: FreeList> World<L> {
    fn empty() -> World<L> {
        let shared = L::Shared::default();
        World { list: L::empty(), shared, links: Links::model(BLOCKS), clock: Clock::calibrate() }
    }

    /// Blocks 0 to `blocks` - 1, pushed one by one, the last on top.
    fn with_blocks(blocks: u32) -> Arc<World<L>> {
        let world = World::<L>::empty();
        let counters = SlotCounters::zeroed();
        for number in 0..blocks {
            world.push(number, &counters);
        }
        Arc::new(world)
    }

    /// Blocks 0 to 3, pushed at once: two batches.
    fn with_two_batches() -> Arc<World<L>> {
        let world = World::<L>::empty();
        let counters = SlotCounters::zeroed();
        let chain = (0..3).rev().fold(Chain::one(Block::claim(3)), |chain, number| {
            chain.prepend(Block::claim(number), &world.links)
        });
        world.list.push_chain(&world.shared, chain, Op::BatchPush, world.site(&counters));
        Arc::new(world)
    }

    fn site<'a>(&'a self, counters: &'a SlotCounters) -> Site<'a> {
        let class = Class::from_index(0).expect("class");
        let at = ShardId { class, shard: 0 };
        Site {
            at,
            links: &self.links,
            counters: counters.shard(0, 0),
            clock: self.clock,
            delay: Delay::NONE,
            sampler: None,
        }
    }

    fn pop(&self, counters: &SlotCounters) -> Vec<u32> {
        self.pop_with(Patience::Wait, counters)
    }

    fn pop_with(&self, patience: Patience, counters: &SlotCounters) -> Vec<u32> {
        let mut batch = Batch::new();
        self.list.pop_batch(&self.shared, &mut batch, patience, self.site(counters));
        core::iter::from_fn(|| batch.pop()).map(|block| block.number()).collect()
    }

    fn push(&self, number: u32, counters: &SlotCounters) {
        let chain = Chain::one(Block::claim(number));
        self.list.push_chain(&self.shared, chain, Op::Push, self.site(counters));
    }

    fn push_batch(&self, numbers: &[u32], counters: &SlotCounters) {
        let mut batch = Batch::new();
        for &number in numbers {
            batch.push(Block::claim(number));
        }
        self.list.push_batch(&self.shared, batch, Op::BatchPush, self.site(counters));
    }

    /// What every list must keep: with `taken`, what is still there is 0 to `blocks` - 1; no block twice, none lost.
    fn all_there(&self, mut taken: Vec<u32>, blocks: u32) {
        loop {
            let rest = self.pop(&SlotCounters::zeroed());
            if rest.is_empty() {
                break;
            }
            taken.extend(rest);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..blocks).collect::<Vec<_>>());
    }
}

/// Explores every interleaving, or those with at most so many `preemptions`: switches away from a thread that could have gone
/// on.
///
/// Models of two threads have no bound. Those of three have a bound of three, which keeps them to seconds: an operation
/// here is a look at a shared word and a change of it, so that two switches put all that two others do between the two,
/// and the third lets the second of them be caught in the same way.
fn explore(preemptions: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.into();
    builder.check(model);
}

/// Two threads pop a batch each, one puts a block back: the interleaving in which an unversioned head fails.
fn pops_and_a_push<L: FreeList + 'static>() {
    explore(None, || {
        let world = World::<L>::with_blocks(3);
        let other = Arc::clone(&world);
        let handle = thread::spawn(move || {
            let counters = SlotCounters::zeroed();
            let mut mine = other.pop(&counters);
            if let Some(number) = mine.pop() {
                other.push(number, &counters);
            }
            mine
        });
        let mut numbers = world.pop(&SlotCounters::zeroed());
        numbers.extend(handle.join().expect("no panic"));
        world.all_there(numbers, 3);
    });
}

mod pops_and_a_push_keep_every_block_once {
    super::each_design!(super::pops_and_a_push);
}

/// One thread pops two batches and puts the first back, another pops: for a depot, the ABA failure of magazines.
fn batches_are_exchanged<L: FreeList + 'static>() {
    explore(None, || {
        let world = World::<L>::with_two_batches();
        let other = Arc::clone(&world);
        let handle = thread::spawn(move || {
            let counters = SlotCounters::zeroed();
            let first = other.pop(&counters);
            let second = other.pop(&counters);
            other.push_batch(&first, &counters);
            second
        });
        let mut numbers = world.pop(&SlotCounters::zeroed());
        numbers.extend(handle.join().expect("no panic"));
        world.all_there(numbers, 4);
    });
}

mod an_exchange_of_batches_keeps_every_block_once {
    super::each_design!(super::batches_are_exchanged);
}

/// A batch and a single block are pushed by two threads while a third pops.
fn pushes_of_both_kinds<L: FreeList + 'static>() {
    // Two preemptions for three threads: see `explore`; each of the two pushes is one step that others see.
    explore(3, || {
        let world = World::<L>::with_blocks(1);
        let (batcher, single) = (Arc::clone(&world), Arc::clone(&world));
        let handles = [
            thread::spawn(move || batcher.push_batch(&[1, 2], &SlotCounters::zeroed())),
            thread::spawn(move || single.push(3, &SlotCounters::zeroed())),
        ];
        let numbers = world.pop(&SlotCounters::zeroed());
        for handle in handles {
            handle.join().expect("no panic");
        }
        world.all_there(numbers, 4);
    });
}

mod pushes_of_both_kinds_lose_nothing {
    super::each_design!(super::pushes_of_both_kinds);
}

/// Two threads free to a shard, a third drains the remote-free stack into the list.
fn remote_frees<L: FreeList + 'static>() {
    explore(3, || {
        let world = World::<L>::with_blocks(0);
        let remote = Arc::new(RemoteStack::empty());
        let handles: Vec<_> = (0..2)
            .map(|number| {
                let (world, remote) = (Arc::clone(&world), Arc::clone(&remote));
                thread::spawn(move || {
                    let counters = SlotCounters::zeroed();
                    remote.push(Block::claim(number), world.site(&counters));
                })
            })
            .collect();
        let counters = SlotCounters::zeroed();
        let mut numbers = Vec::new();
        let mut drain = || {
            if let Some(chain) = remote.take_all(world.site(&counters)) {
                world.list.push_chain(&world.shared, chain, Op::Drain, world.site(&counters));
                numbers.extend(world.pop(&counters));
            }
        };
        drain();
        for handle in handles {
            handle.join().expect("no panic");
        }
        drain();
        assert!(remote.looks_empty());
        world.all_there(numbers, 2);
    });
}

mod remote_frees_are_drained_once_and_whole {
    super::each_design!(super::remote_frees);
}

/// Whoever finds nothing and un-names a shard can never hide what another puts there at the same time.
fn a_push_beside_a_forget<L: FreeList + 'static>() {
    explore(None, || {
        let world = World::<L>::with_blocks(0);
        let mask = Arc::new(Mask::empty());
        mask.name(0);
        let (w, m) = (Arc::clone(&world), Arc::clone(&mask));
        let pusher = thread::spawn(move || {
            w.push(1, &SlotCounters::zeroed());
            m.name(0);
        });
        if world.pop(&SlotCounters::zeroed()).is_empty() {
            mask.forget(0, || world.list.looks_empty());
        }
        pusher.join().expect("no panic");
        assert!(names(&mask, 0) || world.list.looks_empty(), "blocks were stranded");
    });
}

mod the_mask_never_hides_a_shard_that_is_pushed_to {
    super::each_design!(super::a_push_beside_a_forget);
}

/// Nor what a popper leaves there: a thief that finds the list busy does not take blocks on their way for none.
fn a_pop_beside_a_forget<L: FreeList + 'static>() {
    explore(None, || {
        let world = World::<L>::with_blocks(3);
        let mask = Arc::new(Mask::empty());
        mask.name(0);
        let other = Arc::clone(&world);
        let popper = thread::spawn(move || other.pop(&SlotCounters::zeroed()));
        let mut numbers = world.pop_with(Patience::Try, &SlotCounters::zeroed());
        if numbers.is_empty() && world.list.looks_empty() {
            mask.forget(0, || world.list.looks_empty());
        }
        numbers.extend(popper.join().expect("no panic"));
        assert!(names(&mask, 0) || numbers.len() == 3, "blocks were stranded");
        world.all_there(numbers, 3);
    });
}

mod the_mask_never_hides_what_a_popper_leaves {
    super::each_design!(super::a_pop_beside_a_forget);
}

fn names(mask: &Mask, shard: usize) -> bool {
    mask.others(shard + 1, 8).any(|named| named == shard)
}

/// A pop and a single push meet; in some interleaving, `reached` must be true of the counts of the popper and the pusher.
fn a_pop_meets_a_push<L: FreeList + 'static>(reached: fn(&ShardCounters, &ShardCounters) -> bool) {
    use std::sync::atomic::{AtomicBool, Ordering};
    // Of std: it outlives the interleavings, and is no part of them.
    let some = std::sync::Arc::new(AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&some);
    explore(None, move || {
        let world = World::<L>::with_blocks(2);
        let other = Arc::clone(&world);
        let pusher = thread::spawn(move || {
            let counters = SlotCounters::zeroed();
            other.push(2, &counters);
            counters
        });
        let counters = SlotCounters::zeroed();
        let numbers = world.pop(&counters);
        let others = pusher.join().expect("no panic");
        if reached(counters.shard(0, 0), others.shard(0, 0)) {
            seen.store(true, Ordering::Relaxed);
        }
        world.all_there(numbers, 3);
    });
    assert!(some.load(Ordering::Relaxed), "the model never came to what it is about");
}

fn lost(counters: &ShardCounters, op: Op) -> u64 {
    counters.cas_failures[op as usize].get()
}

#[test]
fn a_walk_is_used_again_after_a_failed_cas() {
    // Two blocks were chased, the push came, and only the one that fell out of the batch was in vain.
    let reused = |popper: &ShardCounters, _: &ShardCounters| {
        [lost(popper, Op::BatchPop), popper.walk_blocks_kept.get(), popper.walk_blocks_wasted.get()]
            == [1, 2, 1]
    };
    a_pop_meets_a_push::<list::WalkOnce>(reused);
    a_pop_meets_a_push::<list::Relaxed>(reused);
}

#[test]
fn who_loses_the_optimistic_attempt_takes_the_global_lock() {
    a_pop_meets_a_push::<list::GlobalLock>(|popper, _| {
        lost(popper, Op::BatchPop) > 0 && popper.lock_acquisitions.get() == 1
    });
    a_pop_meets_a_push::<list::GlobalLock>(|_, pusher| {
        lost(pusher, Op::Push) > 0 && pusher.lock_acquisitions.get() == 1
    });
}

#[test]
fn a_single_push_passes_a_batch_that_holds_the_lock() {
    a_pop_meets_a_push::<list::Hybrid>(|popper, pusher| {
        lost(popper, Op::BatchPop) == 1 && pusher.lock_acquisitions.get() == 0
    });
}

#[test]
fn an_inbox_is_emptied_under_a_push() {
    a_pop_meets_a_push::<list::Targeted>(|popper, pusher| {
        lost(pusher, Op::Push) == 1 && popper.lock_acquisitions.get() == 1
    });
}

#[test]
fn a_magazine_is_missed_by_one_cas() {
    a_pop_meets_a_push::<list::Depot>(|popper, _| lost(popper, Op::BatchPop) == 1);
}

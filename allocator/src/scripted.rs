//! The proof of the counters: interleavings that are written down, and counts worked out by hand.
//!
//! At a seam (seam.rs) of one thread's operation another operation runs to its end, on the same thread of the test but with
//! counters of its own. So each race happens exactly once, in every run, and the numbers are known beforehand. What is
//! common to all stands here, what is special to a design in designs.rs; replay.rs has scripts that are random but
//! repeatable, and counts them again.

mod designs;
mod replay;

use std::rc::Rc;

use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::{Op, SlotCounters};

use crate::batch::{BATCH, Batch};
use crate::block::{Block, Chain};
use crate::free_list::{FreeList, Patience, StrategyId, list};
use crate::injection::Delay;
use crate::region::Region;
use crate::remote::RemoteStack;
use crate::seam::script;
use crate::site::{ShardId, Site};
use crate::size_class::Class;

const AT: usize = 3;

/// A list, a region for its links, and the counters of three threads.
struct Scene<L: FreeList> {
    list: L,
    shared: L::Shared,
    region: Region,
    clock: Clock,
    threads: [Box<SlotCounters>; 3],
}

impl<L: FreeList + 'static> Scene<L> {
    fn empty() -> Scene<L> {
        Scene {
            list: L::empty(),
            shared: L::Shared::default(),
            region: Region::reserve(0).expect("address space"),
            clock: Clock::calibrate(),
            threads: core::array::from_fn(|_| SlotCounters::zeroed()),
        }
    }

    /// A list of blocks 0 to `blocks` - 1, pushed one by one, block 0 on top; filling it is not counted.
    fn with_blocks(blocks: u32) -> Rc<Scene<L>> {
        let scene = Scene::<L>::empty();
        let uncounted = SlotCounters::zeroed();
        let site = Site { counters: uncounted.shard(AT, AT), ..scene.site(0) };
        for number in (0..blocks).rev() {
            scene.list.push_chain(&scene.shared, Chain::one(Block::claim(number)), Op::Push, site);
        }
        Rc::new(scene)
    }

    /// As `with_blocks`, but pushed as one chain.
    fn with_chain(blocks: u32) -> Rc<Scene<L>> {
        let scene = Scene::<L>::empty();
        let uncounted = SlotCounters::zeroed();
        let site = Site { counters: uncounted.shard(AT, AT), ..scene.site(0) };
        let last = Chain::one(Block::claim(blocks - 1));
        let chain =
            (0..blocks - 1).rev().fold(last, |chain, number| chain.prepend(Block::claim(number), site.links));
        scene.list.push_chain(&scene.shared, chain, Op::BatchPush, site);
        Rc::new(scene)
    }

    fn site(&self, thread: usize) -> Site<'_> {
        let class = Class::from_index(AT).expect("class");
        Site {
            at: ShardId { class, shard: AT },
            links: self.region.links(),
            counters: self.threads[thread].shard(AT, AT),
            clock: self.clock,
            delay: Delay::NONE,
            sampler: None,
        }
    }

    fn pop(&self, thread: usize, room: usize) -> Vec<u32> {
        self.pop_with(Patience::Wait, thread, room)
    }

    fn pop_with(&self, patience: Patience, thread: usize, room: usize) -> Vec<u32> {
        let mut batch = Batch::new();
        for _ in room..BATCH {
            batch.push(Block::claim(u32::MAX));
        }
        self.list.pop_batch(&self.shared, &mut batch, patience, self.site(thread));
        let numbers = batch.numbers()[BATCH - room..].to_vec();
        assert!(batch.numbers().iter().filter(|&&n| n == u32::MAX).count() == BATCH - room);
        numbers
    }

    fn push(&self, thread: usize, number: u32) {
        let chain = Chain::one(Block::claim(number));
        self.list.push_chain(&self.shared, chain, Op::Push, self.site(thread));
    }

    fn push_batch(&self, thread: usize, numbers: &[u32]) {
        let mut batch = Batch::new();
        for &number in numbers {
            batch.push(Block::claim(number));
        }
        self.list.push_batch(&self.shared, batch, Op::BatchPush, self.site(thread));
    }

    /// Lock acquisitions, and try-locks that found it held.
    fn locks(&self, thread: usize) -> [u64; 2] {
        let c = self.site(thread).counters;
        [c.lock_acquisitions.get(), c.lock_try_failures.get()]
    }

    /// Attempts and failures of `op`, blocks kept and wasted, ABA averted.
    fn counts(&self, thread: usize, op: Op) -> [u64; 5] {
        let c = self.site(thread).counters;
        [
            c.cas_attempts[op as usize].get(),
            c.cas_failures[op as usize].get(),
            c.walk_blocks_kept.get(),
            c.walk_blocks_wasted.get(),
            c.aba_averted.get(),
        ]
    }
}

/// What happens at a seam: an interruption, or nothing.
type Step = Option<Box<dyn FnOnce()>>;

/// A step that lets thread 1 do something to the scene.
#[allow(
    clippy::unnecessary_wraps,
    reason = "stands in a list beside `None`, the seam at which nothing happens"
)]
fn other<L: FreeList + 'static>(scene: &Rc<Scene<L>>, act: impl FnOnce(&Scene<L>) + 'static) -> Step {
    let scene = Rc::clone(scene);
    Some(Box::new(move || act(&scene)))
}

#[test]
fn an_undisturbed_walk_is_one_attempt_and_wastes_nothing() {
    let scene = Scene::<list::LockfreeWalk>::with_blocks(64);
    assert_eq!(scene.pop(0, BATCH), (0..32).collect::<Vec<_>>());
    assert_eq!(scene.counts(0, Op::BatchPop), [1, 0, 32, 0, 0]);
}

#[test]
fn a_walk_that_loses_twice_counts_two_failures_and_64_blocks_in_vain() {
    let scene = Scene::<list::LockfreeWalk>::with_blocks(128);
    script::write([
        other(&scene, |s| assert_eq!(s.pop(1, BATCH).len(), 32)),
        other(&scene, |s| assert_eq!(s.pop(1, BATCH).len(), 32)),
    ]);
    assert_eq!(scene.pop(0, BATCH), (64..96).collect::<Vec<_>>());
    assert!(script::is_done());
    assert_eq!(scene.counts(0, Op::BatchPop), [3, 2, 32, 64, 0]);
    assert_eq!(scene.counts(1, Op::BatchPop), [2, 0, 64, 0, 0]);
    let retries = &scene.site(0).counters.cas_retries;
    assert_eq!(retries.counts()[2], 1, "one operation needed two retries");
    assert_eq!(retries.counts().iter().sum::<u64>(), 1);
}

#[test]
fn single_pops_lose_one_block_at_a_time() {
    let scene = Scene::<list::LockfreeSingle>::with_blocks(64);
    // The first and the third attempt are beaten: attempts 1 (lost), 2, 3 (lost), 4.
    script::write([
        other(&scene, |s| assert_eq!(s.pop(1, 1), [0])),
        None,
        other(&scene, |s| assert_eq!(s.pop(1, 1), [2])),
        None,
    ]);
    assert_eq!(scene.pop(0, 2), [1, 3]);
    assert!(script::is_done());
    assert_eq!(scene.counts(0, Op::Pop), [4, 2, 2, 2, 0]);
    assert_eq!(scene.site(0).counters.cas_retries.counts()[1], 2, "each of the two pops was retried once");
}

#[test]
fn the_version_alone_averts_the_aba_failure() {
    let scene = Scene::<list::LockfreeWalk>::with_blocks(4);
    // While thread 0 looks at block 0 on top of 1, 2, 3, thread 1 takes 0 and 1 and puts 0 back: the top is as it was, but
    // its link now leads to 2. Without the version thread 0 would take 0 and 1, and 1 has another owner.
    script::write([other(&scene, |s| {
        assert_eq!(s.pop(1, 2), [0, 1]);
        s.push(1, 0);
    })]);
    assert_eq!(scene.pop(0, 2), [0, 2]);
    assert_eq!(scene.counts(0, Op::BatchPop), [2, 1, 2, 2, 1]);
}

#[test]
fn a_push_that_loses_is_counted_as_a_push() {
    let scene = Scene::<list::LockfreeWalk>::with_blocks(1);
    script::write([other(&scene, |s| s.push(1, 7))]);
    scene.push(0, 8);
    assert_eq!(scene.pop(0, BATCH), [8, 7, 0]);
    assert_eq!(scene.counts(0, Op::Push)[..2], [2, 1]);
    assert_eq!(scene.counts(1, Op::Push)[..2], [1, 0]);
}

#[test]
fn remote_frees_and_drains_are_counted_block_by_block() {
    let scene = Scene::<list::LockfreeWalk>::with_blocks(0);
    let remote = Rc::new(RemoteStack::empty());
    let interrupting = Rc::clone(&remote);
    script::write([other(&scene, move |s| interrupting.push(Block::claim(5), s.site(1)))]);
    remote.push(Block::claim(4), scene.site(0));
    assert_eq!(scene.counts(0, Op::RemotePush)[..2], [2, 1]);
    let chain = remote.take_all(scene.site(0)).expect("two blocks");
    assert_eq!((chain.first(), chain.last(), chain.len()), (4, 5, 2));
    assert!(remote.take_all(scene.site(0)).is_none());
    let c = scene.site(0).counters;
    assert_eq!([c.remote_frees.get(), c.remote_drains.get(), c.remote_drained_blocks.get()], [1, 1, 2]);
    assert_eq!(scene.site(1).counters.remote_frees.get(), 1);
}

#[test]
fn a_lock_counts_its_acquisitions_and_a_thief_that_finds_it_held() {
    let scene = Scene::<list::Mutex>::with_blocks(8);
    // A thief comes while thread 0 is inside the lock: it does not wait.
    script::write([other(&scene, |s| {
        assert!(s.pop_with(Patience::Try, 1, BATCH).is_empty());
    })]);
    assert_eq!(scene.pop(0, 4), [0, 1, 2, 3]);
    let (owner, thief) = (scene.site(0).counters, scene.site(1).counters);
    assert_eq!(
        [owner.lock_acquisitions.get(), owner.lock_contended.get(), owner.lock_try_failures.get()],
        [1, 0, 0]
    );
    assert_eq!([thief.lock_acquisitions.get(), thief.lock_try_failures.get()], [0, 1]);
    assert_eq!(owner.lock_hold.counts().iter().sum::<u64>(), 1);
}

#[test]
fn every_design_has_a_name_that_parses_and_an_unknown_name_lists_them() {
    for &id in StrategyId::ALL {
        assert_eq!(id.name().parse(), Ok(id));
    }
    let error = "mutexes".parse::<StrategyId>().expect_err("no such design");
    for id in StrategyId::ALL {
        assert!(error.to_string().contains(id.name()), "{error}");
    }
}

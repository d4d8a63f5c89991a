//! Loom models: every interleaving (and every reordering that the orderings allow) of the protocols, at shrunk sizes.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p stormglass-allocator --release --lib models`.

use loom::sync::Arc;
use loom::thread;
use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::{Op, SlotCounters};

use crate::batch::Batch;
use crate::block::{Block, Chain};
use crate::free_list::{FreeList, MutexList, Patience, SingleStack, WalkStack};
use crate::injection::Delay;
use crate::links::Links;
use crate::mask::Mask;
use crate::remote::RemoteStack;
use crate::site::{ShardId, Site};
use crate::size_class::Class;

const BLOCKS: usize = 4;

struct World<L> {
    list: L,
    links: Links,
    clock: Clock,
}

impl<L: FreeList> World<L> {
    fn with_blocks(blocks: u32) -> Arc<World<L>> {
        let world = World { list: L::empty(), links: Links::model(BLOCKS), clock: Clock::calibrate() };
        let counters = SlotCounters::zeroed();
        for number in 0..blocks {
            world.push(number, &counters);
        }
        Arc::new(world)
    }

    fn site<'a>(&'a self, counters: &'a SlotCounters) -> Site<'a> {
        let class = Class::from_index(0).expect("class");
        let at = ShardId { class, shard: 0 };
        Site { at, links: &self.links, counters: counters.shard(0, 0), clock: self.clock, delay: Delay::NONE }
    }

    fn pop(&self, counters: &SlotCounters) -> Vec<u32> {
        let mut batch = Batch::new();
        self.list.pop_batch(&mut batch, Patience::Wait, self.site(counters));
        core::iter::from_fn(|| batch.pop()).map(|block| block.number()).collect()
    }

    fn push(&self, number: u32, counters: &SlotCounters) {
        self.list.push_chain(Chain::one(Block::claim(number)), Op::Push, self.site(counters));
    }
}

/// What every list must keep: no block twice, none lost.
fn all_there(mut numbers: Vec<u32>, blocks: u32) {
    numbers.sort_unstable();
    assert_eq!(numbers, (0..blocks).collect::<Vec<_>>());
}

/// Two threads pop a batch each, one puts a block back: the interleaving in which an unversioned head fails.
fn pops_and_a_push<L: FreeList + 'static>() {
    let mut model = loom::model::Builder::new();
    // Three preemptions reach the ABA interleaving (the unversioned model below fails within them).
    model.preemption_bound = Some(3);
    model.check(|| {
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
        let counters = SlotCounters::zeroed();
        let mut numbers = world.pop(&counters);
        numbers.extend(handle.join().expect("no panic"));
        loop {
            let rest = world.pop(&counters);
            if rest.is_empty() {
                break;
            }
            numbers.extend(rest);
        }
        all_there(numbers, 3);
    });
}

#[test]
fn mutex_keeps_every_block_once() {
    pops_and_a_push::<MutexList>();
}

#[test]
fn lockfree_walk_keeps_every_block_once() {
    pops_and_a_push::<WalkStack>();
}

#[test]
fn lockfree_single_keeps_every_block_once() {
    pops_and_a_push::<SingleStack>();
}

/// The paper's own head: a block number without a version.
struct Unversioned(loom::sync::atomic::AtomicU32);

impl FreeList for Unversioned {
    fn empty() -> Unversioned {
        Unversioned(loom::sync::atomic::AtomicU32::new(0))
    }

    fn pop_batch(&self, batch: &mut Batch, _patience: Patience, site: Site<'_>) {
        use loom::sync::atomic::Ordering::SeqCst;
        while batch.room() > 0 {
            let seen = self.0.load(SeqCst);
            let Some(number) = seen.checked_sub(1) else { return };
            let next = site.links.next(number).map_or(0, |n| n + 1);
            if self.0.compare_exchange(seen, next, SeqCst, SeqCst).is_ok() {
                batch.push(Block::claim(number));
            }
        }
    }

    fn push_chain(&self, chain: Chain, _op: Op, site: Site<'_>) {
        use loom::sync::atomic::Ordering::SeqCst;
        loop {
            let seen = self.0.load(SeqCst);
            site.links.set_next(chain.last(), seen.checked_sub(1));
            if self.0.compare_exchange(seen, chain.first() + 1, SeqCst, SeqCst).is_ok() {
                return;
            }
        }
    }

    fn looks_empty(&self) -> bool {
        self.0.load(loom::sync::atomic::Ordering::SeqCst) == 0
    }
}

/// The version is needed: without it the same model finds a block that two threads own, or one that is lost.
#[test]
#[should_panic]
fn an_unversioned_head_fails() {
    pops_and_a_push::<Unversioned>();
}

#[test]
fn remote_frees_are_drained_once_and_whole() {
    loom::model(|| {
        let world = World::<WalkStack>::with_blocks(0);
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
                world.list.push_chain(chain, Op::Drain, world.site(&counters));
                numbers.extend(world.pop(&counters));
            }
        };
        drain();
        for handle in handles {
            handle.join().expect("no panic");
        }
        drain();
        all_there(numbers, 2);
    });
}

/// Whoever finds nothing and un-names a shard can never hide what another puts there at the same time.
#[test]
fn the_mask_never_hides_a_shard_that_has_blocks() {
    loom::model(|| {
        let world = World::<WalkStack>::with_blocks(0);
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
        let named = mask.others(1, 8).any(|shard| shard == 0);
        assert!(named || world.list.looks_empty(), "blocks were stranded");
    });
}

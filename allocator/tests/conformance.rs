//! One suite that every design in the list runs: what an allocator must keep, and the sums that its counters must keep.
//!
//! The oracle is a stamp in the block itself: its owner writes a number of its own at both ends and finds it there
//! when it gives the block back. A block that is handed out twice loses one of its stamps.
#![cfg(not(loom))]

mod sums;

use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use stormglass_allocator::{Class, MAX_SIZE, Pool, PoolConfig, StrategyId};
use stormglass_telemetry::{COUNTING, Metric, Select, Writer};
use sums::snapshot;

/// Deterministic and good enough to choose sizes and victims (Steele, Lea, Flood, OOPSLA 2014: SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A block with its stamp. `Send`, so that blocks can be freed by another thread.
struct Stamped {
    block: NonNull<u8>,
    size: usize,
    stamp: u64,
}

// SAFETY: the block belongs to whoever has this value; a block may be freed by any thread.
unsafe impl Send for Stamped {}

impl Stamped {
    fn write(block: NonNull<u8>, size: usize, stamp: u64) -> Stamped {
        // SAFETY: the block holds `size` >= 16 bytes and is ours; both ends are inside it.
        unsafe {
            block.cast::<u64>().write_unaligned(stamp);
            block.add(size - 8).cast::<u64>().write_unaligned(!stamp);
        }
        Stamped { block, size, stamp }
    }

    fn check(self) -> NonNull<u8> {
        // SAFETY: as in `write`; the block is still ours.
        let ends = unsafe {
            (
                self.block.cast::<u64>().read_unaligned(),
                self.block.add(self.size - 8).cast::<u64>().read_unaligned(),
            )
        };
        assert_eq!(ends, (self.stamp, !self.stamp), "another owner wrote into this block");
        self.block
    }
}

fn each_strategy(test: impl Fn(StrategyId)) {
    for &strategy in StrategyId::ALL {
        println!("{strategy}");
        test(strategy);
    }
}

/// A pool whose counters can be read afterwards, if this build has any.
fn watched(config: PoolConfig) -> (tempfile::TempDir, Pool) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = stormglass_telemetry::Directory::at(dir.path().join("segments"));
    let identity = stormglass_telemetry::Identity {
        strategy: config.strategy.name(),
        workload: "conformance",
        ..stormglass_telemetry::Identity::default()
    };
    let writer =
        if COUNTING { Writer::create(&directory, &identity).expect("a segment") } else { Writer::detached() };
    (dir, Pool::new(config, writer).expect("a pool"))
}

#[test]
fn blocks_are_distinct_large_enough_and_aligned() {
    each_strategy(|strategy| {
        let pool =
            Pool::new(PoolConfig { strategy, ..PoolConfig::default() }, Writer::detached()).expect("a pool");
        let mut heap = pool.heap().expect("a heap");
        let mut spans: Vec<(usize, usize)> = Vec::new();
        let mut blocks = Vec::new();
        for class in Class::all() {
            for size in [class.bytes(), class.bytes() - 1, class.bytes() - 1023] {
                for _ in 0..100 {
                    let block = heap.alloc(size).expect("memory");
                    assert_eq!(block.addr().get() % 1024, 0);
                    spans.push((block.addr().get(), class.bytes()));
                    blocks.push(block);
                }
            }
        }
        spans.sort_unstable();
        for pair in spans.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "blocks overlap");
        }
        for block in blocks {
            // SAFETY: each came from this heap and is freed once.
            unsafe { heap.free(block) };
        }
        assert_eq!(heap.alloc(MAX_SIZE + 1), None);
        assert_eq!(heap.alloc(usize::MAX), None);
    });
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn freed_blocks_come_back_before_new_pages_are_taken() {
    each_strategy(|strategy| {
        let (_dir, pool) = watched(PoolConfig { strategy, ..PoolConfig::default() });
        let mut first = HashSet::new();
        for round in 0..20 {
            // A new heap each round: what the last one held must have gone back to the shards.
            let mut heap = pool.heap().expect("a heap");
            let blocks: Vec<_> = (0..200).map(|_| heap.alloc(8000).expect("memory")).collect();
            let addresses: HashSet<usize> = blocks.iter().map(|block| block.addr().get()).collect();
            assert_eq!(addresses.len(), blocks.len());
            if round == 0 {
                first = addresses;
            }
            for block in blocks {
                // SAFETY: each came from this pool and is freed once.
                unsafe { heap.free(block) };
            }
        }
        let pages = snapshot(&pool).counts.sum(Metric::PagesMapped, Select::ALL).expect("counted");
        assert!(pages <= 3, "{pages} pages for {} blocks that were freed each time", first.len());
    });
}

#[test]
fn memory_that_is_used_up_is_none_and_comes_back() {
    each_strategy(|strategy| {
        let config = PoolConfig { strategy, region_bytes: 1, ..PoolConfig::default() };
        let (_dir, pool) = watched(config);
        let mut heap = pool.heap().expect("a heap");
        let mut blocks = Vec::new();
        while let Some(block) = heap.alloc(MAX_SIZE) {
            blocks.push(block);
        }
        assert!(!blocks.is_empty());
        if COUNTING {
            assert_eq!(snapshot(&pool).counts.sum(Metric::AllocationFailures, Select::ALL), Some(1));
        }
        let held = blocks.len();
        for block in blocks {
            // SAFETY: each came from this heap and is freed once.
            unsafe { heap.free(block) };
        }
        let again = core::iter::from_fn(|| heap.alloc(MAX_SIZE)).count();
        assert_eq!(again, held, "every block came back");
    });
}

/// Threads allocate, stamp, pass blocks round, check and free; then every sum that must hold is checked.
fn churn(strategy: StrategyId, home: Option<usize>) {
    const THREADS: usize = 4;
    const STEPS: usize = 20_000;
    let (_dir, pool) = watched(PoolConfig { strategy, home, ..PoolConfig::default() });
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel::<Stamped>()).unzip();
    let frees: u64 = thread::scope(|scope| {
        let workers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(id, inbox)| {
                let outbox = senders[(id + 1) % THREADS].clone();
                let pool = &pool;
                scope.spawn(move || {
                    let mut random = Random(id as u64);
                    let mut heap = pool.heap().expect("a heap");
                    let mut held: Vec<Stamped> = Vec::new();
                    let mut frees = 0;
                    for step in 0..STEPS {
                        let size = 16 + random.below(MAX_SIZE - 16);
                        let block = heap.alloc(size).expect("memory");
                        held.push(Stamped::write(block, size, (id as u64) << 32 | step as u64));
                        let limit = random.below(400);
                        while held.len() > limit {
                            let victim = held.swap_remove(random.below(held.len()));
                            if random.below(4) == 0 {
                                // The last threads may have stopped listening; then the block is freed here.
                                if let Err(back) = outbox.send(victim) {
                                    // SAFETY: ours, checked, freed once.
                                    unsafe { heap.free(back.0.check()) };
                                    frees += 1;
                                }
                            } else {
                                // SAFETY: ours, checked, freed once.
                                unsafe { heap.free(victim.check()) };
                                frees += 1;
                            }
                        }
                        for received in inbox.try_iter() {
                            // SAFETY: sent to us by its owner, checked, freed once.
                            unsafe { heap.free(received.check()) };
                            frees += 1;
                        }
                    }
                    for stamped in held {
                        // SAFETY: ours, checked, freed once.
                        unsafe { heap.free(stamped.check()) };
                        frees += 1;
                    }
                    drop(outbox);
                    (frees, inbox)
                })
            })
            .collect();
        drop(senders);
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("no panic")).collect();
        let mut heap = pool.heap().expect("a heap");
        let mut late = 0;
        for (frees, inbox) in ends {
            late += frees;
            for received in inbox.try_iter() {
                // SAFETY: its thread has gone; checked, freed once.
                unsafe { heap.free(received.check()) };
                late += 1;
            }
        }
        late
    });
    sums::check(strategy, &pool, (THREADS * STEPS) as u64, frees);
}

#[test]
fn threads_that_pass_blocks_round_lose_none_and_every_sum_holds() {
    each_strategy(|strategy| churn(strategy, None));
}

#[test]
fn all_threads_on_one_shard_lose_none_and_every_sum_holds() {
    each_strategy(|strategy| churn(strategy, Some(3)));
}

/// Threads that each test of many short lives starts at a time.
const PARALLEL: usize = 4;

/// Generations of threads that are born and killed; `STORMGLASS_GENERATIONS` makes a long run by hand of it.
fn generations() -> u64 {
    std::env::var("STORMGLASS_GENERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

#[test]
fn thousands_of_threads_leave_every_block_behind_and_every_sum_holds() {
    each_strategy(|strategy| {
        let (_dir, pool) = watched(PoolConfig { strategy, ..PoolConfig::default() });
        let mut carried: Vec<Stamped> = Vec::new();
        let mut random = Random(7);
        let mut allocations = 0;
        for generation in 0..generations() {
            // Each generation frees what the last one left and leaves something itself; how many blocks and of which sizes is
            // random, so that rings end empty, short, and full.
            let pool = &pool;
            let left = std::mem::take(&mut carried);
            let seed = random.next();
            carried = thread::scope(|scope| {
                let threads: Vec<_> = split(left, PARALLEL)
                    .into_iter()
                    .enumerate()
                    .map(|(id, mine)| {
                        scope.spawn(move || short_life(pool, mine, generation << 8 | id as u64, seed))
                    })
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
            });
            allocations += carried.len() as u64;
        }
        let mut heap = pool.heap().expect("a heap");
        for stamped in carried {
            // SAFETY: its thread has ended; checked, freed once.
            unsafe { heap.free(stamped.check()) };
        }
        drop(heap);
        if COUNTING {
            assert_eq!(snapshot(&pool).threads_started, generations() * PARALLEL as u64 + 1);
        }
        sums::check(strategy, &pool, allocations, allocations);
    });
}

/// Frees what was left to it, and leaves blocks itself.
fn short_life(pool: &Pool, left: Vec<Stamped>, id: u64, seed: u64) -> Vec<Stamped> {
    let mut random = Random(seed ^ id);
    let mut heap = pool.heap().expect("a heap");
    for stamped in left {
        // SAFETY: left to us by a thread that has ended; checked, freed once.
        unsafe { heap.free(stamped.check()) };
    }
    // Most leave a few blocks, of sizes that are spread or all alike.
    let blocks = if random.below(8) == 0 { random.below(150) } else { random.below(20) };
    let span = if random.below(2) == 0 { MAX_SIZE - 16 } else { 2048 - 16 };
    (0..blocks)
        .map(|i| {
            let size = 16 + random.below(span);
            Stamped::write(heap.alloc(size).expect("memory"), size, id << 16 | i as u64)
        })
        .collect()
}

/// Threads that exit leave short magazines behind; whoever needs many blocks merges them, and they do not come back.
#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn fragments_of_batches_are_merged_by_who_comes_next() {
    each_strategy(|strategy| {
        let (_dir, pool) = watched(PoolConfig { strategy, home: Some(0), ..PoolConfig::default() });
        let size = Class::all().next().expect("a class").bytes();
        let mut heaps: Vec<_> = (0..64).map(|_| pool.heap().expect("a heap")).collect();
        // Each heap gives back a block of its own and ends: one block a magazine, where a design has such.
        let mut owner = pool.heap().expect("a heap");
        for heap in &mut heaps {
            let block = owner.alloc(size).expect("memory");
            // SAFETY: from this pool, freed once.
            unsafe { heap.free(block) };
        }
        drop(heaps);
        let blocks_per_refill = |heap: &mut stormglass_allocator::Heap<'_>| {
            let of = |metric| snapshot(&pool).counts.sum(metric, Select::ALL).expect("own metric");
            let before = (of(Metric::RefilledBlocks), of(Metric::Refills));
            let held: Vec<_> = (0..320).map(|_| heap.alloc(size).expect("memory")).collect();
            let after = (of(Metric::RefilledBlocks), of(Metric::Refills));
            for block in held {
                // SAFETY: from this pool, freed once.
                unsafe { heap.free(block) };
            }
            (after.0 - before.0) as f64 / (after.1 - before.1) as f64
        };
        let (first, second) = (blocks_per_refill(&mut owner), blocks_per_refill(&mut owner));
        if strategy == StrategyId::Depot {
            assert!(first < 6.0, "64 of the blocks lay alone: {first} blocks a refill");
        }
        let full = if strategy == StrategyId::SmallBatch { 4.0 } else { 32.0 };
        assert!(second > 0.9 * full, "{strategy}: {second} blocks a refill");
    });
}

fn split(mut all: Vec<Stamped>, parts: usize) -> Vec<Vec<Stamped>> {
    let each = all.len().div_ceil(parts);
    (0..parts).map(|_| all.split_off(all.len().saturating_sub(each))).collect()
}

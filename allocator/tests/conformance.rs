//! One suite that every design in the list runs: what an allocator must keep, and the sums that its counters must keep.
//!
//! The oracle is a stamp in the block itself: its owner writes a number of its own at both ends and finds it there
//! when it gives the block back. A block that is handed out twice loses one of its stamps.
#![cfg(not(loom))]

use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use stormglass_allocator::{Class, MAX_SIZE, Pool, PoolConfig, StrategyId};
use stormglass_telemetry::schema::{CLASS_BYTES, SHARDS};
use stormglass_telemetry::{Metric, Op, Segment, Select, Snapshot, Writer};

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

/// A pool whose counters can be read afterwards.
fn watched(config: PoolConfig) -> (tempfile::TempDir, Pool) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = stormglass_telemetry::Directory::at(dir.path().join("segments"));
    let identity =
        stormglass_telemetry::Identity { strategy: config.strategy.name(), workload: "conformance" };
    let writer = Writer::create(&directory, &identity).expect("a segment");
    (dir, Pool::new(config, writer).expect("a pool"))
}

fn snapshot(pool: &Pool) -> Snapshot {
    let path = pool.writer().path().expect("a segment");
    Segment::open(path).and_then(|segment| segment.snapshot()).expect("readable")
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
        assert_eq!(snapshot(&pool).counts.sum(Metric::AllocationFailures, Select::ALL), Some(1));
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
    check_sums(strategy, &pool, (THREADS * STEPS) as u64, frees);
}

/// What must hold of the counters once all threads are gone and all blocks are back.
fn check_sums(strategy: StrategyId, pool: &Pool, allocations: u64, frees: u64) {
    let snapshot = snapshot(pool);
    let sum = |metric, select| snapshot.counts.sum(metric, select).expect("own metric");
    let all = |metric| sum(metric, Select::ALL);

    assert_eq!(all(Metric::RingHits) + all(Metric::RingMisses), allocations, "hits + misses = allocations");
    assert_eq!(
        all(Metric::RingReturns) + all(Metric::RingSpills) + all(Metric::RingBypasses),
        frees,
        "returns + spills + bypasses = frees"
    );
    assert_eq!(allocations, frees);
    assert_eq!(snapshot.live_bytes(), Some(0));
    assert!(all(Metric::RemoteDrainedBlocks) <= all(Metric::RemoteFrees));
    for (class, _) in CLASS_BYTES.iter().enumerate() {
        let of = |metric| sum(metric, Select::ALL.class(class));
        assert_eq!(
            of(Metric::RingRefilledBlocks),
            of(Metric::RefilledBlocks),
            "what leaves the shards reaches rings"
        );
        // Everything that came into a ring (refills, returns, freed blocks that spilled others) left it (hits, misses,
        // spills): all heaps are gone.
        assert_eq!(
            of(Metric::RingRefilledBlocks) + of(Metric::RingReturns) + of(Metric::RingSpills),
            of(Metric::RingHits) + of(Metric::RingMisses) + of(Metric::RingSpilledBlocks),
            "rings are empty"
        );
    }
    let locked = all(Metric::LockAcquisitions) > 0;
    for class in 0..CLASS_BYTES.len() {
        for shard in 0..SHARDS {
            let at = Select::ALL.class(class).shard(shard);
            let attempts = sum(Metric::CasAttempts, at);
            let failures = sum(Metric::CasFailures, at);
            let retries = snapshot.counts.histogram(Metric::CasRetries, at).expect("own metric");
            assert_eq!(retries.sum, failures, "retries are failures");
            assert!(attempts >= failures + retries.buckets[0]);
            assert!(sum(Metric::AbaAverted, at) <= failures);
            let walked = sum(Metric::WalkBlocksKept, at);
            if strategy == StrategyId::Page {
                assert_eq!(walked, 0, "maps are not walked");
                assert_eq!(sum(Metric::LockAcquisitions, at), 0);
            } else if locked {
                assert_eq!(walked, 0, "a lock walks no CAS loop");
                let hold = snapshot.counts.histogram(Metric::LockHold, at).expect("own metric");
                assert_eq!(hold.count(), sum(Metric::LockAcquisitions, at));
                let wait = snapshot.counts.histogram(Metric::LockWait, at).expect("own metric");
                assert_eq!(wait.count(), sum(Metric::LockContended, at));
            } else {
                assert_eq!(walked, sum(Metric::RefilledBlocks, at), "kept blocks = blocks refilled");
                assert_eq!(sum(Metric::LockAcquisitions, at), 0);
            }
        }
    }
    // A pop that succeeded took one batch (walk) or one block (single); failures come on top.
    let succeeded =
        |op| sum(Metric::CasAttempts, Select::ALL.op(op)) - sum(Metric::CasFailures, Select::ALL.op(op));
    match strategy {
        StrategyId::Mutex => assert_eq!(succeeded(Op::BatchPop) + succeeded(Op::Pop), 0),
        StrategyId::LockfreeWalk => assert_eq!(succeeded(Op::BatchPop), all(Metric::Refills)),
        StrategyId::LockfreeSingle => assert_eq!(succeeded(Op::Pop), all(Metric::RefilledBlocks)),
        StrategyId::Page => {
            assert_eq!(succeeded(Op::Pop), all(Metric::HeapsAdopted));
            assert_eq!(succeeded(Op::BatchPop) + succeeded(Op::BatchPush) + succeeded(Op::Drain), 0);
            // Up to 64 blocks go with one CAS, from the spilled ones only.
            assert!(succeeded(Op::RemotePush) <= all(Metric::RemoteFrees));
            assert!(all(Metric::RemoteFrees) <= all(Metric::RingSpilledBlocks));
            assert_eq!(all(Metric::RingBypasses), 0);
            // All heaps are gone: every page was left behind once more than it was taken over.
            assert_eq!(all(Metric::PagesAbandoned), all(Metric::PagesMapped) + all(Metric::PagesAdopted));
        }
    }
    if strategy != StrategyId::Page {
        assert_eq!(succeeded(Op::RemotePush), all(Metric::RemoteFrees));
        assert_eq!(
            all(Metric::RingBypasses),
            all(Metric::RemoteFrees),
            "blocks of other shards pass the ring by"
        );
    }
}

#[test]
fn threads_that_pass_blocks_round_lose_none_and_every_sum_holds() {
    each_strategy(|strategy| churn(strategy, None));
}

#[test]
fn all_threads_on_one_shard_lose_none_and_every_sum_holds() {
    each_strategy(|strategy| churn(strategy, Some(3)));
}

#[test]
fn thousands_of_threads_leave_every_block_behind() {
    each_strategy(|strategy| {
        let (_dir, pool) = watched(PoolConfig { strategy, ..PoolConfig::default() });
        let mut carried: Vec<Stamped> = Vec::new();
        let mut random = Random(7);
        for generation in 0..500_u64 {
            // Each generation frees what the last one left and leaves something itself.
            let pool = &pool;
            let left = std::mem::take(&mut carried);
            let seed = random.next();
            carried = thread::scope(|scope| {
                let threads: Vec<_> = split(left, 4)
                    .into_iter()
                    .enumerate()
                    .map(|(id, mine)| {
                        scope.spawn(move || {
                            let mut random = Random(seed ^ id as u64);
                            let mut heap = pool.heap().expect("a heap");
                            for stamped in mine {
                                // SAFETY: left to us by a thread that has ended; checked, freed once.
                                unsafe { heap.free(stamped.check()) };
                            }
                            (0..20)
                                .map(|i| {
                                    let size = 16 + random.below(MAX_SIZE - 16);
                                    let stamp = generation << 16 | (id as u64) << 8 | i;
                                    Stamped::write(heap.alloc(size).expect("memory"), size, stamp)
                                })
                                .collect::<Vec<_>>()
                        })
                    })
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
            });
        }
        let mut heap = pool.heap().expect("a heap");
        for stamped in carried {
            // SAFETY: its thread has ended; checked, freed once.
            unsafe { heap.free(stamped.check()) };
        }
        drop(heap);
        let snapshot = snapshot(&pool);
        assert_eq!(snapshot.threads_started, 2001);
        assert_eq!(snapshot.live_bytes(), Some(0));
    });
}

fn split(mut all: Vec<Stamped>, parts: usize) -> Vec<Vec<Stamped>> {
    let each = all.len().div_ceil(parts);
    (0..parts).map(|_| all.split_off(all.len().saturating_sub(each))).collect()
}

//! Design `page` as a program sees it: what ended threads leave, and what other threads free, is used again.
#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::ptr::NonNull;
use std::sync::{Mutex, mpsc};
use std::thread;

use stormglass_allocator::{Class, Heap, Pool, PoolConfig, StrategyId};
use stormglass_telemetry::{COUNTING, Directory, Identity, Metric, Segment, Select, Snapshot, Writer};

/// Blocks per page of this class: 128.
const BYTES: usize = 8192;

struct Sent(NonNull<u8>);

// SAFETY: the block belongs to whoever has this value; any thread may free it.
unsafe impl Send for Sent {}

fn watched() -> (tempfile::TempDir, Pool) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    let identity = Identity { strategy: "page", workload: "", ..Identity::default() };
    let writer =
        if COUNTING { Writer::create(&directory, &identity).expect("a segment") } else { Writer::detached() };
    let config = PoolConfig { strategy: StrategyId::Page, ..PoolConfig::default() };
    (dir, Pool::new(config, writer).expect("a pool"))
}

fn snapshot(pool: &Pool) -> Snapshot {
    let path = pool.writer().path().expect("a segment");
    Segment::open(path).and_then(|segment| segment.snapshot()).expect("readable")
}

fn sum(pool: &Pool, metric: Metric) -> u64 {
    snapshot(pool).counts.sum(metric, Select::ALL).expect("own metric")
}

/// Takes and frees `count` blocks in a thread of its own; their addresses.
fn use_blocks(pool: &Pool, count: usize) -> BTreeSet<usize> {
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut heap = pool.heap().expect("a heap");
            let blocks: Vec<_> = (0..count).map(|_| heap.alloc(BYTES).expect("memory")).collect();
            let addresses = blocks.iter().map(|block| block.addr().get()).collect();
            for block in blocks {
                // SAFETY: each came from this heap and is freed once.
                unsafe { heap.free(block) };
            }
            addresses
        });
        work.join().expect("no panic")
    })
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn a_thread_that_starts_gets_the_blocks_of_one_that_has_ended() {
    let (_dir, pool) = watched();
    let blocks = 4 * Class::of(BYTES).expect("class").blocks_per_page();
    let first = use_blocks(&pool, blocks);
    assert_eq!(first.len(), blocks);
    assert_eq!(sum(&pool, Metric::PagesMapped), 4);
    for _ in 0..10 {
        assert_eq!(use_blocks(&pool, blocks), first);
    }
    assert_eq!(sum(&pool, Metric::PagesMapped), 4);
    assert_eq!([sum(&pool, Metric::HeapsAdopted), sum(&pool, Metric::PagesAdopted)], [10, 40]);
    assert_eq!(sum(&pool, Metric::PagesAbandoned), 44);
    assert_eq!(sum(&pool, Metric::RemoteFrees), 0, "what a thread adopts is its own");
    assert_eq!(snapshot(&pool).live_bytes(), Some(0));
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn what_one_thread_takes_and_another_frees_goes_round() {
    const SENT: usize = 100_000;
    const IN_FLIGHT: usize = 500;
    let (_dir, pool) = watched();
    let (send, receive) = mpsc::sync_channel::<Sent>(IN_FLIGHT);
    thread::scope(|scope| {
        let pool = &pool;
        scope.spawn(move || {
            let mut heap = pool.heap().expect("a heap");
            for _ in 0..SENT {
                let block = heap.alloc(BYTES).expect("memory");
                send.send(Sent(block)).expect("the other side listens");
            }
        });
        scope.spawn(move || {
            // Frees only: this thread never holds a page.
            let mut heap = pool.heap().expect("a heap");
            for Sent(block) in receive {
                // SAFETY: sent by its owner, freed once.
                unsafe { heap.free(block) };
            }
        });
    });
    let counted = |metric| sum(&pool, metric);
    // In flight, in two rings, in a batch or two on the way: less than eight pages, though 781 pages' worth went round.
    assert!(counted(Metric::PagesMapped) <= 8, "{} pages", counted(Metric::PagesMapped));
    let remote = counted(Metric::RemoteFrees);
    assert_eq!(remote, SENT as u64, "all that was sent went home");
    assert!(counted(Metric::RemoteDrainedBlocks) <= remote);
    assert_eq!(counted(Metric::RingBypasses), 0, "by way of the ring");
    assert_eq!(snapshot(&pool).live_bytes(), Some(0));
}

/// Short-lived threads of one class run dry all the time, so heaps are adopted and merged while others free into them.
/// Each block carries its own address while it is out.
#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn heaps_that_are_merged_while_others_free_into_them_lose_no_block() {
    const LARGEST: usize = 32 << 10;
    const THREADS: u64 = 4;
    const LIVES: u64 = 50;
    let (_dir, pool) = watched();
    let shared: Mutex<Vec<Sent>> = Mutex::new(Vec::new());
    let live = |seed: u64| {
        let mut heap = pool.heap().expect("a heap");
        let mut random = seed;
        for _ in 0..40 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let count = (random >> 33) as usize % 100;
            if random >> 63 == 0 {
                let blocks: Vec<Sent> = (0..count)
                    .map(|_| {
                        let block = heap.alloc(LARGEST).expect("memory");
                        // SAFETY: the block is ours and large enough.
                        unsafe { block.cast::<usize>().write(block.addr().get()) };
                        Sent(block)
                    })
                    .collect();
                shared.lock().expect("no panic").extend(blocks);
            } else {
                let mut all = shared.lock().expect("no panic");
                let keep = all.len().saturating_sub(count);
                let blocks = all.split_off(keep);
                drop(all);
                for Sent(block) in blocks {
                    // SAFETY: whoever sent it wrote its address and gave it up; freed once.
                    unsafe {
                        assert_eq!(block.cast::<usize>().read(), block.addr().get(), "given to two owners");
                        block.cast::<usize>().write(0);
                        heap.free(block);
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let live = &live;
            scope.spawn(move || {
                for life in 0..LIVES {
                    live(thread << 32 | life);
                }
            });
        }
    });
    let out: BTreeSet<usize> =
        shared.lock().expect("no panic").iter().map(|block| block.0.addr().get()).collect();
    let mut heap = pool.heap().expect("a heap");
    let blocks = shared.into_inner().expect("no panic");
    assert_eq!(out.len(), blocks.len(), "all distinct");
    for Sent(block) in blocks {
        // SAFETY: as above.
        unsafe { heap.free(block) };
    }
    drop(heap);
    assert_eq!(snapshot(&pool).live_bytes(), Some(0));
    // One thread can have all that was ever mapped, without mapping more.
    let mapped = sum(&pool, Metric::PagesMapped);
    let all = mapped as usize * Class::of(LARGEST).expect("class").blocks_per_page();
    let mut heap = pool.heap().expect("a heap");
    let blocks: Vec<_> = (0..all).map(|_| heap.alloc(LARGEST).expect("memory")).collect();
    assert_eq!(sum(&pool, Metric::PagesMapped), mapped);
    for block in blocks {
        // SAFETY: each came from this heap and is freed once.
        unsafe { heap.free(block) };
    }
}

/// Frees a block twice: in its own thread, or after another thread had it.
fn free_twice(by_another: bool) {
    let (_dir, pool) = watched();
    let mut heap = pool.heap().expect("a heap");
    let block = Sent(heap.alloc(BYTES).expect("memory"));
    let twice = |heap: &mut Heap<'_>, block: Sent| {
        // SAFETY: none, for the second one: this is the misuse that is to be found.
        unsafe {
            heap.free(block.0);
            heap.free(block.0);
        }
    };
    if by_another {
        thread::scope(|scope| scope.spawn(|| twice(&mut pool.heap().expect("a heap"), block)).join())
            .expect("the process has ended");
    } else {
        twice(&mut heap, block);
    }
}

#[test]
#[ignore = "the misuse, played in a child process"]
fn misuse_own() {
    free_twice(false);
}

#[test]
#[ignore = "the misuse, played in a child process"]
fn misuse_remote() {
    free_twice(true);
}

#[test]
fn a_block_that_is_freed_twice_ends_the_process_with_a_message() {
    for role in ["misuse_own", "misuse_remote"] {
        let output = Command::new(std::env::current_exe().expect("a path"))
            .args([role, "--exact", "--ignored", "--nocapture"])
            .output()
            .expect("a child process");
        assert_eq!(output.status.signal(), Some(6), "{role} aborts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("stormglass: a block was freed twice"), "{role}: {errors}");
    }
}

//! Design `page` as a program sees it: what ended threads leave, and what other threads free, is used again.
#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::mpsc;
use std::thread;

use stormglass_allocator::{Class, Pool, PoolConfig, StrategyId};
use stormglass_telemetry::{Directory, Identity, Metric, Segment, Select, Snapshot, Writer};

/// Blocks per page of this class: 128.
const BYTES: usize = 8192;

struct Sent(NonNull<u8>);

// SAFETY: the block belongs to whoever has this value; any thread may free it.
unsafe impl Send for Sent {}

fn watched() -> (tempfile::TempDir, Pool) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    let writer = Writer::create(&directory, &Identity { strategy: "page", workload: "" }).expect("a segment");
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

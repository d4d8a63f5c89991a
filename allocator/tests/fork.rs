//! Parent and child of a fork go on with the same heap, each with its own copy: neither ever hands out a block that it
//! holds, and only the parent's counts are seen.
#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::ptr::NonNull;
use std::sync::OnceLock;

use stormglass_allocator::{Heap, Pool, PoolConfig};
use stormglass_telemetry::{Directory, Identity, Metric, Segment, Select, Writer};

/// What the child waits for before the library's own handler runs: the parent has gone on.
static PARENT_WENT_ON: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();

extern "C" fn nothing() {}

extern "C" fn wait_for_the_parent() {
    if let Some((mut reader, _)) = PARENT_WENT_ON.get().map(|(reader, writer)| (reader, writer)) {
        reader.read_exact(&mut [0]).expect("the parent says so");
    }
}

/// Blocks that a caller holds.
struct Held<'p> {
    heap: Heap<'p>,
    blocks: BTreeSet<NonNull<u8>>,
}

impl Held<'_> {
    fn alloc(&mut self, n: usize) {
        for _ in 0..n {
            let block = self.heap.alloc(8192).expect("memory");
            assert!(self.blocks.insert(block), "a block that is held was handed out again");
        }
    }

    fn free(&mut self, n: usize) {
        for _ in 0..n {
            let block = self.blocks.pop_first().expect("one is held");
            // SAFETY: it came from this heap, and nobody uses it.
            unsafe { self.heap.free(block) };
        }
    }

    /// Fills and empties the ring, so that the lists behind it are used too.
    fn work(&mut self) {
        for n in [10, 30, 100] {
            self.free(n);
            self.alloc(n);
        }
        self.free(150);
        self.alloc(250);
    }
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn neither_process_hands_out_a_block_that_it_holds() {
    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
        fn pthread_atfork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> i32;
    }
    // Before the first segment: handlers of children run in the order in which they were installed.
    // SAFETY: as POSIX declares it.
    assert_eq!(unsafe { pthread_atfork(nothing, nothing, wait_for_the_parent) }, 0);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    let writer =
        Writer::create(&directory, &Identity { strategy: "mutex", workload: "fork", ..Identity::default() })
            .expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    let pool =
        Pool::new(PoolConfig { region_bytes: 1 << 30, ..PoolConfig::default() }, writer).expect("a pool");
    let mut held = Held { heap: pool.heap().expect("a heap"), blocks: BTreeSet::new() };
    held.alloc(200);
    held.free(20);

    let (reader, mut went_on) = std::io::pipe().expect("a pipe");
    PARENT_WENT_ON.set((reader, went_on.try_clone().expect("a pipe"))).expect("once");
    // SAFETY: as POSIX declares it. This process has no other thread that uses the pool, and the child ends without returning.
    let pid = unsafe { fork() };
    assert!(pid >= 0, "no child");
    if pid == 0 {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| held.work()));
        // SAFETY: as POSIX declares it.
        unsafe { _exit(i32::from(ended.is_err())) }
    }
    // The parent moves its cursors before the child looks at them.
    held.free(10);
    went_on.write_all(&[0]).expect("the child waits");
    let counted = |metric| segment.snapshot().expect("readable").counts.sum(metric, Select::ALL);
    let all = || [Metric::RingHits, Metric::RingMisses, Metric::RingReturns, Metric::RingSpills].map(counted);
    let before = all();
    let mut status = 0;
    // SAFETY: as POSIX declares it; the child is ours.
    assert_eq!((unsafe { waitpid(pid, &raw mut status, 0) }, status), (pid, 0), "the child found a fault");
    assert_eq!(all(), before, "the child moved a count");
    held.work();
    assert_eq!(segment.snapshot().expect("readable").live_bytes(), Some(held.blocks.len() as u64 * 8192));
}

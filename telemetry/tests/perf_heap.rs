//! A thread opens and reads its own counters from inside an allocator: none of that may allocate.
#![cfg(not(loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use stormglass_telemetry::perf::{Event, Kernel, Mode, Sampler};
use stormglass_telemetry::{Inside, SlotCounters};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: by the trait's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by the trait's contract.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread while `f` runs.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    f();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn a_life_of_a_threads_counters_takes_nothing_from_the_heap() {
    let slot = SlotCounters::zeroed();
    let mut counting = false;
    let kinds = [
        [Event::TaskClock, Event::PageFaults, Event::Migrations],
        // Refused where there is no PMU.
        [Event::Cycles, Event::Instructions, Event::CacheMisses],
    ];
    for events in kinds {
        let taken = allocations(|| {
            let mut sampler = Sampler::off();
            sampler.start(&Kernel::here(), &events.map(|event| (event, Mode::User)));
            for _ in 0..1000 {
                sampler.begin(u64::MAX);
                sampler.lap(slot.shard(0, 0));
                sampler.end(slot.shard(0, 0));
            }
            counting |= sampler.is_counting();
            sampler.close();
        });
        assert_eq!(taken, 0, "{events:?}");
    }
    if !counting {
        eprintln!("skipped in part: this kernel counts nothing for this user");
        return;
    }
    assert!(slot.shard(0, 0).slow_path_samples.get() > 0);
    let all = Inside { cycles: true, instructions: true, cache_misses: true };
    assert_eq!(allocations(|| Sampler::off().settle(all)), 0);
}

#[test]
fn allocations_are_seen() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) > 0);
}

//! Tests of what is where: no block is lost on its way between rings, batches and pages, and the counters say so.
//!
//! Each test is about the process's one allocator, so each runs in a process of its own.

use std::process::{Command, Output};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use super::super::enter::with_heap;
use super::super::process::LIMIT;
use super::super::{allocate, free, set_limit, set_purge_delay, stats, trim};
use super::*;

unsafe extern "C" {
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
    safe fn alarm(seconds: u32) -> u32;
    safe fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

const CHILD: &str = "STORMGLASS_LEDGER_CHILD";
/// A purge delay that no test waits for, but with which growth gives memory up.
const LONG: Duration = Duration::from_secs(1 << 30);

/// The test `name` of this file once more, in a process of its own.
fn again(name: &str) -> Output {
    let program = std::env::current_exe().expect("this program");
    let name = format!("general::thread::ledger::{name}");
    let directory = tempfile::tempdir().expect("a directory");
    Command::new(program)
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("STORMGLASS_PURGE_MS", "-1")
        .env("STORMGLASS_DIR", directory.path().join("segments"))
        .output()
        .expect("a child")
}

/// Runs the test `name` of this file in a process of its own; `true` there.
#[must_use]
fn alone(name: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let output = again(name);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
    false
}

fn with<R>(f: impl FnOnce(&mut ThreadHeap, &'static Core) -> R) -> R {
    let core = process::core_or_start().expect("an allocator");
    with_heap(core, |heap| f(heap, core)).expect("a heap")
}

/// Blocks that a ring has, by its thread's counters.
fn counted(heap: &ThreadHeap, class: Class) -> u64 {
    let c = &heap.counters().classes[class.index()];
    let came = [&c.ring_refilled_blocks, &c.ring_returns, &c.ring_spills, &c.allocation_failures];
    let went = [&c.ring_hits, &c.ring_misses, &c.ring_spilled_blocks];
    came.iter().map(|cell| cell.get()).sum::<u64>() - went.iter().map(|cell| cell.get()).sum::<u64>()
}

/// A block by its address, so that threads can pass it on; none where there is no memory.
fn take(size: usize) -> Option<usize> {
    let block = allocate(size, 16);
    (!block.is_null()).then(|| block.expose_provenance())
}

fn give(block: usize) {
    // SAFETY: tests give each block that they took once.
    unsafe { free(core::ptr::with_exposed_provenance_mut(block)) };
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn a_ring_that_is_made_small_while_it_is_refilled_loses_no_block() {
    if !alone("a_ring_that_is_made_small_while_it_is_refilled_loses_no_block") {
        return;
    }
    // First: the start reads what the environment says.
    with(|_, _| ());
    set_purge_delay(Some(LONG));
    let mut charged = 0;
    for class in Class::all() {
        trim();
        with(|heap, core| {
            heap.spill_unused(core);
            for _ in 0..8 {
                heap.turn(class, Turn::Spill);
                heap.turn(class, Turn::Refill);
            }
            assert!(heap.front.capacity(class) > capacity::first(class), "{class:?}");
            // More than ever, as soon as it is looked at: what was not used since the last look is made small.
            let more = (1 << 20) + LIMIT.taken() / 8;
            assert!(LIMIT.take(more));
            charged += more;
            let block = heap.allocate_after_refill(class, core).expect("memory");
            assert_eq!(counted(heap, class), heap.front.len(class) as u64, "{class:?}");
            heap.free_after_spill(class, block, core);
        });
    }
    trim();
    LIMIT.give_back(charged);
    assert_eq!(stats().mapped, 0, "a page that has lost a block is never whole");
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn small_blocks_of_a_thread_go_home_and_those_of_others_are_passed_on() {
    if !alone("small_blocks_of_a_thread_go_home_and_those_of_others_are_passed_on") {
        return;
    }
    let class = Class::of_size(48);
    let some = || (0..1000).filter_map(|_| take(48)).collect::<Vec<_>>();
    let passed = || with(|heap, _| heap.tally(class).counters.lock_acquisitions.get());
    some().into_iter().for_each(give);
    assert_eq!(passed(), 0);
    thread::spawn(some).join().expect("no panic").into_iter().for_each(give);
    assert!(passed() > 0);
}

#[test]
fn what_many_resting_heaps_have_is_there_when_the_limit_is_reached() {
    const THREADS: usize = 30;
    const BLOCKS: usize = 96;
    if !alone("what_many_resting_heaps_have_is_there_when_the_limit_is_reached") {
        return;
    }
    let (kept, barrier) = (Mutex::new(Vec::new()), Barrier::new(THREADS));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let blocks: Vec<_> = (0..BLOCKS).filter_map(|_| take(1000)).collect();
                    barrier.wait();
                    // One in eight stays out, so that no page is whole.
                    for (number, block) in blocks.into_iter().enumerate() {
                        if number.is_multiple_of(8) {
                            kept.lock().expect("no panic").push(block);
                        } else {
                            give(block);
                        }
                    }
                })
            })
            .collect();
        // Until they have ended, and not only what they run.
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
    let free = THREADS * BLOCKS * 7 / 8;
    set_limit(LIMIT.taken());
    let mut blocks = Vec::new();
    while let Some(block) = take(1000) {
        blocks.push(block);
    }
    assert!(blocks.len() >= free, "{} of {free}", blocks.len());
    let all = kept.into_inner().expect("no panic").into_iter().chain(blocks);
    let distinct: std::collections::HashSet<_> = all.inspect(|&block| give(block)).collect();
    assert!(distinct.len() >= free + THREADS * BLOCKS / 8, "a block was given out twice");
    trim();
    assert_eq!(stats().mapped, 0);
}

#[test]
fn what_rings_may_hold_in_a_forked_child_is_what_its_own_hold() {
    if !alone("what_rings_may_hold_in_a_forked_child_is_what_its_own_hold") {
        return;
    }
    let class = Class::of_size(5000);
    let grow = move || {
        with(|heap, _| {
            heap.turn(class, Turn::Spill);
            heap.turn(class, Turn::Refill);
        });
    };
    grow();
    let own = capacity::ALL.taken();
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        // The child does not have this one, but what the next leaves.
        scope.spawn(|| {
            grow();
            barrier.wait();
            barrier.wait();
        });
        barrier.wait();
        thread::spawn(grow).join().expect("no panic");
        assert!(own > 0 && capacity::ALL.taken() == 3 * own);
        let child = fork();
        if child == 0 {
            let right = capacity::ALL.taken() == 2 * own;
            _exit(if right { 0 } else { 17 });
        }
        barrier.wait();
        let child = rustix::process::Pid::from_raw(child);
        let (_, status) = rustix::process::waitpid(child, rustix::process::WaitOptions::empty())
            .expect("a child")
            .expect("it has ended");
        assert_eq!(status.exit_status(), Some(0));
    });
}

#[test]
fn a_trim_reaches_what_threads_share_that_have_no_heap() {
    if !alone("a_trim_reaches_what_threads_share_that_have_no_heap") {
        return;
    }
    thread::spawn(|| {
        // As after its end.
        super::super::tls::set(super::super::tls::SHARES);
        let blocks: Vec<_> = (0..1000).filter_map(|_| take(3000)).collect();
        blocks.into_iter().for_each(give);
    })
    .join()
    .expect("no panic");
    assert!(stats().mapped > 0);
    trim();
    assert_eq!(stats().mapped, 0);
}

/// Bytes in the rings of all heaps, used or resting. No thread is at work.
fn in_rings() -> usize {
    let core = process::core().expect("an allocator");
    core.threads.with(None, |threads| {
        let mut bytes = 0;
        let mut next = NonNull::new(threads.first);
        while let Some(home) = next {
            // SAFETY: homes never go away, and nobody uses their heaps.
            let home = unsafe { home.as_ref() };
            next = NonNull::new(home.next.load(core::sync::atomic::Ordering::Relaxed));
            bytes += Class::all().map(|class| home.front.len(class) * class.bytes()).sum::<usize>();
        }
        bytes
    })
}

#[test]
#[cfg_attr(feature = "uncounted", ignore = "looks at counters")]
fn what_is_counted_as_live_and_cached_is_what_callers_and_rings_have() {
    if !alone("what_is_counted_as_live_and_cached_is_what_callers_and_rings_have") {
        return;
    }
    with(|_, _| ());
    set_purge_delay(Some(LONG));
    let passed = Mutex::new(Vec::new());
    for generation in 0..12_usize {
        thread::scope(|scope| {
            let work = |number: usize| {
                let passed = &passed;
                move || {
                    let mut held = Vec::new();
                    for step in 0..3000_usize {
                        let size = 16 << ((step / 50 + number + generation) % 12);
                        held.extend(take(size).map(|block| (block, size)));
                        if step.is_multiple_of(3) {
                            let (block, _) = held.swap_remove(step % held.len());
                            give(block);
                        }
                        if step.is_multiple_of(200) {
                            let mut passed = passed.lock().expect("no panic");
                            core::mem::swap(&mut *passed, &mut held);
                        }
                    }
                    let keep = held.len() / 16;
                    held.drain(keep..).for_each(|(block, _)| give(block));
                    passed.lock().expect("no panic").extend(held);
                }
            };
            let threads: Vec<_> = (0..5).map(|number| scope.spawn(work(number))).collect();
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
        if generation == 6 {
            trim();
        }
        let core = process::core().expect("an allocator");
        let path = core.segment.path().expect("a segment");
        let seen =
            stormglass_telemetry::Segment::open(path).and_then(|one| one.snapshot()).expect("readable");
        let out = passed
            .lock()
            .expect("no panic")
            .iter()
            .map(|&(_, size)| Class::of_size(size).bytes())
            .sum::<usize>();
        assert_eq!((seen.live_bytes(), stats().live), (Some(out as u64), out), "generation {generation}");
        assert_eq!(seen.cached_bytes(), Some(in_rings() as u64), "generation {generation}");
    }
    passed.into_inner().expect("no panic").into_iter().for_each(|(block, _)| give(block));
    trim();
    assert_eq!((stats().live, stats().mapped, in_rings()), (0, 0, 0));
}

/// What a program does that reports its own crashes: it allocates, of a class that this thread has nothing of.
extern "C" fn reports(_: i32) {
    let block = take(3000);
    // Not a success: the process must have come here.
    _exit(if block.is_some() { 42 } else { 43 });
}

#[test]
fn a_program_whose_misuse_is_found_in_a_resting_heap_can_report_it() {
    if std::env::var_os(CHILD).is_none() {
        let name = "a_program_whose_misuse_is_found_in_a_resting_heap_can_report_it";
        let output = again(name);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(42), "{output:?}");
        assert!(said.contains("which points into a block of 1024 bytes"), "{said}");
        return;
    }
    // It would wait for itself.
    alarm(120);
    signal(6, reports);
    with(|_, _| ());
    thread::spawn(|| give(take(1000).expect("memory") + 16)).join().expect("no panic");
    take(1000);
}

#[test]
fn a_heap_that_has_given_all_up_and_lived_again_does_so_again() {
    if !alone("a_heap_that_has_given_all_up_and_lived_again_does_so_again") {
        return;
    }
    with(|_, _| ());
    for _ in 0..3 {
        thread::spawn(|| give(take(3000).expect("memory"))).join().expect("no panic");
        assert!(stats().mapped > 0);
        trim();
        assert_eq!((stats().mapped, in_rings()), (0, 0));
    }
}

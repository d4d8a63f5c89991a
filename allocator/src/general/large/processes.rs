//! What only a process of its own shows: its resident size, its limits, its forks, its death.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, WaitOptions, getrlimit, setrlimit, waitpid};

use stormglass_telemetry::COUNTING;

use super::tests::large;
use super::*;

const MIB: usize = 1 << 20;
const CHILD: &str = "STORMGLASS_TEST_CHILD";

/// Runs the test `name` of this file again in a process of its own, where [`is_child`] says so.
fn again(name: &str) -> Output {
    let test = format!("general::large::processes::{name}");
    let program = std::env::current_exe().expect("this program");
    Command::new(program)
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("this program starts")
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn passes(name: &str) {
    let output = again(name);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages =
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages");
    pages * rustix::param::page_size()
}

fn stamp(block: NonNull<u8>, len: usize) {
    // SAFETY: the tests stamp no more than a block's size.
    unsafe { block.write_bytes(0xA5, len) };
}

fn give(large: &Large, block: NonNull<u8>) {
    // SAFETY: the tests free what they took.
    unsafe { large.free(block, &Totals::default()) }.expect("a block");
}

#[test]
fn purging_lowers_the_resident_size() {
    if !is_child() {
        return passes("purging_lowers_the_resident_size");
    }
    let (large, counters) = (large(Bounds { cache: 256 * MIB, ..Bounds::DEFAULT }), Totals::default());
    let before = resident();
    let blocks: Vec<_> =
        (0..64).map(|_| large.allocate(2 * MIB, 16, false, &counters).expect("memory")).collect();
    for &block in &blocks {
        stamp(block, 2 * MIB);
    }
    assert!(resident() >= before + 128 * MIB);
    for block in blocks {
        give(&large, block);
    }
    assert!(resident() >= before + 128 * MIB, "idle memory is kept");
    assert_eq!(large.purge(1, 0, &counters), 128 * MIB as u64);
    assert!(resident() < before + 8 * MIB, "{} more than before", resident() - before);
    // A mapping of its own does not wait for it.
    let block = large.allocate(64 * MIB, 16, false, &counters).expect("memory");
    stamp(block, 64 * MIB);
    assert!(resident() >= before + 64 * MIB);
    give(&large, block);
    assert!(resident() < before + 8 * MIB);
    if COUNTING {
        assert_eq!(counters.large_purged_bytes.get(), 128 * MIB as u64);
    }
}

#[test]
fn under_a_limit_of_the_address_space_less_is_reserved_and_the_rest_is_found() {
    if !is_child() {
        return passes("under_a_limit_of_the_address_space_less_is_reserved_and_the_rest_is_found");
    }
    let maximum = getrlimit(Resource::As).maximum;
    let limit = Rlimit { current: Some(1 << 30), maximum };
    setrlimit(Resource::As, limit).expect("a lower limit");
    let (large, counters) = (large(Bounds::DEFAULT), Totals::default());
    let mut blocks = Vec::with_capacity(2048);
    while let Some(block) = large.allocate(MIB, 16, false, &counters) {
        blocks.push(block);
    }
    let Figures { reserved, mappings, .. } = large.figures();
    assert!((64 * MIB..=256 * MIB).contains(&reserved), "{reserved} bytes reserved");
    assert!(blocks.len() > 600, "only {} MiB of 1 GiB were had", blocks.len());
    assert_eq!(blocks.len() - mappings, reserved / MIB, "spans first, then mappings");
    large.check();
    assert!(!COUNTING || counters.kernel_refusals.get() > 0);
    for block in blocks.drain(..) {
        give(&large, block);
    }
    assert!(large.allocate(500 * MIB, 16, true, &counters).is_some(), "what was freed can be had again");
}

#[test]
fn a_block_that_has_left_and_cannot_grow_comes_back() {
    if !is_child() {
        return passes("a_block_that_has_left_and_cannot_grow_comes_back");
    }
    let (large, counters) = (large(Bounds { reserve: 256 * MIB, ..Bounds::DEFAULT }), Totals::default());
    let block = large.allocate(5 * MIB, 16, false, &counters).expect("memory");
    let wall = large.allocate(MIB, 16, false, &counters).expect("memory");
    stamp(block, 5 * MIB);
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let mapped =
        statm.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).expect("a number of pages");
    let room = mapped * rustix::param::page_size() as u64 + 7 * MIB as u64;
    let limit = Rlimit { current: Some(room), maximum: getrlimit(Resource::As).maximum };
    setrlimit(Resource::As, limit).expect("a lower limit");
    // SAFETY: it is live.
    assert_eq!(unsafe { large.reallocate(block, 20 * MIB, 16, &counters) }, None);
    assert!(!large.copies.load(Ordering::Relaxed), "the kernel did move it");
    // SAFETY: it is live still.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), 5 * MIB) };
    assert!(bytes.iter().all(|&byte| byte == 0xA5));
    assert_eq!((large.size_of(block), large.figures().mappings), (Some(5 * MIB), 0));
    large.check();
    // With a little more room it goes.
    // SAFETY: it is live.
    let moved = unsafe { large.reallocate(block, 6 * MIB, 16, &counters) };
    assert_eq!(moved.and_then(|moved| large.size_of(moved)), Some(6 * MIB));
    for block in [moved.unwrap_or(block), wall] {
        give(&large, block);
    }
    large.check();
}

#[test]
fn without_any_address_space_for_spans_there_are_mappings() {
    if !is_child() {
        return passes("without_any_address_space_for_spans_there_are_mappings");
    }
    let (large, counters) = (large(Bounds { reserve: MIB, ..Bounds::DEFAULT }), Totals::default());
    let block = large.allocate(100 << 10, 1 << 18, true, &counters).expect("memory");
    assert_eq!((large.figures().reserved, large.figures().mappings), (0, 1));
    assert!(block.addr().get().is_multiple_of(1 << 18));
    give(&large, block);
}

unsafe extern "C" {
    // The tests fork, which rustix leaves to the C library.
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
}

#[test]
fn a_child_of_a_busy_process_can_allocate() {
    if !is_child() {
        return passes("a_child_of_a_busy_process_can_allocate");
    }
    let large = large(Bounds { cache: MIB, ..Bounds::DEFAULT });
    let stop = AtomicBool::new(false);
    let kept = large.allocate(3 * MIB, 16, false, &Totals::default()).expect("memory");
    thread::scope(|scope| {
        for i in 0..2 {
            let (large, stop) = (&large, &stop);
            scope.spawn(move || {
                let counters = Totals::default();
                while !stop.load(Ordering::Relaxed) {
                    for size in (1..8).map(|n| n * (i + 1) * 100_000) {
                        let block = large.allocate(size, 16, false, &counters).expect("memory");
                        // SAFETY: just allocated.
                        unsafe { large.free(block, &counters) }.expect("a block");
                    }
                    large.purge(1, 0, &counters);
                }
            });
        }
        let fork_and_work = || {
            large.before_fork();
            let child = fork();
            large.after_fork();
            if child == 0 {
                let counters = Totals::default();
                let works = || {
                    let block = large.allocate(MIB, 16, true, &counters)?;
                    // SAFETY: both are live, in this process as well.
                    unsafe {
                        large.free(block, &counters).ok()?;
                        let moved = large.reallocate(kept, 40 * MIB, 16, &counters).unwrap_or(kept);
                        large.free(moved, &counters).ok()?;
                    }
                    large.purge(9, 0, &counters);
                    (large.figures().cached == 0).then_some(())
                };
                _exit(i32::from(works().is_none()));
            }
            let child = rustix::process::Pid::from_raw(child)?;
            let (_, status) = waitpid(Some(child), WaitOptions::empty()).ok()??;
            status.exit_status()
        };
        let statuses: Vec<_> = (0..50).map(|_| fork_and_work()).collect();
        // First of all, so that a failure ends the test.
        stop.store(true, Ordering::Relaxed);
        assert_eq!(statuses, vec![Some(0); 50]);
    });
    give(&large, kept);
    large.check();
}

#[test]
fn a_wild_pointer_into_the_reservation_faults() {
    if !is_child() {
        let output = again("a_wild_pointer_into_the_reservation_faults");
        assert_eq!(output.status.signal(), Some(11), "{output:?}");
        return;
    }
    let large = large(Bounds::DEFAULT);
    let block = large.allocate(MIB, 16, false, &Totals::default()).expect("memory");
    let wild = block.as_ptr().wrapping_add(100 * MIB);
    // SAFETY: none: the test is that it ends the process.
    unsafe { wild.write_volatile(1) };
}

/// Not a test: what huge pages are worth. `STORMGLASS_THP=1` asks for them.
///
/// `cargo test --release -p stormglass-allocator --lib fill_and_walk -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn fill_and_walk() {
    let (large, counters) = (large(Bounds::DEFAULT), Totals::default());
    large.set_huge_pages(std::env::var_os("STORMGLASS_THP").is_some_and(|value| value == "1"));
    let (len, before) = (256 * MIB, resident());
    for (blocks, size) in [(1, len), (128, len / 128)] {
        let start = Instant::now();
        let all: Vec<_> =
            (0..blocks).map(|_| large.allocate(size, 16, false, &counters).expect("memory")).collect();
        for &block in &all {
            stamp(block, size);
        }
        let filled = start.elapsed();
        let start = Instant::now();
        let (mut at, mut sum) = (0_usize, 0_u64);
        for _ in 0..4_000_000 {
            // A full period through all bytes; one line of another page each time.
            at = (at * 1_664_525 + 1_013_904_223) % len;
            // SAFETY: inside the block.
            sum += u64::from(unsafe { all[at / size].add(at % size).read_volatile() });
        }
        assert_eq!(sum, 0xA5 * 4_000_000);
        println!(
            "{blocks} x {} MiB: filled in {filled:?}, 4 million reads in {:?}, {} MiB resident",
            size / MIB,
            start.elapsed(),
            (resident() - before) / MIB
        );
        for &block in &all {
            give(&large, block);
        }
        large.purge(1, 0, &counters);
    }
    // One page in sixteen: what a sparse table has resident.
    let block = large.allocate(len, 16, false, &counters).expect("memory");
    for page in (0..len).step_by(64 << 10) {
        // SAFETY: inside the block.
        unsafe { block.add(page).write_volatile(1) };
    }
    println!("1 x 256 MiB, every 16th page touched: {} MiB resident", (resident() - before) / MIB);
    give(&large, block);
}

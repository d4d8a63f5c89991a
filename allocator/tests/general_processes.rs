//! The general allocator where only a process of its own shows it: resident size, limits, forks, segments, misuse.
#![cfg(not(loom))]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, WaitOptions, getrlimit, waitpid};
use stormglass_allocator::general::{self, Stormglass};
use stormglass_telemetry::{Metric, Segment, Select};

#[global_allocator]
static ALLOCATOR: Stormglass = Stormglass;

const MIB: usize = 1 << 20;
const CHILD: &str = "STORMGLASS_TEST_CHILD";

/// The test `name` of this file once more, in a process of its own, where [`is_child`] says so.
fn again(name: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[track_caller]
fn passes(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * rustix::param::page_size()
}

/// Blocks of one size, all of them touched.
fn fill(size: usize, bytes: usize) -> Vec<*mut u8> {
    let take = |_| {
        let block = general::allocate(size, 16);
        assert!(!block.is_null());
        // SAFETY: a live block of `size` bytes.
        unsafe { block.write_bytes(0xA5, size) };
        block
    };
    (0..bytes / size).map(take).collect()
}

fn give(blocks: Vec<*mut u8>) {
    for block in blocks {
        // SAFETY: live blocks, each once.
        unsafe { general::free(block) };
    }
}

#[test]
fn a_trim_lowers_the_resident_size_and_what_went_back_is_used_again() {
    if !is_child() {
        let name = "a_trim_lowers_the_resident_size_and_what_went_back_is_used_again";
        return passes(&again(name).env("STORMGLASS_PURGE_MS", "-1").output().expect("a child"));
    }
    let before = resident();
    for size in [48, 800, 5000, 32 << 10] {
        let blocks = fill(size, 64 * MIB);
        assert!(resident() > before + 60 * MIB);
        give(blocks);
        assert!(resident() > before + 60 * MIB, "nothing goes back by itself");
        assert!(general::trim());
        let left = resident().saturating_sub(before);
        // The pointers in `blocks` took memory too, which is a large block's and went back.
        assert!(left < 8 * MIB, "{size}: {left} bytes stay");
        let taken = general::stats().mapped;
        assert!(taken < 16 * MIB, "{size}: {taken} bytes are mapped");
    }
}

#[test]
fn what_is_free_for_a_while_goes_back_without_being_asked() {
    if !is_child() {
        let name = "what_is_free_for_a_while_goes_back_without_being_asked";
        return passes(&again(name).env("STORMGLASS_PURGE_MS", "20").output().expect("a child"));
    }
    let before = resident();
    // Of this thread, and of one that has ended.
    give(fill(3000, 64 * MIB));
    thread::spawn(|| give(fill(700, 64 * MIB))).join().expect("no panic");
    // What the first left is used by the second, though its blocks are of another class.
    let mapped = general::stats().mapped;
    assert!(mapped < 80 * MIB, "{mapped} bytes are mapped");
    for _ in 0..200 {
        thread::sleep(Duration::from_millis(5));
        // Slow paths of a class that has nothing to do with it.
        give(fill(64, 256 << 10));
        if general::stats().mapped < 8 * MIB {
            break;
        }
    }
    assert!(general::stats().mapped < 8 * MIB, "{:?}", general::stats().mapped);
    assert!(resident() < before + 16 * MIB);
}

#[test]
fn more_than_the_limit_is_never_mapped() {
    if !is_child() {
        let name = "more_than_the_limit_is_never_mapped";
        return passes(&again(name).env("STORMGLASS_LIMIT", "64M").output().expect("a child"));
    }
    for size in [100, 3000, 20_000, 100_000] {
        let mut blocks = Vec::with_capacity(MIB);
        loop {
            let block = general::allocate(size, 16);
            if block.is_null() {
                break;
            }
            blocks.push(block);
        }
        let stats = general::stats();
        assert!(stats.mapped <= 64 * MIB, "{size}: {} bytes", stats.mapped);
        assert!(blocks.len() * size > 40 * MIB, "{size}: only {} blocks", blocks.len());
        // What comes back can be had again, also for other sizes.
        give(blocks);
        let large = general::allocate(40 * MIB, 16);
        assert!(!large.is_null(), "after {size}");
        give(vec![large]);
    }
}

#[test]
fn zeroed_blocks_that_were_never_out_are_not_touched_and_others_are_cleared() {
    if !is_child() {
        let name = "zeroed_blocks_that_were_never_out_are_not_touched_and_others_are_cleared";
        return passes(&again(name).output().expect("a child"));
    }
    let zeroed = |size: usize| {
        let block = general::allocate_zeroed(size, 16);
        assert!(!block.is_null());
        block
    };
    for size in [8 << 10, 20_000, 32 << 10] {
        let before = resident();
        let blocks: Vec<_> = (0..64 * MIB / size).map(|_| zeroed(size)).collect();
        let touched = resident().saturating_sub(before);
        assert!(touched < 16 * MIB, "{size}: {touched} bytes");
        for &block in &blocks {
            // SAFETY: a live block.
            assert!(unsafe { core::slice::from_raw_parts(block, size) }.iter().all(|&byte| byte == 0));
            // SAFETY: as above.
            unsafe { block.write_bytes(0xA5, size) };
        }
        // Some to their pages, some with their pages to the space, some in the ring.
        give(blocks);
        let again: Vec<_> = (0..80 * MIB / size).map(|_| zeroed(size)).collect();
        for &block in &again {
            // SAFETY: a live block.
            assert!(unsafe { core::slice::from_raw_parts(block, size) }.iter().all(|&byte| byte == 0));
        }
        give(again);
        general::trim();
    }
}

#[test]
fn the_limit_is_kept_to_under_every_design() {
    let name = "the_limit_is_kept_to_under_every_design";
    if !is_child() {
        for strategy in stormglass_allocator::StrategyId::ALL {
            let mut command = again(name);
            command.env("STORMGLASS_LIMIT", "64M").env("STORMGLASS_STRATEGY", strategy.name());
            passes(&command.output().expect("a child"));
        }
        return;
    }
    let mut blocks = Vec::with_capacity(MIB);
    loop {
        let block = general::allocate(3000, 16);
        if block.is_null() {
            break;
        }
        blocks.push(block);
    }
    let mapped = general::stats().mapped;
    assert!(mapped <= 64 * MIB && blocks.len() * 3000 > 40 * MIB, "{} blocks, {mapped} bytes", blocks.len());
    give(blocks);
    let again = fill(3000, 30 * MIB);
    assert!(general::stats().mapped <= 64 * MIB);
    give(again);
}

unsafe extern "C" {
    fn syscall(number: core::ffi::c_long, ...) -> core::ffi::c_long;
}

#[test]
fn heaps_of_threads_that_end_without_a_word_are_found() {
    if !is_child() {
        let name = "heaps_of_threads_that_end_without_a_word_are_found";
        return passes(&again(name).output().expect("a child"));
    }
    let number = if cfg!(target_arch = "x86_64") { 60 } else { 93 };
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for count in 1..=200 {
        let ending = std::sync::Arc::clone(&ended);
        thread::spawn(move || {
            give(fill(3000, MIB));
            drop(fill(100, 10_000));
            ending.fetch_add(1, Ordering::Release);
            drop(ending);
            // SAFETY: ends this thread alone; nothing on its stack needs to be dropped.
            unsafe { syscall(number, 0) };
        });
        while ended.load(Ordering::Acquire) < count {
            thread::yield_now();
        }
    }
    let stats = general::stats();
    assert!(stats.threads < 64, "{} heaps", stats.threads);
    assert!(stats.mapped < 64 * MIB, "{} bytes", stats.mapped);
}

#[test]
fn a_limit_of_the_address_space_is_lived_with() {
    if !is_child() {
        // From the first allocation on.
        let mut limited = Command::new("sh");
        limited
            .args(["-c", r#"ulimit -v 1048576; exec "$0" "$@""#])
            .arg(std::env::current_exe().expect("this program"));
        limited.args(again("a_limit_of_the_address_space_is_lived_with").get_args()).env(CHILD, "1");
        return passes(&limited.output().expect("a shell"));
    }
    assert!(getrlimit(Resource::As).current.is_some(), "the parent saw to it");
    for size in [100, 5000, 200_000] {
        let mut blocks = Vec::with_capacity(MIB);
        while blocks.len() < MIB {
            let block = general::allocate(size, 16);
            if block.is_null() {
                break;
            }
            blocks.push(block);
        }
        assert!(blocks.len() * size > 60 * MIB, "{} of {size}", blocks.len());
        give(blocks);
        general::trim();
    }
    thread::spawn(|| give(fill(64, MIB))).join().expect("no panic");
}

unsafe extern "C" {
    // The tests fork, which rustix leaves to the C library.
    safe fn fork() -> i32;
    safe fn _exit(status: i32) -> !;
}

#[test]
fn a_child_of_a_busy_process_allocates_and_frees() {
    if !is_child() {
        return passes(&again("a_child_of_a_busy_process_allocates_and_frees").output().expect("a child"));
    }
    let stop = AtomicBool::new(false);
    let inherited: Vec<_> =
        [20, 500, 3000, 30_000, 100_000].iter().flat_map(|&size| fill(size, 300_000)).collect();
    thread::scope(|scope| {
        for i in 1..4_usize {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    give(fill(i * 100, 100_000));
                    give(fill(i * 20_000, MIB));
                    if i == 3 {
                        general::trim();
                        thread::spawn(|| give(fill(333, 20_000))).join().expect("no panic");
                    }
                }
            });
        }
        let statuses: Vec<_> = (0..60)
            .map(|round| {
                let pid = fork();
                if pid == 0 {
                    // No assertions: a panic would unwind into the harness.
                    let mut ok = true;
                    for &block in &inherited {
                        // SAFETY: live blocks, in this process as well.
                        unsafe {
                            ok &= block.read() == 0xA5;
                            general::free(block);
                        }
                    }
                    for size in [10, 100, 1000, 10_000, 100_000] {
                        let blocks = fill(size, 500_000);
                        let distinct: std::collections::BTreeSet<_> = blocks.iter().collect();
                        ok &= distinct.len() == blocks.len();
                        give(blocks);
                    }
                    ok &= thread::spawn(|| give(fill(77, 100_000))).join().is_ok();
                    general::trim();
                    if round % 10 == 0 {
                        // A child of the child.
                        let grandchild = fork();
                        if grandchild == 0 {
                            give(fill(200, 300_000));
                            _exit(0);
                        }
                        ok &= exit_status(grandchild) == Some(0);
                    }
                    _exit(i32::from(!ok));
                }
                exit_status(pid)
            })
            .collect();
        // First of all, so that a failure ends the test.
        stop.store(true, Ordering::Relaxed);
        assert_eq!(statuses, vec![Some(0); 60]);
    });
    // The parent is unharmed.
    // SAFETY: live blocks, which children have freed in their own memory.
    assert!(inherited.iter().all(|&block| unsafe { block.read() } == 0xA5));
    give(inherited);
    give(fill(100, MIB));
}

fn exit_status(pid: i32) -> Option<i32> {
    let pid = rustix::process::Pid::from_raw(pid)?;
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).ok()??;
    status.exit_status()
}

fn segment() -> Option<Segment> {
    let mut room = [0; 4096];
    let path = general::segment_path(&mut room)?;
    let path = std::str::from_utf8(path).expect("a path").to_owned();
    Some(Segment::open(Path::new(&path)).expect("a segment"))
}

#[test]
fn the_segment_counts_what_was_done_and_goes_with_the_process() {
    if !is_child() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let directory = dir.path().join("segments");
        let run = |keep: &str| {
            let name = "the_segment_counts_what_was_done_and_goes_with_the_process";
            let mut command = again(name);
            passes(
                &command
                    .env("STORMGLASS_DIR", &directory)
                    .env("STORMGLASS_KEEP", keep)
                    .output()
                    .expect("a child"),
            );
            std::fs::read_dir(&directory).expect("made").count()
        };
        assert_eq!(run("0"), 0, "it went");
        assert_eq!(run("1"), 1, "it stayed");
        return;
    }
    let before = segment().expect("a segment").snapshot().expect("readable");
    thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| give(fill(1000, MIB)))));
    });
    give(fill(100_000, MIB));
    let after = segment().expect("a segment").snapshot().expect("readable");
    let class = after.counts.schema.label_values(stormglass_telemetry::Label::Class);
    let class = class.iter().position(|bytes| bytes == "1024").expect("a class");
    let sum = |metric, select| {
        let of =
            |snapshot: &stormglass_telemetry::Snapshot| snapshot.counts.sum(metric, select).expect("known");
        of(&after) - of(&before)
    };
    let of_class = Select::ALL.class(class);
    let taken = sum(Metric::RingHits, of_class) + sum(Metric::RingMisses, of_class);
    let freed = sum(Metric::RingReturns, of_class) + sum(Metric::RingSpills, of_class);
    // The threads themselves allocate a little of every class.
    let blocks = (4 * (MIB / 1000)) as u64;
    assert!(
        (blocks..blocks + 100).contains(&taken) && (blocks..blocks + 100).contains(&freed),
        "{taken} {freed}"
    );
    assert!(sum(Metric::LargeAllocations, Select::ALL) >= 10);
    let stats = general::stats();
    assert!(stats.allocations >= stats.frees && stats.threads >= 1);
}

#[test]
fn a_forked_child_has_a_segment_of_its_own_and_leaves_the_parents_counts_alone() {
    if !is_child() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = "a_forked_child_has_a_segment_of_its_own_and_leaves_the_parents_counts_alone";
        let output = again(name).env("STORMGLASS_DIR", dir.path().join("segments")).output();
        return passes(&output.expect("a child"));
    }
    give(fill(64, MIB));
    let mut room = [0; 4096];
    let parents = general::segment_path(&mut room).expect("a segment").to_vec();
    let frees = |segment: &Segment| {
        segment.snapshot().expect("readable").counts.sum(Metric::RingReturns, Select::ALL).expect("known")
    };
    let open = segment().expect("a segment");
    let before = frees(&open);
    let pid = fork();
    if pid == 0 {
        give(fill(64, MIB));
        let mut room = [0; 4096];
        if general::segment_path(&mut room).is_some() {
            _exit(2);
        }
        // Children that live on get one.
        thread::sleep(Duration::from_millis(150));
        give(fill(64, MIB));
        let own = general::segment_path(&mut room).is_some_and(|path| path != parents.as_slice());
        let counted = segment().is_some_and(|own| frees(&own) > 30_000);
        general::remove_segment();
        _exit(i32::from(!(own && counted)));
    }
    assert_eq!(exit_status(pid), Some(0));
    assert!(frees(&open) < before + 1000, "the child's 16384 frees are not here");
}

#[test]
fn a_process_that_can_make_no_segment_runs_and_says_why_only_if_asked() {
    if !is_child() {
        for verbose in ["0", "1"] {
            let name = "a_process_that_can_make_no_segment_runs_and_says_why_only_if_asked";
            let mut command = again(name);
            command.env("STORMGLASS_DIR", "/proc/no/such/place").env("STORMGLASS_VERBOSE", verbose);
            let output = command.output().expect("a child");
            passes(&output);
            let said = String::from_utf8_lossy(&output.stderr).contains("runs uncounted");
            assert_eq!(said, verbose == "1", "{output:?}");
        }
        return;
    }
    give(fill(100, MIB));
    thread::spawn(|| give(fill(100, MIB))).join().expect("no panic");
    assert!(segment().is_none());
}

#[test]
fn another_design_serves_mid_sizes_and_has_a_segment_of_its_own() {
    let name = "another_design_serves_mid_sizes_and_has_a_segment_of_its_own";
    if !is_child() {
        for strategy in stormglass_allocator::StrategyId::ALL {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let mut command = again(name);
            command.env("STORMGLASS_DIR", dir.path().join("segments")).env("STORMGLASS_KEEP", "1");
            passes(&command.env("STORMGLASS_STRATEGY", strategy.name()).output().expect("a child"));
            let segments: Vec<_> = std::fs::read_dir(dir.path().join("segments")).expect("made").collect();
            let expected = if strategy.name() == "page" { 1 } else { 2 };
            assert_eq!(segments.len(), expected, "{strategy}");
        }
        let output = again(name).env("STORMGLASS_STRATEGY", "pgae").output().expect("a child");
        passes(&output);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("pgae") && said.contains("lockfree-walk") && said.contains("depot page"),
            "{said}"
        );
        return;
    }
    for _ in 0..3 {
        thread::scope(|scope| {
            for size in [2000, 5000, 9000, 30_000] {
                scope.spawn(move || give(fill(size, MIB)));
            }
        });
    }
    // Passed to another thread, grown and shrunk through the pool.
    let blocks: Vec<usize> = fill(4000, MIB).into_iter().map(<*mut u8>::expose_provenance).collect();
    let free = move || give(blocks.into_iter().map(core::ptr::with_exposed_provenance_mut).collect());
    thread::spawn(free).join().expect("no panic");
    let mut block = fill(100, 100)[0];
    for size in [3000, 20_000, 50_000, 4000, 50] {
        // SAFETY: a live block, used at its new place from now on.
        unsafe {
            block = general::reallocate(block, size, 16);
            assert_eq!(block.read(), 0xA5);
            assert!(general::usable_size(block) >= size && general::is_ours(block));
        }
    }
    give(vec![block]);
    let pid = fork();
    if pid == 0 {
        give(fill(5000, MIB));
        _exit(0);
    }
    assert_eq!(exit_status(pid), Some(0));
}

/// Runs the test `name` in a process that is to abort, and returns what it said.
fn aborts(name: &str) -> String {
    let output = again(name).output().expect("a child");
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_foreign_pointer_is_refused() {
    if !is_child() {
        let said = aborts("a_foreign_pointer_is_refused");
        return assert!(said.contains("never gave out"), "{said}");
    }
    let mut local = 0_u64;
    // SAFETY: none: the process is to end.
    unsafe { general::free((&raw mut local).cast()) };
}

#[test]
fn an_interior_pointer_is_found_when_it_is_spilled() {
    if !is_child() {
        let said = aborts("an_interior_pointer_is_found_when_it_is_spilled");
        return assert!(said.contains("into a block of 1024"), "{said}");
    }
    let blocks = fill(1000, 200_000);
    // SAFETY: none: the process is to end.
    unsafe { general::free(blocks[0].add(16)) };
    give(blocks[1..].to_vec());
}

#[test]
fn a_double_free_is_found_when_it_is_spilled() {
    if !is_child() {
        let said = aborts("a_double_free_is_found_when_it_is_spilled");
        return assert!(said.contains("freed twice"), "{said}");
    }
    let blocks = fill(1000, 200_000);
    // SAFETY: none: the process is to end.
    unsafe { general::free(blocks[0]) };
    give(blocks);
    general::trim();
}

#[test]
fn ten_thousand_threads_take_no_more_memory_than_a_few() {
    if !is_child() {
        return passes(
            &again("ten_thousand_threads_take_no_more_memory_than_a_few").output().expect("a child"),
        );
    }
    let live_and_die = || {
        for size in [20, 200, 2000, 20_000, 200_000] {
            give(fill(size, 4 * size));
        }
        // Left for others to free.
        fill(300, 3000).into_iter().map(<*mut u8>::addr).collect::<Vec<_>>()
    };
    let round = |threads: usize| {
        for _ in 0..threads / 4 {
            let all: Vec<_> = (0..4).map(|_| thread::spawn(live_and_die)).collect();
            for left in all {
                give(
                    left.join()
                        .expect("no panic")
                        .into_iter()
                        .map(core::ptr::with_exposed_provenance_mut)
                        .collect(),
                );
            }
        }
    };
    round(2000);
    let (mapped, memory) = (general::stats().mapped, resident());
    round(10_000);
    let stats = general::stats();
    // A block of 512 bytes lost by each would be more.
    assert!(stats.mapped <= mapped + 4 * MIB, "{mapped} bytes became {}", stats.mapped);
    assert!(resident() <= memory + 4 * MIB, "{memory} bytes became {}", resident());
    assert!(stats.threads <= 4, "{} heaps have a thread", stats.threads);
}

//! Counters inside the slow paths of a whole process: threads that come and go, a fork, a program that closes what is not its own. By
//! software events, which every machine has; one test, because all of it is about the whole process.
#![cfg(not(loom))]

use std::path::Path;
use std::sync::Barrier;
use std::thread;

use stormglass_allocator::general;
use stormglass_telemetry::{Metric, Segment, Select};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

/// Enough allocations and frees for some samples, in several classes.
fn work() {
    for round in 0..200 {
        let size = 64 << (round % 5);
        let blocks: Vec<*mut u8> = (0..2000).map(|_| general::allocate(size, 16)).collect();
        for block in blocks {
            // SAFETY: from there, once.
            unsafe { general::free(block) };
        }
    }
}

/// Descriptors of events that this process has.
fn events_open() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").expect("a process");
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("perf_event")).count()
}

fn samples() -> (u64, u64) {
    let mut room = [0_u8; 512];
    let path = general::segment_path(&mut room).expect("a segment");
    let path = Path::new(core::str::from_utf8(path).expect("text")).to_owned();
    let counts = Segment::open(&path).expect("a segment").snapshot().expect("counts").counts;
    let sum = |metric| counts.sum(metric, Select::ALL).expect("it is counted");
    (sum(Metric::SlowPathSamples), sum(Metric::SlowPathCycles))
}

#[test]
fn threads_have_counters_of_their_own_and_leave_none_behind() {
    general::sample_software_events();
    // Twice: the first slow path makes the segment.
    work();
    work();
    let own = events_open();
    if own == 0 {
        eprintln!("skipped: this kernel counts nothing for this user");
        return;
    }
    assert_eq!(own, 3);
    let (before, time) = samples();
    assert!(before > 0 && time > 0, "{before} samples, {time} ns");

    for _ in 0..5 {
        // Joined one by one: a scope ends before its threads have given their counters up.
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(work)).collect();
        for thread in threads {
            thread.join().expect("it only allocates");
        }
    }
    assert_eq!(events_open(), own, "threads that have ended");
    let (after, _) = samples();
    assert!(after > before, "{after} after {before}");

    // A child has its one thread's, whatever the threads of its parent had.
    let (ready, over) = (Barrier::new(3), Barrier::new(3));
    thread::scope(|scope| {
        let lives = || {
            work();
            ready.wait();
            over.wait();
        };
        let threads = [scope.spawn(lives), scope.spawn(lives)];
        ready.wait();
        assert_eq!(events_open(), 3 * own, "they live");
        // SAFETY: the child allocates by what it forked with, and ends without the destructors of its parent.
        let child = unsafe { fork() };
        if child == 0 {
            let inherited = events_open();
            work();
            let code = i32::from(inherited != 0) | i32::from(events_open() != 3) << 1;
            // SAFETY: it ends.
            unsafe { _exit(code) };
        }
        let mut status = 0;
        // SAFETY: our child.
        assert_eq!(unsafe { waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "256: it has its parent's; 512: it has not its own");
        over.wait();
        for thread in threads {
            thread.join().expect("it only allocates");
        }
    });
    assert_eq!(events_open(), own);
}

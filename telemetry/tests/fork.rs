//! A process that forks: its child works on and is seen by nobody, and its own segment stays its own.
#![cfg(not(loom))]

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stormglass_telemetry::{Directory, Identity, Liveness, Metric, Segment, Select, Writer};

/// Runs `f` in a forked child; what it wrote, once it has ended well.
fn in_child(f: impl FnOnce(&mut std::io::PipeWriter)) -> String {
    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
    }
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    // SAFETY: as POSIX declares it. The child uses the writer and system calls, and ends without returning.
    let pid = unsafe { fork() };
    assert!(pid >= 0, "no child");
    if pid == 0 {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&mut writer)));
        // SAFETY: as POSIX declares it.
        unsafe { _exit(i32::from(ended.is_err())) }
    }
    drop(writer);
    let (mut said, mut status) = (String::new(), 0);
    reader.read_to_string(&mut said).expect("text");
    // SAFETY: as POSIX declares it; the child is ours.
    assert_eq!((unsafe { waitpid(pid, &raw mut status, 0) }, status), (pid, 0), "the child ended well");
    said
}

fn place() -> (tempfile::TempDir, Directory) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    (dir, directory)
}

fn writer(directory: &Directory) -> Writer {
    Writer::create(directory, &Identity { strategy: "mutex", workload: "fork", ..Identity::default() })
        .expect("a segment")
}

fn hits(segment: &Segment) -> Option<u64> {
    segment.snapshot().expect("readable").counts.sum(Metric::RingHits, Select::ALL)
}

#[test]
fn what_a_child_counts_goes_on_from_its_parents_counts_and_moves_none_of_them() {
    let (_dir, directory) = place();
    let writer = writer(&directory);
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    // More than a chunk holds, so that a mapping which the segment grew by is one of them.
    let mut slots: Vec<_> = (0..20).map(|_| writer.claim().expect("a slot")).collect();
    for slot in &slots {
        slot.classes[1].ring_hits.add(5);
        slot.shard(2, 3).refills.add(7);
    }
    let before = std::fs::read(segment.path()).expect("readable");
    let said = in_child(|out| {
        let inherited: Vec<u64> = slots.iter().map(|slot| slot.classes[1].ring_hits.get()).collect();
        for slot in &slots {
            slot.classes[1].ring_hits.add(100);
            slot.shard(6, 7).refills.add(1);
        }
        let counted: u64 = slots.iter().map(|slot| slot.classes[1].ring_hits.get()).sum();
        let fresh = writer.claim().expect("a slot");
        fresh.classes[1].ring_hits.add(1);
        write!(out, "{inherited:?} {counted} {} {:?}", fresh.classes[1].ring_hits.get(), writer.path())
            .expect("written");
        drop(fresh);
        slots.clear();
    });
    assert_eq!(said, format!("{:?} {} 1 None", [5; 20], 20 * 105));
    assert!(std::fs::read(segment.path()).expect("readable") == before, "not a byte of the file has changed");
    assert_eq!(hits(&segment), Some(100));
    assert_eq!(writer.path(), Some(segment.path()), "the parent is none the wiser");
}

#[test]
fn a_child_that_drops_the_writer_leaves_its_parent_alive() {
    let (_dir, directory) = place();
    let writer = Some(writer(&directory));
    let path = writer.as_ref().and_then(Writer::path).expect("a path").to_owned();
    let segment = Segment::open(&path).expect("readable");
    let mut inherited = writer;
    let said = in_child(|_| drop(inherited.take()));
    assert_eq!(said, "");
    assert_eq!(segment.liveness(), Liveness::Live);
    assert_eq!(directory.reaper().expect("nobody else").reap(Duration::ZERO), 0);
    let slot = inherited.as_ref().expect("still ours").claim().expect("a slot");
    slot.classes[0].ring_hits.add(3);
    assert_eq!(hits(&segment), Some(3));
}

#[test]
fn a_child_can_have_a_segment_of_its_own_and_children_with_theirs() {
    let (_dir, directory) = place();
    let parents = writer(&directory);
    parents.claim().expect("a slot").classes[0].ring_hits.add(1);
    let said = in_child(|out| {
        let own = writer(&directory);
        let path = own.path().expect("a path").to_owned();
        let segment = Segment::open(&path).expect("readable");
        own.claim().expect("a slot").classes[0].ring_hits.add(2);
        let slot = own.claim().expect("a slot");
        let grandchild = in_child(|out| {
            slot.classes[0].ring_hits.add(40);
            write!(out, "{} {:?} {:?}", slot.classes[0].ring_hits.get(), own.path(), parents.path())
                .expect("written");
        });
        let snapshot = segment.snapshot().expect("readable");
        write!(
            out,
            "{:?} {} {:?}; {grandchild}",
            snapshot.counts.sum(Metric::RingHits, Select::ALL),
            snapshot.process.pid == std::process::id(),
            snapshot.liveness
        )
        .expect("written");
    });
    assert_eq!(said, "Some(2) true Live; 42 None None");
    assert_eq!(hits(&Segment::open(parents.path().expect("a path")).expect("readable")), Some(1));
    assert_eq!(directory.scan().expect("listed").len(), 2);
}

/// Ends the threads also if the test fails.
struct Over<'a>(&'a AtomicBool);
impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn forks_while_segments_come_grow_and_go_lose_nothing() {
    let (_dir, directory) = place();
    let steady = writer(&directory);
    let slot = steady.claim().expect("a slot");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = 0_u64;
                    while !over.load(Ordering::Relaxed) {
                        let writer = writer(&directory);
                        let slots: Vec<_> = (0..40).map(|_| writer.claim().expect("a slot")).collect();
                        for slot in &slots {
                            slot.classes[0].ring_hits.add(1);
                        }
                        let segment = Segment::open(writer.path().expect("a path")).expect("readable");
                        assert_eq!(hits(&segment), Some(40));
                        std::fs::remove_file(segment.path()).expect("removed");
                        made += 1;
                    }
                    made
                })
            })
            .collect();
        let until_here = Over(&over);
        for round in 0..100 {
            slot.classes[0].ring_hits.add(1);
            // Only what is allowed after the fork of a process with threads: no heap, no lock.
            in_child(|_| {
                assert_eq!(slot.classes[0].ring_hits.get(), round + 1);
                slot.classes[0].ring_hits.add(1000);
            });
        }
        drop(until_here);
        for thread in threads {
            assert!(thread.join().expect("no panic") > 0);
        }
    });
    let segment = Segment::open(steady.path().expect("a path")).expect("readable");
    assert_eq!(hits(&segment), Some(100));
}

#[test]
fn a_segment_with_classes_of_its_own_is_copied_whole() {
    let (_dir, directory) = place();
    let identity = Identity { strategy: "page", workload: "fork", ..Identity::default() };
    let sizes: [u32; 64] = core::array::from_fn(|class| 16 * (class as u32 + 1));
    let writer = Writer::<64, 1>::create_general(&directory, &identity, &sizes).expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    let slots: Vec<_> = (0..20).map(|_| writer.claim().expect("a slot")).collect();
    for slot in &slots {
        // The last class's shard is the end of a slot, and the last slots are in the second chunk.
        slot.shard(63, 0).lock_hold.record(64);
        slot.shard(63, 0).refills.add(7);
    }
    let before = std::fs::read(segment.path()).expect("readable");
    let said = in_child(|out| {
        for slot in &slots {
            slot.shard(63, 0).refills.add(1);
        }
        let counted: u64 = slots.iter().map(|slot| slot.shard(63, 0).refills.get()).sum();
        write!(out, "{counted}").expect("written");
    });
    assert_eq!(said, (20 * 8).to_string());
    assert!(std::fs::read(segment.path()).expect("readable") == before, "not a byte of the file has changed");
}

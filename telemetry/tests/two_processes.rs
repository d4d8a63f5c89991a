//! A writer in another process, watched from this one: what the sidecar does, with a writer that may die at any moment.
//!
//! The writer is this test binary again, told by an environment variable to play it.
#![cfg(not(loom))]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use stormglass_telemetry::{Directory, Identity, Liveness, Metric, Op, Segment, Select, Snapshot, Writer};

const ROLE: &str = "STORMGLASS_TEST_WRITER";

/// Played in the child: counts for ever, with threads that come and go.
#[test]
#[ignore = "the writer's role, played in a child process"]
fn writer() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let identity = Identity { strategy: "mutex", workload: "two processes", ..Identity::default() };
    let writer = Writer::create(&Directory::from_env(), &identity).expect("a segment");
    loop {
        thread::scope(|scope| {
            for shard in 0..4 {
                let writer = &writer;
                scope.spawn(move || {
                    let slot = writer.claim().expect("a slot");
                    for _ in 0..1000 {
                        slot.shard(3, shard).cas_attempts[Op::Pop as usize].add(2);
                        slot.shard(3, shard).cas_failures[Op::Pop as usize].add(1);
                    }
                });
            }
        });
    }
}

struct Scene {
    _dir: tempfile::TempDir,
    directory: Directory,
}

impl Scene {
    fn new() -> Scene {
        // On the tmpfs that segments are for, where there is one.
        let dir = tempfile::Builder::new()
            .tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("a temporary directory");
        let directory = Directory::at(dir.path().join("segments"));
        Scene { _dir: dir, directory }
    }

    fn spawn_writer(&self) -> Child {
        Command::new(std::env::current_exe().expect("this binary"))
            .args(["writer", "--exact", "--ignored"])
            .env(ROLE, "1")
            .env("STORMGLASS_DIR", self.directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("a child")
    }

    /// Waits for the segment of a child.
    fn segment_of(&self, child: &Child) -> Segment {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found =
                self.directory.scan().expect("a directory").iter().find_map(|path| Segment::open(path).ok());
            if let Some(segment) = found.filter(|s| s.process().pid == child.id()) {
                return segment;
            }
            assert!(Instant::now() < deadline, "no segment within 20 s");
            sleep(Duration::from_millis(1));
        }
    }
}

fn attempts(snapshot: &Snapshot) -> u64 {
    snapshot.counts.sum(Metric::CasAttempts, Select::ALL).expect("counted")
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_readable_segment_and_totals_that_never_fall() {
    let scene = Scene::new();
    for round in 0..30_u64 {
        let mut child = scene.spawn_writer();
        let segment = scene.segment_of(&child);
        assert_eq!(segment.snapshot().expect("readable").liveness, Liveness::Live);
        let mut last = 0;
        let until = Instant::now() + Duration::from_micros(200 + round * 1733 % 20_000);
        while Instant::now() < until {
            let now = attempts(&segment.snapshot().expect("readable"));
            assert!(now >= last, "a total fell from {last} to {now}");
            last = now;
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        let dead = segment.snapshot().expect("readable after death");
        assert_eq!(dead.liveness, Liveness::Dead);
        assert!(attempts(&dead) >= last, "counts were lost with their writer");
        let again = Segment::open(segment.path()).and_then(|s| s.snapshot()).expect("a post-mortem");
        assert_eq!(attempts(&again), attempts(&dead));
        let failures = again.counts.sum(Metric::CasFailures, Select::ALL).expect("counted");
        // Each of at most 16 slots may have died between its two additions.
        assert!(attempts(&again).abs_diff(2 * failures) <= 2 * 16);
        std::fs::remove_file(segment.path()).expect("removed");
    }
}

#[test]
fn a_second_writer_never_gets_the_first_ones_file() {
    let scene = Scene::new();
    let identity = Identity { strategy: "mutex", workload: "", ..Identity::default() };
    let first = Writer::create(&scene.directory, &identity).expect("a segment");
    let second = Writer::create(&scene.directory, &identity).expect("another segment");
    assert_ne!(first.path(), second.path());
    first.claim().expect("a slot").classes[0].ring_hits.add(5);
    let read = |writer: &Writer| {
        let snapshot =
            Segment::open(writer.path().expect("a path")).and_then(|s| s.snapshot()).expect("readable");
        snapshot.counts.sum(Metric::RingHits, Select::ALL)
    };
    assert_eq!((read(&first), read(&second)), (Some(5), Some(0)));

    // A file that a dead process with our pid left behind is not taken over either.
    let path = first.path().expect("a path").to_owned();
    drop(first);
    let before = std::fs::read(&path).expect("kept");
    let third = Writer::create(&scene.directory, &identity).expect("a segment");
    assert_ne!(third.path(), Some(path.as_path()));
    assert_eq!(std::fs::read(&path).expect("kept"), before);
}

#[test]
fn threads_that_come_and_go_by_the_thousand_lose_no_count() {
    const GENERATIONS: u64 = 250;
    const THREADS: u64 = 20;
    let scene = Scene::new();
    let writer = Writer::create(
        &scene.directory,
        &Identity { strategy: "mutex", workload: "", ..Identity::default() },
    )
    .expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    let mut last = 0;
    for _ in 0..GENERATIONS {
        thread::scope(|scope| {
            for i in 0..THREADS {
                let writer = &writer;
                scope.spawn(move || {
                    let slot = writer.claim().expect("a slot");
                    for _ in 0..100 {
                        slot.shard((i % 7) as usize, 0).cas_attempts[Op::Push as usize].add(1);
                    }
                });
            }
            // Opened when there was one chunk of 16 slots; more than 16 threads at a time make it grow.
            let now = attempts(&segment.snapshot().expect("readable"));
            assert!(now >= last, "a total fell from {last} to {now}");
            last = now;
        });
    }
    let end = segment.snapshot().expect("readable");
    assert_eq!(attempts(&end), GENERATIONS * THREADS * 100);
    assert_eq!(end.threads_started, GENERATIONS * THREADS);
    assert_eq!((end.threads, end.threads_dropped), (0, 0));
}

#[test]
fn a_segment_grows_under_an_open_reader() {
    let scene = Scene::new();
    let writer = Writer::create(
        &scene.directory,
        &Identity { strategy: "mutex", workload: "", ..Identity::default() },
    )
    .expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    let small = segment.snapshot().expect("readable").segment_bytes;
    let slots: Vec<_> = (0..100).map(|_| writer.claim().expect("a slot")).collect();
    for slot in &slots {
        slot.classes[6].ring_misses.add(1);
    }
    let snapshot = segment.snapshot().expect("readable");
    assert_eq!(snapshot.counts.sum(Metric::RingMisses, Select::ALL), Some(100));
    assert_eq!(snapshot.threads, 100);
    assert!(snapshot.segment_bytes > small);
}

#[test]
fn a_thread_that_lived_from_its_ring_tells_at_its_end_how_long() {
    const LIFE: Duration = Duration::from_millis(30);
    let scene = Scene::new();
    let writer = Writer::create(&scene.directory, &Identity::default()).expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    let slot = writer.claim().expect("a slot");
    slot.heartbeat.set(stormglass_telemetry::clock::monotonic());
    sleep(LIFE);
    slot.classes[0].ring_hits.add(1000);
    drop(slot);
    drop(writer);
    let snapshot = segment.snapshot().expect("readable");
    assert_eq!(snapshot.liveness, Liveness::Dead);
    assert!(snapshot.lifetime().elapsed >= Some(LIFE), "{:?}", snapshot.lifetime().elapsed);
}

/// Sets the time of a file's last change back.
fn age(path: &Path, by: Duration) {
    let file = std::fs::File::open(path).expect("opened");
    let then = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now() - by);
    file.set_times(then).expect("ours");
}

#[test]
fn a_clean_end_is_a_death_too_and_is_reaped_after_its_time() {
    const HOUR: Duration = Duration::from_hours(1);
    let scene = Scene::new();
    assert!(scene.directory.reaper().is_none(), "there is nothing to remove");
    let writer = Writer::create(
        &scene.directory,
        &Identity { strategy: "mutex", workload: "", ..Identity::default() },
    )
    .expect("a segment");
    let path: PathBuf = writer.path().expect("a path").to_owned();
    let reaper = scene.directory.reaper().expect("nobody else has it");
    // A process that lives from its rings: nothing has been heard of it for long.
    age(&path, 2 * HOUR);
    assert_eq!(reaper.reap(Duration::ZERO), 0, "a live one is never reaped");
    drop(writer);
    assert_eq!(Segment::open(&path).and_then(|s| s.snapshot()).expect("kept").liveness, Liveness::Dead);
    assert_eq!(reaper.reap(HOUR), 0, "it has only just died");
    age(&path, 2 * HOUR);
    assert_eq!(reaper.reap(3 * HOUR), 0);
    assert_eq!(reaper.reap(HOUR), 1);
    assert!(!Path::new(&path).exists());
}

#[test]
fn one_that_was_killed_is_kept_from_the_first_look_at_it() {
    const HOUR: Duration = Duration::from_hours(1);
    let scene = Scene::new();
    let mut child = scene.spawn_writer();
    let segment = scene.segment_of(&child);
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped");
    let reaper = scene.directory.reaper().expect("nobody else has it");
    age(segment.path(), 2 * HOUR);
    assert_eq!(reaper.reap(HOUR), 0, "nobody knew");
    assert_eq!(reaper.reap(HOUR), 0);
    age(segment.path(), 2 * HOUR);
    assert_eq!(reaper.reap(HOUR), 1);
}

#[test]
fn one_that_is_still_starting_is_left_alone_for_a_minute() {
    let scene = Scene::new();
    drop(Writer::create(&scene.directory, &Identity::default()).expect("a segment"));
    let reaper = scene.directory.reaper().expect("nobody else has it");
    assert_eq!(reaper.reap(Duration::ZERO), 1);
    let path = scene.directory.path().join("1-0.seg");
    std::fs::write(&path, [0; 4096]).expect("written");
    assert_eq!(reaper.reap(Duration::ZERO), 0);
    age(&path, Duration::from_mins(2));
    assert_eq!(reaper.reap(Duration::from_mins(3)), 0);
    assert_eq!(reaper.reap(Duration::ZERO), 1);
}

#[test]
fn one_process_at_a_time_may_remove_segments() {
    let scene = Scene::new();
    let _writer = Writer::create(&scene.directory, &Identity::default()).expect("a segment");
    let first = scene.directory.reaper().expect("nobody else has it");
    assert!(scene.directory.reaper().is_none());
    drop(first);
    assert!(scene.directory.reaper().is_some());
}

#[test]
fn a_full_file_system_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "stormglass-test"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: a tmpfs of its own needs root");
        return;
    }
    let result = Writer::create(
        &Directory::at(dir.path()),
        &Identity { strategy: "mutex", workload: "", ..Identity::default() },
    );
    let left = std::fs::read_dir(dir.path()).expect("listed").count();
    let unmounted = Command::new("umount").arg(dir.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()), "unmounted");
    let message = result.err().expect("64 KiB are too few").to_string();
    assert!(message.contains("no room for"), "{message}");
    assert_eq!(left, 0, "half a segment was left behind");
}

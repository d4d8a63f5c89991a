//! What a machine does to a writer and its readers: no room left, a clock that jumps.
#![cfg(not(loom))]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use stormglass_telemetry::{Directory, Identity, Metric, Segment, Select, Writer};

/// A small tmpfs, unmounted when it is dropped; none without root.
struct Small(tempfile::TempDir);

impl Small {
    fn mounted(kib: usize) -> Option<Small> {
        let place = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0700"), "stormglass-test"])
            .arg(place.path())
            .stderr(Stdio::null())
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        if !mounted {
            println!("skipped: a tmpfs of its own needs root");
        }
        mounted.then(|| Small(place))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_segment_that_cannot_grow_on_a_full_tmpfs_drops_threads_and_nothing_else() {
    let Some(small) = Small::mounted(800) else { return };
    // Room for one chunk, and not for two.
    let writer = Writer::create(&Directory::at(small.path()), &Identity::default()).expect("it fits");
    let segment = Segment::open(writer.path().expect("a path")).expect("good");
    let slots: Vec<_> = (0..40).map(|_| writer.claim().expect("private memory, if nothing else")).collect();
    for slot in &slots {
        slot.shard(1, 1).refills.add(1);
        slot.classes[1].ring_misses.add(1);
    }
    let snapshot = segment.snapshot().expect("readable");
    assert_eq!((snapshot.threads, snapshot.threads_dropped), (16, 24));
    assert_eq!(snapshot.counts.sum(Metric::Refills, Select::ALL), Some(16));
    // With room again the next one is seen.
    drop(slots);
    let slot = writer.claim().expect("a slot");
    slot.shard(1, 1).refills.add(1);
    let snapshot = segment.snapshot().expect("readable");
    assert_eq!((snapshot.threads, snapshot.threads_dropped), (1, 24));
    assert_eq!(snapshot.counts.sum(Metric::Refills, Select::ALL), Some(17));
}

#[test]
fn a_clock_that_was_set_back_removes_nobody_early_and_one_set_forth_nobody_alive() {
    const HOUR: Duration = Duration::from_hours(1);
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let create = || Writer::create(&directory, &Identity::default()).expect("a segment");
    let (living, dead) = (create(), create());
    let path = dead.path().expect("a path").to_owned();
    drop(dead);
    let reaper = directory.reaper().expect("nobody else has it");
    let died = |at: SystemTime| {
        let file = std::fs::File::open(&path).expect("there");
        file.set_times(std::fs::FileTimes::new().set_modified(at)).expect("ours");
    };
    for ahead in [Duration::from_secs(1), 1000 * HOUR, 1_000_000 * HOUR] {
        died(SystemTime::now() + ahead);
        assert_eq!(reaper.reap(HOUR), 0, "it died in what is now the future: so it has only just died");
    }
    let file = std::fs::File::open(living.path().expect("a path")).expect("there");
    file.set_times(std::fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).expect("ours");
    died(SystemTime::UNIX_EPOCH);
    assert_eq!(reaper.reap(HOUR), 1);
    assert!(living.path().is_some_and(Path::exists));
    assert!(Segment::open(living.path().expect("a path")).is_ok());
}

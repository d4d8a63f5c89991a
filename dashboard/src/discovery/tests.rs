use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use stormglass_telemetry::{Identity, Metric, Select, Writer};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn place() -> (tempfile::TempDir, Directory) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(place.path().join("segments"));
    (place, directory)
}

fn writer(directory: &Directory) -> Writer {
    Writer::create(directory, &Identity { strategy: "mutex", workload: "test", ..Identity::default() })
        .expect("a segment")
}

#[test]
fn a_process_is_found_read_and_remembered_after_its_death() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    assert!(look(&mut discovery).is_empty(), "no directory is no error");

    let writer = writer(&directory);
    let slot = writer.claim().expect("a slot");
    slot.classes[2].ring_hits.add(7);
    let snapshots = look(&mut discovery);
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].liveness, Liveness::Live);
    assert_eq!(snapshots[0].counts.sum(Metric::RingHits, Select::ALL.class(2)), Some(7));

    slot.classes[2].ring_hits.add(1);
    drop(slot);
    let path = writer.path().expect("it has a segment").to_owned();
    drop(writer);
    let snapshots = look(&mut discovery);
    assert_eq!(snapshots[0].liveness, Liveness::Dead);
    assert_eq!(snapshots[0].counts.sum(Metric::RingHits, Select::ALL), Some(8));
    assert!(matches!(discovery.entries[&path].state, State::Dead(..)));
    fs::remove_file(&path).expect("ours");
    assert!(look(&mut discovery).is_empty());
    assert!(discovery.entries.is_empty());
    assert_eq!(discovery.errors(), 0);
    let hits = |s: &Snapshot| s.counts.sum(Metric::RingHits, Select::ALL);
    assert_eq!(discovery.retired().snapshots().map(hits).collect::<Vec<_>>(), [Some(8)], "its counts stay");
}

#[test]
fn a_segment_that_is_removed_under_a_living_process_keeps_what_it_counted() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    let writer = writer(&directory);
    let slot = writer.claim().expect("a slot");
    look(&mut discovery);
    slot.classes[1].ring_misses.add(3);
    fs::remove_file(writer.path().expect("it has a segment")).expect("ours");
    assert!(look(&mut discovery).is_empty());
    let misses = |s: &Snapshot| s.counts.sum(Metric::RingMisses, Select::ALL);
    assert_eq!(discovery.retired().snapshots().map(misses).collect::<Vec<_>>(), [Some(3)]);
}

#[test]
fn what_never_had_a_thread_leaves_nothing() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    let writer = writer(&directory);
    assert_eq!(look(&mut discovery).len(), 1);
    fs::remove_file(writer.path().expect("it has a segment")).expect("ours");
    assert!(look(&mut discovery).is_empty());
    assert_eq!(discovery.retired().snapshots().count(), 0);
}

#[test]
fn a_name_that_comes_back_is_another_file() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    let first = writer(&directory);
    let path = first.path().expect("it has a segment").to_owned();
    look(&mut discovery);
    let second = writer(&directory);
    fs::rename(second.path().expect("it has a segment"), &path).expect("ours");
    second.claim().expect("a slot").classes[0].ring_hits.add(5);
    let snapshots = look(&mut discovery);
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].counts.sum(Metric::RingHits, Select::ALL), Some(5));
}

/// What there is now.
fn look(discovery: &mut Discovery) -> Vec<Snapshot> {
    discovery.snapshots().iter().map(Packed::whole).collect()
}

fn hits(snapshot: &Snapshot) -> Option<u64> {
    snapshot.counts.sum(Metric::RingHits, Select::ALL)
}

#[test]
fn a_look_that_fails_makes_nothing_count_twice() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    let writer = writer(&directory);
    let slot = writer.claim().expect("a slot");
    slot.classes[2].ring_hits.add(7);
    let allow = |mode| {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).expect("ours");
    };
    for mode in [0o700, 0o755, 0o700] {
        allow(mode);
        let snapshots = look(&mut discovery);
        assert_eq!(snapshots.iter().map(hits).collect::<Vec<_>>(), [Some(7)], "{mode:o}");
        assert_eq!(discovery.retired().snapshots().count(), 0, "{mode:o}");
    }
}

#[test]
fn what_cannot_be_read_any_more_keeps_its_counts_and_is_read_again() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    let writer = writer(&directory);
    let slot = writer.claim().expect("a slot");
    slot.classes[2].ring_hits.add(7);
    assert_eq!(look(&mut discovery).iter().map(hits).collect::<Vec<_>>(), [Some(7)]);
    let path = writer.path().expect("it has a segment").to_owned();
    let whole = fs::read(&path).expect("readable");
    let file = fs::File::options().write(true).open(&path).expect("ours");
    file.set_len(100).expect("cut");
    for _ in 0..2 {
        assert_eq!(look(&mut discovery).iter().map(hits).collect::<Vec<_>>(), [Some(7)]);
    }
    assert_eq!(discovery.errors(), 1);
    file.write_all_at(&whole, 0).expect("mended");
    slot.classes[2].ring_hits.add(1);
    let State::Refused { next_try, .. } = &mut discovery.entries.get_mut(&path).expect("known").state else {
        panic!("it was refused");
    };
    *next_try = Instant::now();
    assert_eq!(look(&mut discovery).iter().map(hits).collect::<Vec<_>>(), [Some(8)]);

    file.set_len(100).expect("cut");
    look(&mut discovery);
    fs::remove_file(&path).expect("ours");
    assert!(look(&mut discovery).is_empty());
    assert_eq!(discovery.retired().snapshots().map(hits).collect::<Vec<_>>(), [Some(8)]);
    file.write_all_at(&whole, 0).expect("the writer counts on");
}

#[test]
fn another_sidecar_that_keeps_the_dead_for_longer_is_not_overruled() {
    let (_place, directory) = place();
    drop(writer(&directory));
    let mut first = Discovery::new(directory.clone(), HOUR);
    assert_eq!(look(&mut first).len(), 1);
    let mut second = Discovery::new(directory.clone(), Duration::ZERO);
    assert_eq!(look(&mut second).len(), 1);
    drop(first);
    second.next_reap = Instant::now();
    assert_eq!(look(&mut second).len(), 0, "now it is the only one");
}

#[test]
fn a_foreign_file_is_an_error_once() {
    let (_place, directory) = place();
    let _writer = writer(&directory);
    fs::write(directory.path().join("1-0.seg"), vec![b'x'; 65536]).expect("a file");
    let mut discovery = Discovery::new(directory, HOUR);
    for _ in 0..8 {
        assert_eq!(look(&mut discovery).len(), 1);
        std::thread::sleep(FIRST_RETRY);
    }
    assert_eq!(discovery.errors(), 1);
}

#[test]
fn of_many_dead_the_last_are_shown_and_none_is_lost() {
    let (_place, directory) = place();
    let count = |directory: &Directory| {
        let writer = writer(directory);
        writer.claim().expect("a slot").classes[0].ring_hits.add(1);
    };
    let sum = |discovery: &mut Discovery| {
        let shown = look(discovery);
        let of = |snapshots: &mut dyn Iterator<Item = &Snapshot>| snapshots.filter_map(hits).sum::<u64>();
        (shown.len(), of(&mut shown.iter()) + of(&mut discovery.retired().snapshots()))
    };
    let many = 2 * DEAD + 40;
    (0..many).for_each(|_| count(&directory));
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    assert_eq!(sum(&mut discovery), (DEAD, many as u64));
    assert_eq!(sum(&mut discovery), (DEAD, many as u64), "and again, from what is remembered");
    count(&directory);
    assert_eq!(sum(&mut discovery), (DEAD, many as u64 + 1), "the newest has taken the oldest one's place");
    fs::remove_dir_all(directory.path()).expect("ours");
    assert_eq!(sum(&mut discovery), (0, many as u64 + 1));
}

#[test]
fn an_onlooker_removes_nothing_and_lets_go_in_time() {
    let (_place, directory) = place();
    let path = writer(&directory).path().expect("it has a segment").to_owned();
    let mut discovery = Discovery::onlooker(directory.clone(), HOUR);
    assert_eq!(look(&mut discovery).len(), 1);
    discovery.keep_dead = Duration::ZERO;
    assert_eq!(look(&mut discovery).len(), 0);
    assert!(path.exists() && directory.reaper().is_some());
}

#[test]
fn a_directory_that_stands_still_is_not_listed_again_and_one_that_changes_is() {
    let (_place, directory) = place();
    let mut discovery = Discovery::new(directory.clone(), HOUR);
    let mut writers = vec![writer(&directory)];
    let begun = Instant::now();
    while !matches!(discovery.scanned, Some((_, _, true))) {
        assert_eq!(look(&mut discovery).len(), 1);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    for shown in 2..10 {
        writers.push(writer(&directory));
        assert_eq!(look(&mut discovery).len(), shown, "seen at once");
    }
}

#[test]
fn waits_grow_and_are_bounded() {
    let mut state = State::Refused { times: 0, next_try: Instant::now(), last: None };
    let error = Segment::open(Path::new("/nowhere")).expect_err("nothing is there");
    let now = Instant::now();
    let mut counted = 0;
    for _ in 0..100 {
        counted += u32::from(state.refuse(Path::new("/nowhere"), now, &error));
    }
    assert_eq!(counted, 1);
    assert!(matches!(state, State::Refused { next_try, .. } if next_try == now + LAST_RETRY));
}

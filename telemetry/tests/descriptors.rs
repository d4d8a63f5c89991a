//! A writer for a whole program leaves none of its descriptors open, and lives as long as its mapping.
#![cfg(not(loom))]

use std::fs;
use std::path::Path;

use stormglass_telemetry::{Directory, Identity, Liveness, Segment, Writer};

const SIZES: [u32; 4] = [16, 32, 48, 64];

fn is_open(file: &Path) -> bool {
    let descriptors = fs::read_dir("/proc/self/fd").expect("a list");
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

#[test]
fn the_mapping_holds_the_lock_and_the_segment_still_grows() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let identity = Identity { strategy: "page", ..Identity::default() };
    let writer = Writer::<4, 1>::create_general(&directory, &identity, &SIZES).expect("a segment");
    let path = writer.path().expect("a path").to_owned();
    assert!(!is_open(&path));
    let segment = Segment::open(&path).expect("readable");
    assert_eq!(segment.liveness(), Liveness::Live);

    let before = segment.snapshot().expect("readable").segment_bytes;
    let slots: Vec<_> = (0..200).map(|_| writer.claim().expect("a slot")).collect();
    let snapshot = segment.snapshot().expect("readable");
    assert_eq!((snapshot.threads, snapshot.threads_dropped), (200, 0));
    assert!(snapshot.segment_bytes > before);
    drop(segment);
    assert!(!is_open(&path));

    drop(slots);
    drop(writer);
    assert_eq!(Segment::open(&path).expect("readable").liveness(), Liveness::Dead);
}

#[test]
fn a_file_that_has_lost_its_name_or_given_it_to_another_is_not_grown() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let identity = Identity { strategy: "page", ..Identity::default() };
    let writer = Writer::<4, 1>::create_general(&directory, &identity, &SIZES).expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    fs::remove_file(segment.path()).expect("ours");
    fs::write(segment.path(), "another").expect("written");
    let slots: Vec<_> = (0..200).map(|_| writer.claim().expect("a slot, if of private memory")).collect();
    assert!(segment.snapshot().expect("readable").threads_dropped > 0);
    assert_eq!(fs::read_to_string(segment.path()).expect("readable"), "another");
    drop(slots);
}

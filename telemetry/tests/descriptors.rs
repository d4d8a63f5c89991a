//! A reader that has no file descriptor left. A test binary of its own: nothing else in the process can open a file
//! meanwhile.
#![cfg(not(loom))]

use stormglass_telemetry::{Directory, Identity, Liveness, Segment, Writer};

#[test]
fn without_a_descriptor_to_look_with_a_live_process_stays_live() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    let writer = Writer::create(&directory, &Identity { strategy: "mutex", ..Identity::default() })
        .expect("a segment");
    let segment = Segment::open(writer.path().expect("a path")).expect("readable");
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(64), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).expect("lowered");
    let files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(files.len() < 64, "all are taken");
    assert_eq!(segment.snapshot().expect("readable").liveness, Liveness::Live);
    assert!(directory.scan().is_err(), "a directory that cannot be listed is not an empty one");
    drop(files);
    assert_eq!(segment.snapshot().expect("readable").liveness, Liveness::Live);
}

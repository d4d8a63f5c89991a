//! Segments that are not what they say: each gets an error that says what and why, and none gets a fault or a panic.
#![cfg(not(loom))]

use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use stormglass_telemetry::{Directory, Identity, Metric, Problem, Segment, Select, Writer};

fn segment() -> (tempfile::TempDir, Directory, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(dir.path().join("segments"));
    let writer =
        Writer::create(&directory, &Identity { strategy: "mutex", workload: "w", ..Identity::default() })
            .expect("a segment");
    let slot = writer.claim().expect("a slot");
    slot.shard(1, 2).refills.add(3);
    drop(slot);
    let path = writer.path().expect("a path").to_owned();
    drop(writer);
    let bytes = std::fs::read(&path).expect("readable");
    (dir, directory, path, bytes)
}

/// Puts these bytes in the place of a segment: a dead process's own may not be written.
fn put(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("removed");
    std::fs::write(path, bytes).expect("written");
}

/// What the reader says of these bytes.
fn problem(bytes: &[u8]) -> (Problem, String) {
    let (_dir, _directory, path, _) = segment();
    put(&path, bytes);
    let error = Segment::open(&path).expect_err("refused");
    let text = error.to_string();
    (error.problem, text)
}

#[test]
fn a_truncated_segment_says_how_much_is_missing() {
    let (_dir, _directory, _path, bytes) = segment();
    for len in [17, 100, 4096, bytes.len() - 1] {
        let (problem, text) = problem(&bytes[..len]);
        assert!(matches!(problem, Problem::Truncated { has, .. } if has == len as u64), "{len}: {text}");
    }
    assert_eq!(problem(&bytes[..3]).0, Problem::NotASegment);
    assert_eq!(problem(&[]).0, Problem::Starting);
}

#[test]
fn a_foreign_file_is_not_a_segment() {
    assert_eq!(problem(&[0x5a; 10_000]).0, Problem::NotASegment);
    assert_eq!(problem(b"#!/bin/sh\n").0, Problem::NotASegment);
}

#[test]
fn a_newer_format_names_both_versions() {
    let (_dir, _directory, _path, mut bytes) = segment();
    bytes[12..16].copy_from_slice(&7_u32.to_ne_bytes());
    let (problem, text) = problem(&bytes);
    assert_eq!(problem, Problem::Format(7));
    assert!(
        text.contains("format 7, this reader knows 1: update stormglass, or restart the process"),
        "{text}"
    );
}

#[test]
fn the_other_byte_order_is_told_apart() {
    let (_dir, _directory, _path, mut bytes) = segment();
    bytes[8..12].reverse();
    assert_eq!(problem(&bytes).0, Problem::ByteOrder);
}

#[test]
fn a_segment_that_is_not_ready_is_starting() {
    let (_dir, _directory, _path, mut bytes) = segment();
    bytes[16..20].fill(0);
    assert_eq!(problem(&bytes).0, Problem::Starting);
}

#[test]
fn half_a_header_is_starting_and_no_foreign_file() {
    let (_dir, _directory, _path, mut bytes) = segment();
    bytes[..8].fill(0);
    assert_eq!(problem(&bytes).0, Problem::Starting);
}

fn word(bytes: &[u8], at: usize) -> usize {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize
}

/// Where the label records and the descriptor records of format 1 begin, and bytes of one.
fn tables(bytes: &[u8]) -> [(usize, usize); 2] {
    [(word(bytes, 56), 2088), (word(bytes, 64), 464)]
}

#[test]
fn more_cells_than_a_slot_has_room_for_are_refused() {
    let (_dir, _directory, _path, mut bytes) = segment();
    let [_, (at, record)] = tables(&bytes);
    let count = u32::from_ne_bytes(bytes[48..52].try_into().expect("4 bytes")) as usize;
    for descriptor in (0..count).map(|i| at + i * record) {
        // All values of all metrics in one place: offset 0, and no distance between neighbours.
        bytes[descriptor + 88..descriptor + 96].fill(0);
        for label in 0..4 {
            bytes[descriptor + 108 + label * 8..descriptor + 112 + label * 8].fill(0);
        }
    }
    bytes[96..104].copy_from_slice(&256_u64.to_ne_bytes());
    bytes[104..112].copy_from_slice(&0_u64.to_ne_bytes());
    bytes[112..120].copy_from_slice(&8_u64.to_ne_bytes());
    assert_eq!(problem(&bytes).0, Problem::Malformed("cells lie on top of each other"));
}

#[test]
fn more_slots_than_any_writer_makes_are_refused() {
    // Slots of two words and no metric: the smallest that there can be.
    const SLOTS: usize = 4096;
    const SLOT_BYTES: usize = 16;
    const CHUNK_BYTES: usize = SLOTS * 4 + SLOTS * SLOT_BYTES;
    let (_dir, _directory, path, mut bytes) = segment();
    let chunks_offset = word(&bytes, 72);
    bytes[48..52].fill(0);
    bytes[80..88].copy_from_slice(&CHUNK_BYTES.to_ne_bytes());
    bytes[88..92].copy_from_slice(&(SLOTS as u32).to_ne_bytes());
    bytes[92..96].copy_from_slice(&(SLOTS as u32 * 4).to_ne_bytes());
    for (at, value) in [(96, SLOT_BYTES), (104, 0), (112, 8)] {
        bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
    bytes.truncate(chunks_offset);
    bytes.resize(chunks_offset + 5 * CHUNK_BYTES, 0);
    let mut with_chunks = |chunks: u32| {
        bytes[20..24].copy_from_slice(&chunks.to_ne_bytes());
        put(&path, &bytes);
        Segment::open(&path)
    };
    let most = with_chunks(4).expect("as many as are taken");
    assert_eq!(most.snapshot().expect("readable").threads, 0);
    let refused = with_chunks(5).expect_err("refused");
    assert_eq!(refused.problem, Problem::Malformed("it has more slots than any writer makes"));
}

#[test]
fn bounds_that_would_be_shown_as_one_number_or_none_are_refused() {
    let (_dir, _directory, _path, bytes) = segment();
    let [_, (at, record)] = tables(&bytes);
    let count = u32::from_ne_bytes(bytes[48..52].try_into().expect("4 bytes")) as usize;
    let histogram = (0..count).map(|i| at + i * record).find(|at| bytes[at + 96] == 2).expect("a histogram");
    let (divisor, bounds) = (histogram + 80, histogram + 144);
    let last = u32::from_ne_bytes(bytes[histogram + 136..histogram + 140].try_into().expect("4 bytes")) - 1;
    let last = bounds + last as usize * 8;
    let changed = |changes: &[(usize, u64)]| {
        let mut bytes = bytes.clone();
        for (at, value) in changes {
            bytes[*at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        problem(&bytes).0
    };
    for changes in [
        &[(last - 8, 1 << 53), (last, (1 << 53) + 1)][..],
        &[(last, u64::MAX), (divisor, 1e-300_f64.to_bits())],
        &[(bounds, 7), (bounds + 8, 7)],
        &[(bounds, 8), (bounds + 8, 7)],
    ] {
        assert_eq!(changed(changes), Problem::Malformed("a metric's bounds"), "{changes:?}");
    }
}

#[test]
fn what_is_said_twice_is_refused() {
    let (_dir, _directory, _path, bytes) = segment();
    let [(labels, label), (descriptors, descriptor)] = tables(&bytes);
    for (from, to, len, what) in [
        (labels, labels + label, 32, "two labels have one name"),
        (labels + 40, labels + 56, 16, "two values of a label are the same"),
        (descriptors, descriptors + 3 * descriptor, 64, "two metrics have one name"),
    ] {
        let mut bytes = bytes.clone();
        bytes.copy_within(from..from + len, to);
        assert_eq!(problem(&bytes).0, Problem::Malformed(what));
    }
}

/// Where format 1 has the text of the injected delay.
const INJECTED: std::ops::Range<usize> = 256..320;

#[test]
fn the_injected_delay_is_read_whole_and_no_further() {
    let (_dir, _directory, path, mut bytes) = segment();
    let read = |bytes: &[u8]| {
        put(&path, bytes);
        Segment::open(&path).map(|segment| segment.process().injected.clone())
    };
    assert_eq!(read(&bytes).expect("good"), None);
    bytes[INJECTED][..3].copy_from_slice(b"1ns");
    assert_eq!(read(&bytes).expect("good").as_deref(), Some("1ns"));
    bytes[INJECTED].fill(b'x');
    assert_eq!(read(&bytes).expect("good"), Some("x".repeat(INJECTED.len())), "a full field has no NUL");
    for hostile in [&b"\xff\xfe"[..], b"1ns\n# HELP", b"\x1b[31m"] {
        bytes[INJECTED].fill(0);
        bytes[INJECTED][..hostile.len()].copy_from_slice(hostile);
        assert!(matches!(read(&bytes).expect_err("refused").problem, Problem::Malformed(_)), "{hostile:?}");
    }
}

#[test]
fn a_segment_that_shrinks_under_its_reader_is_an_error_not_a_fault() {
    let (_dir, _directory, path, bytes) = segment();
    put(&path, &bytes);
    let open = Segment::open(&path).expect("good");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
    file.set_len(bytes.len() as u64 / 2).expect("truncated");
    assert!(matches!(open.snapshot().expect_err("refused").problem, Problem::Truncated { .. }));
}

#[test]
fn links_and_directories_of_others_are_refused() {
    let (dir, directory, path, _) = segment();
    let link = dir.path().join("segments/1-0.seg");
    symlink(&path, &link).expect("linked");
    assert!(matches!(Segment::open(&link).expect_err("refused").problem, Problem::System("open it", _)));
    let fifo = dir.path().join("segments/2-0.seg");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a fifo");
    assert!(matches!(Segment::open(&fifo).expect_err("refused").problem, Problem::NotOurs(_)));

    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("changed");
    let refused = directory.scan().expect_err("refused").to_string();
    assert!(refused.contains("chmod 700"), "{refused}");
    let refused =
        Writer::create(&directory, &Identity { strategy: "mutex", workload: "", ..Identity::default() });
    assert!(refused.err().expect("refused").to_string().contains("STORMGLASS_DIR"));
    assert_eq!(
        Directory::at(dir.path().join("none")).scan().expect("no directory, no segments"),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn a_segment_that_is_cut_off_and_mended_while_it_is_read_is_an_error_or_right() {
    let (_dir, _directory, path, bytes) = segment();
    put(&path, &bytes);
    let segment = Segment::open(&path).expect("good");
    let end = AtomicBool::new(false);
    let (good, cut) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = std::fs::File::options().write(true).open(&path).expect("ours");
            while !end.load(Ordering::Relaxed) {
                file.set_len(8192).expect("cut");
                std::thread::yield_now();
                file.write_all_at(&bytes, 0).expect("mended");
            }
        });
        let (mut good, mut cut) = (0, 0);
        let until = Instant::now() + Duration::from_secs(20);
        while (good < 20 || cut < 20) && Instant::now() < until {
            match segment.snapshot() {
                Ok(snapshot) => {
                    // Mended in mid-reading it may miss counts, but makes up none.
                    let refills = snapshot.counts.sum(Metric::Refills, Select::ALL).expect("counted");
                    assert!(refills <= 3, "{refills}");
                    good += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(error.problem, Problem::Truncated { .. } | Problem::Malformed(_)),
                        "{error}"
                    );
                    cut += 1;
                }
            }
        }
        end.store(true, Ordering::Relaxed);
        (good, cut)
    });
    assert!(cut > 0, "{good} readings, and none met the cut");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Words of the head replaced by anything: refused or read, but never a fault, a panic, or a huge allocation.
    #[test]
    fn a_hostile_head_is_read_or_refused(edits in prop::collection::vec((0_usize..9000, prop_oneof![
        any::<u32>(), 0_u32..64, Just(u32::MAX), Just(1 << 31), (0_u32..20).prop_map(|n| n * 8)
    ]), 1..6)) {
        let (_dir, _directory, path, mut bytes) = segment();
        for (word, value) in edits {
            let at = 16 + word % 5000 * 4;
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        put(&path, &bytes);
        match Segment::open(&path).and_then(|segment| segment.snapshot()) {
            Ok(snapshot) => { let _ = snapshot.lifetime().measures(stormglass_telemetry::Select::ALL); }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

//! Recordings there and back: whole, cut at every byte, and with bytes that somebody has changed.

use std::sync::Arc;

use proptest::prelude::*;
use stormglass_telemetry::{Counts, Liveness, Metric, Op, Select, Snapshot};

use super::record::{self, Kind};
use super::*;
use crate::frame::Now;
use crate::packed::packed;
use crate::recording::recorder::beginning;
use crate::synthetic::{self, SECOND};

/// What changes from one moment to the next: a process, one of its values, and by how much it grows.
type Change = (usize, usize, u64);

fn about() -> About {
    About { version: "0.1.0".to_owned(), created: 1_700_000_000, spacing_ms: 1000, note: "a test".to_owned() }
}

/// Three processes of two kinds, which change as they are told.
fn moments(steps: &[Vec<Change>]) -> Vec<Moment> {
    let mut processes = [
        synthetic::snapshot(synthetic::process(1, "mutex"), SECOND),
        synthetic::general(2, SECOND),
        synthetic::snapshot(synthetic::process(3, "lockfree-single"), SECOND),
    ];
    let mut moments = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let monotonic = 200 * SECOND + i as u64 * SECOND;
        for process in processes.iter_mut().filter(|process| process.liveness == Liveness::Live) {
            process.taken = monotonic - 40_000;
            process.heartbeat += 12_345;
        }
        for &(which, value, by) in step {
            let process = &mut processes[which % 3];
            // Nothing of a dead process changes any more.
            if process.liveness == Liveness::Dead {
                continue;
            }
            let at = value % process.counts.values.len();
            process.counts.values[at] = process.counts.values[at].wrapping_add(by);
            process.threads = (by % 100) as u32;
            process.resident_bytes = by.is_multiple_of(2).then_some(by);
        }
        // One comes late, one dies and then goes.
        let mut snapshots = processes.to_vec();
        if i < 2 {
            snapshots.remove(2);
        }
        if i == 4 {
            processes[0].liveness = Liveness::Dead;
        }
        if i > 6 {
            snapshots.remove(0);
        }
        moments.push(Moment {
            unix_ms: 1_700_000_000_000 + i as u64 * 1000,
            monotonic,
            snapshots,
            left_out: i as u64,
        });
    }
    moments
}

fn file(moments: &[Moment]) -> Vec<u8> {
    let mut out = beginning(&about());
    let mut encoder = Encoder::default();
    for moment in moments {
        let now = Now { unix_ms: moment.unix_ms, monotonic: moment.monotonic };
        encoder.moment(now, moment.left_out, &packed(&moment.snapshots), &mut out);
    }
    record::put(&mut out, Kind::End, &[]);
    out
}

/// Everything that a snapshot says, in a form that can be compared.
fn said(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug {
    let s = snapshot;
    (
        (Arc::clone(&s.process), s.liveness, s.taken, s.born, s.heartbeat, s.threads, s.threads_started),
        (s.threads_dropped, s.segment_bytes, s.resident_bytes),
        (Arc::clone(&s.counts.schema), s.counts.values.clone()),
    )
}

fn check_same(read: &Moment, written: &Moment) {
    assert_eq!(
        (read.unix_ms, read.monotonic, read.left_out, read.snapshots.len()),
        (written.unix_ms, written.monotonic, written.left_out, written.snapshots.len())
    );
    for (read, written) in read.snapshots.iter().zip(&written.snapshots) {
        assert!(said(read) == said(written), "pid {} at {}", written.process.pid, written.taken);
    }
}

/// Moments that can be read before the end or an error, and how it ended.
fn read(bytes: &[u8]) -> (Vec<Moment>, Result<Option<End>, RecordingError>) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut moments = Vec::new();
    for next in reader.by_ref() {
        match next {
            Ok(moment) => moments.push(moment),
            Err(error) => return (moments, Err(error)),
        }
    }
    assert!(reader.next().is_none(), "the end is the end");
    (moments, Ok(reader.end()))
}

fn steps() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = (0..3_usize, any::<usize>(), prop_oneof![0..1000_u64, any::<u64>()]);
    proptest::collection::vec(proptest::collection::vec(change, 0..6), 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_recorded_is_read(steps in steps()) {
        let moments = moments(&steps);
        let (read, end) = read(&file(&moments));
        prop_assert!(matches!(end, Ok(Some(End::Whole))));
        prop_assert_eq!(read.len(), moments.len());
        for (read, written) in read.iter().zip(&moments) {
            check_same(read, written);
        }
    }

    #[test]
    fn changed_bytes_are_an_error_or_fewer_moments_and_never_other_ones(
        at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let moments = moments(&[vec![(0, 7, 5)], vec![(1, 9, 300)], vec![(0, 7, 5)]]);
        let mut bytes = file(&moments);
        let (at, end) = (at.index(bytes.len()), cut.index(bytes.len()) + 1);
        bytes[at] = to;
        bytes.truncate(end);
        let (read, _) = read(&bytes);
        // The head has no checksum, but says nothing about moments.
        prop_assert!(read.len() <= moments.len());
        for (read, written) in read.iter().zip(&moments) {
            check_same(read, written);
        }
    }

    /// Behind a checksum that fits: what a hostile file can say to the decoder.
    #[test]
    fn a_payload_of_any_bytes_is_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..400), key in any::<bool>()) {
        let mut packed = Vec::new();
        let mut deflate = flate2::Compress::new(flate2::Compression::default(), false);
        packed.reserve(bytes.len() + 1024);
        deflate.compress_vec(&bytes, &mut packed, flate2::FlushCompress::Sync).expect("room");
        for payload in [&bytes, &packed] {
            let mut file = beginning(&about());
            record::put(&mut file, if key { Kind::Key } else { Kind::Step }, payload);
            let _ = read(&file);
        }
    }

    /// One byte of the inflated payload of a good key, so that what follows is still nearly right.
    #[test]
    fn a_payload_that_is_nearly_right_is_refused_or_read(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut encoder = Encoder::default();
        let moment = &moments(&[vec![(0, 7, 5), (1, 1, 1)]])[0];
        let mut out = Vec::new();
        encoder.moment(Now { unix_ms: 5, monotonic: 5 }, 0, &packed(&moment.snapshots), &mut out);
        let mut records = Records::bare(&out[..], 0);
        let payload = records.next().expect("good").expect("one").2.to_vec();
        let mut body = Vec::with_capacity(1 << 20);
        flate2::Decompress::new(false)
            .decompress_vec(&payload, &mut body, flate2::FlushDecompress::Sync)
            .expect("it was compressed");
        let at = at.index(body.len());
        body[at] = to;
        let mut packed = Vec::with_capacity(1 << 20);
        flate2::Compress::new(flate2::Compression::fast(), false)
            .compress_vec(&body, &mut packed, flate2::FlushCompress::Sync)
            .expect("room");
        let mut file = beginning(&about());
        record::put(&mut file, Kind::Key, &packed);
        record::put(&mut file, Kind::Key, &packed);
        let _ = read(&file);
    }
}

#[test]
fn a_file_that_is_cut_anywhere_reads_to_its_last_whole_record() {
    let moments = moments(&[vec![(0, 7, 5)], vec![(1, 9, 300)], vec![], vec![(0, 8, 1), (2, 1, 1)]]);
    let whole = file(&moments);
    // Where the records end, the head and the first record not among them.
    let mut ends = Vec::new();
    let mut records = Records::of_file(&whole[..]).expect("a recording");
    while records.next().expect("good").is_some() {
        ends.push(records.at());
    }
    let first = ends.remove(0);
    for length in 0..whole.len() {
        let (read, end) = read(&whole[..length]);
        let expected = ends.iter().filter(|&&end| end <= length as u64).count().min(moments.len());
        assert_eq!(read.len(), expected, "cut at byte {length}");
        for (read, written) in read.iter().zip(&moments) {
            check_same(read, written);
        }
        if (length as u64) < first {
            assert!(matches!(end, Err(RecordingError::Empty)), "cut at byte {length}: {end:?}");
        } else {
            assert!(matches!(end, Ok(Some(End::Cut))), "cut at byte {length}: {end:?}");
        }
    }
}

#[test]
fn what_is_foreign_newer_or_unknown_is_refused_in_a_sentence() {
    let whole = file(&moments(&[vec![]]));
    let sentence = |bytes: &[u8]| read(bytes).1.expect_err("refused").to_string();
    assert!(sentence(b"\x7fELF and so on").contains("no recording"));
    assert!(sentence(b"").contains("before its first moment"));
    let mut newer = whole.clone();
    newer[8] = 2;
    assert_eq!(
        sentence(&newer),
        "it speaks format 2, and this stormglass reads format 1: update stormglass, or record again"
    );
    let with = |kind: u8| {
        let mut bytes = beginning(&about());
        let start = bytes.len();
        record::put(&mut bytes, Kind::End, b"what is this");
        bytes[start + 4] = kind;
        let end = bytes.len() - 4;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[start..end]);
        bytes[end..].copy_from_slice(&crc.sum().to_le_bytes());
        bytes.extend_from_slice(&whole[start..]);
        bytes
    };
    assert!(sentence(&with(9)).contains("of kind 9"));
    assert_eq!(read(&with(0x90)).0.len(), 1, "an addition is passed by");
}

#[test]
fn a_length_without_end_is_refused_before_anything_is_allocated() {
    let mut bytes = beginning(&about());
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    bytes.push(Kind::Key as u8);
    assert!(matches!(read(&bytes).1, Err(RecordingError::Malformed { .. })));
    // A bomb: 64 MiB of zeros in some 64 KiB.
    let mut packed = Vec::with_capacity(1 << 20);
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    for _ in 0..64 {
        deflate.compress_vec(&vec![0; 1 << 20], &mut packed, flate2::FlushCompress::None).expect("room");
    }
    deflate.compress_vec(&[], &mut packed, flate2::FlushCompress::Sync).expect("room");
    let mut bytes = beginning(&about());
    record::put(&mut bytes, Kind::Key, &packed);
    let error = read(&bytes).1.expect_err("refused");
    assert!(error.to_string().contains("inflates to more"), "{error}");
}

#[test]
fn a_step_without_its_key_is_refused() {
    let moments = moments(&[vec![], vec![]]);
    let mut bytes = beginning(&about());
    let mut encoder = Encoder::default();
    let mut skipped = Vec::new();
    for moment in &moments {
        let out = if skipped.is_empty() { &mut skipped } else { &mut bytes };
        let now = Now { unix_ms: moment.unix_ms, monotonic: moment.monotonic };
        encoder.moment(now, 0, &packed(&moment.snapshots), out);
    }
    assert!(matches!(read(&bytes).1, Err(RecordingError::Malformed { .. })));
}

#[test]
fn what_finds_no_room_is_counted() {
    // Each has more values than a thousandth of what a reader takes.
    let schema = Arc::new(stormglass_telemetry::Schema::own());
    let of = |pid| Snapshot {
        counts: Counts::zero(Arc::clone(&schema)),
        ..synthetic::snapshot(synthetic::process(pid, "mutex"), SECOND)
    };
    let room = limits::CELLS / schema.len;
    let snapshots: Vec<Snapshot> = (1..=room as u32 + 7).map(of).collect();
    let moment = Moment { unix_ms: 5, monotonic: 200 * SECOND, snapshots, left_out: 2 };
    let (read, _) = read(&file(&[moment]));
    assert_eq!((read[0].snapshots.len(), read[0].left_out), (room, 9));
}

#[test]
fn a_moment_of_a_storm_takes_some_tens_of_bytes() {
    let step: Vec<Change> = (0..40).map(|i| (0, 1000 + i, 12_345 + i as u64)).collect();
    let steps = vec![step; 59];
    let bytes = file(&moments(&steps)).len() as u64;
    let key = file(&moments(&steps[..1])).len() as u64;
    assert!((bytes - key) / 58 < 250, "{} bytes a step after a key of {key}", (bytes - key) / 58);
}

#[test]
fn a_summary_is_of_the_recorded_span() {
    let grow: Vec<Change> = vec![(0, 0, 1000)];
    let bytes = file(&moments(&vec![grow; 4]));
    let summary = Summary::of(Reader::new(&bytes[..]).expect("a recording")).expect("moments");
    assert_eq!((summary.moments, summary.whole, summary.note.as_str()), (4, true, "a test"));
    let first = &summary.processes[0];
    assert_eq!((first.pid, first.span.1 - first.span.0), (1, 3000));
    // The first value is a ring's hits.
    assert_eq!(first.measures.allocations_per_second, Some(1000.0));
    let cut = Summary::of(Reader::new(&bytes[..bytes.len() - 1]).expect("a recording")).expect("moments");
    assert!(!cut.whole && cut.damage.is_none());
}

/// A file of format 1 as it was written once. It is never written again: were it to be read in another way, so would be every
/// recording that somebody has kept.
const KEPT: &[u8] = include_bytes!("../../tests/golden/format1.sgrec");

/// What the kept file holds: 65 seconds of one process, in the metrics of its time.
fn kept() -> Vec<Moment> {
    let at = |second: u64| {
        let mut snapshot = synthetic::snapshot(synthetic::process(7, "lockfree-single"), second * SECOND);
        synthetic::add(&mut snapshot, Metric::RingHits, &[3], 0, 1_000_000 * second);
        synthetic::add(&mut snapshot, Metric::CasFailures, &[3, 3, Op::Pop as usize], 0, 26_000 * second);
        synthetic::add(&mut snapshot, Metric::CasRetries, &[3, 3], 5, 300 * second);
        snapshot.resident_bytes = second.is_multiple_of(2).then_some(second << 20);
        let unix_ms = 1_700_000_000_000 + second * 1000;
        Moment { unix_ms, monotonic: 100 * SECOND + second * SECOND, snapshots: vec![snapshot], left_out: 0 }
    };
    (10..75).map(at).collect()
}

#[test]
fn a_file_that_was_kept_reads_as_it_did() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/format1.sgrec");
    if KEPT.is_empty() && std::env::var_os("STORMGLASS_BLESS").is_some() {
        std::fs::write(path, file(&kept())).expect("the source is writable");
        return;
    }
    let (read, end) = read(KEPT);
    assert!(matches!(end, Ok(Some(End::Whole))), "{end:?}");
    assert_eq!(read.len(), 65);
    for (read, kept) in read.iter().zip(kept()) {
        assert_eq!((read.unix_ms, read.monotonic, read.left_out), (kept.unix_ms, kept.monotonic, 0));
        let (read, kept) = (&read.snapshots[0], &kept.snapshots[0]);
        assert_eq!((&read.process, read.liveness, read.taken), (&kept.process, kept.liveness, kept.taken));
        assert_eq!(
            (read.resident_bytes, read.threads, read.heartbeat),
            (kept.resident_bytes, 2, kept.heartbeat)
        );
        let all = Select::ALL.class(3);
        for metric in [Metric::RingHits, Metric::CasFailures] {
            assert_eq!(read.counts.sum(metric, all), kept.counts.sum(metric, all));
        }
        assert_eq!(
            read.counts.histogram(Metric::CasRetries, all),
            kept.counts.histogram(Metric::CasRetries, all)
        );
        assert_eq!(read.counts.values.iter().filter(|&&value| value > 0).count(), 3);
    }
    let summary = Summary::of(Reader::new(KEPT).expect("a recording")).expect("moments");
    assert_eq!(summary.processes[0].hottest.as_ref().map(|h| h.class.as_str()), Some("8192"));
}

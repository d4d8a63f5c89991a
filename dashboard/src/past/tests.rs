//! The past in numbers: how far it goes, what it says, and that it takes no more than was said.

use proptest::prelude::*;
use stormglass_telemetry::{Metric, Select, Snapshot};

use super::*;
use crate::packed::packed;
use crate::recording::{Moment, Reader};
use crate::synthetic::{self, SECOND};
use stormglass_telemetry::Op;
use stormglass_telemetry::diagnosis::{Around, Diagnostician, Evidence, Place, RetryStorm, Verdict};

const START: u64 = 1_700_000_000_000;

fn now(second: u64) -> Now {
    Now { unix_ms: START + second * 1000, monotonic: 200 * SECOND + second * SECOND }
}

/// A process that has hit its ring a thousand times a second, and counts much else if it is busy.
fn process(pid: u32, second: u64, busy: usize) -> Snapshot {
    grown(synthetic::snapshot(synthetic::process(pid, "mutex"), 0), second, busy)
}

/// The same of a process that is there already.
fn grown(mut snapshot: Snapshot, second: u64, busy: usize) -> Snapshot {
    let pid = snapshot.process.pid;
    snapshot.taken = now(second).monotonic;
    synthetic::add(&mut snapshot, Metric::RingHits, &[2], 0, 1000 * second);
    for i in 0..busy {
        // Values that no compression foresees.
        let value =
            (second + 1) * (1 + ((i as u64 * 2_654_435_761) ^ u64::from(pid) ^ (second * 40_503)) % 100_000);
        snapshot.counts.values[500 + i] = value;
    }
    snapshot
}

fn finding(verdict: Verdict) -> Finding {
    let storm =
        RetryStorm { failures_per_second: 1e6, failed_share: 0.5, failures_per_batch: 26.0, remote: false };
    let place = Place { class: Some("8192".to_owned()), shard: Some("3".to_owned()) };
    Finding {
        verdict,
        place,
        since: now(0).monotonic,
        evidence: Evidence::RetryStorm(storm),
        injected: false,
    }
}

fn hits(moment: &Moment) -> Vec<Option<u64>> {
    moment.snapshots.iter().map(|s| s.counts.sum(Metric::RingHits, Select::ALL)).collect()
}

#[test]
fn a_quiet_quarter_of_an_hour_is_there_second_by_second() {
    let mut past = Past::default();
    for second in 0..=2000 {
        past.record(now(second), 0, &packed(&[process(1, second, 0)]));
    }
    let (from, to) = past.reach().expect("it has a past");
    assert_eq!(to, now(2000).unix_ms);
    assert_eq!(from, to - REACH);
    for second in [1101, 1500, 1999, 2000] {
        let moment = past.clip(now(second).unix_ms + 999).and_then(|clip| clip.moment()).expect("a moment");
        assert_eq!((moment.unix_ms, hits(&moment)), (now(second).unix_ms, vec![Some(second * 1000)]));
    }
    let first = past.clip(0).and_then(|clip| clip.moment()).expect("a moment");
    assert!(first.unix_ms <= from, "before the first is the first");
}

#[test]
fn a_frame_of_a_span_is_of_that_span() {
    let mut past = Past::default();
    for second in 0..100 {
        let newcomer = (second >= 50).then(|| process(2, second, 0));
        let snapshots: Vec<Snapshot> = std::iter::once(process(1, second, 0)).chain(newcomer).collect();
        past.record(now(second), 3, &packed(&snapshots));
    }
    let moment = |second| past.clip(now(second).unix_ms).and_then(|clip| clip.moment());
    let frame = span_frame(moment(40).as_ref(), &moment(60).expect("it is there"), &Marks::default());
    let json = serde_json::to_value(&frame).expect("a frame is JSON");
    assert_eq!((json["time"].as_u64(), json["left_out"].as_u64()), (Some(now(60).unix_ms), Some(3)));
    assert_eq!(json["processes"][0]["rates"]["allocations_per_second"], 1000.0);
    assert_eq!(json["processes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_hundred_busy_processes_take_no_more_than_was_said() {
    let mut past = Past::default();
    // Each changes 300 values a second: what a program of many threads and sizes does.
    let all: Vec<Snapshot> = (1..=100).map(|pid| process(pid, 0, 0)).collect();
    for second in 0..80 {
        let snapshots: Vec<Snapshot> = all.iter().map(|s| grown(s.clone(), second, 300)).collect();
        past.record(now(second), 0, &packed(&snapshots));
        assert!(past.bytes() <= BYTES, "{} bytes after {second} s", past.bytes());
    }
    let (from, to) = past.reach().expect("it has a past");
    assert!(to - from >= 60_000, "{} s", (to - from) / 1000);
    let moment = past.clip(to - 10_000).and_then(|clip| clip.moment()).expect("a moment");
    assert_eq!(moment.snapshots.len(), 100);
    let mut captured = 0;
    for snapshot in &all[..20] {
        let snapshots = [grown(snapshot.clone(), 80, 300)];
        let id = ProcessId::of(&snapshots[0].process);
        captured += u32::from(
            past.capture(now(80), &packed(&snapshots), id, &finding(Verdict::RetryStorm)).is_some(),
        );
        assert!(past.captures.bytes() <= capture::BYTES);
    }
    assert_eq!(captured, 20);
    let kept: Vec<u32> = past.captures().map(|c| c.id).collect();
    assert!(kept.len() <= capture::CAPTURES && kept.last() == Some(&20), "{kept:?}");
    assert!(past.bytes() <= BYTES);
}

#[test]
fn one_moment_that_is_too_large_for_a_row_leaves_it_empty_and_usable() {
    let mut ring = Ring::new(1000, 2000);
    ring.push(now(0), 0, &[process(1, 0, 3000).into()]);
    assert_eq!((ring.from(), ring.bytes()), (None, 0));
    assert!(ring.clip(0).is_none());
    let mut ring = Ring::new(1000, 64 << 10);
    ring.push(now(0), 0, &[process(1, 0, 0).into()]);
    assert_eq!(ring.from(), Some(now(0).unix_ms));
}

#[test]
fn a_capture_is_the_minute_before_of_one_process() {
    let mut past = Past::default();
    let both = |second| [process(1, second, 10), process(2, second, 10)];
    for second in 0..200 {
        past.record(now(second), 0, &packed(&both(second)));
    }
    let snapshots = both(200);
    let id = ProcessId::of(&snapshots[1].process);
    let storm = finding(Verdict::RetryStorm);
    let number = past.capture(now(200), &packed(&snapshots), id, &storm).expect("the first");
    assert!(past.capture(now(210), &packed(&snapshots), id, &storm).is_none(), "once a minute");
    assert!(
        past.capture(now(210), &packed(&both(210)), id, &finding(Verdict::LockConvoy)).is_some(),
        "something else"
    );
    let tape = past.tape(number).expect("it is kept");
    assert_eq!(tape.reach(), (now(140).unix_ms, now(200).unix_ms));
    let file = tape.file().expect("in memory");
    let moments: Vec<Moment> =
        Reader::new(file).expect("a recording").collect::<Result<_, _>>().expect("whole");
    assert_eq!(moments.len(), 61);
    assert!(moments.iter().all(|m| m.snapshots.len() == 1 && m.snapshots[0].process.pid == 2));
    assert_eq!(hits(&moments[60]), [Some(200_000)], "up to the moment itself");
    let capture = past.captures().next().expect("it is listed");
    assert_eq!(capture.file_name(), "retry_storm-2-1.sgrec");
}

/// A process whose CASes on one shard fail half of the time, from the thirtieth second to the sixtieth.
fn stormy(second: u64) -> Snapshot {
    let mut snapshot = process(1, second, 0);
    let batches = second.clamp(30, 60) * 1_000_000 - 30_000_000;
    synthetic::add(&mut snapshot, Metric::Refills, &[3, 5], 0, batches);
    synthetic::add(&mut snapshot, Metric::CasAttempts, &[3, 5, Op::BatchPop as usize], 0, 2 * batches);
    synthetic::add(&mut snapshot, Metric::CasFailures, &[3, 5, Op::BatchPop as usize], 0, batches);
    snapshot
}

#[test]
fn a_verdict_leaves_a_mark_and_a_capture_and_a_recording_finds_it_again() {
    let mut past = Past::default();
    let mut diagnostician = Diagnostician::new();
    let epoch = Epoch::of(now(0).unix_ms, now(0).monotonic);
    let id = ProcessId::of(&stormy(0).process);
    for second in 0..100 {
        let snapshots = [stormy(second)];
        past.record(now(second), 0, &packed(&snapshots));
        for change in diagnostician.see(&snapshots[0], &Around::default()) {
            past.note(now(second), epoch, &packed(&snapshots), id, &change);
        }
    }
    let of = |marks: &Marks, second: u64| -> Vec<String> {
        let shown = serde_json::to_value(marks.at(id, now(second).unix_ms).0).expect("JSON");
        let all = shown.as_array().expect("a list").clone();
        all.iter().filter_map(|v| v["verdict"].as_str().map(str::to_owned)).collect()
    };
    assert!(of(past.marks(), 25).is_empty() && of(past.marks(), 90).is_empty());
    assert!(of(past.marks(), 45).contains(&"retry_storm".to_owned()));
    let storm = past.captures().next().expect("what turned on was captured");
    assert!(storm.file_name().contains("-1-"), "{}", storm.file_name());
    // The same from the counts alone.
    let tape = Tape::of_bytes(past.recording(0, u64::MAX, 0)).expect("a recording");
    for second in [25, 45, 90] {
        assert_eq!(of(tape.marks(), second), of(past.marks(), second), "second {second}");
    }
    let frame =
        serde_json::to_value(tape.frame(now(44).unix_ms, now(45).unix_ms).expect("a frame")).expect("JSON");
    assert_eq!(frame["processes"][0]["verdicts"][0]["class"], "8192");
}

#[test]
fn a_part_of_the_past_is_a_recording() {
    let mut past = Past::default();
    for second in 0..300 {
        past.record(now(second), 0, &packed(&[process(1, second, 5)]));
    }
    let file = past.recording(now(100).unix_ms, now(150).unix_ms, 7);
    let tape = Tape::of_bytes(file).expect("a recording");
    let (from, to) = tape.reach();
    assert!(from <= now(100).unix_ms && to >= now(150).unix_ms && to - from < 130_000, "{from} {to}");
    assert!(tape.is_whole());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A row never takes more than its bytes, and what it says of a moment is what it was told.
    #[test]
    fn a_row_keeps_to_its_bytes(budget in 6000..60_000_usize, steps in proptest::collection::vec((1..100_u64, 0..400_usize), 1..80)) {
        let mut ring = Ring::new(1000, budget);
        let mut second = 0;
        let mut told = Vec::new();
        for (pause, busy) in steps {
            second += pause;
            ring.push(now(second), 0, &[process(1, second, busy).into()]);
            told.push(second);
            prop_assert!(ring.bytes() <= budget);
        }
        let Some(from) = ring.from() else { return Ok(()) };
        for second in told.into_iter().filter(|&second| now(second).unix_ms >= from) {
            let moment = ring.clip(now(second).unix_ms).and_then(|clip| clip.moment()).expect("it is there");
            prop_assert_eq!(hits(&moment), vec![Some(second * 1000)]);
        }
    }
}

//! Assertions held against processes that never ran.

use std::sync::Arc;
use std::time::Duration;

use stormglass_telemetry::{
    Counts, Family, Inside, LabelValues, Liveness, Metric, Process, Schema, Shape, Snapshot,
};

use super::evaluate::{Judgement, Outcome, judge};
use super::evidence::{Evidence, Seen, Since};
use super::expression::Assertion;

const SECOND: u64 = 1_000_000_000;

/// A process born at 50 s, seen so many seconds later.
fn process(pid: u32, strategy: &str, seconds: f64) -> Snapshot {
    let taken = 50 * SECOND + (seconds * SECOND as f64) as u64;
    Snapshot {
        process: Arc::new(Process {
            pid,
            start_time: 1,
            sequence: 0,
            command: "hammer".to_owned(),
            strategy: strategy.to_owned(),
            workload: "storm".to_owned(),
            injected: None,
            version: "0.1.0".to_owned(),
            created: 0,
        }),
        liveness: Liveness::Live,
        taken,
        born: 50 * SECOND,
        heartbeat: taken,
        threads: 2,
        threads_started: 2,
        threads_dropped: 0,
        segment_bytes: 1 << 20,
        resident_bytes: Some(8 << 20),
        counts: Counts::zero(Arc::new(Schema::own())),
    }
}

fn add(snapshot: &mut Snapshot, metric: Metric, at: &[usize], cell: usize, value: f64) {
    let schema = Arc::clone(&snapshot.counts.schema);
    let family = schema.family(metric).expect("of this build");
    let index = family.labels.iter().zip(at).fold(0, |i, (&l, &a)| i * schema.labels[l].values.len() + a);
    snapshot.counts.values[family.start + index * family.width + cell] += value as u64;
}

/// One that fails `failures` CASes for each of 1000 batches a second in class 8192, shard 3.
pub(super) fn storming(pid: u32, strategy: &str, failures: f64, seconds: f64) -> Snapshot {
    let mut snapshot = process(pid, strategy, seconds);
    let batches = seconds * 1000.0;
    add(&mut snapshot, Metric::Refills, &[3, 3], 0, batches);
    add(&mut snapshot, Metric::CasAttempts, &[3, 3, 0], 0, batches * (failures + 1.0));
    add(&mut snapshot, Metric::CasFailures, &[3, 3, 0], 0, batches * failures);
    add(&mut snapshot, Metric::CasRetries, &[3, 3], 3, batches * 0.9);
    add(&mut snapshot, Metric::CasRetries, &[3, 3], 6, batches * 0.1);
    add(&mut snapshot, Metric::RingHits, &[3], 0, batches * 97.0);
    add(&mut snapshot, Metric::RingMisses, &[3], 0, batches * 3.0);
    snapshot
}

/// Four seconds of what a function of the time shows, five looks a second.
fn seen(since: Since, looks: impl Fn(f64) -> Vec<Snapshot>) -> Seen {
    let mut evidence = Evidence::new(since, Duration::from_secs(1));
    for look in 0..=20 {
        let at = 10.0 + f64::from(look) / 5.0;
        let now = 50 * SECOND + (at * SECOND as f64) as u64;
        evidence.see(now, looks(at).into_iter().map(Into::into));
    }
    evidence.finish()
}

fn check(text: &str, seen: &Seen) -> Outcome {
    judge(&Assertion::parse(text).expect("understood"), seen, 100)
}

fn hold(seen: &Seen, wanted: Judgement, texts: &[&str]) {
    for text in texts {
        let outcome = check(text, seen);
        assert_eq!(outcome.judgement, wanted, "{text}: {outcome:?}");
        assert_eq!(
            outcome.note.is_empty(),
            !matches!(wanted, Judgement::NoData | Judgement::Unavailable) || outcome.value.is_some(),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_storm_fails_and_a_calm_process_beside_it_does_not() {
    let both = seen(Since::FirstLook, |at| {
        vec![storming(1, "mutex", 0.0, at), storming(2, "lockfree-single", 26.0, at)]
    });
    assert_eq!(both.tracks.len(), 2);
    for (text, judgement) in [
        ("max(cas_failures_per_batch) < 0.5", Judgement::Fails),
        ("max(cas_failures_per_batch{strategy=\"mutex\"}) < 0.5", Judgement::Holds),
        ("cas_failures_per_batch < 0.5", Judgement::Fails),
        ("no retry_storm", Judgement::Fails),
        ("no verdict{strategy=\"mutex\"}", Judgement::Holds),
        ("retry_storm{class=\"8192\",shard=\"3\"}", Judgement::Holds),
        ("no retry_storm{shard=\"4\"}", Judgement::Holds),
        ("retry_storm{pid=\"1\"}", Judgement::Fails),
        ("ring_hit_ratio{class=\"8192\"} > 0.95", Judgement::Holds),
        ("sum(refills) == 8000", Judgement::Holds),
        ("sum(refills{shard!=\"3\"}) == 0", Judgement::Holds),
        ("p50(cas_retries) == 4", Judgement::Holds),
        ("p999(cas_retries) == 32", Judgement::Holds),
        ("max(threads) == 2", Judgement::Holds),
        ("sum(threads) == 4", Judgement::Holds),
        ("max(resident_bytes) == 8MiB", Judgement::Holds),
        (
            "max(cas_failures_per_batch{strategy=\"mutex\"}) < 0.1 * max(cas_failures_per_batch{strategy=\"lockfree-single\"})",
            Judgement::Holds,
        ),
        ("cas_failures / refills > 25", Judgement::Fails),
    ] {
        assert_eq!(check(text, &both).judgement, judgement, "{text}: {:?}", check(text, &both));
    }
    let outcome = check("max(cas_failures_per_batch) < 0.5", &both);
    assert_eq!(outcome.value, Some(26.0));
    let place = outcome.place.expect("it is somewhere").to_string();
    assert!(place.starts_with("hammer 2 (lockfree-single, storm) class 8192 shard 3 at "), "{place}");
    let rate = check("rate(refills) > 0", &both).value.expect("a rate");
    assert!((rate - 1000.0).abs() < 1.0, "{rate}");
}

#[test]
fn what_was_not_counted_is_no_data_and_does_not_pass() {
    let calm = seen(Since::FirstLook, |at| vec![storming(1, "mutex", 0.0, at)]);
    hold(
        &calm,
        Judgement::NoData,
        &[
            "walked_per_kept < 2",
            "max(lock_contended_ratio) < 0.5",
            "p99(lock_wait_seconds) < 1ms",
            "ring_hit_ratio{class=\"77\"} > 0",
            "max(refills{class=\"77\"}) < 10",
            "ring_hit_ratio{strategy=\"page\"} > 0",
            "no verdict{strategy=\"page\"}",
            "large_allocations < 5",
            "1 / (refills - refills) > 0",
        ],
    );
    let note = check("ring_hit_ratio{class=\"77\"} > 0", &calm).note;
    assert!(note.starts_with("no class is \"77\"; there are 2048, 3072"), "{note}");
    let note = check("ring_hit_ratio{strategy=\"page\"} > 0", &calm).note;
    assert!(note.contains("there are hammer 1 (mutex, storm)"), "{note}");

    let nothing = seen(Since::FirstLook, |_| Vec::new());
    hold(&nothing, Judgement::NoData, &["no verdict", "max(refills) < 1", "max(live_bytes) < 1"]);
}

/// One whose slow paths are sampled by some of the hardware counters: in class 8192, shard 3, each costs 1000 cycles and, where
/// they are counted, 30 cache misses; in shard 4 a tenth of that.
fn sampled(pid: u32, inside: Inside, seconds: f64) -> Snapshot {
    let mut snapshot = process(pid, "mutex", seconds);
    snapshot.counts = Counts::zero(Arc::new(Schema::of(Shape { inside, ..Shape::MID })));
    let samples = seconds * 500.0;
    for (shard, cost) in [(3, 1.0), (4, 0.1)] {
        add(&mut snapshot, Metric::SlowPathSamples, &[3, shard], 0, samples);
        for (has, metric, each) in [
            (inside.cycles, Metric::SlowPathCycles, 1000.0),
            (inside.instructions, Metric::SlowPathInstructions, 400.0),
            (inside.cache_misses, Metric::SlowPathCacheMisses, 30.0),
        ] {
            if has {
                add(&mut snapshot, metric, &[3, shard], 0, samples * each * cost);
            }
        }
    }
    snapshot
}

#[test]
fn slow_paths_are_judged_by_hardware_counters_where_there_are_some() {
    let all = Inside { cycles: true, instructions: true, cache_misses: true };
    let seen_all = seen(Since::FirstLook, |at| vec![sampled(1, all, at)]);
    hold(
        &seen_all,
        Judgement::Holds,
        &[
            "max(cache_misses_per_slow_path) == 30",
            "cache_misses_per_slow_path{shard=\"4\"} == 3",
            "cycles_per_slow_path < 1000",
            "max(cycles_per_slow_path{class=\"8192\"}) == 1000",
            "instructions_per_slow_path / cycles_per_slow_path > 0.3",
            "rate(slow_path_samples) > 900",
            "sum(slow_path_cache_misses{shard!=\"3\"}) == 6000",
        ],
    );
    let worst = check("max(cache_misses_per_slow_path) < 10", &seen_all);
    assert_eq!((worst.judgement, worst.value), (Judgement::Fails, Some(30.0)));
    assert_eq!(worst.place.and_then(|place| place.shard).as_deref(), Some("3"));
}

/// One of a sidecar with `--perf` on a machine without a PMU: a million nanoseconds a millisecond, and no cycles.
fn evented(seconds: f64) -> Snapshot {
    let mut snapshot = process(1, "mutex", seconds);
    let own = &snapshot.counts.schema;
    let mut labels = own.labels.clone();
    let descriptor = Metric::PerfEvents.descriptor();
    let family = Family { labels: vec![labels.len()], ..Family::of(&descriptor) };
    labels.push(LabelValues { name: "event".to_owned(), values: vec!["task_clock".to_owned()] });
    let families = own.families.iter().cloned().chain([family]).collect();
    snapshot.counts = Counts::zero(Arc::new(Schema::new(labels, families)));
    let last = snapshot.counts.values.len() - 1;
    snapshot.counts.values[last] = (seconds * 1e9) as u64;
    snapshot
}

#[test]
fn events_are_judged_where_a_sidecar_counts_them() {
    let busy = seen(Since::FirstLook, |at| vec![evented(at)]);
    hold(
        &busy,
        Judgement::Holds,
        &[
            "rate(perf_events{event=\"task_clock\"}) > 990000000",
            "max(rate(perf_events{event=\"task_clock\",strategy=\"mutex\"})) < 1010000000",
            "sum(stormglass_perf_events_total{event=\"task_clock\"}) > 3000000000",
        ],
    );
    hold(
        &busy,
        Judgement::Unavailable,
        &["perf_events{event=\"cycles\"} < 1", "max(rate(perf_events{event=\"cycles\"})) < 1"],
    );
    let none = seen(Since::FirstLook, |at| vec![storming(1, "mutex", 0.0, at)]);
    hold(&none, Judgement::Unavailable, &["perf_events{event=\"cache_misses\"} < 1"]);
    assert!(check("perf_events{event=\"cycles\"} < 1", &none).note.contains("started with --perf"));
}

#[test]
fn without_hardware_counters_an_assertion_on_them_is_not_available() {
    let without = seen(Since::FirstLook, |at| vec![storming(1, "mutex", 0.0, at)]);
    let texts = [
        "max(cache_misses_per_slow_path) < 40",
        "cycles_per_slow_path < 5000",
        "slow_path_samples > 0",
        "rate(slow_path_instructions) > 0",
        "instructions_per_slow_path / cycles_per_slow_path > 0.5",
    ];
    hold(&without, Judgement::Unavailable, &texts);
    let note = check(texts[0], &without).note;
    assert!(
        note.contains("has stormglass_slow_path_cache_misses_total: it takes STORMGLASS_PERF=1"),
        "{note}"
    );
    // Of the three, those that are counted have a value.
    let cycles = Inside { cycles: true, ..Inside::NONE };
    let some = seen(Since::FirstLook, |at| vec![sampled(1, cycles, at)]);
    hold(&some, Judgement::Holds, &["max(cycles_per_slow_path) == 1000"]);
    hold(&some, Judgement::Unavailable, &["cache_misses_per_slow_path < 40"]);
    // Where nobody is, nobody knows whether they would have had counters; and too few samples are too few.
    let nobody = seen(Since::FirstLook, |_| Vec::new());
    hold(&nobody, Judgement::NoData, &["cycles_per_slow_path < 1"]);
    let idle = seen(Since::FirstLook, |_| vec![sampled(1, cycles, 0.1)]);
    hold(&idle, Judgement::NoData, &["cycles_per_slow_path < 1"]);
    for (text, takes) in
        [("1 < 2 * max(cycles_per_slow_path)", true), ("no verdict", false), ("refills > 1", false)]
    {
        assert_eq!(Assertion::parse(text).expect("understood").takes_samples(), takes, "{text}");
    }
}

#[test]
fn a_share_of_a_handful_of_events_is_no_data() {
    let few = seen(Since::FirstLook, |at| {
        let mut snapshot = process(1, "hybrid", at);
        add(&mut snapshot, Metric::Refills, &[0, 0], 0, at * 5.0);
        add(&mut snapshot, Metric::CasFailures, &[0, 0, 0], 0, at * 50.0);
        vec![snapshot]
    });
    assert_eq!(check("max(cas_failures_per_batch) < 0.5", &few).judgement, Judgement::NoData);
    let patient = judge(&Assertion::parse("max(cas_failures_per_batch) < 0.5").expect("understood"), &few, 1);
    assert_eq!(patient.judgement, Judgement::Fails);
}

#[test]
fn the_dead_count_from_their_birth_or_not_at_all() {
    let dead = |at: f64| {
        let mut snapshot = storming(1, "mutex", 26.0, 3.0);
        snapshot.liveness = Liveness::Dead;
        snapshot.threads = 0;
        snapshot.taken = process(1, "", at).taken;
        vec![snapshot]
    };
    let outcome = check("cas_failures_per_batch < 1", &seen(Since::FirstLook, dead));
    assert_eq!(outcome.judgement, Judgement::NoData);
    assert!(outcome.note.contains("--lifetime"), "{}", outcome.note);
    let life = seen(Since::Birth, dead);
    assert_eq!(check("cas_failures_per_batch < 1", &life).value, Some(26.0));
    let rate = check("rate(refills) > 0", &life).value.expect("it says when it ended");
    assert!((rate - 1000.0).abs() < 1.0, "{rate}: over its life, not until the look");
    // That none was raised while nobody looked means nothing.
    assert_eq!(check("no verdict", &life).judgement, Judgement::NoData);
}

#[test]
fn one_bad_second_is_found_among_good_ones() {
    let moody = seen(Since::FirstLook, |at| {
        let mut snapshot = storming(1, "hybrid", 0.0, at);
        let bad = (at - 12.0).clamp(0.0, 1.0) * 1000.0;
        add(&mut snapshot, Metric::CasFailures, &[3, 3, 0], 0, bad * 5.0);
        vec![snapshot]
    });
    let worst = check("max(cas_failures_per_batch) < 2", &moody);
    assert_eq!((worst.judgement, worst.value), (Judgement::Fails, Some(5.0)));
    assert_eq!(worst.place.and_then(|place| place.at), Some(Duration::from_secs(2)));
    assert_eq!(check("avg(cas_failures_per_batch) < 2", &moody).value, Some(1.25));
    assert_eq!(
        check("cas_failures_per_batch < 2", &moody).judgement,
        Judgement::Holds,
        "over the whole span"
    );
    assert_eq!(moody.tracks[0].windows.len(), 4);
}

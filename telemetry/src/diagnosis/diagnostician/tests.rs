//! Scripted processes: so many events of each kind a second, in class 8192, shard 5 and the ring of that class.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::counts::Counts;
use crate::diagnosis::{CALM, HOLD, RAISE_AFTER};
use crate::schema::{Metric, Op};
use crate::snapshot::Process;

const CLASS: usize = 3;
const SHARD: usize = 5;
/// The sidecar's intervals, with and without a page open, and one that is added up.
const INTERVALS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_millis(70)];

/// Events a second; of the metrics that are split by operation, of one.
type Rates = Vec<(Metric, Option<Op>, f64)>;

fn rates(of: &[(Metric, f64)]) -> Rates {
    let op = |metric| matches!(metric, Metric::CasAttempts | Metric::CasFailures).then_some(Op::BatchPop);
    of.iter().map(|&(metric, rate)| (metric, op(metric), rate)).collect()
}

fn pushes(of: &[(Metric, f64)]) -> Rates {
    let mut rates = rates(of);
    for (_, op, _) in &mut rates {
        *op = op.map(|_| Op::RemotePush);
    }
    rates
}

fn add(counts: &mut Counts, rates: &Rates, seconds: f64) {
    let schema = Arc::clone(&counts.schema);
    for &(metric, op, rate) in rates {
        let family = schema.family(metric).expect("an own metric");
        let place = [CLASS, SHARD, op.map_or(0, |op| op as usize)];
        let index = family
            .labels
            .iter()
            .zip(place)
            .fold(0, |index, (&label, at)| index * schema.labels[label].values.len() + at);
        // Of a histogram, the sum.
        counts.values[family.start + index * family.width + family.width - 1] +=
            (rate * seconds).round() as u64;
    }
}

fn zero() -> Counts {
    static OWN: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(Schema::own()));
    Counts::zero(Arc::clone(&OWN))
}

fn delta(rates: &Rates, elapsed: Duration) -> Delta {
    let mut counts = zero();
    add(&mut counts, rates, elapsed.as_secs_f64());
    Delta { elapsed: Some(elapsed), counts }
}

/// What turns on within `span`, and when.
fn raised(
    rates: &Rates,
    interval: Duration,
    span: Duration,
    around: &Around,
) -> Vec<(Verdict, String, Duration)> {
    let mut diagnostician = Diagnostician::new();
    let delta = delta(rates, interval);
    let mut now = Duration::ZERO;
    let mut raised = Vec::new();
    while now + interval <= span {
        now += interval;
        for change in diagnostician.observe(&delta, around) {
            if let Change::Raised(finding) = change {
                raised.push((finding.verdict, finding.place.to_string(), now));
            }
        }
    }
    raised
}

/// What raises the verdict, alone, and what lies just below one limit each.
fn scripts(verdict: Verdict) -> (Rates, Vec<Rates>) {
    use Metric::{
        CasAttempts, CasFailures, LockAcquisitions, LockContended, LockWait, MaskMisses, RefilledBlocks,
        Refills, RemoteFrees, RingBypasses, RingHits, RingMisses, RingReturns, StealScans, StolenBlocks,
        WalkBlocksKept, WalkBlocksWasted,
    };
    match verdict {
        Verdict::RetryStorm => {
            let storm = |batches: f64, failures: f64, attempts: f64| {
                rates(&[(Refills, batches), (CasFailures, failures), (CasAttempts, attempts)])
            };
            (
                storm(80_100.0, 20_200.0, 100_000.0),
                vec![
                    storm(90_000.0, 20_200.0, 110_000.0),
                    storm(80_000.0, 20_200.0, 420_000.0),
                    storm(60_000.0, 19_700.0, 80_000.0),
                ],
            )
        }
        Verdict::WalkAmplification => {
            // As many CASes fail as make no retry storm: the walks are long.
            let storm = |kept: f64, wasted: f64, attempts: f64| {
                rates(&[(WalkBlocksKept, kept), (WalkBlocksWasted, wasted), (CasAttempts, attempts)])
            };
            (
                storm(400_000.0, 102_000.0, 20_000.0),
                vec![
                    storm(420_000.0, 102_000.0, 20_000.0),
                    storm(400_000.0, 102_000.0, 260_000.0),
                    storm(380_000.0, 98_000.0, 20_000.0),
                ],
            )
        }
        Verdict::CasMultiplication => {
            let storm = |batches: f64, failures: f64, attempts: f64| {
                rates(&[(Refills, batches), (CasFailures, failures), (CasAttempts, attempts)])
            };
            (
                storm(10_000.0, 20_200.0, 500_000.0),
                vec![
                    storm(10_000.0, 20_200.0, 59_000.0),
                    storm(10_300.0, 20_200.0, 500_000.0),
                    storm(9_000.0, 19_700.0, 500_000.0),
                ],
            )
        }
        Verdict::LockConvoy => {
            let convoy = |taken: f64, contended: f64, wait: f64| {
                rates(&[(LockAcquisitions, taken), (LockContended, contended), (LockWait, wait * 1e9)])
            };
            (
                convoy(10_000.0, 1_050.0, 0.052),
                vec![
                    convoy(11_000.0, 1_050.0, 0.052),
                    convoy(10_000.0, 1_050.0, 0.048),
                    convoy(9_000.0, 950.0, 0.3),
                ],
            )
        }
        Verdict::RingStarvation => {
            let starved = |hits: f64, misses: f64| {
                rates(&[
                    (RingHits, hits),
                    (RingMisses, misses),
                    (Refills, misses),
                    (RefilledBlocks, hits + misses),
                ])
            };
            (starved(74_000.0, 51_000.0), vec![starved(80_000.0, 51_000.0), starved(70_000.0, 49_000.0)])
        }
        Verdict::RemoteFreeFlood => {
            let flood = |own: f64, remote: f64| {
                pushes(&[
                    (RingReturns, own),
                    (RingBypasses, remote),
                    (RemoteFrees, remote),
                    (CasAttempts, remote),
                ])
            };
            (
                flood(1_500_000.0, 510_000.0),
                vec![flood(1_600_000.0, 510_000.0), flood(1_000_000.0, 490_000.0)],
            )
        }
        Verdict::StealThrash => {
            let thrash = |scans: f64, stolen: f64| rates(&[(StealScans, scans), (StolenBlocks, stolen)]);
            (thrash(51_000.0, 100_000.0), vec![thrash(49_000.0, 90_000.0), thrash(51_000.0, 104_000.0)])
        }
        Verdict::FalseNonEmpty => {
            let misled = |misses: f64, scans: f64| {
                rates(&[(MaskMisses, misses), (StealScans, scans), (StolenBlocks, 32.0 * (scans - misses))])
            };
            (misled(20_500.0, 40_000.0), vec![misled(19_500.0, 30_000.0), misled(20_500.0, 42_000.0)])
        }
        Verdict::WatchingCost => (Rates::new(), vec![Rates::new()]),
    }
}

fn around(verdict: Verdict, above: bool) -> Around {
    let share = if above { 0.051 } else { 0.049 };
    let watched = verdict == Verdict::WatchingCost;
    Around { counting: watched.then_some(share), ..Around::default() }
}

#[test]
fn each_verdict_is_raised_within_two_seconds_and_not_just_below_any_limit() {
    for verdict in Verdict::ALL {
        let place = match verdict.scope() {
            Scope::Shard => "class 8192 shard 5",
            Scope::Class => "class 8192",
            Scope::Process => "the process",
        };
        let (storm, below) = scripts(verdict);
        let limits = (RULES[verdict as usize].limits)();
        assert_eq!(below.len(), limits.len(), "{verdict}: a script for each limit");
        for interval in INTERVALS {
            let found = raised(&storm, interval, Duration::from_secs(2), &around(verdict, true));
            let at_it = found.iter().filter(|(v, ..)| *v == verdict).collect::<Vec<_>>();
            let [(_, named, after)] = &at_it[..] else { panic!("{verdict}, every {interval:?}: {found:?}") };
            assert_eq!(named, place);
            assert!(*after <= Duration::from_millis(1100), "{verdict}, every {interval:?}: after {after:?}");
            for (limit, calm) in limits.iter().zip(&below) {
                let found = raised(calm, interval, Duration::from_secs(20), &around(verdict, false));
                assert!(
                    found.iter().all(|(v, ..)| *v != verdict),
                    "{verdict}, just below {}, every {interval:?}: {found:?}",
                    limit.field
                );
            }
        }
    }
}

#[test]
fn the_remote_free_stack_can_storm_as_well() {
    let storm = pushes(&[(Metric::CasAttempts, 100_000.0), (Metric::CasFailures, 25_000.0)]);
    let found = raised(&storm, INTERVALS[0], Duration::from_secs(2), &Around::default());
    assert!(
        matches!(&found[..], [(Verdict::RetryStorm, place, _)] if place == "class 8192 shard 5"),
        "{found:?}"
    );
}

/// A storm, as bad as they come.
fn storm() -> Rates {
    rates(&[(Metric::Refills, 1e5), (Metric::CasFailures, 1e6), (Metric::CasAttempts, 2e6)])
}

#[test]
fn few_events_raise_nothing_however_bad_their_ratios() {
    // 20 failures of 22 attempts in each look, walks without end, every lock waited for.
    let tiny = rates(&[
        (Metric::CasFailures, 100.0),
        (Metric::CasAttempts, 110.0),
        (Metric::Refills, 10.0),
        (Metric::WalkBlocksWasted, 1000.0),
        (Metric::LockContended, 100.0),
        (Metric::LockAcquisitions, 100.0),
        (Metric::LockWait, 1e9),
        (Metric::RingMisses, 100.0),
        (Metric::RemoteFrees, 100.0),
        (Metric::StealScans, 100.0),
        (Metric::MaskMisses, 100.0),
    ]);
    for interval in INTERVALS {
        assert_eq!(raised(&tiny, interval, Duration::from_secs(20), &Around::default()), []);
    }
}

#[test]
fn silence_says_nothing() {
    let nothing = Rates::new();
    for interval in INTERVALS {
        assert_eq!(raised(&nothing, interval, Duration::from_secs(20), &Around::default()), []);
    }
    let mut diagnostician = Diagnostician::new();
    let unknown = Delta { elapsed: None, ..delta(&storm(), Duration::from_secs(1)) };
    // A span of unknown length, and one in which a machine slept: whatever was counted in it.
    for _ in 0..10 {
        assert_eq!(diagnostician.observe(&unknown, &Around::default()), []);
        assert_eq!(diagnostician.observe(&delta(&storm(), Duration::from_mins(1)), &Around::default()), []);
    }
}

#[test]
fn a_gap_breaks_what_was_rising_and_ends_nothing_that_is_on() {
    let (look, gap) = (delta(&storm(), INTERVALS[1]), delta(&storm(), Duration::from_mins(1)));
    let mut diagnostician = Diagnostician::new();
    for _ in 0..5 {
        assert_eq!(diagnostician.observe(&look, &Around::default()), []);
        assert_eq!(diagnostician.observe(&gap, &Around::default()), []);
    }
    let on = (0..4).flat_map(|_| diagnostician.observe(&look, &Around::default())).count();
    assert_eq!(
        on,
        1 + usize::from(diagnostician.active().iter().any(|f| f.verdict == Verdict::CasMultiplication))
    );
    assert_eq!(diagnostician.observe(&gap, &Around::default()), []);
    assert_eq!(diagnostician.active().len(), on);
}

/// A live process that has counted this, `age` after its birth at 100 s.
fn snapshot(counts: &Counts, age: Duration) -> Snapshot {
    let process = Process {
        pid: 1,
        start_time: 1,
        sequence: 0,
        command: String::new(),
        strategy: String::new(),
        workload: String::new(),
        injected: Some("class=8192,shard=5,delay=500ns".to_owned()),
        version: String::new(),
        created: 0,
    };
    Snapshot {
        process: Arc::new(process),
        liveness: Liveness::Live,
        taken: 100_000_000_000 + nanoseconds(age),
        born: 100_000_000_000,
        heartbeat: 0,
        threads: 1,
        threads_started: 1,
        threads_dropped: 0,
        segment_bytes: 0,
        resident_bytes: None,
        counts: counts.clone(),
    }
}

#[test]
fn snapshots_are_compared_with_those_before_and_a_dead_process_ends_its_verdicts() {
    let mut diagnostician = Diagnostician::new();
    let mut counts = zero();
    let mut changes = Vec::new();
    let mut last = None;
    // Read every 50 ms, as by somebody who asks all the time.
    for step in 1..=20 {
        add(&mut counts, &storm(), 0.05);
        let read = snapshot(&counts, Duration::from_millis(50) * step);
        changes.extend(diagnostician.see(&read, &Around::default()));
        last = Some(read);
    }
    let found: Vec<&Finding> =
        changes.iter().map(|c| if let Change::Raised(f) = c { f } else { panic!("{c:?}") }).collect();
    assert_eq!(found[0].verdict, Verdict::RetryStorm);
    assert_eq!(found[0].since, 100_000_000_000, "since its birth");
    assert!(found[0].injected, "a delay is injected, and it says so");

    let mut dead = last.expect("read");
    dead.liveness = Liveness::Dead;
    dead.taken += 1_000_000_000;
    let ended = diagnostician.see(&dead, &Around::default());
    assert!(matches!(&ended[..], [Change::Cleared(_, Why::Ended), ..]), "{ended:?}");
    assert_eq!((diagnostician.active().len(), diagnostician.past().count()), (0, found.len()));
    assert_eq!(diagnostician.see(&dead, &Around::default()), [], "once");
}

#[test]
fn counts_that_begin_anew_raise_nothing() {
    // A segment that is used again, a child after a fork: each read is of other counts than the one before, and huge.
    let mut diagnostician = Diagnostician::new();
    for turn in 0..40_u32 {
        let mut counts = zero();
        add(&mut counts, &storm(), if turn % 2 == 0 { 1000.0 } else { 1.0 });
        let read = snapshot(&counts, Duration::from_secs(10) + Duration::from_millis(500) * turn);
        assert_eq!(diagnostician.see(&read, &Around::default()), [], "turn {turn}");
    }
}

#[test]
fn a_process_that_ran_before_it_was_seen_is_judged_from_then_on() {
    let mut counts = zero();
    add(&mut counts, &storm(), 3600.0);
    // The second is a forked child, which begins with the counts of its parent.
    for age in [Duration::from_hours(1), Duration::from_millis(300)] {
        let mut diagnostician = Diagnostician::new();
        for step in 0..10_u32 {
            let read = snapshot(&counts, age + Duration::from_millis(500) * step);
            assert_eq!(diagnostician.see(&read, &Around::default()), []);
        }
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    // A writer of 128 classes and shards, all of which storm.
    let sizes: Vec<u32> = (1..=128).collect();
    let shape = crate::schema::Shape {
        class_bytes: &sizes,
        shards: 128,
        totals: false,
        inside: crate::schema::Inside::NONE,
    };
    let mut counts = Counts::zero(Arc::new(Schema::of(shape)));
    counts.values.fill(1_000_000);
    let delta = Delta { elapsed: Some(INTERVALS[1]), counts };
    let mut diagnostician = Diagnostician::new();
    for _ in 0..4 {
        diagnostician.observe(&delta, &Around::default());
    }
    assert_eq!(diagnostician.active().len(), ALARMS);
    diagnostician.end(0);
    assert_eq!(diagnostician.past().count(), PASTS);
}

#[test]
fn the_worst_place_comes_first() {
    let mut counts = zero();
    add(&mut counts, &storm(), 0.5);
    // Every other shard of the class, half as badly.
    let storming = counts.values.clone();
    let schema = Arc::clone(&counts.schema);
    for metric in [Metric::CasFailures, Metric::CasAttempts, Metric::Refills] {
        let family = schema.family(metric).expect("an own metric");
        let shard = family.width * if family.labels.len() == 3 { Op::ALL.len() } else { 1 };
        let class = family.start + CLASS * 8 * shard;
        for to in (0..8).filter(|&to| to != SHARD) {
            for i in 0..shard {
                counts.values[class + to * shard + i] = storming[class + SHARD * shard + i] / 2;
            }
        }
    }
    let mut diagnostician = Diagnostician::new();
    for _ in 0..2 {
        let look = Delta { elapsed: Some(INTERVALS[1]), counts: counts.clone() };
        diagnostician.observe(&look, &Around::default());
    }
    let places: Vec<String> = diagnostician
        .active()
        .iter()
        .filter(|f| f.verdict == Verdict::RetryStorm)
        .map(|f| f.place.to_string())
        .collect();
    assert_eq!((places.len(), places[0].as_str()), (8, "class 8192 shard 5"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the load comes and goes, at whatever intervals it is read.
    #[test]
    fn a_verdict_never_flaps_faster_than_its_hold_allows(
        looks in proptest::collection::vec((0_u64..5, 20_u64..900), 1..300),
    ) {
        let mut diagnostician = Diagnostician::new();
        let [hold, calm, raise] = [HOLD, CALM, RAISE_AFTER].map(|span| span.as_millis() as u64);
        // Milliseconds, all of them.
        let (mut now, mut stormed) = (0_u64, 0_u64);
        let (mut on, mut raised_at, mut cleared_at) = (None, None::<u64>, None::<u64>);
        for (strength, milliseconds) in looks {
            let elapsed = Duration::from_millis(milliseconds);
            // Calm, just under and just over what keeps and what raises, and a storm.
            let failures = [0.0_f64, 9_000.0, 12_000.0, 30_000.0, 900_000.0][strength as usize];
            let load = rates(&[
                (Metric::Refills, 3.9 * failures.min(30_000.0)),
                (Metric::CasFailures, failures),
                (Metric::CasAttempts, 5.0 * failures),
            ]);
            now += milliseconds;
            let changes = diagnostician.observe(&delta(&load, elapsed), &Around::default());
            for change in changes {
                match change {
                    Change::Raised(finding) if finding.verdict == Verdict::RetryStorm => {
                        prop_assert!(on.is_none(), "on twice");
                        if let Some(before) = raised_at {
                            prop_assert!(now - before >= hold + raise, "again after {}", now - before);
                        }
                        if let Some(before) = cleared_at {
                            prop_assert!(now - before >= raise);
                        }
                        (on, raised_at) = (Some(now), Some(now));
                    }
                    Change::Cleared(past, why) if past.finding.verdict == Verdict::RetryStorm => {
                        prop_assert_eq!(why, Why::Calm);
                        let since = on.take().expect("it was on");
                        prop_assert!(now - since >= hold, "off after {}", now - since);
                        prop_assert!(now - stormed >= calm, "calm for {} only", now - stormed);
                        cleared_at = Some(now);
                    }
                    _ => {}
                }
            }
            if strength > 2 && elapsed >= LOOK {
                stormed = now;
            }
        }
        prop_assert_eq!(diagnostician.active().iter().any(|f| f.verdict == Verdict::RetryStorm), on.is_some());
    }
}

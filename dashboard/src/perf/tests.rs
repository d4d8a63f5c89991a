use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use stormglass_telemetry::Snapshot;

use super::*;
use crate::packed::packed;
use crate::synthetic::{self, SECOND};

/// Counts page faults by what the test says, and has no PMU.
#[derive(Clone, Default)]
struct Scripted {
    faults: Arc<AtomicU64>,
    /// How often it was attached to a process.
    attached: Arc<AtomicUsize>,
    refuses: bool,
}

impl Attach for Scripted {
    fn attach(&mut self, _process: &Process) -> Result<Box<dyn Attached>, Vec<Tally>> {
        self.attached.fetch_add(1, Ordering::Relaxed);
        if self.refuses {
            return Err(Event::ALL.map(|event| Tally::not(event, State::Failed, "too many threads")).into());
        }
        Ok(Box::new(self.clone()))
    }
}

impl Attached for Scripted {
    fn read(&mut self) -> Vec<Tally> {
        let tally = |event| match event {
            Event::PageFaults => Tally {
                total: Some(self.faults.load(Ordering::Relaxed)),
                enabled: 100,
                running: 50,
                ..Tally::not(event, State::Scaled, "in turn")
            },
            event => Tally::not(event, State::Unsupported, "this machine has no PMU"),
        };
        Event::ALL.map(tally).into()
    }

    fn missed(&self) -> usize {
        0
    }
}

fn perf(scripted: &Scripted) -> Perf {
    Perf { attach: Box::new(scripted.clone()), watched: BTreeMap::new(), gone: BTreeMap::new() }
}

fn live(pid: u32) -> Snapshot {
    synthetic::snapshot(synthetic::process(pid, "mutex"), SECOND)
}

fn faults(perf: &Perf) -> Sum {
    let sums = perf.by_group();
    assert_eq!(sums.len(), 1, "one group");
    sums.values().next().expect("one")[Event::PageFaults as usize].clone()
}

#[test]
fn what_a_process_counted_stays_when_it_has_gone() {
    let scripted = Scripted::default();
    let mut perf = perf(&scripted);
    let (first, second) = (live(1), live(2));
    perf.follow(&packed(&[first.clone(), second.clone()]), 0);
    scripted.faults.store(10, Ordering::Relaxed);
    perf.follow(&packed(&[first.clone(), second.clone()]), SECOND);
    assert_eq!(faults(&perf).total, Some(20));
    let dead = Snapshot { liveness: Liveness::Dead, ..first };
    scripted.faults.store(11, Ordering::Relaxed);
    perf.follow(&packed(&[dead, second.clone()]), SECOND + 1);
    assert_eq!(faults(&perf).total, Some(21), "the dead one was read for the last time");
    perf.follow(&packed(&[second]), SECOND + 2);
    assert_eq!(faults(&perf).total, Some(21));
    assert_eq!(perf.watched.len(), 1);
    perf.follow(&[], SECOND + 3);
    let sum = faults(&perf);
    assert_eq!((sum.total, sum.running_ratio()), (Some(22), Some(0.5)));
    assert!(sum.states.is_empty(), "nobody is in a state any more");
    assert_eq!(scripted.attached.load(Ordering::Relaxed), 2);
}

#[test]
fn two_segments_of_a_process_are_attached_to_once() {
    let scripted = Scripted::default();
    let mut perf = perf(&scripted);
    let other = Process { sequence: 1, ..synthetic::process(1, "mutex") };
    let both = [live(1), Snapshot { process: Arc::new(other), ..live(1) }];
    perf.follow(&packed(&both), 0);
    scripted.faults.store(5, Ordering::Relaxed);
    perf.follow(&packed(&both), SECOND);
    assert_eq!(faults(&perf).total, Some(5), "and counted once");
    assert_eq!(scripted.attached.load(Ordering::Relaxed), 1);
}

#[test]
fn a_segment_that_ends_before_its_process_ends_no_counting() {
    let scripted = Scripted::default();
    let mut perf = perf(&scripted);
    let mut other = live(1);
    other.process = Arc::new(Process { sequence: 1, ..synthetic::process(1, "mutex") });
    perf.follow(&packed(&[live(1), other.clone()]), 0);
    for (second, dead_first) in [(1, true), (2, false), (3, true)] {
        scripted.faults.store(second, Ordering::Relaxed);
        let dead = Snapshot { liveness: Liveness::Dead, ..live(1) };
        let both = if dead_first { [dead, other.clone()] } else { [other.clone(), dead] };
        perf.follow(&packed(&both), second * SECOND);
        assert_eq!(faults(&perf).total, Some(second));
    }
    assert_eq!(scripted.attached.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_not_counted_has_a_state_and_no_number() {
    let mut perf = perf(&Scripted::default());
    perf.follow(&packed(&[live(1)]), 0);
    let sums = perf.by_group();
    let cycles = &sums.values().next().expect("one")[Event::Cycles as usize];
    assert_eq!((cycles.total, cycles.running_ratio()), (None, None));
    assert_eq!(cycles.states, BTreeSet::from([State::Unsupported]));
    let frame = perf.watched.values().next().expect("one").frame();
    let json = serde_json::to_value(&frame).expect("JSON");
    assert_eq!(json["events"][0]["event"], "cycles");
    assert_eq!(json["events"][0]["state"], "unsupported");
    assert_eq!(json["events"][0]["message"], "this machine has no PMU");
    assert!(json["events"][0]["total"].is_null() && json["events"][0]["per_second"].is_null());
}

#[test]
fn rates_are_of_about_a_second() {
    let scripted = Scripted::default();
    let mut perf = perf(&scripted);
    for tenth in 0..60 {
        scripted.faults.store(7 * tenth, Ordering::Relaxed);
        perf.follow(&packed(&[live(1)]), tenth * SECOND / 10);
    }
    let watched = perf.watched.values().next().expect("one");
    assert!(watched.earlier.len() <= 4, "{}", watched.earlier.len());
    let json = serde_json::to_value(watched.frame()).expect("JSON");
    let faults = &json["events"][Event::PageFaults as usize];
    assert_eq!(faults["per_second"], 70.0);
    assert_eq!(faults["running"], 0.5);
}

#[test]
fn one_that_cannot_be_attached_to_says_why_and_is_tried_again() {
    let scripted = Scripted { refuses: true, ..Scripted::default() };
    let mut perf = perf(&scripted);
    for second in 0..25 {
        perf.follow(&packed(&[live(1)]), second * SECOND);
    }
    assert_eq!(scripted.attached.load(Ordering::Relaxed), 3);
    let sum = faults(&perf);
    assert_eq!((sum.total, sum.states), (None, BTreeSet::from([State::Failed])));
}

#[test]
fn nobody_asked_means_nothing() {
    let perf = SharedPerf::default();
    perf.follow(&packed(&[live(1)]));
    assert!(perf.by_group().is_empty());
    assert!(perf.frame(&live(1).process).is_none());
}

#[test]
fn this_very_process_is_counted() {
    let (perf, _) = SharedPerf::here();
    let pid = std::process::id();
    let text = std::fs::read_to_string("/proc/self/stat").expect("a process");
    let start = text.rsplit_once(')').expect("a name").1.split_whitespace().nth(22 - 3).expect("a field");
    let this = Process { start_time: start.parse().expect("a number"), ..synthetic::process(pid, "mutex") };
    let own = Snapshot { process: Arc::new(this), ..live(pid) };
    perf.follow(&[own.clone().into()]);
    let frame = perf.frame(&own.process).expect("it is watched");
    assert_eq!(frame.events.len(), Event::ALL.len());
    for event in &frame.events {
        let counted = matches!(event.state, State::Counting | State::Scaled);
        assert_eq!(event.message.is_empty(), event.state == State::Counting, "{event:?}");
        assert!(counted || event.total.is_none(), "{event:?}");
    }
}

use std::fmt::Write as _;

use stormglass_telemetry::{Metric, Op, Snapshot};

use super::*;
use crate::packed::packed;
use crate::synthetic::{self, SECOND, add};

/// A process that fails half of its CASes on one shard, `age` nanoseconds old.
fn storm(pid: u32, age: u64) -> Snapshot {
    let mut snapshot = synthetic::snapshot(synthetic::process(pid, "lockfree-walk"), age);
    let batches = age / 1000;
    add(&mut snapshot, Metric::Refills, &[3, 5], 0, batches);
    add(&mut snapshot, Metric::CasAttempts, &[3, 5, Op::BatchPop as usize], 0, 2 * batches);
    add(&mut snapshot, Metric::CasFailures, &[3, 5, Op::BatchPop as usize], 0, batches);
    snapshot
}

/// Looks five times a second from the first age to the second, in fifths of a second.
fn watch(clinic: &mut Clinic, pids: &[u32], fifths: std::ops::Range<u64>) {
    for fifth in fifths {
        let age = fifth * SECOND / 5;
        let snapshots: Vec<Snapshot> = pids.iter().map(|&pid| storm(pid, age)).collect();
        clinic.look(&packed(&snapshots), 100 * SECOND + age);
    }
}

fn said(verdicts: &Verdicts) -> (Vec<(String, bool)>, Vec<u64>) {
    let ledger = verdicts.lock();
    let active = ledger.active().map(|(_, verdict, place, on)| (format!("{verdict}, {place}"), on)).collect();
    let raised = ledger.raised().map(|(.., count)| count).collect();
    (active, raised)
}

#[test]
fn a_storm_is_told_and_is_over_when_its_segment_has_gone() {
    let verdicts = Verdicts::default();
    let mut clinic = Clinic::new(verdicts.clone());
    watch(&mut clinic, &[1, 2], 1..8);
    let place = "retry_storm, class 8192 shard 5".to_owned();
    assert_eq!(said(&verdicts), (vec![(place.clone(), true)], vec![2]), "two processes, one series");
    let epoch = Epoch::of(1_000_000, 100 * SECOND);
    let id = ProcessId::of(&storm(1, 0).process);
    let (active, past) = clinic.of(id, epoch);
    assert_eq!((active.len(), past.len()), (1, 0));
    let json = serde_json::to_value(&active[0]).expect("JSON");
    assert_eq!(json["verdict"], "retry_storm");
    assert_eq!((&json["class"], &json["shard"]), (&"8192".into(), &"5".into()));
    assert_eq!((&json["since"], &json["severity"]), (&1_000_000.into(), &"storm".into()));
    assert_eq!(json["evidence"], "1 failed CASes for each batch, 1M a second, 50% of all on the list");
    assert_eq!(json["figures"]["failed_share"], 0.5);
    assert!(json["advice"].as_str().is_some_and(|advice| advice.contains("`page`")));

    watch(&mut clinic, &[1], 8..9);
    assert_eq!(said(&verdicts).0, [(place.clone(), true)], "the other one still storms");
    watch(&mut clinic, &[], 9..10);
    assert_eq!(said(&verdicts), (vec![(place, false)], vec![2]), "off, and still said");
    assert_eq!(verdicts.told()[0].raised, 2);
    assert!(clinic.cases.is_empty());
}

#[test]
fn a_dead_process_keeps_what_it_had() {
    let mut clinic = Clinic::new(Verdicts::default());
    watch(&mut clinic, &[1], 1..8);
    let mut dead = storm(1, 2 * SECOND);
    dead.liveness = stormglass_telemetry::Liveness::Dead;
    clinic.look(&[dead.clone().into()], 102 * SECOND);
    let (active, past) = clinic.of(ProcessId::of(&dead.process), Epoch::of(1_000_000, 100 * SECOND));
    assert_eq!((active.len(), past.len()), (0, 1));
    assert_eq!(serde_json::to_value(&past[0]).expect("JSON")["until"], 1_002_000);
}

#[test]
fn the_ledger_is_bounded_and_goes_on_counting() {
    let mut ledger = Ledger::default();
    let finding = |shard: usize| Finding {
        verdict: Verdict::RetryStorm,
        place: Place { class: Some("8192".to_owned()), shard: Some(shard.to_string()) },
        since: 0,
        evidence: stormglass_telemetry::diagnosis::WatchingCost { counting: None, sidecar: Some(1.0) }.into(),
        injected: false,
    };
    let group = Group::of(&synthetic::process(1, "mutex"));
    for shard in 0..PLACES + 10 {
        ledger.enter(&group, &Change::Raised(finding(shard)));
    }
    assert_eq!(ledger.places.len(), PLACES);
    assert_eq!(ledger.raised().map(|(.., count)| count).collect::<Vec<_>>(), [PLACES as u64 + 10]);
}

#[test]
fn a_sidecar_that_takes_the_machine_says_so() {
    let mut own = Own::default();
    let on = |own: &Own| own.diagnostician.active().len();
    for second in 0..5 {
        own.look(second * SECOND, second * SECOND / 1000);
    }
    assert_eq!(on(&own), 0);
    for second in 5..9 {
        // However many cores: all of the time of all.
        own.look(second * SECOND, second * SECOND * 1000);
    }
    assert_eq!(on(&own), 1);
}

#[test]
fn metrics_have_a_series_for_each_place_that_ever_had_a_verdict() {
    use crate::exposition::{Exposition, Format, Grouping, Options};
    use crate::source::SharedSource;
    use crate::synthetic::Fixed;

    let verdicts = Verdicts::default();
    let source = SharedSource::new(Fixed::new(Vec::new()));
    let options = Options { grouping: Grouping::Kind, max_series: 10_000 };
    let exposition = Exposition::new(source, verdicts.clone(), options);
    let render =
        || String::from_utf8(exposition.render(Format::Text, false).expect("it encodes")).expect("text");
    assert!(!render().contains("stormglass_verdict"), "no series before there is something to say");

    let mut clinic = Clinic::new(verdicts);
    watch(&mut clinic, &[1], 1..8);
    let labels = r#"command="hammer",strategy="lockfree-walk",workload="storm""#;
    let active =
        format!(r#"stormglass_verdict_active{{{labels},class="8192",shard="5",verdict="retry_storm"}}"#);
    let raised = format!(r#"stormglass_verdicts_raised_total{{{labels},verdict="retry_storm"}} 1"#);
    for (line, on) in [(format!("{active} 1\n"), true), (format!("{active} 0\n"), false)] {
        if !on {
            watch(&mut clinic, &[], 8..9);
        }
        let text = render();
        assert!(text.contains(&line) && text.contains(&raised), "{text}");
    }
}

/// Keeps what is logged on this thread: level, target and all fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                // Writing to a string does not fail.
                let _ = write!(self.0, " {field}={value:?}");
            }
        }
        let mut fields = Fields(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut fields);
        self.0.lock().expect("no panic").push(fields.0);
    }
}

#[test]
fn what_turns_on_is_a_warning_with_its_evidence_and_what_turns_off_is_told() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let mut clinic = Clinic::new(Verdicts::default());
        watch(&mut clinic, &[1], 1..8);
        watch(&mut clinic, &[], 8..9);
    });
    let said = log.0.lock().expect("no panic");
    let who = TARGET;
    let [on, off] = &said[..] else { panic!("{said:?}") };
    assert!(on.starts_with(&format!("WARN {who} ")) && off.starts_with(&format!("INFO {who} ")), "{said:?}");
    assert!(
        on.contains("Retry storm, class 8192 shard 5: 1 failed CASes for each batch, 1M a second"),
        "{on}"
    );
    assert!(off.contains("Retry storm, class 8192 shard 5: over with its process after 1.6 s"), "{off}");
    for line in &said[..] {
        for field in [r#"verdict="retry_storm""#, "command=hammer", "pid=1", "strategy=lockfree-walk"] {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
}

#[test]
fn a_program_that_counting_slows_is_told_of_it_and_a_pool_is_not() {
    let (_dir, watching) = crate::watching::tests::kept();
    let verdicts = Verdicts::default();
    let mut clinic = Clinic::new(verdicts.clone()).knowing(watching);
    let program = |pid, workload: &str, age| {
        let mut process = synthetic::process(pid, "page");
        workload.clone_into(&mut process.workload);
        synthetic::snapshot(process, age)
    };
    for fifth in 1..60_u64 {
        let age = fifth * SECOND / 5;
        clinic.look(&packed(&[program(1, "", age), program(2, "storm 2T", age)]), 100 * SECOND + age);
    }
    let ledger = verdicts.lock();
    let active: Vec<_> =
        ledger.active().map(|(group, verdict, ..)| (group.workload.as_str(), verdict)).collect();
    assert_eq!(active, [("", Verdict::WatchingCost)]);
}

//! The verdicts on real loads, as recorded by `e2e/record-counts`: benign ones raise nothing, storms are named within 2 s.

mod recorded;

use std::time::Duration;

use recorded::{Run, runs};
use stormglass_telemetry::diagnosis::{Around, Change, Diagnostician, Finding, Verdict};

/// What a run raises, and after how long.
fn raised(run: &Run) -> Vec<(Duration, Finding)> {
    let mut diagnostician = Diagnostician::new();
    let mut now = Duration::ZERO;
    let mut raised = Vec::new();
    for delta in &run.deltas {
        now += delta.elapsed.expect("recorded with its length");
        for change in diagnostician.observe(delta, &Around::default()) {
            if let Change::Raised(finding) = change {
                raised.push((now, finding));
            }
        }
    }
    raised
}

#[test]
fn ten_minutes_of_benign_loads_raise_nothing_at_ten_times_their_rates_either() {
    let mut runs = runs("benign.txt");
    let length: Duration = runs.iter().map(Run::length).sum();
    assert!(length >= Duration::from_mins(10), "{length:?}");
    for program in ["redis-server", "tokio"] {
        assert!(runs.iter().any(|run| run.name.starts_with(program)), "{program} is missing");
    }
    // Ten times as much is as benign, and shows that the limits are not just missed.
    for times in [1, 10] {
        for counts in runs.iter_mut().flat_map(|run| &mut run.deltas).map(|delta| &mut delta.counts) {
            counts.values.iter_mut().for_each(|value| *value *= times);
        }
        silent(&runs);
    }
}

fn silent(runs: &[Run]) {
    let found: Vec<String> = runs
        .iter()
        .flat_map(|run| {
            raised(run).into_iter().map(|(at, finding)| format!("{} after {at:?}: {finding}", run.name))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn storms_are_named_within_two_seconds() {
    let runs = runs("storms.txt");
    for (design, verdicts) in [
        ("mutex", &[Verdict::LockConvoy][..]),
        ("lockfree-walk", &[Verdict::RetryStorm, Verdict::WalkAmplification]),
        ("lockfree-single", &[Verdict::RetryStorm, Verdict::CasMultiplication]),
    ] {
        let run = runs.iter().find(|run| run.name.contains(&format!(" {design} "))).expect("recorded");
        let raised = raised(run);
        for verdict in verdicts {
            let (at, finding) = raised
                .iter()
                .find(|(_, f)| f.verdict == *verdict)
                .unwrap_or_else(|| panic!("{design}: no {verdict}"));
            assert!(*at <= Duration::from_secs(2), "{design}: {verdict} after {at:?}");
            assert_eq!(finding.place.to_string(), "class 8192 shard 3", "{design}: {verdict}");
        }
    }
}

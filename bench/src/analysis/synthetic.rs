//! A record for tests: every design, made-up figures, five rounds. Names that would break a page stand in it on purpose.

use stormglass_telemetry::Measures;

use super::record::{Conditions, Record};
use crate::machine::Machine;
use crate::report::{Report, Round, Row, Table};
use crate::retries::Retries;
use crate::stats::{interval, median, paired_ratios};

/// Design, phase, speed against the mutexes in larson and in storm, CAS attempts a batch in the storm.
const DESIGNS: [(&str, &str, f64, f64, Option<f64>); 12] = [
    ("mutex", "Phase 6.25", 1.0, 1.0, None),
    ("lockfree-walk", "Phase 7.1", 1.02, 0.8, Some(2.8)),
    ("lockfree-single", "Phase 7.1.1", 0.96, 0.125, Some(58.0)),
    ("walk-once", "A1", 1.03, 0.95, Some(2.1)),
    ("small-batch", "A1", 0.9, 0.4, Some(1.5)),
    ("relaxed", "A2", 1.03, 0.96, Some(2.1)),
    ("hybrid", "A3", 1.0, 0.9, None),
    ("targeted", "C", 1.01, 1.01, None),
    ("class-lock", "B2", 0.7, 1.0, None),
    ("global-lock", "B2", 0.5, 0.6, Some(1.2)),
    ("page", "B1, MF2", 1.6, 4.0, None),
    ("depot", "ours", 1.2, 2.5, Some(1.1)),
];

/// Noise of each round: the ratios to the mutexes spread by 2%.
const NOISE: [f64; 5] = [1.0, 0.99, 1.01, 1.005, 0.995];

/// The record.
pub(super) fn record() -> Record {
    let tables = [("larson", 1), ("larson", 2), ("larson", 4), ("storm", 2), ("storm", 4)];
    let report = Report {
        machine: Machine {
            cpu: "Z80 <b>\"&'| `x`".into(),
            cores: 2,
            memory_bytes: 4 << 30,
            kernel: "6.1.0".into(),
        },
        command: "stormglass report --quick".into(),
        version: "0.1.0".into(),
        injected: None,
        progress: None,
        tables: tables.into_iter().map(|(workload, threads)| table(workload, threads)).collect(),
        problems: vec![],
    };
    let conditions = Conditions {
        began: 1_761_264_000,
        quick: false,
        interrupted: false,
        planned_runs: 300,
        finished_runs: 300,
        ticks_per_second: Some(2e9),
        virtual_machine: Some(true),
        architecture: "x86_64".into(),
        uncounted: None,
    };
    Record { format: 1, conditions, report, simulation: None }
}

fn table(workload: &str, threads: usize) -> Table {
    let rows: Vec<Row> = DESIGNS.iter().map(|design| row(design, workload, threads)).collect();
    Table { workload: workload.into(), threads, seconds: 0.8, baseline: "mutex".into(), rows }
}

fn row(design: &(&str, &str, f64, f64, Option<f64>), workload: &str, threads: usize) -> Row {
    let &(name, paper, larson, storm, attempts) = design;
    let (speed, base) = if workload == "storm" { (storm, 40e6) } else { (larson, 4e6 * threads as f64) };
    let calm = if workload == "storm" { 1.0 } else { 0.01 };
    let successes = if name == "lockfree-single" { 32.0 } else { 1.0 };
    let attempts = attempts.map(|n| successes + (n - successes) * calm);
    let measures = Measures {
        attempts_per_batch: Some(attempts.unwrap_or(0.0)),
        failures_per_batch: Some(attempts.map_or(0.0, |n| n - successes)),
        walked_per_kept: attempts.map(|n| n / successes),
        lock_contended_ratio: attempts.is_none().then_some(0.3 * calm),
        lock_wait_ratio: Some(0.6 * calm),
        ring_hit_ratio: Some(0.97),
        slow_path_nanoseconds_per_batch: Some(800.0 / speed),
        ..Measures::default()
    };
    let own = if name == "mutex" { [1.0; 5] } else { NOISE };
    let runs: Vec<f64> = own.iter().map(|noise| base * speed * noise).collect();
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    Row {
        design: name.into(),
        paper: paper.into(),
        median_ops_per_second: median(&runs).unwrap_or(0.0),
        ratio: (name != "mutex").then(|| interval(&paired_ratios(&some(&runs), &[Some(base); 5]))).flatten(),
        measures,
        sentence: format!("{name} did this."),
        retries: attempts.map(|n| Retries {
            bounds: vec![0, 1, 2, 4],
            buckets: vec![900, 90, 9, 0, u64::from(n > 50.0)],
            sum: 110,
        }),
        remote_frees: Some(if workload == "larson" { 0.6 } else { 0.0 }),
        rounds: runs
            .iter()
            .map(|&ops_per_second| Some(Round { ops_per_second, measures, others: Some(0.02) }))
            .collect(),
        runs,
    }
}

//! The results as they come in, and the report that they make at any moment.
//!
//! Invariant: a result keeps its round, so that ratios pair runs of one round even when others are missing.

use stormglass_telemetry::{Measures, Metric, Select};

use crate::machine::Machine;
use crate::measurement::{Counted, Measurement};
use crate::plan::{Plan, Step};
use crate::report::{Progress, Report, Round, Row, Table};
use crate::retries::Retries;
use crate::sentence::{Facts, sentence};
use crate::stats::{interval, median, paired_ratios};

/// What has been measured so far.
#[derive(Debug)]
pub struct Ledger<'p> {
    plan: &'p Plan,
    machine: Machine,
    command: String,
    /// By bout, design and round.
    runs: Vec<Vec<Vec<Option<Measurement>>>>,
    problems: Vec<String>,
}

impl<'p> Ledger<'p> {
    /// Nothing yet. `command` is what the user typed.
    #[must_use]
    pub fn new(plan: &'p Plan, machine: Machine, command: String) -> Ledger<'p> {
        let runs = plan.bouts.iter().map(|b| vec![vec![None; b.rounds]; plan.designs.len()]).collect();
        Ledger { plan, machine, command, runs, problems: Vec::new() }
    }

    /// Enters a result.
    pub fn enter(&mut self, step: &Step, measurement: Measurement) {
        self.runs[step.bout][step.design][step.round] = Some(measurement);
    }

    /// Enters a sentence on something that went wrong, once.
    pub fn problem(&mut self, sentence: String) {
        if !self.problems.contains(&sentence) {
            self.problems.push(sentence);
        }
    }

    /// The report of what is there.
    pub fn report(&self, progress: Option<Progress>) -> Report {
        Report {
            machine: self.machine.clone(),
            command: self.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            injected: self.injected(),
            progress,
            tables: (0..self.runs.len()).filter_map(|bout| self.table(bout)).collect(),
            problems: self.problems.clone(),
        }
    }

    fn injected(&self) -> Option<String> {
        self.plan.inject.map(|injection| injection.to_string())
    }

    fn table(&self, bout: usize) -> Option<Table> {
        let rows: Vec<Row> =
            (0..self.plan.designs.len()).filter_map(|design| self.row(bout, design)).collect();
        let b = &self.plan.bouts[bout];
        (!rows.is_empty()).then(|| Table {
            workload: b.workload.name().to_owned(),
            threads: b.shape.threads,
            seconds: b.shape.seconds,
            baseline: self.plan.designs[self.plan.baseline()].name().to_owned(),
            rows,
        })
    }

    fn row(&self, bout: usize, design: usize) -> Option<Row> {
        let baseline = self.plan.baseline();
        let rates = |design: usize| -> Vec<Option<f64>> {
            self.runs[bout][design].iter().map(|run| run.as_ref().map(|m| m.ops_per_second)).collect()
        };
        let runs: Vec<f64> = rates(design).into_iter().flatten().collect();
        let median_ops_per_second = median(&runs)?;
        let ratio = (design != baseline)
            .then(|| paired_ratios(&rates(design), &rates(baseline)))
            .and_then(|r| interval(&r));
        let finished = self.runs[bout][design].iter().flatten();
        let delta = Counted::pooled(finished.filter_map(|m| m.counted.as_ref()));
        let measures = delta.as_ref().map_or_else(Measures::default, |d| d.measures(Select::ALL));
        let per = |count, of: &[Metric]| {
            let sum = |metric| delta.as_ref()?.counts.sum(metric, Select::ALL);
            let of = of.iter().map(|&metric| sum(metric)).sum::<Option<u64>>().filter(|&n| n > 0)?;
            Some(sum(count)? as f64 / of as f64)
        };
        let batch = per(Metric::RefilledBlocks, &[Metric::Refills]);
        let remote_frees = per(Metric::RemoteFrees, &[Metric::RingHits, Metric::RingMisses]);
        let id = self.plan.designs[design];
        let injected = self.injected();
        let facts = Facts {
            design: id.name(),
            baseline: self.plan.designs[baseline].name(),
            ratio: ratio.as_ref(),
            measures: &measures,
            batch,
            injected: injected.as_deref(),
        };
        Some(Row {
            design: id.name().to_owned(),
            paper: id.paper().to_owned(),
            sentence: sentence(&facts),
            runs,
            median_ops_per_second,
            ratio,
            measures,
            retries: delta.as_ref().and_then(Retries::of),
            remote_frees,
            rounds: self.runs[bout][design].iter().map(|run| run.as_ref().map(round)).collect(),
        })
    }
}

/// One run by itself.
fn round(run: &Measurement) -> Round {
    let delta = Counted::pooled(&run.counted);
    let measures = delta.map_or_else(Measures::default, |d| d.measures(Select::ALL));
    Round { ops_per_second: run.ops_per_second, measures, others: run.others }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Wishes;

    fn plan() -> Plan {
        Plan::new(&Wishes { rounds: Some(2), ..Wishes::default() }).expect("a plan")
    }

    fn machine() -> Machine {
        Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 1, kernel: "6".into() }
    }

    fn run(ops: u64) -> Measurement {
        Measurement::new(ops, Duration::from_secs(1), None, None)
    }

    #[test]
    fn an_empty_ledger_claims_nothing() {
        let plan = plan();
        assert!(Ledger::new(&plan, machine(), String::new()).report(None).tables.is_empty());
    }

    #[test]
    fn a_ratio_pairs_runs_of_one_round() {
        let plan = plan();
        let mut ledger = Ledger::new(&plan, machine(), String::new());
        let steps = plan.steps();
        let designs = plan.designs.len();
        ledger.enter(&steps[0], run(100)); // mutex, round 0
        ledger.enter(&steps[1], run(50)); // the second design, round 0
        ledger.enter(&steps[designs + 1], run(999)); // the second design, round 1: its pair is missing
        let report = ledger.report(None);
        let [table] = report.tables.as_slice() else { panic!("one table: {report:?}") };
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[0].ratio, None);
        let ratio = table.rows[1].ratio.expect("one pair");
        assert_eq!((ratio.median, ratio.pairs), (0.5, 1));
        assert_eq!(table.rows[1].runs, [50.0, 999.0]);
        assert_eq!(table.rows[0].rounds.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        assert_eq!(table.rows[1].rounds[1].map(|r| r.ops_per_second), Some(999.0));
    }

    #[test]
    fn an_injected_delay_is_in_the_report_and_in_every_sentence() {
        let inject = "class=8192,shard=3,delay=500ns".parse().ok();
        let workloads = vec![crate::workload::named("storm").expect("listed")];
        let plan = Plan::new(&Wishes { workloads, inject, ..Wishes::default() }).expect("a plan");
        let mut ledger = Ledger::new(&plan, machine(), String::new());
        let steps = plan.steps();
        assert!(steps.iter().all(|s| s.request.inject == inject));
        for step in &steps {
            ledger.enter(step, run(100));
        }
        let json = serde_json::to_value(ledger.report(None)).expect("plain values");
        assert_eq!(json["injected"], "class=8192,shard=3,delay=500ns");
        for row in json["tables"][0]["rows"].as_array().expect("rows") {
            let sentence = row["sentence"].as_str().expect("a sentence");
            assert!(sentence.contains(" (delay injected: class=8192,shard=3,delay=500ns) "), "{sentence}");
        }
    }

    #[test]
    fn the_json_is_what_the_page_reads() {
        let plan = plan();
        let mut ledger = Ledger::new(&plan, machine(), "stormglass watch".into());
        for step in &plan.steps()[..2] {
            ledger.enter(step, run(100));
        }
        let progress = Progress { done: 2, of: 12, current: "storm, mutex, 2 threads".into() };
        let json = serde_json::to_value(ledger.report(Some(progress)).brief()).expect("plain values");
        let keys = |value: &serde_json::Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(keys(&json), ["command", "machine", "progress", "tables", "version"]);
        assert_eq!(keys(&json["machine"]), ["cores", "cpu", "kernel", "memory_bytes"]);
        assert_eq!(keys(&json["progress"]), ["current", "done", "of"]);
        let table = &json["tables"][0];
        assert_eq!(keys(table), ["baseline", "rows", "seconds", "threads", "workload"]);
        let row = &table["rows"][1];
        assert_eq!(
            keys(row),
            ["design", "measures", "median_ops_per_second", "paper", "ratio", "runs", "sentence"]
        );
        assert_eq!(keys(&row["ratio"]), ["coverage", "high", "low", "median", "pairs"]);
        assert!(table["rows"][0]["ratio"].is_null());
    }

    #[test]
    fn a_problem_is_told_once() {
        let plan = plan();
        let mut ledger = Ledger::new(&plan, machine(), String::new());
        ledger.problem("a".into());
        ledger.problem("a".into());
        assert_eq!(ledger.report(None).problems, ["a"]);
    }
}

//! The results of a comparison as they come in, and the report that they make.
//!
//! Invariant: as in [`crate::report`], a report holds only what was measured, and a ratio stands only where both runs of a
//! round finished.

use serde::{Deserialize, Serialize};

use super::contender::Missing;
use super::measure::Run;
use super::plan::{Plan, Step};
use super::summary::Summary;
use crate::machine::Machine;
use crate::report as bench;
use crate::shape::Shape;
use crate::stats::{Interval, interval, median, paired_ratios};

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The command that repeats it.
    pub command: String,
    /// Version of stormglass.
    pub version: String,
    /// The allocator that the others are compared with.
    pub baseline: String,
    /// Who took part, and what served.
    pub allocators: Vec<Allocator>,
    /// Who is known and was not there.
    pub missing: Vec<Missing>,
    /// All workloads together.
    pub summary: Summary,
    /// One table for each workload and number of threads.
    pub tables: Vec<Table>,
    /// Sentences on the runs that failed.
    pub problems: Vec<String>,
}

/// One that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocator {
    /// Its name.
    pub name: String,
    /// The object that served its runs, as the loader told it.
    pub served_by: String,
}

/// The allocators side by side on one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Name of the workload.
    pub workload: String,
    /// Its parameters.
    pub shape: Shape,
    /// Share of the machine's time that other programs took, median over the runs; `None` if nobody knows.
    pub others: Option<f64>,
    /// One row for each allocator that finished a run.
    pub rows: Vec<Row>,
}

/// One allocator on one workload. Figures are medians over the finished runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub allocator: String,
    /// Allocations a second.
    pub ops_per_second: f64,
    /// Against the baseline, round by round; `None` for the baseline itself, and where no round has both.
    pub ratio: Option<Interval>,
    /// Nanoseconds of processor time an allocation, its free and what the workload does with it; `None` if it is not known.
    pub cpu_nanoseconds: Option<f64>,
    /// Allocations a second of processor time against the baseline: what other programs took does not count in it.
    pub cpu_ratio: Option<Interval>,
    /// Most resident memory at once, bytes.
    pub peak_bytes: f64,
    /// The same against the baseline's.
    pub peak_ratio: Option<Interval>,
    /// Page faults in the timed part.
    pub minor_faults: f64,
    /// Context switches in the timed part.
    pub switches: f64,
    /// Each round by itself, `None` where its run did not finish.
    pub runs: Vec<Option<Run>>,
}

impl Table {
    /// `larson, 2 threads`.
    pub(super) fn place(&self) -> String {
        let threads = self.shape.threads;
        format!("{}, {threads} thread{}", self.workload, if threads == 1 { "" } else { "s" })
    }

    /// The same figures as a table of the benchmark, for the charts.
    pub(super) fn plain(&self, baseline: &str) -> bench::Table {
        bench::Table {
            workload: self.workload.clone(),
            threads: self.shape.threads,
            seconds: self.shape.seconds,
            baseline: baseline.to_owned(),
            rows: self.rows.iter().map(Row::plain).collect(),
        }
    }
}

impl Row {
    fn plain(&self) -> bench::Row {
        bench::Row {
            design: self.allocator.clone(),
            paper: String::new(),
            runs: self.runs.iter().flatten().map(|run| run.ops_per_second).collect(),
            median_ops_per_second: self.ops_per_second,
            ratio: self.ratio,
            measures: stormglass_telemetry::Measures::default(),
            sentence: String::new(),
            retries: None,
            remote_frees: None,
            rounds: vec![],
        }
    }
}

/// A figure of a run.
type Figure = fn(&Run) -> Option<f64>;

/// What has been measured so far.
#[derive(Debug)]
pub struct Ledger<'p> {
    plan: &'p Plan,
    machine: Machine,
    command: String,
    missing: Vec<Missing>,
    /// By bout, contender and round.
    runs: Vec<Vec<Vec<Option<Run>>>>,
    problems: Vec<String>,
}

impl<'p> Ledger<'p> {
    /// Nothing yet. `command` is what the user typed.
    #[must_use]
    pub fn new(plan: &'p Plan, machine: Machine, command: String, missing: Vec<Missing>) -> Ledger<'p> {
        let bout = || vec![vec![None; plan.rounds]; plan.contenders.len()];
        let runs = plan.bouts.iter().map(|_| bout()).collect();
        Ledger { plan, machine, command, missing, runs, problems: Vec::new() }
    }

    /// Enters a result.
    pub fn enter(&mut self, step: &Step, run: Run) {
        self.runs[step.bout][step.contender][step.round] = Some(run);
    }

    /// Enters a sentence on something that went wrong.
    pub fn problem(&mut self, sentence: String) {
        self.problems.push(sentence);
    }

    /// What the contender of this step did last on the same workload.
    pub(super) fn last_speed(&self, step: &Step) -> Option<f64> {
        self.runs[step.bout][step.contender].iter().flatten().next_back().map(|run| run.ops_per_second)
    }

    /// The report of what is there.
    pub fn report(&self) -> Report {
        let baseline = &self.plan.contenders[self.plan.baseline].name;
        let tables: Vec<Table> = (0..self.runs.len()).filter_map(|bout| self.table(bout)).collect();
        Report {
            machine: self.machine.clone(),
            command: self.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            baseline: baseline.clone(),
            allocators: self.allocators(),
            missing: self.missing.clone(),
            summary: Summary::of(baseline, &tables),
            tables,
            problems: self.problems.clone(),
        }
    }

    fn allocators(&self) -> Vec<Allocator> {
        let served = |contender: usize| {
            let mut runs = self.runs.iter().flat_map(|bout| bout[contender].iter().flatten());
            runs.next().map(|run| run.served_by.clone())
        };
        let named = self.plan.contenders.iter().enumerate();
        named
            .filter_map(|(at, contender)| {
                Some(Allocator { name: contender.name.clone(), served_by: served(at)? })
            })
            .collect()
    }

    fn table(&self, bout: usize) -> Option<Table> {
        let rows: Vec<Row> =
            (0..self.plan.contenders.len()).filter_map(|contender| self.row(bout, contender)).collect();
        let others: Vec<f64> =
            self.runs[bout].iter().flatten().flatten().filter_map(|run| run.others).collect();
        let b = &self.plan.bouts[bout];
        (!rows.is_empty()).then(|| Table {
            workload: b.workload.name().to_owned(),
            shape: b.shape,
            others: median(&others),
            rows,
        })
    }

    fn row(&self, bout: usize, contender: usize) -> Option<Row> {
        let runs = &self.runs[bout][contender];
        let figure = |of: Figure, contender: usize| -> Vec<Option<f64>> {
            self.runs[bout][contender].iter().map(|run| run.as_ref().and_then(of)).collect()
        };
        let middle = |of: Figure| median(&figure(of, contender).into_iter().flatten().collect::<Vec<_>>());
        let baseline = self.plan.baseline;
        let ratio = |of: Figure| {
            (contender != baseline)
                .then(|| paired_ratios(&figure(of, contender), &figure(of, baseline)))
                .and_then(|ratios| interval(&ratios))
        };
        let speed: Figure = |run| Some(run.ops_per_second);
        let peak: Figure = |run| Some(run.peak_bytes as f64);
        Some(Row {
            allocator: self.plan.contenders[contender].name.clone(),
            ops_per_second: middle(speed)?,
            ratio: ratio(speed),
            cpu_nanoseconds: middle(|run| Some(1e9 / run.ops_per_cpu_second()?)),
            cpu_ratio: ratio(Run::ops_per_cpu_second),
            peak_bytes: middle(peak)?,
            peak_ratio: ratio(peak),
            minor_faults: middle(|run| Some(run.minor_faults as f64))?,
            switches: middle(|run| Some(run.switches as f64))?,
            runs: runs.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::{plan, run};

    #[test]
    fn ratios_pair_the_runs_of_one_round() {
        let plan = plan(3);
        let mut ledger = Ledger::new(&plan, Machine::this(), "test".into(), vec![]);
        // Everything drifts from round to round; glibc is half as fast as ours in each, and lost round 1.
        for step in plan.steps() {
            let ours = 1e6 * (step.round + 1) as f64;
            let lost = step.name == "glibc" && step.round == 1;
            let speed = if step.name == "glibc" { ours / 2.0 } else { ours };
            if !lost {
                ledger.enter(&step, run(speed, 1 << 20));
            }
        }
        let report = ledger.report();
        let rows = &report.tables[0].rows;
        assert_eq!((rows[0].allocator.as_str(), rows[0].ratio), ("stormglass", None));
        let ratio = rows[1].ratio.expect("two pairs");
        assert_eq!((ratio.median, ratio.low, ratio.high, ratio.pairs), (0.5, 0.5, 0.5, 2));
        assert_eq!(rows[1].runs[1], None);
        assert_eq!(report.allocators[1].served_by, "/lib/served.so");
    }

    #[test]
    fn a_report_is_the_same_after_a_way_through_json() {
        let report = crate::compare::synthetic::report();
        let text = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("the same"), report);
    }

    #[test]
    fn of_nothing_there_is_no_table() {
        let plan = plan(1);
        let report = Ledger::new(&plan, Machine::this(), String::new(), vec![]).report();
        assert!(report.tables.is_empty() && report.allocators.is_empty());
        assert_eq!(report.summary, Summary { means: vec![], best: vec![], over_best: None });
    }
}

//! The runs as they come in, and what they say.
//!
//! Invariant: a ratio pairs two runs of one round; a round that lost one of them has none.

use serde::Serialize;
use stormglass_telemetry::cost::{self, Cost, Ratio};

use super::plan::{Arm, Plan, Step};
use super::run::Sample;
use crate::analysis::quiet;
use crate::machine::Machine;
use crate::stats::{Interval, interval, median, paired_ratios};

/// What has been measured so far.
#[derive(Debug)]
pub struct Ledger<'p> {
    plan: &'p Plan,
    machine: Machine,
    command: String,
    /// By subject, arm and round.
    runs: Vec<[Vec<Option<Sample>>; Arm::ALL.len()]>,
    problems: Vec<String>,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The command that repeats it.
    pub command: String,
    /// Version of stormglass.
    pub version: String,
    /// How often each run was made.
    pub rounds: usize,
    /// What finished a pair.
    pub rows: Vec<Row>,
    /// Sentences on what went wrong.
    pub problems: Vec<String>,
}

/// One subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `general` or `pool`.
    pub allocator: &'static str,
    /// Its design.
    pub strategy: &'static str,
    /// The workload and its threads.
    pub workload: String,
    /// Seconds of a run.
    pub seconds: f64,
    /// Allocations a second without counters, median over the rounds.
    pub ops_per_second: f64,
    /// Speed with counters over speed without.
    pub counted: Option<Interval>,
    /// Speed with counters and a scraped sidecar over speed without.
    pub scraped: Option<Interval>,
    /// Share of the machine's time that other programs took, median over the runs without a sidecar.
    pub others: Option<f64>,
    /// Allocations a second of each round: without counters, counted, scraped; null where a run did not finish.
    pub runs: Vec<[Option<f64>; Arm::ALL.len()]>,
}

impl<'p> Ledger<'p> {
    /// Nothing yet. `command` is what the user typed.
    #[must_use]
    pub fn new(plan: &'p Plan, machine: Machine, command: String) -> Ledger<'p> {
        let runs = plan.subjects.iter().map(|_| std::array::from_fn(|_| vec![None; plan.rounds])).collect();
        Ledger { plan, machine, command, runs, problems: Vec::new() }
    }

    /// Enters a result.
    pub fn enter(&mut self, step: &Step, sample: Sample) {
        self.runs[step.index][step.arm as usize][step.round] = Some(sample);
    }

    /// Enters a sentence on something that went wrong, once.
    pub fn problem(&mut self, sentence: String) {
        if !self.problems.contains(&sentence) {
            self.problems.push(sentence);
        }
    }

    /// The report of what is there.
    pub fn report(&self) -> Report {
        let rows: Vec<Row> = (0..self.runs.len()).filter_map(|index| self.row(index)).collect();
        let busy = rows.iter().filter(|row| row.others.is_some_and(|share| share > quiet::MOST));
        let mut problems = self.problems.clone();
        problems.extend(busy.map(|row| {
            format!(
                "{} {}, {}: other programs took {:.0}% of the machine's time meanwhile; measure again on a quiet machine",
                row.allocator,
                row.strategy,
                row.workload,
                row.others.unwrap_or(0.0) * 100.0
            )
        }));
        Report {
            machine: self.machine.clone(),
            command: self.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rounds: self.plan.rounds,
            rows,
            problems,
        }
    }

    fn row(&self, index: usize) -> Option<Row> {
        let (subject, arms) = (&self.plan.subjects[index], &self.runs[index]);
        let speeds = |arm: Arm| -> Vec<Option<f64>> {
            arms[arm as usize].iter().map(|run| run.map(|sample| sample.ops_per_second)).collect()
        };
        let [off, on, scraped] = Arm::ALL.map(speeds);
        let quiet = arms[..2].iter().flatten().flatten().filter_map(|sample| sample.others);
        Some(Row {
            allocator: subject.allocator(),
            strategy: subject.strategy(),
            workload: subject.workload(),
            seconds: subject.shape().seconds,
            ops_per_second: median(&off.iter().flatten().copied().collect::<Vec<_>>())?,
            counted: interval(&paired_ratios(&on, &off)),
            scraped: interval(&paired_ratios(&scraped, &off)),
            others: median(&quiet.collect::<Vec<_>>()),
            runs: (0..self.plan.rounds).map(|round| [off[round], on[round], scraped[round]]).collect(),
        })
    }
}

impl Report {
    /// What is kept for who watches; `None` if no pair was finished.
    pub fn kept(&self, measured: u64) -> Option<Cost> {
        let ratio = |i: Interval| Ratio {
            median: i.median,
            low: i.low,
            high: i.high,
            coverage: i.coverage,
            pairs: i.pairs,
        };
        let subjects = self.rows.iter().filter(|row| row.counted.is_some()).map(|row| cost::Subject {
            allocator: row.allocator.to_owned(),
            strategy: row.strategy.to_owned(),
            workload: row.workload.clone(),
            counted: row.counted.map(ratio),
            scraped: row.scraped.map(ratio),
        });
        let subjects: Vec<_> = subjects.collect();
        (!subjects.is_empty()).then(|| Cost {
            version: self.version.clone(),
            command: self.command.clone(),
            machine: self.machine.line(),
            measured,
            subjects,
        })
    }
}

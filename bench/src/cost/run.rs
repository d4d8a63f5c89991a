//! Runs a measurement, each step in a fresh process.
//!
//! Invariants: a run that counted although it should not, or the reverse, is no result; a run that fails costs its own result
//! and nothing else; an interrupt ends the child that runs and keeps what was finished.

use std::io;
use std::path::PathBuf;

use super::build::Uncounted;
use super::plan::{Arm, Plan, Step, Subject};
use super::report::{Ledger, Report};
use crate::child;
use crate::compare::{self, Serving};
use crate::measure::Request;
use crate::progress::Display;
use crate::runner::{self, Books, Failure, Launch as _, Stop};

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Allocations a second.
    pub ops_per_second: f64,
    /// Whether they were counted.
    pub counted: bool,
    /// Share of the machine's time that other programs took; `None` if nobody knows.
    pub others: Option<f64>,
}

/// Launches runs of both builds.
#[derive(Debug)]
pub struct Children {
    general: compare::Children,
    /// Our library without and with counters.
    libraries: [PathBuf; 2],
    /// This program without and with counters.
    pools: [child::Children; 2],
}

impl Children {
    /// Runs of this program and of the build without counters; `library` is the one with counters.
    ///
    /// # Errors
    /// If the program's own file cannot be found.
    pub fn new(uncounted: &Uncounted, library: PathBuf) -> io::Result<Children> {
        Ok(Children {
            general: compare::Children::of_this_program()?,
            libraries: [uncounted.library.clone(), library],
            pools: [child::Children::of(uncounted.program.clone()), child::Children::of_this_program()?],
        })
    }

    /// Measures in a fresh process.
    ///
    /// # Errors
    /// If the run failed, was stopped, or was of the wrong build.
    pub fn launch(&mut self, step: &Step, asked: &Stop) -> Result<Sample, Failure> {
        let counts = step.arm != Arm::Uncounted;
        let build = usize::from(counts);
        let sample = match step.subject {
            Subject::General(workload, shape) => {
                let serving = Serving::Library(self.libraries[build].clone());
                let run = self.general.launch(&compare::Request { workload, serving, shape }, asked)?;
                let Some(counted) = run.counted else {
                    return Err(Failure::Failed(format!("{} does not say whether it counts", run.served_by)));
                };
                Sample { ops_per_second: run.ops_per_second, counted, others: run.others }
            }
            Subject::Pool(workload, design, shape) => {
                let run =
                    self.pools[build].launch(&Request { workload, design, shape, inject: None }, asked)?;
                Sample {
                    ops_per_second: run.ops_per_second,
                    counted: run.counted.is_some(),
                    others: run.others,
                }
            }
        };
        sample.of_the_right_build(counts)
    }
}

impl Sample {
    fn of_the_right_build(self, counts: bool) -> Result<Sample, Failure> {
        match (self.counted, counts) {
            (true, false) => {
                Err(Failure::Failed("it counted, though its build should be without counters".into()))
            }
            (false, true) => Err(Failure::Failed("it did not count, though its build has counters".into())),
            _ => Ok(self),
        }
    }
}

/// Runs every step of the plan and returns the report of those that finished.
pub fn run(
    plan: &Plan,
    mut ledger: Ledger<'_>,
    mut launch: impl FnMut(&Step) -> Result<Sample, Failure>,
    stop: &Stop,
    display: &Display,
) -> Report {
    runner::each(&plan.steps(), &mut ledger, &mut launch, stop, display);
    ledger.report()
}

impl Books for Ledger<'_> {
    type Step = Step;
    type Outcome = Sample;

    fn round(step: &Step) -> usize {
        step.round
    }

    fn enter(&mut self, step: &Step, sample: Sample) {
        self.enter(step, sample);
    }

    fn problem(&mut self, sentence: String) {
        self.problem(sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::plan::{What, Wishes};
    use crate::machine::Machine;

    fn plan(rounds: usize) -> Plan {
        let wishes = Wishes { what: What::General, rounds: Some(rounds), ..Wishes::default() };
        Plan::new(&wishes, 2).expect("a plan")
    }

    /// A machine whose speed drifts from round to round, on which counting costs 2% and a sidecar 3% more.
    fn sample(step: &Step) -> Sample {
        let drift = 1e7 * (1.0 + step.round as f64);
        let speed = match step.arm {
            Arm::Uncounted => drift,
            Arm::Counted => drift * 0.98,
            Arm::Scraped => drift * 0.95,
        };
        Sample { ops_per_second: speed, counted: step.arm != Arm::Uncounted, others: Some(0.01) }
    }

    fn go(rounds: usize, launch: impl FnMut(&Step) -> Result<Sample, Failure>) -> Report {
        let plan = plan(rounds);
        let machine = Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 4 << 30, kernel: "6".into() };
        let ledger = Ledger::new(&plan, machine, "stormglass bench --cost".into());
        run(&plan, ledger, launch, &Stop::default(), &Display::Lines)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_drift_that_pairs_share_is_no_cost() {
        let report = go(7, |step| Ok(sample(step)));
        assert!(report.problems.is_empty() && report.rows.len() == 3, "{report:?}");
        for row in &report.rows {
            let (on, scraped) = (row.counted.expect("pairs"), row.scraped.expect("pairs"));
            assert!(close(on.median, 0.98) && close(on.low, 0.98) && close(on.high, 0.98), "{on:?}");
            assert!(close(scraped.median, 0.95) && scraped.differs());
            assert_eq!((on.pairs, row.runs.len()), (7, 7));
        }
        let kept = report.kept(1_700_000_000).expect("pairs");
        assert_eq!(kept.subjects[1].workload, "churn 2T");
        assert!(close(kept.share("page", "").expect("measured"), 0.02));
    }

    #[test]
    fn a_round_that_lost_a_run_has_no_pair_and_the_rest_is_kept() {
        let report = go(3, |step| match (step.index, step.round, step.arm) {
            (0, 1, Arm::Uncounted) | (1, _, Arm::Counted) => Err(Failure::Failed("it fell over".into())),
            _ => Ok(sample(step)),
        });
        assert_eq!(report.problems[0], "general page, larson 2T, without counters, round 2: it fell over");
        assert_eq!(report.rows[0].counted.expect("two pairs").pairs, 2);
        assert!(close(report.rows[0].counted.expect("two pairs").median, 0.98));
        assert_eq!((report.rows[1].counted, report.rows[1].scraped.map(|i| i.pairs)), (None, Some(3)));
        assert_eq!(report.kept(0).expect("pairs").subjects.len(), 2);
    }

    #[test]
    fn an_interrupt_keeps_what_was_finished() {
        let mut left = 5;
        let report = go(2, |step| {
            left -= 1;
            if left < 0 { Err(Failure::Stopped) } else { Ok(sample(step)) }
        });
        assert_eq!(report.problems, ["stopped after 5 of 18 runs"]);
        assert_eq!(report.rows[0].counted.expect("pairs").pairs, 2);
        assert_eq!(go(1, |_| Err(Failure::Stopped)).kept(0), None);
    }

    #[test]
    fn a_busy_machine_is_said() {
        let busy = |step: &Step| Sample { others: Some(0.6), ..sample(step) };
        let report = go(1, |step| Ok(busy(step)));
        assert!(report.problems[0].contains("other programs took 60%"), "{:?}", report.problems);
        // Beside the sidecar, others are the sidecar.
        let quiet = go(1, |step| Ok(if step.arm == Arm::Scraped { busy(step) } else { sample(step) }));
        assert!(quiet.problems.is_empty());
    }

    #[test]
    fn a_run_of_the_wrong_build_is_no_result() {
        let sample = Sample { ops_per_second: 1.0, counted: true, others: None };
        assert!(sample.of_the_right_build(true).is_ok());
        assert!(
            matches!(sample.of_the_right_build(false), Err(Failure::Failed(why)) if why.contains("it counted"))
        );
        let uncounted = Sample { counted: false, ..sample };
        assert!(matches!(uncounted.of_the_right_build(true), Err(Failure::Failed(_))));
    }
}

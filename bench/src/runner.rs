//! Runs a plan, each step in a fresh child process.
//!
//! Invariant: a child that fails, hangs or talks nonsense costs its own result and nothing else; an interrupt ends the
//! child that runs and keeps what was finished.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ledger::Ledger;
use crate::measure::Request;
use crate::measurement::Measurement;
use crate::plan::Plan;
use crate::progress::Display;
use crate::report::{Progress, Report};

/// A wish to end early, shared with whoever hears of the interrupt.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the runner to end.
    pub fn ask(&self) {
        // Relaxed: the flag publishes nothing else.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn asked(&self) -> bool {
        // Relaxed: see `ask`; it may be seen a little late.
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a step has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The user asked to stop.
    Stopped,
    /// It failed: the end of a sentence that begins with the step.
    Failed(String),
}

/// Makes one measurement.
pub trait Launch {
    /// Measures in a fresh process, or says why not. Returns soon after `stop` was asked.
    ///
    /// # Errors
    /// If the step failed or was stopped.
    fn launch(&mut self, request: &Request, stop: &Stop) -> Result<Measurement, Failure>;
}

/// Hears how a benchmark goes.
pub trait Observer {
    /// The report has grown, or the next step begins (`report.progress` tells which).
    fn report(&mut self, report: &Report);

    /// Something went wrong: a whole sentence.
    fn problem(&mut self, sentence: &str);
}

/// What the loop over a plan's steps keeps its books in.
pub(crate) trait Books {
    /// One run; its words are those of progress and problems.
    type Step: fmt::Display;
    /// The result of one.
    type Outcome;

    /// Round within its bout, from 0.
    fn round(step: &Self::Step) -> usize;

    /// What the same measured last, for who looks on.
    fn before(&self, _step: &Self::Step) -> Option<f64> {
        None
    }

    /// Takes a result in.
    fn enter(&mut self, step: &Self::Step, outcome: Self::Outcome);

    /// Notes a whole sentence about what went wrong.
    fn problem(&mut self, sentence: String);
}

/// Launches every step in order, until the user asks to stop; books and display hear how each ends.
pub(crate) fn each<B: Books>(
    steps: &[B::Step],
    books: &mut B,
    mut launch: impl FnMut(&B::Step) -> Result<B::Outcome, Failure>,
    stop: &Stop,
    display: &Display,
) {
    for (done, step) in steps.iter().enumerate() {
        let progress = Progress { done, of: steps.len(), current: step.to_string() };
        display.step(&progress, books.before(step));
        let result = if stop.asked() { Err(Failure::Stopped) } else { launch(step) };
        match result {
            Ok(outcome) => books.enter(step, outcome),
            Err(Failure::Failed(why)) => {
                let sentence = format!("{step}, round {}: {why}", B::round(step) + 1);
                display.tell(&sentence);
                books.problem(sentence);
            }
            Err(Failure::Stopped) => {
                books.problem(format!("stopped after {done} of {} runs", steps.len()));
                break;
            }
        }
    }
    display.finish();
}

/// Runs every step of the plan and returns the report of those that finished; its `progress` says so if it was stopped
/// early.
pub fn run(
    plan: &Plan,
    mut ledger: Ledger<'_>,
    launch: &mut dyn Launch,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Report {
    let steps = plan.steps();
    for (done, step) in steps.iter().enumerate() {
        let progress = Progress { done, of: steps.len(), current: step.request.to_string() };
        observer.report(&ledger.report(Some(progress)));
        let result = if stop.asked() { Err(Failure::Stopped) } else { launch.launch(&step.request, stop) };
        match result {
            Ok(measurement) => {
                if let Some(warning) = &measurement.warning {
                    let sentence = format!("{}: {warning}", step.request);
                    observer.problem(&sentence);
                    ledger.problem(sentence);
                }
                ledger.enter(step, measurement);
            }
            Err(Failure::Failed(why)) => {
                let sentence = format!("{}, round {}: {why}", step.request, step.round + 1);
                observer.problem(&sentence);
                ledger.problem(sentence);
            }
            Err(Failure::Stopped) => {
                ledger.problem(format!("stopped after {done} of {} runs", steps.len()));
                break;
            }
        }
    }
    let report = ledger.report(None);
    observer.report(&report);
    report
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stormglass_allocator::StrategyId;

    use super::*;
    use crate::machine::Machine;
    use crate::plan::Wishes;

    /// Answers the steps in order.
    struct Script<F>(usize, F);

    impl<F: FnMut(usize, &Stop) -> Result<Measurement, Failure>> Launch for Script<F> {
        fn launch(&mut self, _: &Request, stop: &Stop) -> Result<Measurement, Failure> {
            self.0 += 1;
            (self.1)(self.0 - 1, stop)
        }
    }

    #[derive(Default)]
    struct Heard {
        reports: Vec<Report>,
        problems: Vec<String>,
    }

    impl Observer for Heard {
        fn report(&mut self, report: &Report) {
            self.reports.push(report.clone());
        }

        fn problem(&mut self, sentence: &str) {
            self.problems.push(sentence.to_owned());
        }
    }

    fn go(script: impl FnMut(usize, &Stop) -> Result<Measurement, Failure>) -> (Report, Heard) {
        let wishes = Wishes {
            workloads: vec![crate::workload::named("larson").expect("listed")],
            rounds: Some(2),
            ..Wishes::default()
        };
        let plan = Plan::new(&wishes).expect("a plan");
        let machine = Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 1, kernel: "6".into() };
        let mut heard = Heard::default();
        let ledger = Ledger::new(&plan, machine, "test".into());
        let report = run(&plan, ledger, &mut Script(0, script), &Stop::default(), &mut heard);
        (report, heard)
    }

    fn good() -> Measurement {
        Measurement::new(10, Duration::from_secs(1), None, None)
    }

    #[test]
    fn every_step_is_reported_before_it_runs_and_the_end_has_no_progress() {
        let (report, heard) = go(|_, _| Ok(good()));
        let of = heard.reports.len() - 1;
        let first = heard.reports[0].progress.clone().expect("under way");
        assert_eq!((first.done, first.of), (0, of));
        assert_eq!(first.current, "larson, mutex, 4 threads");
        assert_eq!(heard.reports[1].tables[0].rows.len(), 1);
        assert!(report.progress.is_none() && report.problems.is_empty());
    }

    #[test]
    fn a_failed_run_is_a_sentence_and_the_rest_is_kept() {
        let (report, heard) = go(|step, _| {
            if step == 1 { Err(Failure::Failed("it ran into its time limit".into())) } else { Ok(good()) }
        });
        assert_eq!(heard.problems, ["larson, lockfree-walk, 4 threads, round 1: it ran into its time limit"]);
        assert_eq!(report.problems, heard.problems);
        assert_eq!(report.tables[0].rows[1].runs.len(), 1);
        assert_eq!(report.tables[0].rows[0].runs.len(), 2);
    }

    #[test]
    fn an_interrupt_keeps_what_was_finished() {
        let (report, _) = go(|step, stop| {
            if step == 2 {
                stop.ask();
                return Err(Failure::Stopped);
            }
            assert!(step < 2, "nothing starts after a stop");
            Ok(good())
        });
        assert_eq!(report.tables[0].rows.len(), 2);
        let runs = 2 * StrategyId::PAPER_TRIED.len();
        assert_eq!(report.problems, [format!("stopped after 2 of {runs} runs")]);
    }

    #[test]
    fn a_warning_is_told_once_for_each_step_that_has_it() {
        let warned = Measurement { warning: Some("this run cannot be watched".into()), ..good() };
        let (report, _) = go(|_, _| Ok(warned.clone()));
        assert_eq!(report.problems.len(), StrategyId::PAPER_TRIED.len(), "{:?}", report.problems);
    }
}

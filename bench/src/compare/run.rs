//! Runs a comparison, each step in a fresh process.
//!
//! Invariants: a library that does not serve is found before anything is measured; a run that fails costs its own result and
//! nothing else; an interrupt ends the child that runs and keeps what was finished.

use super::child::Children;
use super::measure::Run;
use super::plan::{Plan, Request, Step};
use super::report::{Ledger, Report};
use super::workload::Workload as _;
use super::workload::startup;
use crate::progress::Display;
use crate::runner::{self, Books, Failure, Stop};
use crate::shape::Shape;

/// Has every contender serve a short process.
///
/// # Errors
/// A sentence on the first that does not.
pub fn preflight(plan: &Plan, children: &Children, stop: &Stop) -> Result<(), Failure> {
    let shape = Shape { seconds: 0.01, chunks: 10, ..startup::Startup.shape() };
    for contender in &plan.contenders {
        let request = Request { workload: &startup::Startup, serving: contender.serving.clone(), shape };
        match children.launch(&request, stop) {
            Ok(_) => {}
            Err(Failure::Stopped) => return Err(Failure::Stopped),
            Err(Failure::Failed(why)) => return Err(Failure::Failed(format!("{}: {why}", contender.name))),
        }
    }
    Ok(())
}

/// Runs every step of the plan and returns the report of those that finished, and whether all were run.
pub fn run(
    plan: &Plan,
    mut ledger: Ledger<'_>,
    mut launch: impl FnMut(&Request) -> Result<Run, Failure>,
    stop: &Stop,
    display: &Display,
) -> Report {
    runner::each(&plan.steps(), &mut ledger, |step| launch(&step.request), stop, display);
    ledger.report()
}

impl Books for Ledger<'_> {
    type Step = Step;
    type Outcome = Run;

    fn round(step: &Step) -> usize {
        step.round
    }

    fn before(&self, step: &Step) -> Option<f64> {
        self.last_speed(step)
    }

    fn enter(&mut self, step: &Step, run: Run) {
        self.enter(step, run);
    }

    fn problem(&mut self, sentence: String) {
        self.problem(sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::{plan, run as result};
    use crate::machine::Machine;

    fn go(launch: impl FnMut(&Request) -> Result<Run, Failure>) -> Report {
        let plan = plan(2);
        let ledger = Ledger::new(&plan, Machine::this(), "test".into(), vec![]);
        run(&plan, ledger, launch, &Stop::default(), &Display::Lines)
    }

    #[test]
    fn a_failed_run_is_a_sentence_and_the_rest_is_kept() {
        let mut turn = 0;
        let report = go(|_| {
            turn += 1;
            if turn == 2 { Err(Failure::Failed("it fell over".into())) } else { Ok(result(1e6, 1)) }
        });
        assert_eq!(report.problems, ["larson, glibc, 2 threads, round 1: it fell over"]);
        let glibc = &report.tables[0].rows[1];
        assert!(glibc.runs[0].is_none() && glibc.runs[1].is_some());
        assert_eq!(glibc.ratio.expect("one pair").pairs, 1);
        // The limit ran larson only.
        assert_eq!(report.tables.iter().map(|t| t.rows.len()).collect::<Vec<_>>(), [4, 3]);
    }

    #[test]
    fn an_interrupt_keeps_what_was_finished() {
        let mut turn = 0;
        let report = go(|_| {
            turn += 1;
            if turn > 3 { Err(Failure::Stopped) } else { Ok(result(1e6, 1)) }
        });
        assert_eq!(report.problems, ["stopped after 3 of 14 runs"]);
        assert_eq!(report.tables[0].rows.len(), 3);
    }
}

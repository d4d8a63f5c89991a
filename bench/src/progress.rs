//! How far a benchmark is, on the terminal's standard error: a bar for eyes, plain lines for files.
//!
//! Invariant: nothing here writes to standard output, which belongs to the result.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::{Progress, Report};
use crate::runner::Observer;
use crate::table::rate;

/// Shows progress.
#[derive(Debug)]
pub enum Display {
    /// A bar that is redrawn in place.
    Bar(ProgressBar),
    /// A line for each run.
    Lines,
}

impl Display {
    /// A bar if standard error is a terminal, lines if not.
    #[must_use]
    pub fn on_stderr() -> Display {
        if !io::stderr().is_terminal() {
            return Display::Lines;
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Display::Bar(bar)
    }
}

impl Display {
    /// A run begins; `before` is what the same measured last.
    pub(crate) fn step(&self, progress: &Progress, before: Option<f64>) {
        match self {
            Display::Bar(bar) => {
                bar.set_length(progress.of as u64);
                bar.set_position(progress.done as u64);
                bar.set_message(progress.current.clone());
            }
            Display::Lines => say(&line(progress, before)),
        }
    }

    /// The last run is over.
    pub(crate) fn finish(&self) {
        if let Display::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }

    /// Says a sentence without disturbing the bar.
    pub(crate) fn tell(&self, sentence: &str) {
        match self {
            Display::Bar(bar) => bar.suspend(|| say(sentence)),
            Display::Lines => say(sentence),
        }
    }
}

impl Observer for Display {
    fn report(&mut self, report: &Report) {
        match &report.progress {
            Some(progress) => self.step(progress, before(report, progress)),
            None => self.finish(),
        }
    }

    fn problem(&mut self, sentence: &str) {
        self.tell(sentence);
    }
}

/// What the design that runs next did last on the same workload.
fn before(report: &Report, progress: &Progress) -> Option<f64> {
    let mut words = progress.current.split(", ");
    let (workload, design) = (words.next()?, words.next()?);
    let table = report.tables.last().filter(|t| t.workload == workload)?;
    table.rows.iter().find(|r| r.design == design)?.runs.last().copied()
}

/// `[ 3/30] larson, mutex, 4 threads` and, in brackets, what it did before.
fn line(progress: &Progress, before: Option<f64>) -> String {
    let width = progress.of.to_string().len();
    let text = format!("[{:>width$}/{}] {}", progress.done + 1, progress.of, progress.current);
    before.map_or_else(|| text.clone(), |last| format!("{text} (before: {})", rate(last)))
}

/// A standard error that is closed is no reason to stop measuring.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_run_begins() {
        let progress = Progress { done: 2, of: 30, current: "storm, mutex, 2 threads".into() };
        assert_eq!(line(&progress, None), "[ 3/30] storm, mutex, 2 threads");
        assert_eq!(line(&progress, Some(2e6)), "[ 3/30] storm, mutex, 2 threads (before: 2.00 M/s)");
    }
}

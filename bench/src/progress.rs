//! How far a benchmark is, on the terminal's standard error: a bar for eyes, plain lines for files.
//!
//! Invariant: nothing here writes to standard output, which belongs to the result.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::Report;
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

impl Observer for Display {
    fn report(&mut self, report: &Report) {
        match (&report.progress, self) {
            (Some(progress), Display::Bar(bar)) => {
                bar.set_length(progress.of as u64);
                bar.set_position(progress.done as u64);
                bar.set_message(progress.current.clone());
            }
            (Some(_), Display::Lines) => say(&line(report)),
            (None, Display::Bar(bar)) => bar.finish_and_clear(),
            (None, Display::Lines) => {}
        }
    }

    fn problem(&mut self, sentence: &str) {
        match self {
            Display::Bar(bar) => bar.suspend(|| say(sentence)),
            Display::Lines => say(sentence),
        }
    }
}

/// `[ 3/30] larson, mutex, 4 threads` and, in brackets, what the design did so far on that workload.
fn line(report: &Report) -> String {
    let Some(progress) = &report.progress else { return String::new() };
    let width = progress.of.to_string().len();
    let mut text = format!("[{:>width$}/{}] {}", progress.done + 1, progress.of, progress.current);
    let mut words = progress.current.split(", ");
    let (workload, design) = (words.next(), words.next());
    let table = report.tables.last().filter(|t| Some(t.workload.as_str()) == workload);
    let row = table.and_then(|t| t.rows.iter().find(|r| Some(r.design.as_str()) == design));
    if let Some(last) = row.and_then(|r| r.runs.last()) {
        text = format!("{text} (before: {})", rate(*last));
    }
    text
}

/// A standard error that is closed is no reason to stop measuring.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::Progress;

    #[test]
    fn a_line_says_which_run_begins() {
        let report = Report {
            machine: Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 1, kernel: "6".into() },
            command: String::new(),
            version: String::new(),
            injected: None,
            progress: Some(Progress { done: 2, of: 30, current: "storm, mutex, 2 threads".into() }),
            tables: vec![],
            problems: vec![],
        };
        assert_eq!(line(&report), "[ 3/30] storm, mutex, 2 threads");
        assert_eq!(line(&Report { progress: None, ..report }), "");
    }
}

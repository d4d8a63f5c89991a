//! The report as text: one table a workload, like the paper's, then one sentence a design.
//!
//! Invariant: columns line up by characters, colour adds none that is visible, and without colour the text is the
//! same byte for byte for the same report.

use std::fmt::Write as _;

use crate::report::{Report, Row, Table};
use crate::stats::Interval;

/// Whether the terminal shows colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Text only.
    Plain,
    /// ANSI escapes.
    Ansi,
}

impl Colour {
    /// Colour for a terminal whose user has not set `NO_COLOR` (<https://no-color.org>).
    #[must_use]
    pub fn of(stream: &impl std::io::IsTerminal) -> Colour {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        if stream.is_terminal() && !declined { Colour::Ansi } else { Colour::Plain }
    }

    /// The text in that colour.
    #[must_use]
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match (self, paint) {
            (Colour::Plain, _) | (_, Paint::None) => return text.to_owned(),
            (Colour::Ansi, Paint::Head) => "1",
            (Colour::Ansi, Paint::Dim) => "2",
            (Colour::Ansi, Paint::Worse) => "31",
            (Colour::Ansi, Paint::Better) => "32",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// What a text says by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Nothing in particular.
    None,
    /// This is a heading.
    Head,
    /// This may be passed over.
    Dim,
    /// This is bad.
    Worse,
    /// This is good.
    Better,
}

/// The whole report as text.
pub fn render(report: &Report, colour: Colour) -> String {
    let mut text = String::new();
    for table in &report.tables {
        render_table(&mut text, table, report.injected.as_deref(), colour);
        text.push('\n');
    }
    for problem in &report.problems {
        let _ = writeln!(text, "{problem}");
    }
    let _ = writeln!(text, "{}", colour.paint(Paint::Dim, &report.machine.line()));
    text
}

fn render_table(text: &mut String, table: &Table, injected: Option<&str>, colour: Colour) {
    let threads = if table.threads == 1 { "1 thread" } else { &format!("{} threads", table.threads) };
    let rounds = table.rows.iter().map(|r| r.runs.len()).max().unwrap_or(0);
    let title = format!("{}, {threads}, {rounds} x {} s", table.workload, table.seconds);
    let _ = writeln!(text, "{}", colour.paint(Paint::Head, &title));
    if let Some(injected) = injected {
        let mark = format!(
            "DELAY INJECTED: {injected}; the numbers show what was asked for, not this machine alone"
        );
        let _ = writeln!(text, "{}", colour.paint(Paint::Worse, &mark));
    }

    let heads = [
        "design".to_owned(),
        "paper".to_owned(),
        "ops/s".to_owned(),
        format!("change vs {}", table.baseline),
        "CAS failures/batch".to_owned(),
        "walked/kept".to_owned(),
        "lock wait".to_owned(),
    ];
    let rows: Vec<[String; 7]> = table.rows.iter().map(|row| cells(row, &table.baseline)).collect();
    columns(text, &heads, &rows, WORDS, colour, |row, column| {
        if column == CHANGE { change_paint(table.rows[row].ratio.as_ref()) } else { Paint::None }
    });
    for note in notes(&table.rows) {
        let _ = writeln!(text, "{}", colour.paint(Paint::Dim, &note));
    }
    for row in &table.rows {
        let _ = writeln!(text, "- {}", row.sentence);
    }
}

/// The column of the comparison.
const CHANGE: usize = 3;
/// Columns of words stand left, columns of numbers right.
const WORDS: usize = 2;

/// Heads and rows as columns, the first `words` of which stand left; `paint` tells the colour of a row's cell.
pub fn columns<const N: usize>(
    text: &mut String,
    heads: &[String; N],
    rows: &[[String; N]],
    words: usize,
    colour: Colour,
    paint: impl Fn(usize, usize) -> Paint,
) {
    let widths: [usize; N] = std::array::from_fn(|i| {
        rows.iter().map(|r| r[i].chars().count()).fold(heads[i].chars().count(), usize::max)
    });
    let mut line = |cells: &[String; N], paint: &dyn Fn(usize) -> Paint| {
        let mut out = String::new();
        for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            let painted = colour.paint(paint(column), cell);
            let aligned = if column < words { painted + &gap } else { gap + &painted };
            out.push_str(if column == 0 { "" } else { "  " });
            out.push_str(&aligned);
        }
        let _ = writeln!(text, "{}", out.trim_end());
    };
    line(heads, &|_| Paint::Dim);
    for (row, cells) in rows.iter().enumerate() {
        line(cells, &|column| paint(row, column));
    }
}

fn cells(row: &Row, baseline: &str) -> [String; 7] {
    let m = &row.measures;
    let dash = || "-".to_owned();
    let change = match &row.ratio {
        Some(ratio) => change(ratio),
        None if row.design == baseline => "baseline".to_owned(),
        None => dash(),
    };
    // A design that pops without a CAS has no failures to show: 0 of 0 is not a measurement.
    let popped = m.attempts_per_batch.filter(|&n| n > 0.0).and(m.failures_per_batch);
    let waited = m.lock_contended_ratio.and(m.lock_wait_ratio);
    [
        row.design.clone(),
        row.paper.clone(),
        rate(row.median_ops_per_second),
        change,
        popped.map_or_else(dash, |n| format!("{n:.2}")),
        m.walked_per_kept.map_or_else(dash, |n| format!("{n:.2}")),
        waited.map_or_else(dash, |n| format!("{n:.3} s/s")),
    ]
}

/// `-3.2% [-10.0, +2.0]`
pub(crate) fn change(ratio: &Interval) -> String {
    let percent = |r: f64| (r - 1.0) * 100.0;
    format!("{:+.1}% [{:+.1}, {:+.1}]", percent(ratio.median), percent(ratio.low), percent(ratio.high))
}

pub(crate) fn change_paint(ratio: Option<&Interval>) -> Paint {
    match ratio {
        Some(r) if r.differs() && r.median < 1.0 => Paint::Worse,
        Some(r) if r.differs() => Paint::Better,
        _ => Paint::None,
    }
}

/// What the brackets mean, once for all rows that agree.
pub(crate) fn notes(rows: &[Row]) -> Vec<String> {
    notes_on(rows.iter().filter_map(|r| r.ratio.as_ref()))
}

/// The same for any ratios.
pub(crate) fn notes_on<'a>(ratios: impl Iterator<Item = &'a Interval>) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for ratio in ratios {
        let note = if ratio.pairs == 1 {
            "change: of 1 pair; an interval needs more rounds".to_owned()
        } else {
            let share = ratio.coverage * 100.0;
            let pairs = ratio.pairs;
            format!(
                "change: median of {pairs} paired ratios; the bracket holds the true one with probability {share:.2}%"
            )
        };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// Operations a second with a unit prefix, three or four figures.
pub fn rate(per_second: f64) -> String {
    match per_second {
        n if n >= 1e9 => format!("{:.2} G/s", n / 1e9),
        n if n >= 1e6 => format!("{:.2} M/s", n / 1e6),
        n if n >= 1e3 => format!("{:.1} k/s", n / 1e3),
        n => format!("{n:.0} /s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use stormglass_telemetry::Measures;

    fn row(design: &str, paper: &str, ops: f64, ratio: Option<Interval>, measures: Measures) -> Row {
        Row {
            design: design.into(),
            paper: paper.into(),
            runs: vec![ops; 5],
            median_ops_per_second: ops,
            ratio,
            measures,
            sentence: format!("{design} did this."),
            retries: None,
            remote_frees: None,
            rounds: vec![],
        }
    }

    fn report() -> Report {
        let interval = |median, low, high| Some(Interval { median, low, high, coverage: 0.9375, pairs: 5 });
        let mutex = Measures {
            attempts_per_batch: Some(0.0),
            failures_per_batch: Some(0.0),
            lock_contended_ratio: Some(0.3),
            lock_wait_ratio: Some(0.6123),
            ..Measures::default()
        };
        let walk = Measures {
            attempts_per_batch: Some(2.8),
            failures_per_batch: Some(1.8),
            walked_per_kept: Some(2.81),
            ..Measures::default()
        };
        let single = Measures {
            attempts_per_batch: Some(58.0),
            failures_per_batch: Some(26.0),
            ..Measures::default()
        };
        Report {
            machine: Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 4 << 30, kernel: "6.1.0".into() },
            command: "stormglass bench".into(),
            version: "0.1.0".into(),
            injected: None,
            progress: None,
            tables: vec![Table {
                workload: "storm".into(),
                threads: 2,
                seconds: 0.8,
                baseline: "mutex".into(),
                rows: vec![
                    row("mutex", "Phase 6.25", 41.2e6, None, mutex),
                    row("lockfree-walk", "Phase 7.1", 33.3e6, interval(0.808, 0.78, 1.02), walk),
                    row("lockfree-single", "Phase 7.1.1", 987_654.0, interval(0.125, 0.12, 0.13), single),
                ],
            }],
            problems: vec!["round 3 of x failed: it ran into its time limit.".into()],
        }
    }

    #[test]
    fn golden() {
        let golden = include_str!("../tests/table.golden");
        let text = render(&report(), Colour::Plain);
        assert_eq!(text, golden, "the table changed; if it is meant to, tests/table.golden is:\n{text}");
    }

    #[test]
    fn an_injected_delay_stands_above_every_table() {
        let mut report = report();
        report.tables.push(report.tables[0].clone());
        report.injected = Some("class=8192,shard=3,delay=500ns".into());
        let text = render(&report, Colour::Plain);
        let mark = "DELAY INJECTED: class=8192,shard=3,delay=500ns; ";
        for table in text.split("storm, 2 threads").skip(1) {
            assert!(table.lines().nth(1).expect("a line").starts_with(mark), "{text}");
        }
        assert_eq!(text.matches(mark).count(), 2);
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let coloured = render(&report(), Colour::Ansi);
        let mut plain = String::new();
        let mut parts = coloured.split('\x1b');
        plain.push_str(parts.next().unwrap_or_default());
        for part in parts {
            plain.push_str(part.split_once('m').expect("an escape ends in m").1);
        }
        assert_eq!(plain, render(&report(), Colour::Plain));
        assert!(coloured.contains("\x1b[31m-87.5%"), "a loss that the pairs show is red");
        assert!(!coloured.contains("\x1b[31m-19.2%"), "one that they do not show is not");
    }

    #[test]
    fn rates_have_a_unit() {
        assert_eq!(rate(12.4), "12 /s");
        assert_eq!(rate(987_654.0), "987.7 k/s");
        assert_eq!(rate(41.2e6), "41.20 M/s");
        assert_eq!(rate(1.234e9), "1.23 G/s");
    }
}

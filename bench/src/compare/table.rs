//! The report of a comparison as text.

use std::fmt::Write as _;

use super::report::{Report, Row, Table};
use super::summary::{Best, Mean};
use crate::analysis::quiet;
use crate::table::{Colour, Paint, change, change_paint, columns, notes_on, rate};

/// The whole report as text.
pub fn render(report: &Report, colour: Colour) -> String {
    let mut text = String::new();
    for table in &report.tables {
        render_table(&mut text, table, &report.baseline, colour);
        text.push('\n');
    }
    summary(&mut text, report, colour);
    for missing in &report.missing {
        let _ = writeln!(text, "{} took no part: {}", missing.name, missing.hint);
    }
    for problem in &report.problems {
        let _ = writeln!(text, "{problem}");
    }
    let _ = writeln!(text, "{}", colour.paint(Paint::Dim, &report.machine.line()));
    text
}

/// The columns of a table, the first of words.
const COLUMNS: usize = 7;

pub(super) fn heads(baseline: &str) -> [String; COLUMNS] {
    let change = format!("change vs {baseline}");
    ["allocator", "ops/s", &change, "CPU/op", "peak memory", "page faults", "switches"].map(str::to_owned)
}

/// The heads of the means.
pub(super) const MEANS: [&str; 5] = ["allocator", "speed", "by CPU time", "peak memory", "tables"];

/// The column of the comparison.
const CHANGE: usize = 2;

fn render_table(text: &mut String, table: &Table, baseline: &str, colour: Colour) {
    let rounds = table.rows.iter().map(|row| row.runs.len()).max().unwrap_or(0);
    let title = format!("{}, {rounds} x {} s", table.place(), table.shape.seconds);
    let _ = writeln!(text, "{}", colour.paint(Paint::Head, &title));
    if let Some(sentence) = busy(table) {
        let _ = writeln!(text, "{}", colour.paint(Paint::Worse, &sentence));
    }
    let heads = heads(baseline);
    let rows: Vec<[String; COLUMNS]> = table.rows.iter().map(|row| cells(row, baseline)).collect();
    columns(text, &heads, &rows, 1, colour, |row, column| {
        if column == CHANGE { change_paint(table.rows[row].ratio.as_ref()) } else { Paint::None }
    });
    for note in notes_on(table.rows.iter().filter_map(|row| row.ratio.as_ref())) {
        let _ = writeln!(text, "{}", colour.paint(Paint::Dim, &note));
    }
}

/// That the machine was busy, if it was.
pub(super) fn busy(table: &Table) -> Option<String> {
    let share = table.others.filter(|share| *share > quiet::MOST)?;
    Some(format!(
        "THE MACHINE WAS BUSY: other programs took {:.0}% of its time meanwhile; CPU/op suffers least, a quiet machine is better",
        share * 100.0
    ))
}

pub(super) fn cells(row: &Row, baseline: &str) -> [String; COLUMNS] {
    let change = match &row.ratio {
        Some(ratio) => change(ratio),
        None if row.allocator == baseline => "baseline".to_owned(),
        None => "-".to_owned(),
    };
    [
        row.allocator.clone(),
        rate(row.ops_per_second),
        change,
        row.cpu_nanoseconds.map_or_else(|| "-".to_owned(), nanoseconds),
        mebibytes(row.peak_bytes),
        format!("{:.0}", row.minor_faults),
        format!("{:.0}", row.switches),
    ]
}

/// Three figures.
fn nanoseconds(value: f64) -> String {
    match value {
        n if n < 9.995 => format!("{n:.2} ns"),
        n if n < 99.95 => format!("{n:.1} ns"),
        n if n < 9_999.5 => format!("{n:.0} ns"),
        n => format!("{:.1} us", n / 1e3),
    }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

fn summary(text: &mut String, report: &Report, colour: Colour) {
    let summary = &report.summary;
    if !summary.means.is_empty() {
        let _ = writeln!(text, "{}", colour.paint(Paint::Head, &means_title(&report.baseline)));
        let heads = MEANS.map(str::to_owned);
        let rows: Vec<[String; MEANS.len()]> = summary.means.iter().map(mean).collect();
        columns(text, &heads, &rows, 1, colour, |_, _| Paint::None);
        text.push('\n');
    }
    if !summary.best.is_empty() {
        let _ = writeln!(text, "{}", colour.paint(Paint::Head, &best_title(&report.baseline)));
        let heads = ["workload", "best peer", "change"].map(str::to_owned);
        let rows: Vec<[String; 3]> = summary.best.iter().map(best).collect();
        columns(text, &heads, &rows, 2, colour, |row, column| {
            if column == 2 { change_paint(Some(&summary.best[row].baseline_ratio)) } else { Paint::None }
        });
        if let Some(over_best) = summary.over_best {
            let _ = writeln!(text, "{}", over_best_sentence(&report.baseline, over_best));
        }
        text.push('\n');
    }
}

pub(super) fn means_title(baseline: &str) -> String {
    format!("All workloads, against {baseline} (geometric means of the ratios)")
}

pub(super) fn best_title(baseline: &str) -> String {
    format!("{baseline} against the best peer of each workload")
}

pub(super) fn over_best_sentence(baseline: &str, over_best: f64) -> String {
    format!(
        "Over all of these {baseline} does {over_best:.3} times the work of the best peer (geometric mean)."
    )
}

pub(super) fn mean(mean: &Mean) -> [String; MEANS.len()] {
    [
        mean.allocator.clone(),
        format!("{:.3}x", mean.speed),
        mean.cpu.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.3}x")),
        format!("{:.2}x", mean.peak),
        mean.tables.to_string(),
    ]
}

pub(super) fn best(best: &Best) -> [String; 3] {
    let threads = best.threads;
    let place = format!("{}, {threads} thread{}", best.workload, if threads == 1 { "" } else { "s" });
    [place, best.allocator.clone(), change(&best.baseline_ratio)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::report;

    #[test]
    fn golden() {
        let golden = include_str!("../../tests/compare.golden");
        let text = render(&report(), Colour::Plain);
        assert_eq!(text, golden, "the table changed; if it is meant to, tests/compare.golden is:\n{text}");
    }

    #[test]
    fn a_busy_machine_is_said_above_its_table() {
        let mut report = report();
        report.tables[1].others = Some(0.45);
        let text = render(&report, Colour::Plain);
        let after = text.split("xmalloc, 2 threads, 5 x 0.4 s\n").nth(1).expect("the table");
        assert!(
            after.starts_with("THE MACHINE WAS BUSY: other programs took 45% of its time meanwhile;"),
            "{text}"
        );
        assert_eq!(text.matches("BUSY").count(), 1);
    }
}

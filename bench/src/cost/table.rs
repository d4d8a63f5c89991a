//! The measurement as text.

use std::fmt::Write as _;

use super::report::{Report, Row};
use crate::stats::Interval;
use crate::table::{Colour, Paint, columns, notes_on, rate};

/// The whole report as text.
pub fn render(report: &Report, colour: Colour) -> String {
    let mut text = String::new();
    if !report.rows.is_empty() {
        let seconds = report.rows.first().map_or(0.0, |row| row.seconds);
        let title = format!("The cost of being watched, {} x {seconds} s", report.rounds);
        let _ = writeln!(text, "{}", colour.paint(Paint::Head, &title));
        let heads =
            ["allocator", "design", "workload", "ops/s uncounted", "counted", "counted, scraped at 10 Hz"]
                .map(str::to_owned);
        let rows: Vec<[String; 6]> = report.rows.iter().map(cells).collect();
        columns(&mut text, &heads, &rows, 3, colour, |row, column| {
            let row = &report.rows[row];
            paint(match column {
                4 => row.counted,
                5 => row.scraped,
                _ => None,
            })
        });
        let said = "Speed as a share of the speed without counters, median of the paired ratios [interval]: 1 costs nothing.";
        let _ = writeln!(text, "{}", colour.paint(Paint::Dim, said));
        for note in notes_on(report.rows.iter().flat_map(|row| [&row.counted, &row.scraped]).flatten()) {
            let _ = writeln!(text, "{}", colour.paint(Paint::Dim, &note));
        }
        text.push('\n');
    }
    for problem in &report.problems {
        let _ = writeln!(text, "{problem}");
    }
    let _ = writeln!(text, "{}", colour.paint(Paint::Dim, &report.machine.line()));
    text
}

fn cells(row: &Row) -> [String; 6] {
    [
        row.allocator.to_owned(),
        row.strategy.to_owned(),
        row.workload.clone(),
        rate(row.ops_per_second),
        ratio(row.counted.as_ref()),
        ratio(row.scraped.as_ref()),
    ]
}

fn ratio(interval: Option<&Interval>) -> String {
    interval.map_or_else(|| "-".to_owned(), |i| format!("{:.3} [{:.3}, {:.3}]", i.median, i.low, i.high))
}

fn paint(interval: Option<Interval>) -> Paint {
    match interval {
        Some(i) if i.differs() && i.high < 1.0 => Paint::Worse,
        Some(i) if i.differs() => Paint::Better,
        _ => Paint::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn a_row_has_both_ratios() {
        let interval = |median: f64| Interval {
            median,
            low: median - 0.01,
            high: median + 0.01,
            coverage: 0.96,
            pairs: 15,
        };
        let row = Row {
            allocator: "general",
            strategy: "page",
            workload: "larson 2T".into(),
            seconds: 1.0,
            ops_per_second: 12.3e6,
            counted: Some(interval(0.98)),
            scraped: None,
            others: None,
            runs: vec![],
        };
        let machine = Machine { cpu: "Z80".into(), cores: 2, memory_bytes: 4 << 30, kernel: "6".into() };
        let problems = vec!["one run fell over".to_owned()];
        let mut report = Report {
            machine,
            command: String::new(),
            version: String::new(),
            rounds: 15,
            rows: vec![row],
            problems,
        };
        let text = render(&report, Colour::Plain);
        assert!(text.starts_with("The cost of being watched, 15 x 1 s\n"), "{text}");
        assert!(text.contains("0.980 [0.970, 0.990]") && text.contains("12.30 M/s"), "{text}");
        assert!(text.contains("one run fell over\nZ80"), "{text}");
        report.rows.clear();
        assert!(!render(&report, Colour::Plain).contains("cost of being"));
    }
}

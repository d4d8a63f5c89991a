//! The table on a terminal.

use std::fmt::Write as _;

use stormglass_bench::table::{Colour, Paint, columns};

use super::{Checked, details, value};
use crate::check::evaluate::Judgement;

/// A line an assertion, with what is to be said of it below; the sum at the end.
pub(crate) fn table(checked: &Checked, colour: Colour) -> String {
    let mut text = String::new();
    let heads = ["result", "assertion", "value"].map(str::to_owned);
    let rows: Vec<[String; 3]> = checked
        .outcomes
        .iter()
        .map(|outcome| [outcome.judgement.word().to_owned(), outcome.assertion.clone(), value(outcome)])
        .collect();
    let paint = |row: usize, column: usize| match (checked.outcomes[row].judgement, column) {
        (Judgement::Holds, 0) => Paint::Better,
        (_, 0) => Paint::Worse,
        _ => Paint::None,
    };
    let mut lines = String::new();
    columns(&mut lines, &heads, &rows, 2, colour, paint);
    let mut lines = lines.lines();
    text.extend(lines.next().map(|head| format!("{head}\n")));
    for (line, outcome) in lines.zip(&checked.outcomes) {
        let _ = writeln!(text, "{line}");
        let details = details(outcome);
        if !details.is_empty() {
            let _ = writeln!(text, "         {}", colour.paint(Paint::Dim, &details));
        }
    }
    let _ = writeln!(text, "{}: {}", checked.source, checked.line());
    text
}

//! What an assertion may name.

use std::fmt::Write as _;

use serde_json::json;
use stormglass_bench::table::{Colour, Paint, columns};
use stormglass_telemetry::diagnosis::Verdict;

use super::expression::listed;

/// A table: verdicts, figures, metrics.
pub(crate) fn text(colour: Colour) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}",
        colour.paint(Paint::Head, "Verdicts: `no NAME`, or `NAME`; `no verdict` is of all")
    );
    let rows: Vec<[String; 2]> =
        Verdict::ALL.iter().map(|verdict| [verdict.id().to_owned(), verdict.says().to_owned()]).collect();
    columns(&mut text, &["name", "what it says"].map(str::to_owned), &rows, 2, colour, |_, _| Paint::None);
    let _ = writeln!(text, "\n{}", colour.paint(Paint::Head, "Figures and metrics"));
    let heads = ["name", "kind", "in", "labels", "what it is"].map(str::to_owned);
    let rows: Vec<[String; 5]> = listed()
        .into_iter()
        .map(|one| {
            [one.name, one.kind.to_owned(), one.dimension.name().to_owned(), one.labels.join(","), one.help]
        })
        .collect();
    columns(&mut text, &heads, &rows, 5, colour, |_, _| Paint::None);
    let _ = writeln!(
        text,
        "\nEach also has the labels of its process: command, strategy, workload, injected, pid."
    );
    // A column of words that is the last has no need of an end.
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.push("");
    lines.join("\n")
}

/// The same as JSON.
pub(crate) fn json() -> String {
    let verdicts: Vec<_> =
        Verdict::ALL.iter().map(|verdict| json!({ "name": verdict.id(), "help": verdict.says() })).collect();
    let names: Vec<_> = listed()
        .into_iter()
        .map(|one| {
            json!({
                "name": one.name,
                "kind": one.kind,
                "in": one.dimension.name(),
                "labels": one.labels,
                "help": one.help,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "verdicts": verdicts, "names": names }))
}

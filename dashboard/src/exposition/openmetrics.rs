//! OpenMetrics 1.0 text, which the `prometheus` crate does not write.
//!
//! It differs from the older text in what a name belongs to: a counter's family is called without `_total`, an info's without
//! `_info`; bounds have a fraction; the text ends with a mark, so that half an answer is no answer. Invariant: the samples
//! are those of the older text, name by name and label by label.

use std::fmt::Write as _;

use stormglass_telemetry::Kind;

use super::answer::{Answer, Family};
use super::labels::escape;
use super::lines;

/// Units that a family's name may end with, and then says.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// Appends the whole answer.
pub(super) fn encode(answer: &Answer, out: &mut String) {
    for family in &answer.families {
        head(out, family);
        // `{:?}` has a fraction in every case (`4` is written `4.0`), and an exponent where that is shorter.
        lines::put(out, answer, family, |bound| format!("{bound:?}"));
    }
    out.push_str("# EOF\n");
}

/// What stands above the lines of a family.
fn head(out: &mut String, family: &Family) {
    let sample = family.name.as_str();
    let (name, kind) = match family.kind {
        // All are called so: those of the metric table, and of a newer writer's no others are let in (families.rs).
        Kind::Counter => (sample.strip_suffix("_total").unwrap_or(sample), "counter"),
        Kind::Histogram => (sample, "histogram"),
        Kind::Gauge => match sample.strip_suffix("_info") {
            Some(name) => (name, "info"),
            None => (sample, "gauge"),
        },
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "# TYPE {name} {kind}");
    if let Some(unit) =
        UNITS.iter().find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_')))
    {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
    let _ = write!(out, "# HELP {name} ");
    escape(out, &family.help, true);
    out.push('\n');
}

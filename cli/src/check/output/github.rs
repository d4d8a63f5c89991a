//! What GitHub Actions shows: annotations on the run, and a table in its summary.

use std::fmt::Write as _;

use super::{Checked, details, value};
use crate::check::evaluate::Judgement;

/// Workflow commands, a line for each assertion that does not hold.
pub(crate) fn annotations(checked: &Checked) -> String {
    let mut text = String::new();
    for outcome in checked.outcomes.iter().filter(|outcome| outcome.judgement != Judgement::Holds) {
        let title = match outcome.judgement {
            Judgement::NoData => "no data",
            Judgement::Unavailable => "not available",
            Judgement::Holds | Judgement::Fails => "an assertion failed",
        };
        let what = match outcome.judgement {
            Judgement::NoData | Judgement::Unavailable => {
                format!("{}: {title}: {}", outcome.assertion, details(outcome))
            }
            _ if outcome.value.is_some() => {
                format!("{}: it is {}; {}", outcome.assertion, value(outcome), details(outcome))
            }
            _ => format!("{}: {}", outcome.assertion, details(outcome)),
        };
        let _ = writeln!(text, "::error title=stormglass check%3A {title}::{}", escaped(&what));
    }
    text
}

/// A Markdown table for `GITHUB_STEP_SUMMARY`.
pub(crate) fn summary(checked: &Checked) -> String {
    let cell = |text: &str| {
        text.replace('\\', "\\\\").replace('|', "\\|").replace('`', "'").replace(['\n', '\r'], " ")
    };
    let mut text = format!(
        "### stormglass check: {}\n\n| | assertion | value | |\n|---|---|---|---|\n",
        cell(&checked.source)
    );
    for outcome in &checked.outcomes {
        let row = [
            outcome.judgement.word(),
            &format!("`{}`", cell(&outcome.assertion)),
            &value(outcome),
            &cell(&details(outcome)),
        ];
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    let _ = writeln!(text, "\n{}", checked.line());
    text
}

/// Data of a workflow command.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

//! JUnit's XML, as CI systems read it. An assertion that fails is a failure; one without data, or that is not available here, an error.

use std::fmt::Write as _;

use super::{Checked, details, value};
use crate::check::evaluate::Judgement;

/// A document with one suite, a case an assertion.
pub(crate) fn junit(checked: &Checked) -> String {
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\"",
        checked.outcomes.len(),
        checked.count(Judgement::Fails),
        checked.count(Judgement::NoData) + checked.count(Judgement::Unavailable),
        checked.seconds
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"stormglass\" {counts}>\n  <testsuite name=\"stormglass check: {}\" {counts}>\n",
        escaped(&checked.source)
    );
    for outcome in &checked.outcomes {
        let name = escaped(&outcome.assertion);
        let _ = write!(text, "    <testcase name=\"{name}\" classname=\"stormglass.check\"");
        let said = escaped(&format!("is {}; {}", value(outcome), details(outcome)));
        let details = escaped(&details(outcome));
        // Writing to a string does not fail.
        let _ = match outcome.judgement {
            Judgement::Holds => writeln!(text, "><system-out>{said}</system-out></testcase>"),
            Judgement::Fails => {
                writeln!(text, "><failure message=\"{said}\" type=\"assertion\"/></testcase>")
            }
            Judgement::NoData => {
                writeln!(text, "><error message=\"no data: {details}\" type=\"no data\"/></testcase>")
            }
            Judgement::Unavailable => {
                writeln!(
                    text,
                    "><error message=\"not available: {details}\" type=\"not available\"/></testcase>"
                )
            }
        };
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// Text for an attribute or an element. What XML 1.0 has no way to say is a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

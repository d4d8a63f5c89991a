//! Labels of a series, joined once as both texts write them: the same few stand in thousands of lines.

use std::fmt::Write as _;

/// A label with its value, as it is meant: not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) value: String,
}

/// A label with its value.
pub(super) fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// Some of a series' labels, in their order.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) pairs: Vec<Label>,
    /// `name="value"`, with commas between.
    pub(super) text: String,
}

impl Labels {
    pub(super) fn of(pairs: Vec<Label>) -> Labels {
        let mut text = String::new();
        for Label { name, value } in &pairs {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(text, "{comma}{name}=\"");
            escape(&mut text, value, true);
            text.push('"');
        }
        Labels { pairs, text }
    }
}

/// Appends a text as a line has it; a help of the older format keeps its quotes.
pub(super) fn escape(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find(|c| matches!(c, '\\' | '\n') || (quotes && c == '"')) {
        out.push_str(&rest[..at]);
        out.push('\\');
        out.push(if rest.as_bytes()[at] == b'\n' { 'n' } else { char::from(rest.as_bytes()[at]) });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

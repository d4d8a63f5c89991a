//! A mistake in an assertion, shown under the place where it is.

use std::fmt;
use std::ops::Range;

/// What is wrong with a text, and at which of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    text: String,
    at: Range<usize>,
    sentence: String,
}

impl Mistake {
    pub(crate) fn new(text: &str, at: Range<usize>, sentence: impl Into<String>) -> Mistake {
        Mistake { text: text.to_owned(), at, sentence: sentence.into() }
    }

    /// Characters before byte `at`, wherever that falls.
    fn column(&self, at: usize) -> usize {
        self.text.char_indices().take_while(|&(start, _)| start < at).count()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One column a character, or the caret would stand elsewhere.
        let line: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (start, end) = (self.column(self.at.start), self.column(self.at.end));
        let carets = "^".repeat(end.saturating_sub(start).max(1));
        write!(f, "{}\n  {line}\n  {}{carets}", self.sentence, " ".repeat(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let mistake = Mistake::new("max(µ) <\t0.5", 4..6, "there is no µ");
        assert_eq!(mistake.to_string(), "there is no µ\n  max(µ) < 0.5\n      ^");
        let end = Mistake::new("a <", 3..3, "something is missing");
        assert_eq!(end.to_string(), "something is missing\n  a <\n     ^");
    }
}

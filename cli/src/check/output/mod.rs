//! What came of a check, in the forms that people and machines read. One form a file, all pure.

mod github;
mod json;
mod junit;
mod number;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use github::{annotations, summary};
pub(crate) use json::json;
pub(crate) use junit::junit;
pub(crate) use number::Number;
pub(crate) use table::table;

use super::evaluate::{Judgement, Outcome};

/// A check that was done.
pub(crate) struct Checked {
    /// What was looked at.
    pub(crate) source: String,
    /// Processes that were seen.
    pub(crate) processes: usize,
    /// How long the look took, in seconds.
    pub(crate) seconds: f64,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Checked {
    pub(crate) fn count(&self, judgement: Judgement) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.judgement == judgement).count()
    }

    pub(crate) fn holds(&self) -> bool {
        self.count(Judgement::Holds) == self.outcomes.len()
    }

    /// Whether an assertion failed for what was seen, or not seen, of the processes.
    pub(crate) fn is_known(&self) -> bool {
        self.count(Judgement::Fails) + self.count(Judgement::NoData) > 0
    }

    /// The outcome in a line.
    fn line(&self) -> String {
        let count = self.outcomes.len();
        let unavailable = match self.count(Judgement::Unavailable) {
            0 => String::new(),
            some => format!(", {some} not available"),
        };
        format!(
            "{count} assertion{}: {} hold, {} fail, {} without data{unavailable}; {} process{} seen",
            if count == 1 { "" } else { "s" },
            self.count(Judgement::Holds),
            self.count(Judgement::Fails),
            self.count(Judgement::NoData),
            self.processes,
            if self.processes == 1 { "" } else { "es" },
        )
    }
}

impl Judgement {
    fn word(self) -> &'static str {
        match self {
            Judgement::Holds => "ok",
            Judgement::Fails => "FAILED",
            Judgement::NoData => "NO DATA",
            Judgement::Unavailable => "NOT AVAILABLE",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Judgement::Holds => "holds",
            Judgement::Fails => "fails",
            Judgement::NoData => "no_data",
            Judgement::Unavailable => "not_available",
        }
    }
}

/// Where the deciding value is from and what else there is to say, in one line.
fn details(outcome: &Outcome) -> String {
    let place = outcome.place.as_ref().map(ToString::to_string);
    let note = Some(&outcome.note).filter(|note| !note.is_empty()).cloned();
    place.into_iter().chain(note).collect::<Vec<_>>().join("; ")
}

/// The deciding value; a dash where there is none.
fn value(outcome: &Outcome) -> String {
    outcome.value.map_or_else(|| "-".to_owned(), |value| Number(value, outcome.dimension).to_string())
}

//! The analysis of Phase 7.1 that the paper could only estimate: its claims, judged by measurements.
//!
//! ```text
//! Record (what was measured)  ->  Analysis (claims judged, winners)  ->  Document  ->  HTML | Markdown
//! ```
//!
//! Invariant: everything here is a function of a [`Record`]; nothing reads a clock, a file or the machine. So a report that
//! is written again from its JSON is the same, byte for byte.

mod caches;
mod calendar;
pub(crate) mod chart;
pub mod claims;
mod compare;
mod contents;
pub(crate) mod document;
mod figures;
pub(crate) mod html;
mod judge;
pub(crate) mod markdown;
mod notices;
mod paper;
mod plan;
pub(crate) mod quiet;
mod record;
mod results;
mod svg;
#[cfg(test)]
mod synthetic;
mod winners;
pub(crate) mod words;

use serde::Serialize;

pub use claims::claims;
pub use html::html;
pub use judge::{Claim, Verdict};
pub use markdown::markdown;
pub use plan::{ReportWishes, estimate, plan};
pub use record::{Conditions, Record};
pub use winners::Winner;

/// A record and what follows from it.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// What was measured. Its fields stand beside the judgements in the JSON, which is read back as a record.
    #[serde(flatten)]
    pub record: Record,
    /// What the reader must know before anything else.
    pub notices: Vec<String>,
    /// What the places are where claims are judged.
    pub places: Vec<String>,
    /// The paper's claims, judged.
    pub claims: Vec<Claim>,
    /// Which design is the fastest on which workload.
    pub winners: Vec<Winner>,
}

impl Analysis {
    /// Judges a record.
    #[must_use]
    pub fn of(record: Record) -> Analysis {
        Analysis {
            notices: notices::notices(&record),
            places: claims::places(&record.report),
            claims: claims(&record),
            winners: winners::winners(&record.report),
            record,
        }
    }

    /// The verdicts in one line each, as the terminal shows them.
    pub fn verdicts(&self) -> String {
        self.claims.iter().map(|claim| claim.line() + "\n").collect()
    }

    /// The whole as JSON, from which [`Record::parse`] reads the record back.
    ///
    /// # Errors
    /// Never for a record that was measured; what serialises may fail in principle.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

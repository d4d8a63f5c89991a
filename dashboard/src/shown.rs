//! A finding as the page and other readers of the JSON get it.

use serde::Serialize;
use stormglass_telemetry::diagnosis::{Evidence, Finding, Past, Severity, Verdict};

use crate::frame::Epoch;

/// A verdict that is on, or was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Shown {
    verdict: Verdict,
    title: &'static str,
    severity: Severity,
    /// Values of the labels; null where it is about no single one.
    class: Option<String>,
    shard: Option<String>,
    /// Milliseconds since 1970.
    since: u64,
    /// When it was over; null while it is on.
    until: Option<u64>,
    /// The numbers in a sentence, and by themselves.
    evidence: String,
    figures: Evidence,
    /// How much of it there is, to be compared with the same verdict's elsewhere.
    weight: f64,
    says: &'static str,
    means: &'static str,
    advice: &'static str,
    /// Whether a delay is injected into the process, so that it was asked for.
    injected: bool,
}

impl Shown {
    pub(crate) fn active(finding: &Finding, epoch: Epoch) -> Shown {
        let verdict = finding.verdict;
        Shown {
            verdict,
            title: verdict.title(),
            severity: verdict.severity(),
            class: finding.place.class.clone(),
            shard: finding.place.shard.clone(),
            since: epoch.at(finding.since).unix_ms,
            until: None,
            evidence: finding.evidence.to_string(),
            figures: finding.evidence,
            weight: finding.evidence.weight(),
            says: verdict.says(),
            means: verdict.means(),
            advice: verdict.tries(),
            injected: finding.injected,
        }
    }

    /// Whether it is the same verdict at the same place.
    pub(crate) fn is_of(&self, finding: &Finding) -> bool {
        let place = &finding.place;
        (self.verdict, &self.class, &self.shard) == (finding.verdict, &place.class, &place.shard)
    }

    /// Its title, and where it is.
    pub(crate) fn headline(&self) -> (&'static str, Option<&str>, Option<&str>) {
        (self.title, self.class.as_deref(), self.shard.as_deref())
    }

    /// When it began, and when it was over.
    pub(crate) fn span(&self) -> (u64, Option<u64>) {
        (self.since, self.until)
    }

    /// As it was told while it was on.
    pub(crate) fn still_on(&self) -> Shown {
        Shown { until: None, ..self.clone() }
    }

    /// It is over since then.
    pub(crate) fn end(&mut self, until: u64) {
        self.until = Some(until);
    }

    pub(crate) fn past(past: &Past, epoch: Epoch) -> Shown {
        Shown { until: Some(epoch.at(past.until).unix_ms), ..Shown::active(&past.finding, epoch) }
    }
}

//! From an interval and a criterion that was stated beforehand to a verdict.
//!
//! Invariant: the interval decides, and nothing else. All of it where the claim says: confirmed; none of it: refuted; a
//! part of it, or an interval of too few rounds: cannot tell here.

use serde::Serialize;

use super::claims::Statement;
use super::figures::Figure;
use super::quiet;
use super::record::Record;
use super::words::{Unit, count, threads};
use crate::report::Table;
use crate::stats::{Interval, interval};

/// Coverage below which an interval carries no verdict: five rounds have it, four do not.
const LEAST_COVERAGE: f64 = crate::stats::EVIDENCE;

/// What was found of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The whole interval lies where the claim says.
    Confirmed,
    /// No part of it does.
    Refuted,
    /// Neither, or nothing was measured.
    #[serde(rename = "cannot tell here")]
    CannotTell,
}

impl Verdict {
    /// Every verdict, in the order in which findings are told.
    pub(super) const ALL: [Verdict; 3] = [Verdict::Confirmed, Verdict::Refuted, Verdict::CannotTell];

    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Confirmed => "confirmed",
            Verdict::Refuted => "refuted",
            Verdict::CannotTell => "cannot tell here",
        }
    }
}

/// The values for which a claim holds: those between the two, the ends left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    pub(super) const fn below(high: f64) -> Range {
        Range { low: f64::NEG_INFINITY, high }
    }

    pub(super) const fn above(low: f64) -> Range {
        Range { low, high: f64::INFINITY }
    }

    pub(super) const fn between(low: f64, high: f64) -> Range {
        Range { low, high }
    }

    pub(super) fn words(self, unit: Unit) -> String {
        match (self.low.is_finite(), self.high.is_finite()) {
            (false, _) => format!("below {}", unit.limit(self.high)),
            (true, false) => format!("above {}", unit.limit(self.low)),
            (true, true) => format!("between {} and {}", unit.limit(self.low), unit.limit(self.high)),
        }
    }

    fn judge(self, interval: &Interval) -> Verdict {
        if interval.coverage < LEAST_COVERAGE {
            Verdict::CannotTell
        } else if self.low < interval.low && interval.high < self.high {
            Verdict::Confirmed
        } else if interval.high <= self.low || self.high <= interval.low {
            Verdict::Refuted
        } else {
            Verdict::CannotTell
        }
    }
}

/// A claim of the paper, judged.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// Its name in the JSON.
    pub id: String,
    /// The phase or option of the paper.
    pub phase: String,
    /// The claim in one sentence.
    pub title: String,
    /// What the paper says, with its figures.
    pub paper: String,
    /// The workload and threads that it is judged on.
    pub place: String,
    /// The figure that it is judged by.
    pub quantity: String,
    /// Where the figure must lie.
    pub criterion: String,
    /// The figure must lie above this; `None` where it has no lower limit.
    pub above: Option<f64>,
    /// The figure must lie below this; `None` where it has no upper limit.
    pub below: Option<f64>,
    /// What the figure counts.
    pub unit: Unit,
    /// What was found.
    pub verdict: Verdict,
    /// The figure with its interval; `None` where it was not measured.
    pub interval: Option<Interval>,
    /// The same as text.
    pub measured: String,
    /// Why the verdict is what it is.
    pub why: String,
    /// What the figure cannot say.
    pub caveat: String,
}

impl Claim {
    /// What there is to say besides the verdict, by name; what is empty is left out.
    pub(super) fn parts(&self) -> Vec<(&'static str, String)> {
        let judged = format!("{}; {}", self.place, self.quantity);
        let parts = [
            ("The paper", self.paper.clone()),
            ("Judged on", judged),
            ("Criterion", format!("{} lies {}.", self.what(), self.criterion)),
            ("Why", capital(&self.why)),
            ("Mind", self.caveat.clone()),
        ];
        parts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }

    fn what(&self) -> &'static str {
        match self.unit {
            Unit::Change => "The change",
            Unit::Share => "The share",
            Unit::Times => "The ratio",
            Unit::Number | Unit::Ticks => "The figure",
        }
    }

    /// The verdict in one line.
    pub fn line(&self) -> String {
        format!("{}: {}", self.verdict.words(), self.finding())
    }

    /// What was claimed, where it was judged, and what was found there.
    pub(super) fn finding(&self) -> String {
        let found = if self.interval.is_some() { &self.measured } else { self.why.trim_end_matches('.') };
        format!("{} ({}: {found})", self.title.trim_end_matches('.'), self.place)
    }
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl Statement {
    /// Whether what the measure holds besides its subject can explain why the figure lies outside: a slow path is longer than
    /// what happens in it, and a ratio of two slow paths nearer to 1 than that of their subjects.
    fn is_excused(&self, interval: &Interval) -> bool {
        match (self.quantity.figure, self.quantity.against) {
            (Figure::SlowPath, None) => interval.low >= self.range.high,
            (Figure::SlowPath, Some(_)) => interval.low < self.range.low,
            _ => false,
        }
    }
}

/// Judges one statement.
pub(super) fn judge(statement: &Statement, record: &Record) -> Claim {
    let unit = statement.quantity.unit();
    let criterion = statement.range.words(unit);
    let report = &record.report;
    let table = statement.place.table(report);
    let found = table.clone().and_then(|table| {
        let values = statement.quantity.values(table, record.conditions.ticks_per_second)?;
        interval(&values).ok_or_else(|| "nothing was measured".to_owned())
    });
    let (verdict, why, measured) = match &found {
        Ok(interval) if let Some(why) = table.as_ref().ok().and_then(|t| unfit(t, record)) => {
            (Verdict::CannotTell, why, unit.interval(interval))
        }
        Ok(interval) => {
            let verdict = statement.range.judge(interval);
            if verdict == Verdict::Refuted && statement.is_excused(interval) {
                let why = "The figure holds more than the claim is about, and errs on this side.".to_owned();
                (Verdict::CannotTell, why, unit.interval(interval))
            } else {
                (verdict, reason(verdict, interval, unit, &criterion), unit.interval(interval))
            }
        }
        Err(reason) => (Verdict::CannotTell, format!("{reason}."), "not measured".to_owned()),
    };
    Claim {
        id: statement.id.to_owned(),
        phase: statement.phase.to_owned(),
        title: statement.title.to_owned(),
        paper: statement.paper.to_owned(),
        place: table.map_or_else(|_| statement.place.words(), place),
        quantity: statement.quantity.words(),
        criterion,
        above: Some(statement.range.low).filter(|limit| limit.is_finite()),
        below: Some(statement.range.high).filter(|limit| limit.is_finite()),
        unit,
        verdict,
        interval: found.ok(),
        measured,
        why,
        caveat: statement.caveat.to_owned(),
    }
}

/// Why what was measured on a table says nothing of the designs on this machine, if so.
fn unfit(table: &Table, record: &Record) -> Option<String> {
    let injected = record.report.injected.as_ref();
    injected
        .map(|delay| format!("A delay was injected ({delay}), so the figure is not the machine's own."))
        .or_else(|| quiet::busy(table).map(quiet::reason))
}

/// `larson, 4 threads`
pub(super) fn place(table: &Table) -> String {
    format!("{}, {}", table.workload, threads(table.threads))
}

fn reason(verdict: Verdict, interval: &Interval, unit: Unit, criterion: &str) -> String {
    let span = format!("[{}, {}]", unit.write(interval.low), unit.write(interval.high));
    let share = format!("{:.1}%", interval.coverage * 100.0);
    let rounds = count(interval.pairs, "round");
    if interval.coverage < LEAST_COVERAGE {
        return format!(
            "An interval of {rounds} holds the true value with probability {share}; a verdict takes {:.0}%.",
            LEAST_COVERAGE * 100.0
        );
    }
    match verdict {
        Verdict::Confirmed => format!("All of {span} lies {criterion} ({rounds}, {share})."),
        Verdict::Refuted => format!("No part of {span} lies {criterion} ({rounds}, {share})."),
        Verdict::CannotTell => {
            format!(
                "Only a part of {span} lies {criterion}: it takes more rounds, or a quieter machine ({rounds}, {share})."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(low: f64, high: f64) -> Interval {
        Interval { median: f64::midpoint(low, high), low, high, coverage: 0.9375, pairs: 5 }
    }

    #[test]
    fn the_interval_decides() {
        let slower = Range::below(1.0);
        assert_eq!(slower.judge(&found(0.8, 0.99)), Verdict::Confirmed);
        assert_eq!(slower.judge(&found(1.01, 1.2)), Verdict::Refuted);
        assert_eq!(slower.judge(&found(0.9, 1.1)), Verdict::CannotTell);
        assert_eq!(slower.judge(&found(0.9, 1.0)), Verdict::CannotTell, "as fast is not slower");
        assert_eq!(slower.judge(&found(1.0, 1.1)), Verdict::Refuted, "as fast is not slower");
        let half = Range::between(0.4, 0.6);
        assert_eq!(half.judge(&found(0.45, 0.55)), Verdict::Confirmed);
        assert_eq!(half.judge(&found(0.01, 0.02)), Verdict::Refuted);
        assert_eq!(half.judge(&found(0.7, 0.9)), Verdict::Refuted);
        assert_eq!(half.judge(&found(0.3, 0.5)), Verdict::CannotTell);
        assert_eq!(half.judge(&found(0.3, 0.9)), Verdict::CannotTell);
    }

    #[test]
    fn too_few_rounds_decide_nothing() {
        let four = interval(&[0.5, 0.5, 0.5, 0.5]).expect("four");
        assert_eq!(Range::below(1.0).judge(&four), Verdict::CannotTell);
        let five = interval(&[0.5; 5]).expect("five");
        assert_eq!(Range::below(1.0).judge(&five), Verdict::Confirmed);
        let why = reason(Verdict::CannotTell, &four, Unit::Change, "below 0%");
        assert_eq!(
            why,
            "An interval of 4 rounds holds the true value with probability 87.5%; a verdict takes 90%."
        );
    }

    #[test]
    fn criteria_read_well() {
        assert_eq!(Range::below(1.0).words(Unit::Change), "below 0%");
        assert_eq!(Range::above(1.4).words(Unit::Change), "above +40%");
        assert_eq!(Range::between(0.4, 0.6).words(Unit::Share), "between 40% and 60%");
        assert_eq!(Range::between(16.0, 64.0).words(Unit::Times), "between 16x and 64x");
    }

    proptest! {
        #[test]
        fn a_wider_interval_never_says_more(low in 0.1_f64..3.0, width in 0.0_f64..3.0, more in 0.0_f64..1.0) {
            let range = Range::between(1.0, 2.0);
            let (narrow, wide) = (found(low, low + width), found(low - more, low + width + more));
            let verdict = range.judge(&wide);
            prop_assert!(verdict == Verdict::CannotTell || verdict == range.judge(&narrow));
        }
    }
}

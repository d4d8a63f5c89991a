//! The paper's figures, and ours beside them.
//!
//! Invariant: of another machine and another allocator only changes can be compared, so no operation a second of ours stands
//! in these tables.

use super::compare::speed;
use super::document::{Column, Table};
use super::figures::Place;
use super::judge::Claim;
use super::words::Unit;
use crate::report::Report;

/// The paper's phase, its design here, what it is compared with, and its M/s and change with 1 and with 4 threads.
struct Line {
    phase: &'static str,
    design: &'static str,
    against: &'static str,
    one: (&'static str, &'static str),
    four: (&'static str, &'static str),
}

const BASELINE: &str = "baseline";
const NONE: &str = "-";

#[rustfmt::skip]
const LINES: [Line; 4] = [
    Line { phase: "6.25", design: "mutex", against: "mutex", one: ("4.03", BASELINE), four: ("13.78", BASELINE) },
    Line { phase: "7.1", design: "lockfree-walk", against: "mutex", one: ("3.89", "-3.5%"), four: ("13.34", "-3.2%") },
    Line { phase: "7.1.1", design: "lockfree-single", against: "mutex", one: (NONE, NONE), four: ("12.87", "-6.6%") },
    Line { phase: "7.1.1", design: "lockfree-single", against: "lockfree-walk", one: (NONE, NONE), four: ("12.87", "-3.5%") },
];

/// Its benchmark: larson, 10 s, 2-32 KiB.
pub(super) fn throughput(report: &Report) -> Table {
    let ours = |line: &Line, threads| {
        if line.design == line.against {
            return BASELINE.to_owned();
        }
        let change = || {
            let table = Place::Larson(threads).table(report).ok()?;
            let row = |design: &str| table.rows.iter().find(|r| r.design == design);
            speed(row(line.design)?, row(line.against)?)
        };
        change().map_or_else(|| "not measured".to_owned(), |i| Unit::Change.interval(&i))
    };
    let row = |line: &Line| {
        vec![
            line.phase.to_owned(),
            line.design.to_owned(),
            line.against.to_owned(),
            line.one.0.to_owned(),
            line.one.1.to_owned(),
            ours(line, 1),
            line.four.0.to_owned(),
            line.four.1.to_owned(),
            ours(line, 4),
        ]
    };
    Table {
        caption: "larson, 2-32 KiB: the paper's 10 s runs, and the changes measured here".to_owned(),
        columns: vec![
            Column::words("phase"),
            Column::words("design here"),
            Column::words("against"),
            Column::numbers("paper, 1 thread, M/s"),
            Column::numbers("paper's change"),
            Column::numbers("change here"),
            Column::numbers("paper, 4 threads, M/s"),
            Column::numbers("paper's change"),
            Column::numbers("change here"),
        ],
        rows: LINES.iter().map(row).collect(),
        notes: vec![
            "The paper's M/s are of another machine and another allocator. Only the changes may be compared, never the absolute \
             numbers."
                .to_owned(),
            "The paper's changes are of one run, or of two: of 7.1 with 4 threads it logs 13.71 M/s (-0.5%) and 13.34 M/s \
             (-3.2%) and tables the second; of 7.1.1 12.98 (-5.8%) and 12.76 (-7.4%) and tables their mean. Two runs of the \
             same code thus lie almost as far apart as the effect is large, and no interval can be given of it."
                .to_owned(),
            "Runs here are shorter, and more; --seconds 10 repeats the paper's length.".to_owned(),
            "It had expected +10% with 1 thread and +15 to 25% with 4.".to_owned(),
        ],
    }
}

/// Its estimates: what it gave, and the claim that measures it.
#[rustfmt::skip]
const ESTIMATES: [(&str, &str, &str); 13] = [
    ("CAS retry rate, larson", "50%", "retries-larson"),
    ("CAS retry rate, storm", "50%", "retries-storm"),
    ("blocks walked for each kept, larson", "2", "walked-larson"),
    ("blocks walked for each kept, storm", "2", "walked-storm"),
    ("CAS attempts a batch, 7.1, storm", "2", "attempts-walk"),
    ("CAS attempts a batch, 7.1.1, storm", "64", "attempts-single"),
    ("line bounces, 7.1.1 against 7.1, storm", "32x", "attempts-ratio"),
    ("line bounces, 7.1.1 against 7.1, larson", "32x", "attempts-ratio-larson"),
    ("cycles a batch, 7.1, storm", "60-80", "cycles-walk"),
    ("cycles a batch, 7.1.1, storm", "100-150", "cycles-single"),
    ("lock-free, optimised, larson", "+10 to 15%", "a1-gain"),
    ("a page for each thread, larson", "+50%", "b1-gain"),
    ("7.1.1 against 7.1, larson", "-3.5%", "single-walk-4t"),
];

/// What it could only estimate.
pub(super) fn estimates(claims: &[Claim]) -> Table {
    let row = |&(what, figure, id): &(&str, &str, &str)| {
        let claim = claims.iter().find(|c| c.id == id);
        let cell = |of: fn(&Claim) -> String| claim.map_or_else(String::new, of);
        vec![
            what.to_owned(),
            figure.to_owned(),
            cell(|c| c.measured.clone()),
            cell(|c| c.place.clone()),
            cell(|c| c.verdict.words().to_owned()),
        ]
    };
    Table {
        caption: "What the paper estimated, and what was measured here".to_owned(),
        columns: vec![
            Column::words("figure"),
            Column::numbers("paper"),
            Column::numbers("here, median [interval]"),
            Column::words("measured on"),
            Column::words("verdict"),
        ],
        rows: ESTIMATES.iter().map(row).collect(),
        notes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{claims, synthetic};

    #[test]
    fn every_estimate_is_a_claim_and_no_speed_of_ours_is_shown() {
        let record = synthetic::record();
        let claims = claims(&record);
        for (_, _, id) in ESTIMATES {
            assert!(claims.iter().any(|c| c.id == id), "{id}");
        }
        let table = throughput(&record.report);
        assert_eq!(table.rows[1][5], "+2.0% [+1.0%, +3.0%]");
        assert_eq!(table.rows[0][5], BASELINE);
    }
}

//! A claim as a strip: where the claim says that the figure lies, shaded, and where it was found.

use super::axis::{LogAxis, span};
use crate::analysis::judge::{Claim, Verdict};
use crate::analysis::svg::{Anchor, Marker, Svg};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 46.0;
const X: (f64, f64) = (8.0, 332.0);
const BAND: (f64, f64) = (4.0, 26.0);
/// Distance of two limits below which their labels would touch.
const CLOSE: f64 = 56.0;

/// The strip; `None` of a claim without a figure.
pub(crate) fn strip(claim: &Claim) -> Option<String> {
    let interval = claim.interval.as_ref()?;
    let limits: Vec<f64> = claim.above.into_iter().chain(claim.below).collect();
    // A share of 0 has no logarithm; near the axis' low end it stands for "hardly any".
    let ends = [interval.low, interval.high].into_iter().chain(limits.iter().copied());
    let first = limits.first().copied().unwrap_or(1.0);
    let (low, high) = span(ends, (first / 1.1, first * 1.1));
    let axis = LogAxis::new((low, high), X);
    let (from, to) = (claim.above.map_or(X.0, |v| axis.at(v)), claim.below.map_or(X.1, |v| axis.at(v)));
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.rect("strip", (X.0, BAND.0), X.1 - X.0, BAND.1 - BAND.0);
    svg.rect("claimed", (from, BAND.0), to - from, BAND.1 - BAND.0);
    for (i, limit) in limits.iter().enumerate() {
        let x = axis.at(*limit);
        svg.line("limit", (x, BAND.0), (x, BAND.1 + 3.0));
        let anchor = match x {
            x if x < X.0 + 30.0 => Anchor::Start,
            x if x > X.1 - 30.0 => Anchor::End,
            // Two that stand close turn away from each other.
            _ if limits.len() == 2 && to - from < CLOSE => [Anchor::End, Anchor::Start][i],
            _ => Anchor::Middle,
        };
        svg.text("tick", (x, BAND.1 + 15.0), anchor, &claim.unit.limit(*limit));
    }
    let class = match claim.verdict {
        Verdict::Confirmed => "confirmed",
        Verdict::Refuted => "refuted",
        Verdict::CannotTell => "unclear",
    };
    let y = f64::midpoint(BAND.0, BAND.1);
    svg.line(&format!("whisker {class}"), (axis.at(interval.low), y), (axis.at(interval.high), y));
    svg.marker(&format!("mark {class}"), Marker::Circle, (axis.at(interval.median), y));
    let description = format!("Claimed: {}. Found: {}.", claim.criterion, claim.measured);
    Some(svg.finish(&description, &description))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{claims, synthetic};

    #[test]
    fn a_measured_claim_has_a_strip() {
        let mut record = synthetic::record();
        for claim in claims(&record) {
            let strip = strip(&claim).expect("measured");
            assert!(strip.contains("claimed") && !strip.contains("NaN"), "{strip}");
        }
        record.report.tables.clear();
        assert!(claims(&record).iter().all(|claim| strip(claim).is_none()));
    }
}

//! What has been found wrong, by labels that the metric table does not have. However processes are grouped, a verdict is about a
//! design, and names it.

use stormglass_telemetry::Metric;

use super::Moment;
use super::families::Families;
use super::labels::label;
use super::series;

/// Adds the series of verdicts: before all others, because they are few and are what is looked for.
pub(super) fn add(moment: &Moment<'_>, families: &mut Families) {
    let ledger = moment.verdicts.lock();
    for (group, verdict, place, on) in ledger.active() {
        let mut labels = series::labels(group);
        labels.push(label("class", place.class.as_deref().unwrap_or_default()));
        labels.push(label("shard", place.shard.as_deref().unwrap_or_default()));
        labels.push(label("verdict", verdict.id()));
        families.value(Metric::VerdictActive, &labels, f64::from(u8::from(on)));
    }
    for (group, verdict, count) in ledger.raised() {
        let mut labels = series::labels(group);
        labels.push(label("verdict", verdict.id()));
        families.value(Metric::VerdictsRaised, &labels, count as f64);
    }
}

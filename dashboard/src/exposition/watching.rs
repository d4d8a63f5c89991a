//! What it costs to be watched, as it was last measured here.

use stormglass_telemetry::Metric;

use super::Moment;
use super::families::Families;
use super::labels::label;

/// Adds its series: few, and about no process that lives.
pub(super) fn add(moment: &Moment<'_>, families: &mut Families) {
    let Some(cost) = moment.watching.latest() else { return };
    for subject in &cost.subjects {
        for (watched, ratio) in subject.ratios() {
            let labels = [
                label("allocator", &subject.allocator),
                label("strategy", &subject.strategy),
                label("watched", watched),
                label("workload", &subject.workload),
            ];
            let values = [
                (Metric::WatchingCostRatio, ratio.median),
                (Metric::WatchingCostLowRatio, ratio.low),
                (Metric::WatchingCostHighRatio, ratio.high),
            ];
            for (metric, value) in values {
                families.value(metric, &labels, value);
            }
        }
    }
    families.value(Metric::WatchingCostMeasured, &[], cost.measured as f64);
}

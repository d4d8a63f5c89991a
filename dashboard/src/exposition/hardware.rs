//! The series of hardware and kernel counters, by event.

use stormglass_telemetry::Metric;
use stormglass_telemetry::perf::Event;

use super::Moment;
use super::families::Families;
use super::labels::{Label, label};
use super::series::labels;

/// Adds what processes count that somebody has attached to.
pub(super) fn add(moment: &Moment<'_>, families: &mut Families) {
    for (group, sums) in moment.perf.by_group() {
        let group = labels(&group);
        for (event, sum) in Event::ALL.into_iter().zip(sums) {
            let with = |more: &[Label]| [&group, &[label("event", event.name())][..], more].concat();
            if let Some(total) = sum.total {
                families.value(Metric::PerfEvents, &with(&[]), total as f64);
            }
            if let Some(ratio) = sum.running_ratio() {
                families.value(Metric::PerfRunningRatio, &with(&[]), ratio);
            }
            for state in &sum.states {
                families.value(Metric::PerfState, &with(&[label("state", state.name())]), 1.0);
            }
        }
    }
}

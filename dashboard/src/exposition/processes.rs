//! What the processes of each group are and have counted.

use stormglass_telemetry::{Held, Metric};

use super::Moment;
use super::families::Families;
use super::labels::label;
use super::series;

/// Adds their series: of each group what is about the whole of it, then its counts.
pub(super) fn add(moment: &Moment<'_>, families: &mut Families) {
    for (group, series) in moment.groups {
        let labels = series::labels(group);
        families.value(Metric::Up, &labels, f64::from(u8::from(series.live)));
        families.value(Metric::Threads, &labels, series.threads as f64);
        families.value(Metric::ThreadsStarted, &labels, series.threads_started as f64);
        families.value(Metric::ThreadsDropped, &labels, series.threads_dropped as f64);
        families.value(Metric::SegmentBytes, &labels, series.segment_bytes as f64);
        for ((metric, _), bytes) in Held::BYTES.iter().zip(series.held) {
            if let Some(bytes) = bytes {
                families.value(*metric, &labels, bytes as f64);
            }
        }
        for version in &series.versions {
            let mut labels = labels.clone();
            labels.push(label("version", version));
            families.value(Metric::ProcessInfo, &labels, 1.0);
        }
        families.counts(&series.counts, &labels);
    }
}

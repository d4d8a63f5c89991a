//! What the sidecar says of itself, and of the scrape that is being answered.

use std::sync::atomic::Ordering;

use stormglass_telemetry::Metric;

use super::Moment;
use super::families::Families;
use super::labels::label;

/// Adds its series. They pass the budget by: what says that something is missing must not be what is missing.
pub(super) fn add(moment: &Moment<'_>, families: &mut Families) {
    let own = moment.own;
    let dropped = families.dropped();
    // Relaxed, all: statistics that tolerate lag.
    let all_dropped = own.dropped.fetch_add(dropped, Ordering::Relaxed) + dropped;
    own.left_out.store(dropped, Ordering::Relaxed);
    let took = own.took.iter().chain([&own.nanoseconds]).map(|value| value.load(Ordering::Relaxed));
    let took: Vec<u64> = took.collect();
    families.own(Metric::Segments, &[], moment.segments as f64);
    families.own(Metric::SegmentErrors, &[], moment.errors as f64);
    families.own_histogram(Metric::ScrapeDuration, &took);
    families.own(Metric::Scrapes, &[], own.scrapes.load(Ordering::Relaxed) as f64);
    families.own(Metric::ScrapeBytes, &[], own.bytes.load(Ordering::Relaxed) as f64);
    families.own(Metric::SeriesDropped, &[], all_dropped as f64);
    families.own(Metric::BuildInfo, &[label("version", env!("CARGO_PKG_VERSION"))], 1.0);
    // With itself.
    families.own(Metric::Series, &[], (families.shown() + 1) as f64);
}

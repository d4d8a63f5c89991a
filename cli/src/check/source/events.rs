//! What the processor and the kernel count of a process, put beside what it counts itself: one more metric, split by `event`.
//!
//! Invariant: a segment shows the same events at every look, or none from some look on: an event that is not counted is never 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use stormglass_telemetry::perf::Event;
use stormglass_telemetry::{Counts, Descriptor, Family, LabelValues, Metric, Process, Schema, Snapshot};

use crate::check::expression::EVENT;

/// The counter of events, as a sidecar with `--perf` has it.
pub(super) const EVENTS: Descriptor = Metric::PerfEvents.descriptor();

/// A segment, by its process.
type Id = (u32, u64, u32);

/// The events of each segment that was seen with some.
#[derive(Default)]
pub(super) struct Events(BTreeMap<Id, Option<Known>>);

struct Known {
    events: Vec<Event>,
    schema: Arc<Schema>,
}

impl Events {
    /// The snapshot with the events of its process, whose totals are these.
    pub(super) fn beside(&mut self, mut snapshot: Snapshot, totals: &[(Event, u64)]) -> Snapshot {
        let Process { pid, start_time, sequence, .. } = *snapshot.process;
        let known = self.0.entry((pid, start_time, sequence)).or_insert_with(|| Known::of(&snapshot, totals));
        let Some(Known { events, schema }) = known else { return snapshot };
        let total = |event: &Event| totals.iter().find(|(of, _)| of == event).map(|(_, total)| *total);
        let Some(values) = events.iter().map(total).collect::<Option<Vec<u64>>>() else {
            *known = None;
            return snapshot;
        };
        let at = snapshot.counts.schema.len;
        snapshot.counts.values.resize(schema.len);
        snapshot.counts.values[at..].copy_from_slice(&values);
        snapshot.counts = Counts { schema: Arc::clone(schema), ..snapshot.counts };
        snapshot
    }
}

impl Known {
    fn of(snapshot: &Snapshot, totals: &[(Event, u64)]) -> Option<Known> {
        let events: Vec<Event> = totals.iter().map(|(event, _)| *event).collect();
        let Schema { labels, families, .. } = Schema::clone(&snapshot.counts.schema);
        let names = events.iter().map(|event| event.name().to_owned());
        let schema = Arc::new(with_events(labels, families, names));
        (!events.is_empty()).then_some(Known { events, schema })
    }
}

/// A schema with one family more, at its end: of the events of these names.
pub(super) fn with_events(
    mut labels: Vec<LabelValues>,
    mut families: Vec<Family>,
    events: impl Iterator<Item = String>,
) -> Schema {
    families.push(Family { labels: vec![labels.len()], ..Family::of(&EVENTS) });
    labels.push(LabelValues { name: EVENT.to_owned(), values: events.collect() });
    Schema::new(labels, families)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::selection::event;
    use crate::check::tests::storming;

    #[test]
    fn events_stand_beside_what_the_process_counts_for_as_long_as_all_are_counted() {
        let mut events = Events::default();
        let mut see = |totals: &[(Event, u64)]| events.beside(storming(1, "mutex", 1.0, 10.0), totals);
        let plain = storming(1, "mutex", 1.0, 10.0);
        let first = see(&[(Event::PageFaults, 3), (Event::TaskClock, 10)]);
        let second = see(&[(Event::TaskClock, 17), (Event::PageFaults, 4)]);
        let delta = second.counts.since(&first.counts);
        assert_eq!(event(&delta, Event::PageFaults), Some(1));
        assert_eq!(event(&delta, Event::TaskClock), Some(7));
        assert_eq!(event(&delta, Event::Cycles), None, "not counted is not 0");
        assert_eq!(second.counts.values[..plain.counts.schema.len], plain.counts.values[..]);
        for totals in [&[(Event::TaskClock, 20)][..], &[(Event::PageFaults, 5), (Event::TaskClock, 30)]] {
            assert_eq!(event(&see(totals).counts, Event::TaskClock), None, "from then on");
        }
        let mut other = storming(1, "mutex", 1.0, 10.0);
        other.process = Arc::new(Process { pid: 77, ..Process::clone(&other.process) });
        assert_eq!(event(&events.beside(other, &[]).counts, Event::TaskClock), None);
    }
}

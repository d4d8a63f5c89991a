//! A sidecar's way of reading a process of many threads, of which most wait: glance after glance, against what was really counted.
#![cfg(not(loom))]

use stormglass_telemetry::{Directory, Identity, Liveness, Metric, Segment, Select, Slot, Snapshot, Writer};

/// More than lie in one chunk.
const THREADS: usize = 40;
/// Some full readings, and the spans after them.
const GLANCES: u64 = 600;

fn hits(snapshot: &Snapshot) -> u64 {
    snapshot.counts.sum(Metric::RingHits, Select::ALL).expect("counted")
}

fn refills(snapshot: &Snapshot) -> u64 {
    snapshot.counts.sum(Metric::Refills, Select::ALL).expect("counted")
}

#[test]
fn glances_at_many_threads_are_a_reading_late_at_most_and_the_last_has_everything() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let writer = Writer::create(&directory, &Identity::default()).expect("a segment");
    let slots: Vec<Slot<'_>> = (0..THREADS).map(|_| writer.claim().expect("a slot")).collect();
    let segment = Segment::open(writer.path().expect("a file")).expect("readable");
    let (mut truth, mut before, mut late) = (0, 0, 0);
    for glance in 0..GLANCES {
        let seen = hits(&segment.glance().expect("readable"));
        assert!(before <= seen && seen <= truth, "{before}, {seen} of {truth} at glance {glance}");
        late += u64::from(seen < truth);
        if glance % 3 == 0 {
            let again = hits(&segment.glance().expect("readable"));
            assert_eq!(again, truth, "one reading later, at glance {glance}");
        }
        before = seen;
        // One that works, one that waits and wakes now and then, and each of the others once.
        slots[5].classes[2].ring_hits.add(1);
        let other = if glance % 50 == 0 { 7 } else { (glance as usize / 15) % THREADS };
        slots[other].classes[3].ring_hits.add(1);
        slots[other].shard(3, 1).refills.add(1);
        truth += 2;
        if glance % 7 == 0 {
            assert_eq!(hits(&segment.snapshot().expect("readable")), truth, "a snapshot is never late");
        }
    }
    assert!(late > 0, "no slot was skipped: nothing was tested");
    slots[39].classes[6].ring_hits.add(1);
    assert_eq!(hits(&segment.last().expect("readable")), truth + 1);
    slots[38].classes[6].ring_hits.add(1);
    drop(slots);
    drop(writer);
    let dead = segment.glance().expect("readable");
    assert_eq!((dead.liveness, hits(&dead), refills(&dead)), (Liveness::Dead, truth + 2, GLANCES));
}

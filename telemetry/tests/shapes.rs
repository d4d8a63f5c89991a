//! Segments of other shapes than the mid pool's: what a writer counts by is its own, and readers take it as it is.
#![cfg(not(loom))]

use proptest::prelude::*;
use stormglass_telemetry::{
    Counts, Directory, Identity, Inside, Label, Metric, Op, Schema, Segment, Select, Shape, Snapshot, Writer,
};

/// A made-up list for a general allocator: 16 bytes, 32 bytes, and so on.
const SIZES: [u32; 40] = {
    let mut sizes = [0; 40];
    let mut i = 0;
    while i < sizes.len() {
        sizes[i] = 16 * (i as u32 + 1);
        i += 1;
    }
    sizes
};

const IDENTITY: Identity<'static> =
    Identity { strategy: "page", workload: "", injected: "", inside: Inside::NONE };

fn place() -> (tempfile::TempDir, Directory) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let directory = Directory::at(place.path().join("segments"));
    (place, directory)
}

fn general<const C: usize, const S: usize>(directory: &Directory, sizes: &[u32; C]) -> Writer<C, S> {
    Writer::create_general(directory, &IDENTITY, sizes).expect("a segment")
}

fn read<const C: usize, const S: usize>(writer: &Writer<C, S>) -> Snapshot {
    let path = writer.path().expect("a path");
    Segment::open(path).and_then(|segment| segment.snapshot()).expect("readable")
}

#[test]
fn a_reader_takes_the_classes_and_shards_that_the_writer_has() {
    let (_place, directory) = place();
    let writer = general::<40, 1>(&directory, &SIZES);
    let slot = writer.claim().expect("a slot");
    slot.classes[39].ring_hits.add(3);
    slot.shard(39, 0).cas_attempts[Op::RemotePush as usize].add(5);
    slot.shard(0, 0).lock_wait.record(100);
    slot.totals.large_allocations.add(7);
    let snapshot = read(&writer);
    let counts = &snapshot.counts;
    assert_eq!(
        *counts.schema,
        Schema::of(Shape { class_bytes: &SIZES, shards: 1, totals: true, inside: Inside::NONE })
    );
    assert_eq!(counts.schema.label_values(Label::Class)[39], "640");
    assert_eq!(counts.schema.label_values(Label::Shard), ["0"]);
    assert_eq!(counts.sum(Metric::RingHits, Select::ALL.class(39)), Some(3));
    assert_eq!(counts.sum(Metric::RingHits, Select::ALL.class(38)), Some(0));
    assert_eq!(counts.sum(Metric::CasAttempts, Select::ALL.class(39).shard(0).op(Op::RemotePush)), Some(5));
    assert_eq!(counts.histogram(Metric::LockWait, Select::ALL.class(0)).map(|h| h.sum), Some(100));
    assert_eq!(counts.sum(Metric::LargeAllocations, Select::ALL), Some(7));
    assert_eq!(snapshot.lifetime().measures(Select::ALL.class(39)).ring_hit_ratio, Some(1.0));
}

#[test]
fn the_mid_pool_has_no_totals_at_all() {
    let (_place, directory) = place();
    let writer = Writer::create(&directory, &IDENTITY).expect("a segment");
    let snapshot = read(&writer);
    assert_eq!(*snapshot.counts.schema, Schema::own());
    assert_eq!(snapshot.counts.sum(Metric::LargeAllocations, Select::ALL), None, "absent, not 0");
    assert_eq!(snapshot.large_live_bytes(), None);
    assert_eq!(snapshot.mapped_bytes(), Some(0));
}

#[test]
fn a_segment_of_large_slots_grows_like_any_other() {
    let (_place, directory) = place();
    let sizes: [u32; 64] = core::array::from_fn(|i| 16 * (i as u32 + 1));
    let writer = general::<64, 1>(&directory, &sizes);
    let small = read(&writer).segment_bytes;
    assert!(small < 700 << 10, "{small} bytes");
    let slots: Vec<_> = (0..50).map(|_| writer.claim().expect("a slot")).collect();
    for slot in &slots {
        slot.shard(63, 0).refills.add(1);
    }
    let snapshot = read(&writer);
    assert_eq!((snapshot.threads, snapshot.threads_dropped), (50, 0));
    assert_eq!(snapshot.counts.sum(Metric::Refills, Select::ALL.class(63)), Some(50));
    assert!(snapshot.segment_bytes > small);
}

#[test]
fn bytes_are_by_the_sizes_of_the_writer() {
    let (_place, directory) = place();
    let writer = general::<2, 3>(&directory, &[48, 1000]);
    let slot = writer.claim().expect("a slot");
    // A refill of 8, of which one is handed out; 5 more are taken from the ring, 2 come back; 1 allocation fails.
    let c = &slot.classes[1];
    c.ring_misses.add(2);
    c.allocation_failures.add(1);
    c.ring_refilled_blocks.add(8);
    c.ring_hits.add(5);
    c.ring_returns.add(2);
    slot.shard(1, 2).page_mapped_bytes.add(64_000);
    slot.shard(0, 2).page_mapped_bytes.add(8_000);
    slot.shard(1, 2).page_purged_bytes.add(64_000);
    slot.shard(0, 2).page_retaken_bytes.add(16_000);
    let t = &slot.totals;
    t.large_mapped_bytes.add(300_000);
    t.large_unmapped_bytes.add(100_000);
    t.large_allocated_bytes.add(150_000);
    t.large_freed_bytes.add(50_000);
    let snapshot = read(&writer);
    assert_eq!(snapshot.cached_bytes(), Some((8 - 1 - 5 + 2) * 1000));
    assert_eq!(snapshot.live_bytes(), Some((1 + 5 - 2) * 1000 + 100_000));
    assert_eq!(snapshot.large_live_bytes(), Some(100_000));
    assert_eq!(snapshot.mapped_bytes(), Some(72_000 + 16_000 - 64_000 + 200_000));
    assert_eq!(snapshot.purged_bytes(), Some(48_000));
}

#[test]
fn a_class_that_is_no_number_has_no_bytes() {
    let own = Schema::own();
    let mut labels = own.labels.clone();
    let class = labels.iter_mut().find(|l| l.name == "class").expect("own label");
    "small".clone_into(&mut class.values[0]);
    let (_place, directory) = place();
    let mut snapshot = read(&Writer::create(&directory, &IDENTITY).expect("a segment"));
    snapshot.counts = Counts::zero(std::sync::Arc::new(Schema::new(labels, own.families.clone())));
    assert_eq!((snapshot.live_bytes(), snapshot.cached_bytes()), (None, None));
}

/// What a thread does to the ring of one class.
#[derive(Clone, Copy, Debug)]
enum Act {
    Hit,
    Miss(u64),
    Return,
    Spill(u64),
    Bypass,
}

proptest! {
    /// A ring that counts as the allocator's does: what the counters say is what it holds.
    #[test]
    fn live_and_cached_follow_a_ring(acts in prop::collection::vec(prop_oneof![
        Just(Act::Hit), (0_u64..9).prop_map(Act::Miss), Just(Act::Return), (1_u64..9).prop_map(Act::Spill), Just(Act::Bypass)
    ], 0..200)) {
        let (_place, directory) = place();
        let writer = general::<1, 1>(&directory, &[100]);
        let slot = writer.claim().expect("a slot");
        let c = &slot.classes[0];
        let (mut live, mut cached) = (0_u64, 0_u64);
        for act in acts {
            match act {
                Act::Hit if cached > 0 => {
                    c.ring_hits.add(1);
                    (live, cached) = (live + 1, cached - 1);
                }
                Act::Miss(got) if cached == 0 => {
                    c.ring_misses.add(1);
                    c.ring_refilled_blocks.add(got);
                    if got == 0 {
                        c.allocation_failures.add(1);
                    } else {
                        (live, cached) = (live + 1, got - 1);
                    }
                }
                Act::Return if live > 0 => {
                    c.ring_returns.add(1);
                    (live, cached) = (live - 1, cached + 1);
                }
                Act::Spill(n) if live > 0 && cached >= n => {
                    c.ring_spills.add(1);
                    c.ring_spilled_blocks.add(n);
                    (live, cached) = (live - 1, cached - n + 1);
                }
                Act::Bypass if live > 0 => {
                    c.ring_bypasses.add(1);
                    live -= 1;
                }
                _ => {}
            }
        }
        let snapshot = read(&writer);
        prop_assert_eq!(snapshot.live_bytes(), Some(live * 100));
        prop_assert_eq!(snapshot.cached_bytes(), Some(cached * 100));
    }
}

//! What a reader keeps in memory of a segment that it has mapped, by the kernel's count.

use std::path::Path;

use stormglass_telemetry::{Directory, Identity, Metric, Segment, Select, Writer};

const THREADS: usize = 64;

/// Resident bytes of this process's read-only mappings of a file.
fn resident(path: &Path) -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("the kernel's list of mappings");
    let mut inside = false;
    let mut kibibytes = 0;
    for line in smaps.lines() {
        if let Some(size) = line.strip_prefix("Rss:").filter(|_| inside) {
            let size = size.trim().strip_suffix(" kB").expect("in kB");
            kibibytes += size.parse::<u64>().expect("a number");
        } else if !line.split_whitespace().next().is_some_and(|word| word.ends_with(':')) {
            inside = line.contains(" r--s ") && line.ends_with(path.to_str().expect("a name"));
        }
    }
    kibibytes << 10
}

#[test]
fn what_stands_still_is_not_resident() {
    let place = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let directory = Directory::at(place.path().join("segments"));
    let writer = Writer::create(&directory, &Identity::default()).expect("a segment");
    let slots: Vec<_> = (0..THREADS).map(|_| writer.claim().expect("a slot")).collect();
    for slot in &slots {
        for class in 0..7 {
            slot.classes[class].ring_hits.add(1);
            slot.shard(class, class).refills.add(1);
        }
    }
    let path = directory.scan().expect("a list").pop().expect("one segment");
    let segment = Segment::open(&path).expect("it is one");
    let sum = || {
        let snapshot = segment.snapshot().expect("it can be read");
        [Metric::RingHits, Metric::Refills].map(|metric| snapshot.counts.sum(metric, Select::ALL))
    };
    let all = 7 * THREADS as u64;
    let size = segment.snapshot().expect("it can be read").segment_bytes;
    for counted in 1..200 {
        slots[9].classes[0].ring_hits.add(1);
        slots[9].shard(0, 0).refills.add(1);
        assert_eq!(sum(), [Some(all + counted); 2], "every count, whatever was looked at");
        let resident = resident(&path);
        // The slot that counts, the header and the owners' words, and what the kernel brings along of their neighbours.
        assert!(0 < resident && resident <= size / 4, "{resident} of {size} bytes");
    }
}

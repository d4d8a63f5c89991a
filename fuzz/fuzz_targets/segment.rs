//! Bytes that say that they are a segment: the reader refuses them or reads them, and whatever it read can be shown.
//!
//! The input is a patch: the head of a good segment, overwritten at the places that it names, and cut to the length that it
//! names. So the fuzzer need not find a magic number first. Half of the segments have a process that lives, as far as their lock says:
//! those are read again and again, while their bytes change, go and come back.
#![no_main]

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use stormglass_telemetry::{Directory, Identity, Metric, ReadError, Segment, Select, Snapshot, Writer};

/// A good segment's bytes, and the file that is overwritten again and again.
fn scene() -> &'static (Vec<u8>, PathBuf) {
    static SCENE: OnceLock<(Vec<u8>, PathBuf)> = OnceLock::new();
    SCENE.get_or_init(|| {
        let place = std::env::temp_dir().join(format!("stormglass-fuzz-{}", std::process::id()));
        let writer: Writer<3, 2> =
            Writer::create_general(&Directory::at(&place), &Identity::default(), &[16, 48, 1024])
                .expect("a segment");
        let slot = writer.claim().expect("a slot");
        slot.classes[1].ring_hits.add(5);
        slot.shard(2, 1).refills.add(7);
        let bytes = std::fs::read(writer.path().expect("a path")).expect("readable");
        (bytes, place.join("1-0.seg"))
    })
}

fuzz_target!(|patch: &[u8]| {
    let (good, path) = scene();
    let Some((len, patch)) = patch.split_first_chunk::<2>() else { return };
    // Half of the lengths are whole.
    let len = usize::from(u16::from_le_bytes(*len));
    let len = if len >= 1 << 15 { good.len() } else { len * good.len() >> 15 };
    let mut bytes = good.clone();
    for edit in patch.chunks_exact(6) {
        // Three bytes say where, one of four how much, two what.
        let at = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % bytes.len();
        let value = [edit[4], edit[5], edit[3], edit[3], 0, 0, 0, edit[3]];
        let width = [1, 2, 4, 8][usize::from(edit[3] & 3)];
        let end = (at + width).min(bytes.len());
        bytes[at..end].copy_from_slice(&value[..end - at]);
    }
    let file = std::fs::File::options().write(true).create(true).truncate(true).open(path).expect("ours");
    file.write_all_at(&bytes[..len], 0).expect("room");
    let lives = patch.len() % 2 == 1;
    if lives {
        file.lock().expect("nobody else has it");
    }
    let segment = match Segment::open(path) {
        Ok(segment) => segment,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    show(segment.snapshot());
    show(segment.glance());
    if lives {
        // As it was before the patch, but for what the patch says of the end.
        file.write_all_at(&good[..len], 0).expect("room");
        show(segment.glance());
        file.set_len(len as u64 / 2).expect("cut");
        show(segment.glance());
        file.write_all_at(&bytes[..len], 0).expect("room");
        show(segment.snapshot());
    }
});

/// Whatever was read, every view of it can be made.
fn show(read: Result<Snapshot, ReadError>) {
    let snapshot = match read {
        Ok(snapshot) => snapshot,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let _ = snapshot.lifetime().measures(Select::ALL);
    let _ = snapshot.held();
    for metric in Metric::ALL {
        let _ = snapshot.counts.sum(*metric, Select::ALL);
    }
    let mut sum = snapshot.counts.clone();
    sum.unite(&snapshot.counts);
}

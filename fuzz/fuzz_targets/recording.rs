//! Bytes that say that they are a recording: the reader refuses them or reads them, and whatever it read can be summed up.
//!
//! The first byte says what the rest is. If it is even, a file as it lies. If it is odd, payloads, each behind two bytes of length
//! and before it a kind: they are compressed and get the checksums that the fuzzer would not find.
#![no_main]

use flate2::{Compress, Compression, Crc, FlushCompress};
use libfuzzer_sys::fuzz_target;
use stormglass_dashboard::recording::{Reader, Summary};
use stormglass_telemetry::{Metric, Select};

/// Appends a record with a checksum that fits.
fn record(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(payload);
    let mut crc = Crc::new();
    crc.update(&out[start..]);
    out.extend_from_slice(&crc.sum().to_le_bytes());
}

/// A file of those payloads.
fn file(mut rest: &[u8]) -> Vec<u8> {
    let mut out = b"\x89SGREC\r\n\x01\0\0\0".to_vec();
    // No version, the year 1970, no spacing, no note.
    record(&mut out, 1, &[0, 0, 0, 0]);
    let mut deflate = Compress::new(Compression::fast(), false);
    while let Some((&[kind, low, high], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (payload, after) = after.split_at(length);
        rest = after;
        let kind = 2 + (kind & 1);
        if kind == 2 {
            deflate.reset();
        }
        let mut packed = Vec::with_capacity(2 * payload.len() + 1024);
        deflate.compress_vec(payload, &mut packed, FlushCompress::Sync).expect("there is room");
        record(&mut out, kind, &packed);
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    let made;
    let bytes = if how % 2 == 0 {
        rest
    } else {
        made = file(rest);
        &made
    };
    if let Ok(reader) = Reader::new(bytes) {
        // A file of nothing but large moments could be read for hours, which is no defect.
        for moment in reader.take(100).map_while(Result::ok) {
            for snapshot in &moment.snapshots {
                assert_eq!(snapshot.counts.values.len(), snapshot.counts.schema.len);
                let _ = snapshot.counts.sum(Metric::RingHits, Select::ALL);
                let _ = (snapshot.held(), snapshot.lifetime());
            }
        }
    }
    if bytes.len() < 1 << 14
        && let Ok(summary) = Reader::new(bytes).and_then(Summary::of)
    {
        assert!(summary.moments > 0 || summary.processes.is_empty());
    }
});

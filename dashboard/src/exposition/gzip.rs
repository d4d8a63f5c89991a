//! Compressed answers. The lines of a scrape are alike, so the fastest level makes them ten times shorter.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// `bytes` in gzip's format.
pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    // Writing to memory does not fail; if it did, an answer that is cut off would be refused by its checksum.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

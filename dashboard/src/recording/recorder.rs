//! Records processes as they run, from their segments into anything that can be written to.
//!
//! Invariant: after every sample, what was written is a recording; a recorder that is killed leaves all but the record that it was
//! writing.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stormglass_telemetry::{Directory, Liveness, clock};

use super::record::{self, Kind};
use super::{About, Encoder};
use crate::discovery::Discovery;
use crate::frame::Epoch;
use crate::packed::Packed;
use crate::source::Source;

/// How long one that has died is still recorded, as a sidecar shows it for a while.
const KEEP_DEAD: Duration = Duration::from_mins(10);

/// What is to be recorded.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Only these processes; all of the directory where none is named.
    pub pids: BTreeSet<u32>,
    /// Time between two samples, as the recording says it.
    pub spacing: Duration,
    /// What the recording is about; may be empty.
    pub note: String,
}

/// Writes a recording.
pub struct Recorder<W> {
    discovery: Discovery,
    pids: BTreeSet<u32>,
    seen: BTreeSet<u32>,
    epoch: Epoch,
    encoder: Encoder,
    out: W,
    buffer: Vec<u8>,
    /// Bytes and moments written.
    written: u64,
    moments: u64,
}

/// What one sample found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Processes that live.
    pub living: usize,
    /// Processes in all, the dead included.
    pub processes: usize,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording of the processes whose segments lie in a directory. It removes none of them.
    ///
    /// # Errors
    /// If `out` does not take its head.
    pub fn new(directory: Directory, wishes: Wishes, out: W) -> io::Result<Recorder<W>> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: unix.as_secs(),
            spacing_ms: wishes.spacing.as_millis() as u64,
            note: wishes.note,
        };
        let mut recorder = Recorder {
            discovery: Discovery::onlooker(directory, KEEP_DEAD),
            pids: wishes.pids,
            seen: BTreeSet::new(),
            epoch: Epoch::of(unix.as_millis() as u64, clock::monotonic()),
            encoder: Encoder::default(),
            out,
            buffer: beginning(&about),
            written: 0,
            moments: 0,
        };
        recorder.flush()?;
        Ok(recorder)
    }

    /// Records every process now.
    ///
    /// # Errors
    /// If `out` does not take it. What was written before stays readable.
    pub fn sample(&mut self) -> io::Result<Sample> {
        let mut snapshots = self.discovery.snapshots();
        if !self.pids.is_empty() {
            snapshots.retain(|snapshot| self.pids.contains(&snapshot.process().pid));
        }
        self.seen.extend(snapshots.iter().map(|snapshot| snapshot.process().pid));
        let now = self.epoch.at(clock::monotonic());
        self.encoder.moment(now, 0, &snapshots, &mut self.buffer);
        self.flush()?;
        self.moments += 1;
        let living = |snapshot: &&Packed| snapshot.liveness() == Liveness::Live;
        Ok(Sample { living: snapshots.iter().filter(living).count(), processes: snapshots.len() })
    }

    /// Says that the recording ends here because it was to end, and how many bytes it has.
    ///
    /// # Errors
    /// If `out` does not take it.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        record::put(&mut self.buffer, Kind::End, &[]);
        self.flush()?;
        Ok((self.out, self.written))
    }

    /// Bytes written: where the last whole record ends.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Every process that was recorded.
    pub fn recorded(&self) -> &BTreeSet<u32> {
        &self.seen
    }

    /// Moments recorded.
    pub fn moments(&self) -> u64 {
        self.moments
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.out.flush()?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What a recording begins with.
pub(crate) fn beginning(about: &About) -> Vec<u8> {
    let mut out = record::head().to_vec();
    record::put(&mut out, Kind::About, &about.encode());
    out
}

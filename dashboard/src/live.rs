//! The processes of this user for another view than the page: the terminal, a check.
//!
//! Invariant: it reads what the sidecar reads, by the same discovery and the same observer, and removes nothing.

use std::time::Duration;

use stormglass_telemetry::{Directory, Snapshot};

use crate::discovery::Discovery;
use crate::observer::Observer;
use crate::results::Results;
use crate::source::SharedSource;
use crate::verdicts::Verdicts;

/// Longer than anything runs: nothing is removed.
const FOR_EVER: Duration = Duration::from_hours(1_000_000);

/// Reads the segments of a directory, now and again.
pub struct Live {
    source: SharedSource,
    observer: Observer,
}

impl Live {
    /// Of a directory, which need not be there yet.
    #[must_use]
    pub fn new(directory: Directory) -> Live {
        let source = SharedSource::new(Discovery::new(directory, FOR_EVER));
        Live { observer: Observer::new(source.clone(), Results::default(), Verdicts::default()), source }
    }

    /// One snapshot of each process, the dead included, read now.
    pub fn snapshots(&mut self) -> Vec<Snapshot> {
        self.source.lock().snapshots()
    }

    /// What the page would get now: the frame of `/api/snapshot`, as JSON.
    ///
    /// # Errors
    /// If it cannot be written as JSON, which would be a defect.
    pub fn frame(&mut self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self.observer.observe())
    }
}

//! The processes of this user, read as the sidecar reads them.

use std::thread;
use std::time::{Duration, Instant};

use stormglass_telemetry::Directory;

use super::Source;
use super::processes::Processes;
use crate::check::evidence::Evidence;

/// Time between two looks: a process that lives for less may be missed, and nothing else.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);

/// The segments of a directory, for a time.
pub(crate) struct Segments {
    pub(crate) directory: Directory,
    pub(crate) span: Duration,
    /// How long there may be no process at first.
    pub(crate) wait: Duration,
    /// Whether events of the processor and the kernel are to be counted.
    pub(crate) events: bool,
}

impl Source for Segments {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        // Said once here, rather than to find nothing for ever.
        self.directory.scan().map_err(|e| e.to_string())?;
        let mut processes = Processes::of(self.directory, self.events);
        let patience = Instant::now() + self.wait;
        while !processes.are_there() && Instant::now() < patience {
            thread::sleep(INTERVAL);
        }
        let end = Instant::now() + self.span;
        loop {
            processes.show(evidence);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(INTERVAL));
        }
    }

    fn name(&self) -> String {
        format!("the processes of {}", self.directory.path().display())
    }
}

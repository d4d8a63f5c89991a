//! The processes of this user, read as the sidecar reads them.

use std::thread;
use std::time::{Duration, Instant};

use stormglass_dashboard::Live;
use stormglass_telemetry::{Directory, clock};

use super::Source;
use crate::check::evidence::{Evidence, Sight};

/// Time between two looks: a process that lives for less may be missed, and nothing else.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);

/// The segments of a directory, for a time.
pub(crate) struct Segments {
    pub(crate) directory: Directory,
    pub(crate) span: Duration,
    /// How long there may be no process at first.
    pub(crate) wait: Duration,
}

impl Source for Segments {
    fn look(self: Box<Self>, evidence: &mut Evidence) -> Result<(), String> {
        // Said once here, rather than to find nothing for ever.
        self.directory.scan().map_err(|e| e.to_string())?;
        let mut live = Live::new(self.directory);
        let patience = Instant::now() + self.wait;
        while live.snapshots().is_empty() && Instant::now() < patience {
            thread::sleep(INTERVAL);
        }
        let end = Instant::now() + self.span;
        loop {
            let snapshots = live.snapshots();
            let sight = |snapshot| {
                let sight = Sight::from(snapshot);
                Sight { counting: live.counting(&sight.snapshot.process), ..sight }
            };
            evidence.see(clock::monotonic(), snapshots.into_iter().map(sight));
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

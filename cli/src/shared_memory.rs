//! Whether processes can be watched at all: the directory of the segments.

use std::time::Duration;

use stormglass_telemetry::{Directory, Identity, Writer};

use crate::failure::Failure;

/// How long the segments of runs that are over are kept where no sidecar is there to remove them: one that is keeps the
/// right to.
const KEEP: Duration = Duration::from_mins(10);

/// Checks, before anything is run, that a segment can be made, and tidies up after earlier benchmarks.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub(crate) fn check() -> Result<(), Failure> {
    let directory = Directory::from_env();
    if let Some(reaper) = directory.reaper() {
        reaper.reap(KEEP);
    }
    // The surest way to know is to make one.
    let identity = Identity { strategy: "none", workload: "check", ..Identity::default() };
    let writer = Writer::create(&directory, &identity).map_err(Failure::failed)?;
    if let Some(path) = writer.path() {
        // What cannot be removed is shown as a dead process for a while; no reason not to run.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

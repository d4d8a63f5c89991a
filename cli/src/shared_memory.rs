//! Whether processes can be watched at all: the directory of the segments.

use stormglass_telemetry::{Directory, Identity, Writer};

use crate::failure::Failure;

/// Checks, before anything is run, that segments can be made: by making one.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub(crate) fn check() -> Result<(), Failure> {
    let directory = Directory::from_env();
    let writer = Writer::create(&directory, &Identity { strategy: "none", workload: "check" })
        .map_err(Failure::failed)?;
    if let Some(path) = writer.path() {
        // It has served its purpose; a leftover would only be shown as a dead process.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

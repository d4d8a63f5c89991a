//! Whether processes can be watched at all: the directory of the segments.

use crate::failure::Failure;

/// Checks, before anything is run, that segments can be made.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub(crate) fn check() -> Result<(), Failure> {
    Ok(())
}

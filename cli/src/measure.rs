//! `stormglass measure`: one run in this process, for the parent that started it.

use std::process::ExitCode;

use stormglass_telemetry::Directory;

use crate::args::MeasureArgs;
use crate::failure::Failure;
use crate::output;

/// Measures and prints one line of JSON.
///
/// # Errors
/// If the request is impossible, or the run failed.
pub(crate) fn measure(args: &MeasureArgs) -> Result<ExitCode, Failure> {
    // A measurement by hand has a shell for a parent: it ends with that as well. Where the kernel refuses, nothing else does.
    let _ = stormglass_bench::end_with_parent();
    let request = args.request();
    request.check().map_err(Failure::impossible)?;
    let measurement = stormglass_bench::measure(&request, &Directory::from_env()).map_err(Failure::failed)?;
    if let Some(warning) = &measurement.warning {
        output::tell(&format!("stormglass: {warning}"));
    }
    output::print(&(measurement.line() + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

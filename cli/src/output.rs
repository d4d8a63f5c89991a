//! Standard output, which may be a pipe whose reader has gone.

use std::io::{self, ErrorKind, Write};

use stormglass_bench::Report;
use stormglass_bench::table::{Colour, render};

use crate::failure::Failure;

/// Writes text to standard output. A reader that went away (`stormglass bench | head`) has seen enough.
///
/// # Errors
/// If it cannot be written for another reason, such as a full disk.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("the result cannot be written to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error, if that is open.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a report as tables or as JSON.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_report(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(report)
            .map_err(|e| Failure::failed(format!("the report cannot be written as JSON: {e}")))?;
        return print(&(text + "\n"));
    }
    print(&render(report, Colour::of(&io::stdout())))
}

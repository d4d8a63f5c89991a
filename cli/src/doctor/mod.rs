//! `stormglass doctor`: what works on this machine, and how to mend the rest.
//!
//! [`mod@probe`] looks and judges nothing; [`mod@findings`] judges and looks at nothing. Invariant: it changes nothing that stays.

mod findings;
mod probe;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args as Group;
use serde_json::json;
use stormglass_bench::table::{Colour, Paint, columns};

use crate::failure::Failure;
use crate::output;
use findings::{Finding, Level, findings};

pub(crate) const EXAMPLES: &str = "\
Examples:
  stormglass doctor                              a line for each thing, and how to mend what does not work
  stormglass doctor --json                       the same for a program
  STORMGLASS_DIR=/mnt/tmpfs/glass stormglass doctor

Exit codes:
  0  all that stormglass cannot do without works
  1  something does not";

#[derive(Debug, Group)]
pub(crate) struct DoctorArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Looks, and says what it found.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let facts = probe::probe();
    let found = findings(&facts);
    let works = found.iter().all(|finding| finding.level != Level::Broken);
    let text = if args.json {
        let list: Vec<_> = found.iter().map(Finding::json).collect();
        format!("{:#}\n", json!({ "works": works, "findings": list }))
    } else {
        table(&found, works, Colour::of(&std::io::stdout()))
    };
    output::print(&text)?;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(found: &[Finding], works: bool, colour: Colour) -> String {
    let heads = ["", "what", "found"].map(str::to_owned);
    let rows: Vec<[String; 3]> = found
        .iter()
        .map(|finding| [finding.level.word().to_owned(), finding.what.to_owned(), finding.found.clone()])
        .collect();
    let paint = |row: usize, column: usize| match (found[row].level, column) {
        (Level::Works, 0) => Paint::Better,
        (Level::Broken | Level::Limited, 0) => Paint::Worse,
        _ => Paint::None,
    };
    let mut lines = String::new();
    columns(&mut lines, &heads, &rows, 3, colour, paint);
    let mut text = String::new();
    for (line, finding) in lines.lines().skip(1).zip(found) {
        let _ = writeln!(text, "{}", line.trim_end());
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "         {}", colour.paint(Paint::Dim, mend));
        }
    }
    let limited = found.iter().filter(|finding| finding.level == Level::Limited).count();
    let _ = match (works, limited) {
        (false, _) => writeln!(text, "stormglass does not work here until what is BROKEN is mended"),
        (true, 0) => writeln!(text, "everything works here"),
        (true, _) => {
            writeln!(text, "stormglass works here; what is limited costs views or figures, not the rest")
        }
    };
    text
}

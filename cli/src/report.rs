//! `stormglass report`: the analysis of the paper's claims, as a page, as Markdown and as JSON.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use stormglass_allocator::StrategyId;
use stormglass_bench::analysis::{self, Analysis, Conditions, Record};
use stormglass_bench::{Machine, Simulated, Stop};
use stormglass_telemetry::{Inside, perf};

use crate::args::ReportArgs;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::interrupt::{EXIT_CODE, Interrupt, runtime};
use crate::{benchmark, output, shared_memory};

const HTML: &str = "report.html";
const MARKDOWN: &str = "report.md";
const JSON: &str = "report.json";
const FILES: [&str; 3] = [HTML, MARKDOWN, JSON];

/// Measures and writes the report; after an interrupt, that of the finished runs. With `--from`, writes it again.
///
/// # Errors
/// If the plan is impossible, the directory cannot be written, there is no shared memory, or no run finished.
pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    match &args.from {
        Some(file) => again(file, &args.output),
        None => measured(args),
    }
}

fn measured(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let plan = analysis::plan(&args.wishes(), Machine::this().cores).map_err(Failure::impossible)?;
    let folder = Folder::open(&args.output, &FILES)?;
    shared_memory::check()?;
    let conditions = Conditions::now(&plan, args.quick);
    output::tell(&format!(
        "stormglass: about {}: {} runs of {} designs",
        span(analysis::estimate(&plan)),
        plan.steps().len(),
        plan.designs.len()
    ));
    let (outcome, simulation) = runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        // On a machine that counts, the slow paths' cache misses stand in the report; each design pays the same for it.
        let counts = perf::inside() != Inside::NONE;
        let designs = plan.designs.clone();
        let outcome = benchmark::run(plan, counts, Box::new(|_| {}), &mut interrupt).await?;
        let simulation = if outcome.interrupted || args.no_simulation {
            None
        } else {
            Some(simulated(designs, &mut interrupt).await?)
        };
        Ok::<_, Failure>((outcome, simulation))
    })?;
    let code = if outcome.interrupted { ExitCode::from(EXIT_CODE) } else { ExitCode::SUCCESS };
    if outcome.report.tables.is_empty() {
        output::tell("stormglass: no run was finished, so there is nothing to report");
        return Ok(code);
    }
    let record = Record::new(conditions, outcome.report, outcome.interrupted);
    let analysis = Analysis::of(Record { simulation, ..record });
    let json = analysis.json().map_err(|e| Failure::failed(format!("the report is no JSON: {e}")))?;
    // The figures first: the others can be written again from them.
    folder.write(JSON, &json)?;
    write_views(&folder, &analysis)?;
    output::print(&format!("{}\n{}\n", analysis.verdicts(), folder.names(&FILES)))?;
    Ok(code)
}

/// What caches do in a short run, simulated; what is not to be had is said, and no reason to lose the report.
async fn simulated(designs: Vec<StrategyId>, interrupt: &mut Interrupt) -> Result<Simulated, Failure> {
    output::tell("stormglass: a shortened run under valgrind's cachegrind, if that is installed");
    let stop = Stop::default();
    let asked = stop.clone();
    let (simulated, _) =
        benchmark::beside(move || stormglass_bench::simulate(&designs, &asked), stop, interrupt).await?;
    Ok(simulated)
}

/// Writes the page and the Markdown of a report that was measured before.
fn again(file: &Path, output: &Path) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::failed(format!("{} cannot be read: {e}", file.display())))?;
    let record = Record::parse(&text).map_err(|why| Failure::failed(format!("{} {why}", file.display())))?;
    let analysis = Analysis::of(record);
    let folder = Folder::open(output, &FILES)?;
    write_views(&folder, &analysis)?;
    output::print(&format!("{}\n{}\n", analysis.verdicts(), folder.names(&[HTML, MARKDOWN])))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what is made of the figures.
fn write_views(folder: &Folder, analysis: &Analysis) -> Result<(), Failure> {
    folder.write(HTML, &analysis::html(analysis))?;
    folder.write(MARKDOWN, &analysis::markdown(analysis))
}

/// A length of time as one says it.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s => format!("{:.1} minutes", s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_as_one_says_it() {
        assert_eq!(
            [4.0, 59.6, 100.0].map(|s| span(Duration::from_secs_f64(s))),
            ["4.0 s", "60 s", "1.7 minutes"]
        );
    }
}

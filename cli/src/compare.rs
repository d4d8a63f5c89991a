//! `stormglass compare`: the library that is preloaded beside other allocators.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args as Group;
use stormglass_bench::compare::workload::{self, Workload};
use stormglass_bench::compare::{
    self, Children, Field, Ledger, Named, Plan, Report, Request, Serving, Wishes,
};
use stormglass_bench::table::Colour;
use stormglass_bench::{Display, Failure as Ended, Machine, Stop};

use crate::args::Designs;
use crate::benchmark::{beside, command};
use crate::failure::Failure;
use crate::folder::Folder;
use crate::interrupt::{EXIT_CODE, Interrupt, runtime};
use crate::output;
use crate::report::span;
use crate::shape::{ShapeArgs, SizeArgs};

const HTML: &str = "compare.html";
const MARKDOWN: &str = "compare.md";
const JSON: &str = "compare.json";
/// There where a workload ran with several numbers of threads.
const SCALING: &str = "scaling.svg";
const FILES: [&str; 4] = [HTML, MARKDOWN, JSON, SCALING];
/// What a run takes besides its timed part: a process, set-up, check.
const BESIDE: f64 = 0.15;

fn workload_help() -> String {
    let lines = workload::ALL.iter().map(|w| format!("\n- {}: {}", w.name(), w.about()));
    format!("Only these workloads:{}", lines.collect::<String>())
}

#[derive(Debug, Group)]
pub(crate) struct CompareArgs {
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = workload::named, help = workload_help())]
    workload: Vec<&'static dyn Workload>,
    /// Only these allocators: stormglass, glibc, jemalloc, tcmalloc, mimalloc, tbbmalloc, those that bench/peers builds, those of
    /// --designs and --library, and limit, which is none but shows what the memory system allows [default: all that are there]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    allocators: Vec<String>,
    /// The allocator that the others are compared with [default: stormglass, or the first where that is not there]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// The library under these designs of the mid pool (STORMGLASS_STRATEGY) as further allocators: their names, or all
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    designs: Vec<Designs>,
    /// A further allocator: its name and the library to preload; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    library: Vec<Named>,
    /// Numbers of threads, such as 1,2,4 [default: each workload's own]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Length of one run [default: 0.4, full 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Runs of each allocator; an interval takes at least 5 [default: 5]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Longer runs, and threads up to four times the cores
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    size: SizeArgs,
    /// Print the report as JSON instead of tables
    #[arg(long)]
    json: bool,
    /// The compare.json of an earlier part of the same comparison: its tables stand in this report, too; may be repeated
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Also write compare.html, with charts, compare.md, compare.json and, of several numbers of threads, scaling.svg here
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl CompareArgs {
    fn wishes(&self) -> Wishes {
        Wishes {
            workloads: self.workload.clone(),
            allocators: self.allocators.clone(),
            baseline: self.baseline.clone(),
            threads: self.threads.clone(),
            seconds: self.seconds,
            rounds: self.rounds,
            size: self.size.wishes(),
            full: self.full,
        }
    }
}

/// Measures and prints; after an interrupt, what was finished.
///
/// # Errors
/// If the plan is impossible, a library does not serve, the directory cannot be written, or no run finished.
pub(crate) fn compare(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let field = Field::here(&Designs::ids(&args.designs), &args.library).map_err(Failure::impossible)?;
    let machine = Machine::this();
    let plan = Plan::new(&args.wishes(), &field, &machine).map_err(Failure::impossible)?;
    let baseline = &plan.contenders[plan.baseline].name;
    let parts = args.with.iter().map(|path| earlier(path, baseline, &machine));
    let parts = parts.collect::<Result<Vec<Report>, Failure>>()?;
    let folder = args.output.as_deref().map(|path| Folder::open(path, &FILES)).transpose()?;
    let children = Children::of_this_program()
        .map_err(|e| Failure::failed(format!("this program cannot find itself to start its runs: {e}")))?;
    for missing in &field.missing {
        output::tell(&format!("stormglass: {} takes no part: {}", missing.name, missing.hint));
    }
    announce(&plan);
    let stop = Stop::default();
    let asked = stop.clone();
    let measure = move || -> Result<Report, Ended> {
        compare::preflight(&plan, &children, &asked)?;
        let ledger = Ledger::new(&plan, machine, command(), field.missing);
        let launch = |request: &Request| children.launch(request, &asked);
        Ok(compare::run(&plan, ledger, launch, &asked, &Display::on_stderr()))
    };
    let (ended, interrupted) = runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        beside(measure, stop, &mut interrupt).await
    })?;
    let code = if interrupted { ExitCode::from(EXIT_CODE) } else { ExitCode::SUCCESS };
    let report = match ended {
        Ok(report) => report,
        Err(Ended::Stopped) => return Ok(code),
        Err(Ended::Failed(why)) => return Err(Failure::failed(why)),
    };
    if report.tables.is_empty() && !interrupted {
        return Err(Failure::failed("no run finished; the reasons stand above"));
    }
    // From the latest back, so that the commands stand in their order.
    let report = parts.into_iter().rev().fold(report, Report::with);
    publish(&report, args.json, folder.as_ref())?;
    Ok(code)
}

/// The report in a file, if tables of this comparison may stand beside its own.
fn earlier(path: &Path, baseline: &str, machine: &Machine) -> Result<Report, Failure> {
    let refusal = |why: String| Failure::impossible(format!("--with {}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| refusal(format!("it cannot be read: {e}")))?;
    let report: Report = serde_json::from_str(&text)
        .map_err(|e| refusal(format!("it is no compare.json of this version: {e}")))?;
    report.fits(baseline, machine).map_err(refusal)?;
    Ok(report)
}

fn announce(plan: &Plan) {
    if cfg!(debug_assertions) {
        output::tell(
            "stormglass: this is a debug build, and its figures mean nothing: take `cargo build --release`",
        );
    }
    let runs = plan.steps().len();
    let time = Duration::from_secs_f64(plan.seconds() + BESIDE * runs as f64);
    let names: Vec<_> = plan.contenders.iter().map(|contender| contender.name.as_str()).collect();
    output::tell(&format!("stormglass: about {}: {runs} runs of {}", span(time), names.join(", ")));
}

fn publish(report: &Report, json: bool, folder: Option<&Folder>) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|e| Failure::failed(format!("the report cannot be written as JSON: {e}")))?
        + "\n";
    if let Some(folder) = folder {
        folder.write(JSON, &text)?;
        folder.write(HTML, &compare::html(report))?;
        folder.write(MARKDOWN, &compare::markdown(report))?;
        let scaling = compare::scaling(report);
        if let Some(drawing) = &scaling {
            folder.write(SCALING, drawing)?;
        }
        output::tell(&folder.names(if scaling.is_some() { &FILES } else { &FILES[..3] }));
    }
    output::print(&if json { text } else { compare::render(report, Colour::of(&std::io::stdout())) })
}

#[derive(Debug, Group)]
pub(crate) struct MeasureMallocArgs {
    #[arg(long, value_parser = workload::named)]
    workload: &'static dyn Workload,
    #[arg(long)]
    serving: Serving,
    #[command(flatten)]
    shape: ShapeArgs,
    /// The short process of `startup`
    #[arg(long)]
    alone: bool,
}

impl MeasureMallocArgs {
    fn request(&self) -> Request {
        Request { workload: self.workload, serving: self.serving.clone(), shape: self.shape.shape() }
    }
}

/// `stormglass measure-malloc`: one run in this process, for the parent that started it. Prints one line of JSON.
///
/// # Errors
/// If the request is impossible, something else serves than was asked for, or the run failed.
pub(crate) fn measure(args: &MeasureMallocArgs) -> Result<ExitCode, Failure> {
    // As in `measure`; without it a parent that was killed leaves a child that disturbs what is measured next.
    let _ = stormglass_bench::end_with_parent();
    let request = args.request();
    request.workload.check(&request.shape).map_err(Failure::impossible)?;
    if args.alone {
        compare::measure_alone(&request).map_err(Failure::failed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let run = compare::measure(&request).map_err(Failure::failed)?;
    let line = serde_json::to_string(&run)
        .map_err(|e| Failure::failed(format!("the result cannot be written as JSON: {e}")))?;
    output::print(&(line + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use stormglass_bench::Shape;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(words: impl IntoIterator<Item = std::ffi::OsString>) -> Command {
        let all = std::iter::once("stormglass".into()).chain(words);
        Args::try_parse_from(all).expect("understood").command.expect("a command")
    }

    #[test]
    fn what_the_parent_says_the_child_understands() {
        let workload = workload::named("large").expect("listed");
        let shape = Shape { seconds: 0.1 + 0.2, seed: u64::MAX, threads: 3, rounds: 7, ..workload.shape() };
        for serving in [Serving::Glibc, Serving::Limit, Serving::Library("/a/libx.so".into())] {
            let request = Request { workload, serving, shape };
            let words = std::iter::once("measure-malloc".into()).chain(compare::arguments(&request));
            let Command::MeasureMalloc(args) = parse(words) else { panic!("another command") };
            let heard = args.request();
            assert_eq!(
                (heard.workload.name(), &heard.serving, heard.shape),
                ("large", &request.serving, shape)
            );
            assert!(!args.alone);
        }
    }

    #[test]
    fn wishes_are_heard() {
        let words =
            ["compare", "--allocators", "glibc,limit", "--library", "x=/x.so", "--threads", "1,2", "--full"];
        let Command::Compare(args) = parse(words.map(Into::into)) else { panic!("another command") };
        let wishes = args.wishes();
        assert_eq!(
            (wishes.allocators, wishes.threads, wishes.full),
            (vec!["glibc".into(), "limit".into()], vec![1, 2], true)
        );
        assert_eq!(args.library, [Named { name: "x".into(), path: "/x.so".into() }]);
    }
}

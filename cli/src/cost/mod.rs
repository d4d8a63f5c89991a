//! `stormglass bench --cost`: counters on, counters compiled out, and counters that a sidecar is asked for, in turn.
//!
//! Invariant: what is kept for the page and /metrics is a whole measurement. One that was interrupted is printed, not kept.

mod scraper;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args as Group;
use stormglass_bench::cost::{self, Arm, Children, Ledger, Plan, Report, Step, Uncounted, What};
use stormglass_bench::table::Colour;
use stormglass_bench::{Display, Failure as Ended, Machine, Stop, library};
use stormglass_telemetry::{COUNTING, Directory};

use crate::args::BenchAloneArgs;
use crate::benchmark::{beside, command};
use crate::failure::Failure;
use crate::interrupt::{EXIT_CODE, Interrupt, runtime};
use crate::report::span;
use crate::serve::ServeArgs;
use crate::{output, serve, shared_memory};
use scraper::Scraper;

/// What a run takes besides its timed part: a process, set-up, check, and in every third a sidecar.
const BESIDE: f64 = 0.25;

#[derive(Debug, Group)]
pub(crate) struct CostArgs {
    /// Measure what counting costs, against a build without counters, and with a sidecar that is scraped ten times a second; of the
    /// allocator of every size (general), of the mid pool (pool), or of both (all, which is meant without a word)
    #[arg(
        long = "cost",
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        conflicts_with_all = ["perf", "inject", "full", "min", "max", "chunks", "life", "seed"]
    )]
    pub(crate) what: Option<What>,
    /// With --cost: short runs, about a minute in all
    #[arg(long, requires = "what")]
    quick: bool,
    /// With --cost: the folder of the build without counters [default: uncounted/release in the target directory]
    #[arg(long, value_name = "DIR")]
    uncounted: Option<PathBuf>,
}

/// Measures, prints, and keeps the result for whoever watches.
///
/// # Errors
/// If the plan is impossible, a build is missing, there is no shared memory, or no pair of runs finished.
pub(crate) fn cost(args: &BenchAloneArgs, what: What) -> Result<ExitCode, Failure> {
    let machine = Machine::this();
    let wishes = args.bench.cost_wishes(what, args.cost.quick);
    let plan = Plan::new(&wishes, machine.cores).map_err(Failure::impossible)?;
    if !COUNTING {
        return Err(Failure::impossible(
            "this build counts nothing itself: run `bench --cost` of the build with counters",
        ));
    }
    let program = std::env::current_exe()
        .map_err(|e| Failure::failed(format!("this program cannot find itself to start its runs: {e}")))?;
    let uncounted = Uncounted::find(args.cost.uncounted.as_deref(), &program).map_err(Failure::impossible)?;
    let counted = library::find(library::named().as_deref(), &program).map_err(Failure::impossible)?;
    let counted = counted.ok_or_else(|| {
        Failure::impossible(format!(
            "{} is not there to be measured: `cargo build --release` makes it beside this program, or set {}",
            library::NAME,
            library::VARIABLE
        ))
    })?;
    shared_memory::check()?;
    let stale = uncounted.stale(&counted, &program);
    let mut children = Children::new(&uncounted, counted)
        .map_err(|e| Failure::failed(format!("this program cannot find itself to start its runs: {e}")))?;
    announce(&plan, stale.as_deref());
    let stop = Stop::default();
    let asked = stop.clone();
    let measure = move || {
        let mut ledger = Ledger::new(&plan, machine, command());
        if let Some(sentence) = stale {
            ledger.problem(sentence);
        }
        let launch = |step: &Step| watched(step, || children.launch(step, &asked));
        cost::run(&plan, ledger, launch, &asked, &Display::on_stderr())
    };
    let (report, interrupted) = runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        beside(measure, stop, &mut interrupt).await
    })?;
    if report.rows.iter().all(|row| row.counted.is_none()) && !interrupted {
        return Err(Failure::failed("no pair of runs finished; the reasons stand above"));
    }
    publish(&report, args.bench.json)?;
    if interrupted {
        return Ok(ExitCode::from(EXIT_CODE));
    }
    keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

/// A run, with a sidecar beside it if its arm has one.
fn watched<T>(step: &Step, run: impl FnOnce() -> Result<T, Ended>) -> Result<T, Ended> {
    if step.arm != Arm::Scraped {
        return run();
    }
    let scraper = Scraper::start().map_err(Ended::Failed)?;
    let result = run()?;
    scraper.finish(step.subject.shape().seconds).map_err(Ended::Failed)?;
    Ok(result)
}

fn announce(plan: &Plan, stale: Option<&str>) {
    if cfg!(debug_assertions) {
        output::tell(
            "stormglass: this is a debug build, and its figures mean nothing: take `cargo build --release`",
        );
    }
    if let Some(sentence) = stale {
        output::tell(&format!("stormglass: {sentence}"));
    }
    let runs = plan.steps().len();
    let time = Duration::from_secs_f64(plan.seconds() + BESIDE * runs as f64);
    output::tell(&format!("stormglass: about {}: {runs} runs", span(time)));
}

fn publish(report: &Report, json: bool) -> Result<(), Failure> {
    if !json {
        return output::print(&cost::render(report, Colour::of(&std::io::stdout())));
    }
    let text = serde_json::to_string_pretty(report)
        .map_err(|e| Failure::failed(format!("the report cannot be written as JSON: {e}")))?;
    output::print(&(text + "\n"))
}

/// Where every sidecar of this user finds it, from its next look on.
fn keep(report: &Report) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let Some(kept) = report.kept(now) else { return Ok(()) };
    let directory = Directory::from_env();
    let path = directory.cost_path();
    serde_json::to_string(&kept)
        .map_err(std::io::Error::from)
        .and_then(|json| directory.keep_cost(&json))
        .map_err(|e| {
            Failure::failed(format!("the result cannot be kept in {} for the page: {e}", path.display()))
        })?;
    output::tell(&format!("stormglass: kept for the page and /metrics in {}", path.display()));
    Ok(())
}

/// `stormglass serve-beside`: a sidecar for as long as its parent lives.
///
/// # Errors
/// As [`serve::serve`].
pub(crate) fn serve_beside(args: &ServeArgs) -> Result<ExitCode, Failure> {
    // Where the kernel refuses, a parent that is killed leaves a sidecar, which the next interrupt ends.
    let _ = stormglass_bench::end_with_parent();
    serve::serve(args)
}

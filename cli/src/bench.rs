//! `stormglass bench`: the numbers, without a page beside them.

use std::process::ExitCode;

use stormglass_bench::Plan;

use crate::args::BenchAloneArgs;
use crate::failure::Failure;
use crate::interrupt::{EXIT_CODE, Interrupt, runtime};
use crate::{benchmark, output, shared_memory};

/// Runs the benchmark and prints its report; after an interrupt, that of the finished runs.
///
/// # Errors
/// If the plan is impossible, there is no shared memory, or no run finished.
pub(crate) fn bench(args: &BenchAloneArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::new(&args.bench.wishes()).map_err(Failure::impossible)?;
    shared_memory::check()?;
    let outcome = runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        benchmark::run(plan, args.perf, Box::new(|_| {}), &mut interrupt).await
    })?;
    output::print_report(&outcome.report, args.bench.json)?;
    Ok(if outcome.interrupted { ExitCode::from(EXIT_CODE) } else { ExitCode::SUCCESS })
}

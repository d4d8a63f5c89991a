//! `stormglass watch`: the sidecar, the benchmark beside it, and then time to look.
//!
//! The sidecar shares the machine with what it shows. It costs every design the same, and `stormglass bench` does
//! without it.

use std::fmt::Write as _;
use std::process::ExitCode;

use stormglass_bench::Plan;
use stormglass_dashboard::Told;

use crate::args::WatchArgs;
use crate::failure::Failure;
use crate::interrupt::{EXIT_CODE, Interrupt, runtime};
use crate::{benchmark, output, serve, shared_memory};

/// Serves, runs, prints, and stays until an interrupt (or ends at once with `--once`).
///
/// # Errors
/// If the plan is impossible, there is no shared memory, the address cannot be listened on, or no run finished.
pub(crate) fn watch(args: &WatchArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::new(&args.bench.wishes()).map_err(Failure::impossible)?;
    shared_memory::check()?;
    runtime()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let sidecar = serve::bind(&args.sidecar).await?;
        let address = serve::address_line(&sidecar);
        if args.bench.json {
            output::tell(address.trim_end());
        } else {
            output::print(&address)?;
        }
        let verdicts = sidecar.verdicts();
        let results = sidecar.results();
        let publish =
            Box::new(move |report: &stormglass_bench::Report| match serde_json::to_value(report.brief()) {
                Ok(report) => results.publish(report),
                Err(error) => tracing::warn!("the report cannot be shown on the page: {error}"),
            });
        serve::beside(sidecar, async {
            let outcome = benchmark::run(plan, args.sidecar.perf, publish, &mut interrupt).await?;
            output::print_report(&outcome.report, args.bench.json)?;
            if !args.bench.json {
                output::print(&told(&verdicts.told()))?;
            }
            if outcome.interrupted {
                return Ok(ExitCode::from(EXIT_CODE));
            }
            if !args.once {
                output::tell(&format!("{}; end with Ctrl-C", address.trim_end()));
                interrupt.next().await;
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    })
}

/// What was found wrong while it ran, a line each, and where it is explained; nothing if nothing was.
fn told(all: &[Told]) -> String {
    let mut text = String::new();
    for told in all {
        if text.is_empty() {
            text.push_str(
                "\nVerdicts, as they turned on during the runs (docs/VERDICTS.md says what to try):\n",
            );
        }
        let times = if told.raised == 1 { String::new() } else { format!(", {} times", told.raised) };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {}, {}{times}: {}", told.strategy, told.workload, told.finding);
    }
    text
}

#[cfg(test)]
mod tests {
    use stormglass_telemetry::diagnosis::{Finding, LockConvoy, Place, Verdict};

    use super::*;

    #[test]
    fn what_was_found_is_a_line_a_place() {
        assert_eq!(told(&[]), "", "nothing wrong, nothing said");
        let evidence =
            LockConvoy { contended_share: 0.46, contended_per_second: 1.2e6, wait_ratio: 0.72 }.into();
        let place = Place { class: Some("8192".to_owned()), shard: Some("3".to_owned()) };
        let convoy = Told {
            command: "stormglass".to_owned(),
            strategy: "mutex".to_owned(),
            workload: "storm 2T".to_owned(),
            on: 0,
            raised: 5,
            finding: Finding { verdict: Verdict::LockConvoy, place, since: 0, evidence, injected: true },
        };
        let text = told(&[Told { raised: 1, ..convoy.clone() }, convoy]);
        let line = "Lock convoy, class 8192 shard 3: 46% of the acquisitions of its lock wait, 1.2M a second, for 0.72 s of each \
                    second over all threads (a delay is injected)";
        assert!(
            text.ends_with(&format!("  mutex, storm 2T: {line}\n  mutex, storm 2T, 5 times: {line}\n")),
            "{text}"
        );
    }
}

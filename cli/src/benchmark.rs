//! A benchmark on a thread of its own, beside whatever else the runtime does.
//!
//! Invariants: an interrupt ends the run in progress and keeps the finished ones; a second interrupt ends the program. When
//! nobody waits for the benchmark any more, it ends.

use clap::Args as _;
use stormglass_bench::{Children, Display, Ledger, Machine, Observer, Plan, Report, Stop};

use crate::failure::Failure;
use crate::interrupt::{EXIT_CODE, Interrupt};
use crate::output;
use crate::serve::ServeArgs;

/// Called with each version of the growing report.
pub(crate) type Publish = Box<dyn FnMut(&Report) + Send>;

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    pub(crate) interrupted: bool,
}

/// Runs the plan; with `perf`, slow paths are sampled by the processor's counters.
///
/// # Errors
/// If this program cannot be started again, or no run finished.
pub(crate) async fn run(
    plan: Plan,
    perf: bool,
    publish: Publish,
    interrupt: &mut Interrupt,
) -> Result<Outcome, Failure> {
    let mut children = Children::of_this_program()
        .map_err(|e| Failure::failed(format!("this program cannot find itself to start its runs: {e}")))?;
    if perf {
        children = children.with_perf();
        if let Some(why) = stormglass_telemetry::perf::why_not_inside() {
            output::tell(&format!(
                "stormglass: slow paths are not counted by the processor's counters: {why}"
            ));
        }
    }
    let stop = Stop::default();
    let asked = stop.clone();
    let measure = move || {
        let mut observer = Screen { display: Display::on_stderr(), publish };
        let ledger = Ledger::new(&plan, Machine::this(), command());
        stormglass_bench::run(&plan, ledger, &mut children, &asked, &mut observer)
    };
    let (report, interrupted) = beside(measure, stop, interrupt).await?;
    if report.tables.is_empty() && !interrupted {
        return Err(Failure::failed("no run finished; the reasons stand above"));
    }
    Ok(Outcome { report, interrupted })
}

/// Works on a thread of its own and returns what came of it, and whether an interrupt asked it to stop.
///
/// # Errors
/// If the work panicked.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    stop: Stop,
    interrupt: &mut Interrupt,
) -> Result<(T, bool), Failure> {
    let stop = AskedAtLast(stop);
    let mut task = tokio::task::spawn_blocking(work);
    let mut interrupted = false;
    let ended = loop {
        tokio::select! {
            ended = &mut task => break ended,
            () = interrupt.next() => {
                if interrupted {
                    std::process::exit(i32::from(EXIT_CODE));
                }
                interrupted = true;
                stop.0.ask();
            }
        }
    };
    let done = ended.map_err(|e| Failure::failed(format!("the benchmark ended in a bug: {e}")))?;
    Ok((done, interrupted))
}

/// Asks the runner to end when it is dropped: if the sidecar fails, the runtime would wait for the whole benchmark.
struct AskedAtLast(Stop);

impl Drop for AskedAtLast {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// What the user typed, of what makes the figures what they are: the report is served, and who may ask for it, and by which files, is
/// nobody's business.
pub(crate) fn command() -> String {
    let rest = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    without_serving(std::iter::once("stormglass".to_owned()).chain(rest)).join(" ")
}

/// Leaves out the options that say how and to whom is served.
fn without_serving(words: impl Iterator<Item = String>) -> Vec<String> {
    let serving = ServeArgs::augment_args(clap::Command::new("serve"));
    let option = |word: &str| {
        let (name, value) =
            word.strip_prefix("--")?.split_once('=').map_or((&word[2..], None), |(n, v)| (n, Some(v)));
        // Counting events slows what is measured.
        let arg = serving.get_arguments().find(|arg| arg.get_long() == Some(name) && name != "perf")?;
        Some(arg.get_action().takes_values() && value.is_none())
    };
    let mut words = words;
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match option(&word) {
            None => kept.push(word),
            Some(true) => drop(words.next()),
            Some(false) => {}
        }
    }
    kept
}

/// Shows progress here and hands the report on.
struct Screen {
    display: Display,
    publish: Publish,
}

impl Observer for Screen {
    fn report(&mut self, report: &Report) {
        self.display.report(report);
        (self.publish)(report);
    }

    fn problem(&mut self, sentence: &str) {
        self.display.problem(sentence);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use stormglass_bench::Wishes;
    use tokio::sync::Notify;

    use super::*;
    use crate::interrupt::runtime;

    #[test]
    fn the_report_does_not_say_how_it_is_served() {
        let typed = "stormglass watch --listen 0.0.0.0:7070 --expose --token-file=/tmp/secret --tls-key /k --perf --workload storm \
                     --threads 2 --max-series 7 --all-users --seconds=1";
        let words = typed.split_whitespace().map(str::to_owned);
        let shown = without_serving(words).join(" ");
        assert_eq!(shown, "stormglass watch --perf --workload storm --threads 2 --seconds=1");
    }

    /// Every run fails here, for the children are this test program; how many begin is what counts.
    #[test]
    fn a_benchmark_that_nobody_waits_for_ends() {
        let plan = Plan::new(&Wishes { rounds: Some(20), ..Wishes::default() }).expect("a plan");
        let steps = plan.steps().len();
        let (begun, first) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let publish = {
            let (begun, first) = (Arc::clone(&begun), Arc::clone(&first));
            Box::new(move |_: &Report| {
                begun.fetch_add(1, Ordering::Relaxed);
                first.notify_one();
            })
        };
        let Ok(runtime) = runtime() else { panic!("a runtime") };
        runtime.block_on(async {
            let Ok(mut interrupt) = Interrupt::listen() else { panic!("signals are heard") };
            tokio::select! {
                _ = run(plan, false, publish, &mut interrupt) => panic!("it cannot be over"),
                () = first.notified() => {}
            }
        });
        drop(runtime);
        let begun = begun.load(Ordering::Relaxed);
        assert!(begun < steps / 2, "{begun} of {steps} runs were begun");
    }
}

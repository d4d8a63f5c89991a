//! `stormglass`: the command line.
//!
//! Arguments and wiring, nothing else. Invariant: whatever a user can get wrong ends in one sentence on standard
//! error and exit code 2 (asked for something impossible) or 1 (something failed), never in a panic.

mod args;
mod bench;
mod benchmark;
mod check;
mod compare;
mod cost;
mod doctor;
mod environment;
mod failure;
mod folder;
mod help;
mod interrupt;
mod measure;
mod output;
mod record;
mod replay;
mod report;
mod run;
mod serve;
mod shape;
mod shared_memory;
mod shell;
mod sidecar;
mod synthesize;
mod top;
mod watch;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{Args, Command};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let command = environment::with_twins_beside(help::with_examples(Args::command()), &words);
    let matches = command.get_matches_from(words);
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    log(&args);
    let result = match args.command {
        None => watch::watch(&args.watch),
        Some(Command::Watch(watch)) => watch::watch(&watch),
        Some(Command::Bench(bench)) => bench::bench(&bench),
        Some(Command::Report(report)) => report::report(&report),
        Some(Command::Compare(compare)) => compare::compare(&compare),
        Some(Command::Run(run)) => run::run(&run),
        Some(Command::Check(check)) => check::check(&check),
        Some(Command::Top(top)) => top::top(&top),
        Some(Command::Doctor(args)) => doctor::doctor(&args),
        Some(Command::Completions(args)) => shell::completions(&args),
        Some(Command::Man(args)) => shell::man(&args),
        Some(Command::Serve(serve)) => serve::serve(&serve),
        Some(Command::ServeBeside(serve)) => cost::serve_beside(&serve),
        Some(Command::Record(record)) => record::record(&record),
        Some(Command::Replay(replay)) => replay::replay(&replay),
        Some(Command::Measure(measure)) => measure::measure(&measure),
        Some(Command::Synthesize(synthesize)) => synthesize::synthesize(&synthesize),
        Some(Command::MeasureMalloc(measure)) => compare::measure(&measure),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Logs go to standard error; `RUST_LOG` says how many, by default warnings. Verdicts are among them where standard error is
/// nobody else's: a program that is run owns it, a benchmark draws its progress there, and both tell of them in the end.
fn log(args: &Args) {
    if matches!(args.command, Some(Command::Top(_))) && std::io::stderr().is_terminal() {
        // It would be drawn over what top draws.
        return;
    }
    let filter = match args.command {
        Some(Command::Serve(_)) => "warn",
        _ => "warn,stormglass::verdict=off",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| filter.into());
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Fails only if a logger is there already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .try_init();
}

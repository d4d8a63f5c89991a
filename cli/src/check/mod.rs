//! `stormglass check`: assertions about what processes count, for CI.
//!
//! A [`source`](Source) shows processes to the [`evidence`], [`evaluate`] holds the [`expression`]s against it, [`output`] says what came
//! of it. Invariant: the exit code tells what happened: 0 all hold, 1 an assertion does not hold or has no data, 2 the
//! command line or an assertion makes no sense, 3 what was to be looked at broke, or has not the hardware counters that an assertion
//! takes, so that nothing is known.

mod evaluate;
mod evidence;
mod expression;
mod list;
mod missing;
mod output;
mod selection;
mod source;
#[cfg(test)]
mod tests;
mod verdicts;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args as Group, Parser as _};
use stormglass_bench::table::Colour;
use stormglass_telemetry::Directory;

use crate::args::{Args, span};
use crate::failure::Failure;
use crate::output as screen;
use crate::sidecar::SidecarArgs;
use evidence::{Evidence, Since};
pub(crate) use expression::Assertion;
use output::Checked;
use source::Source;

/// A second: what the windows of `min`, `max` and `avg` are.
const WINDOW: Duration = Duration::from_secs(1);
/// An assertion does not hold.
const FAILED: u8 = 1;
/// What was to be looked at broke, or cannot be told here.
const BROKEN: u8 = 3;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stormglass check 'no verdict' -- bench --workload larson
                                                 run the benchmark; its processes must raise no verdict
  stormglass check 'max(cas_failures_per_batch) < 0.5' 'ring_hit_ratio{class=\"8192\"} > 95%' -- bench --workload storm
  stormglass check 'no retry_storm' 'p99(lock_wait_seconds) < 1ms' -- ./my-tests --quick
                                                 any program under the allocator
  stormglass check --url 127.0.0.1:7070 --for 30s 'no verdict'
                                                 a sidecar that serves already, for half a minute
  stormglass check --url https://build-7:7070 --ca ca.pem --token-file token --for 30s 'no verdict'
                                                 the same on another machine, over TLS
  stormglass check --recording storm.sgrec 'retry_storm{class=\"8192\"}'
                                                 a recording; this one must have the storm in it
  stormglass check --for 10s 'max(live_bytes) < 512MiB' 'lock_contended_ratio{strategy=\"mutex\"} < 20%'
                                                 this user's processes, as they run
  stormglass check 'max(cache_misses_per_slow_path) < 40' -- ./my-tests
                                                 by the processor's counters, which it turns on; exit code 3 where there are none
  stormglass check --junit check.xml --json 'no verdict' -- bench --seconds 0.5
  stormglass check --list                        everything that an assertion may name

Assertions:
  no verdict, no NAME                 that no verdict, or not this one, was raised; NAME alone: that it was
  VALUE < VALUE                       also <=, >, >=, ==, !=; with + - * / and parentheses
  figure                              for each process, over the whole span, all classes and shards together;
                                      the assertion must hold for every process
  figure{class=\"8192\",shard!=\"3\"}     of these alone; also op, command, strategy, workload, injected, pid
  max(figure), min(...), avg(...)     over each second of each class and shard of each process
  sum(counter)                        over all of them
  counter, rate(counter)              what was counted in the span; the same for each second
  p50, p90, p99, p999(histogram)      for each process, the bound at or below which so many values lie
  8192, 0.5, 95%, 2us, 64MiB, 10k/s   numbers; with a unit, they are compared only with what is counted in it

Exit codes:
  0  all assertions hold
  1  an assertion does not hold, or there is no data for it
  2  the command line or an assertion makes no sense; nothing was run
  3  the program, the sidecar or the file that was to be looked at broke, or an assertion takes hardware counters that no
     process has, and no other failed";

/// What to check, and how to say what came of it.
#[derive(Debug, Group)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct CheckArgs {
    /// What must hold, an assertion an argument
    #[arg(value_name = "ASSERTION", required_unless_present = "list")]
    assertions: Vec<String>,
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// Look at a recording, as `stormglass record` or the page has made it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "command"])]
    recording: Option<PathBuf>,
    /// How long to look, such as 30s or 2m
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = span, conflicts_with_all = ["command", "recording"])]
    span: Duration,
    /// How long to wait until there is a process, or a sidecar, to look at
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    wait: Duration,
    /// Take each process from its birth, and also those that have ended
    #[arg(long, conflicts_with = "url")]
    lifetime: bool,
    /// A share of fewer events than these is no data
    #[arg(long, value_name = "EVENTS", default_value = "100")]
    least: u64,
    /// Print every figure, metric and verdict that an assertion may name
    #[arg(long, conflicts_with_all = ["url", "command", "assertions"])]
    list: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Also write JUnit's XML here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also print GitHub's annotations [default: where GITHUB_ACTIONS is set]
    #[arg(long)]
    github: bool,
    /// Run this and look at its processes: `bench` and its options, or a program under the allocator
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "url")]
    command: Vec<OsString>,
}

impl CheckArgs {
    fn source(&self, assertions: &[Assertion]) -> Result<Box<dyn Source>, Failure> {
        let events = assertions.iter().any(Assertion::takes_events);
        if !self.command.is_empty() {
            let perf = assertions.iter().any(Assertion::takes_samples);
            return Ok(Box::new(source::Command::new(self.command.clone(), perf, events)));
        }
        if let Some(file) = &self.recording {
            return Ok(Box::new(source::Recording(file.clone())));
        }
        let (span, wait) = (self.span, self.wait);
        Ok(match self.sidecar.sidecar()? {
            Some(sidecar) => Box::new(source::Scrape { sidecar, span, wait }),
            None => Box::new(source::Segments { directory: Directory::from_env(), span, wait, events }),
        })
    }
}

/// Looks, judges and says what came of it.
///
/// # Errors
/// If an assertion makes no sense, or what was to be looked at broke.
pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    if args.list {
        screen::print(&if args.json { list::json() } else { list::text(Colour::of(&std::io::stdout())) })?;
        return Ok(ExitCode::SUCCESS);
    }
    let assertions = understood(&args.assertions)?;
    if args.command.first().is_some_and(|word| word == source::BENCH) {
        // What makes no sense is known before it is run, and is no broken run.
        let words = std::iter::once("stormglass".into()).chain(args.command.iter().cloned());
        if let Err(error) = Args::try_parse_from(words) {
            error.exit();
        }
    }
    if let Some(path) = &args.junit {
        // Before anything runs: who wants the file should not wait for nothing.
        write(path, "")?;
    }
    let source = args.source(&assertions)?;
    let name = source.name();
    let since = if args.lifetime { Since::Birth } else { Since::FirstLook };
    let started = Instant::now();
    let mut evidence = Evidence::new(since, WINDOW);
    let looked = source.look(&mut evidence);
    let seen = evidence.finish();
    let judged = |assertion| match &looked {
        Ok(()) => evaluate::judge(assertion, &seen, args.least),
        Err(why) => evaluate::unknown(assertion, why),
    };
    let checked = Checked {
        source: name,
        processes: seen.tracks.len(),
        seconds: started.elapsed().as_secs_f64(),
        outcomes: assertions.iter().map(judged).collect(),
    };
    say(args, &checked)?;
    looked.map_err(|why| Failure::with_code(why, BROKEN))?;
    Ok(if checked.holds() {
        ExitCode::SUCCESS
    } else if checked.is_known() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::from(BROKEN)
    })
}

/// The assertions, or all that is wrong with them.
fn understood(texts: &[String]) -> Result<Vec<Assertion>, Failure> {
    let (mut assertions, mut mistakes) = (Vec::new(), Vec::new());
    for text in texts {
        match Assertion::parse(text) {
            Ok(assertion) => assertions.push(assertion),
            Err(mistake) => mistakes.push(mistake.to_string()),
        }
    }
    if mistakes.is_empty() { Ok(assertions) } else { Err(Failure::impossible(mistakes.join("\n"))) }
}

fn say(args: &CheckArgs, checked: &Checked) -> Result<(), Failure> {
    let text = if args.json {
        format!("{:#}\n", output::json(checked))
    } else {
        output::table(checked, Colour::of(&std::io::stdout()))
    };
    screen::print(&text)?;
    if let Some(path) = &args.junit {
        write(path, &output::junit(checked))?;
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if args.github || set("GITHUB_ACTIONS").is_some() {
        // The runner reads both streams; JSON stays alone on standard output.
        let annotations = output::annotations(checked);
        if args.json {
            screen::tell(annotations.trim_end());
        } else {
            screen::print(&annotations)?;
        }
        if let Some(path) = set("GITHUB_STEP_SUMMARY") {
            let file = OpenOptions::new().append(true).create(true).open(&path);
            file.and_then(|mut file| file.write_all(output::summary(checked).as_bytes()))
                .map_err(|e| cannot_write(Path::new(&path), &e))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| cannot_write(path, &e))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::with_code(format!("{} cannot be written: {error}", path.display()), BROKEN)
}

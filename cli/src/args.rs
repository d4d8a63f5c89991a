//! The arguments.
//!
//! Invariant: an option has the same name and meaning wherever it stands, and its limits are checked where its values
//! are used (`Plan::new`, `Shape::check`), not here.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args as Group, Parser, Subcommand};
use stormglass_allocator::{Injection, StrategyId, UnknownStrategy};
use stormglass_bench::analysis::ReportWishes;
use stormglass_bench::cost::{self, What};
use stormglass_bench::workload::{self, Workload};
use stormglass_bench::{Request, Wishes};

use crate::check::{self, CheckArgs};
use crate::compare::{CompareArgs, MeasureMallocArgs};
use crate::cost::CostArgs;
use crate::doctor::{self, DoctorArgs};
use crate::record::RecordArgs;
use crate::replay::ReplayArgs;
use crate::serve::{ExposureArgs, ServeArgs};
use crate::shape::{ShapeArgs, SizeArgs};
use crate::shell::{self, CompletionsArgs, ManArgs};
use crate::top::{self, TopArgs};

pub(crate) const EXAMPLES: &str = "\
Examples:
  stormglass                                     watch the three designs fight over one shard
  stormglass --once                              the same, and end when the table is there
  stormglass bench --workload storm --threads 4  only the numbers, without the page beside it
  stormglass bench --designs mutex,depot --rounds 9 --json > report.json
  stormglass bench --designs all --workload storm
  stormglass bench --workload storm --inject class=8192,shard=3,delay=500ns
                                                 what more cores would do: a delay before every CAS of the shard
  stormglass bench --full                        the paper's lengths: 10 s a run, larson with 1 and 4 threads
  stormglass bench --cost                        what counting costs, against a build without counters
  stormglass report                              the paper's claims, judged: a page, Markdown and JSON
  stormglass report --quick -o /tmp/report       the same in about a minute and a half, coarse
  stormglass report --from report.json           the page and the Markdown again, from its figures
  stormglass compare                             the library beside other allocators that are installed
  stormglass compare --workload larson,churn --threads 2 --allocators stormglass,tcmalloc,limit
  stormglass compare --baseline tcmalloc --library mimalloc3=/usr/local/lib/libmimalloc.so.3 -o compare
  stormglass compare --full --designs all -o compare
                                                 throughput against threads, of allocators and designs, as a chart
  stormglass compare --workload web --with compare/compare.json -o compare
                                                 one workload again, the others from that report
  stormglass watch --designs mutex,depot         two of the designs; `watch` may be left out
  stormglass top                                 what is hot, on a terminal
  stormglass check 'no verdict' -- bench --workload larson
                                                 for CI: exit code 1 if a verdict was raised
  stormglass doctor                              what works on this machine, and how to mend the rest
  stormglass serve --listen 127.0.0.1:9000       only the page and /metrics
  stormglass serve --listen 0.0.0.0:7070 --expose --token-file token --tls-cert cert.pem --tls-key key.pem
                                                 for other machines: who knows the token may read
  stormglass run -- redis-server --port 7000     any program under the allocator, watched
  stormglass run --check --no-page -- ./program  the same, to find its misuse of memory
  stormglass run --perf -- ./program             the same, its slow paths sampled by the processor's counters
  stormglass record -o storm.sgrec --for 60s     a minute of every process, to attach to a report
  stormglass record -o then.sgrec --url https://build-7:7070 --ca ca.pem --token-file token --last 5m
                                                 what another machine's sidecar has seen: five minutes until now
  stormglass replay storm.sgrec --speed 4        the page of that minute; --summary prints numbers instead

Exit codes:
  0    done; of `run`, its program's own
  1    something failed
  2    the command line makes no sense, or asks for something impossible
  130  ended by Ctrl-C
  `check`, `doctor` and `run` say more by theirs: see their help

Environment:
  STORMGLASS_DIR  where segments lie (default: /dev/shm/stormglass-<user id>); must be on a tmpfs
  STORMGLASS_LIBRARY
                  the library that `run` preloads (default: libstormglass.so beside this program or in ../lib)
  STORMGLASS_PERF
                  1: a program under the allocator samples its slow paths by the processor's counters, where there are some;
                  for `serve`, `watch`, `run` and `bench` the same as --perf
  RUST_LOG        how much is logged to standard error (default: warn); stormglass::verdict=info for what turns on and off
  NO_COLOR        no colour in tables and in top
  STORMGLASS_...  most options have a variable of their name, which the help of each command names";

/// The designs and what each does, from the one list that there is.
fn after_help() -> String {
    let lines = StrategyId::ALL.iter().map(|design| format!("\n  {:16} {}", design.name(), design.about()));
    format!("{EXAMPLES}\n\nDesigns:{}", lines.collect::<String>())
}

fn designs_help() -> String {
    let names = |designs: &[StrategyId]| designs.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
    let (all, tried) = (names(StrategyId::ALL), names(StrategyId::PAPER_TRIED));
    format!("Only these designs, or all: {all} [default: {tried}]")
}

/// What `--designs` takes, of `bench` and `compare`: names of designs, or all at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Designs {
    All,
    One(StrategyId),
}

impl Designs {
    pub(crate) fn ids(words: &[Designs]) -> Vec<StrategyId> {
        let ids = words.iter().flat_map(|word| match word {
            Designs::All => StrategyId::ALL,
            Designs::One(design) => core::slice::from_ref(design),
        });
        ids.copied().collect()
    }
}

impl FromStr for Designs {
    type Err = UnknownStrategy;

    fn from_str(word: &str) -> Result<Designs, UnknownStrategy> {
        if word == "all" { Ok(Designs::All) } else { word.parse().map(Designs::One) }
    }
}

/// An allocator that can be watched: real retries of its free-list designs, live.
#[derive(Debug, Parser)]
#[command(version, after_help = after_help(), args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the page, run the benchmark beside it, and stay to be looked at (what `stormglass` alone does)
    Watch(WatchArgs),
    /// Run the benchmark and print its table
    Bench(BenchAloneArgs),
    /// Judge the paper's claims by what was counted, and write that down as a page, as Markdown and as JSON
    Report(ReportArgs),
    /// Measure the library that is preloaded beside other allocators
    Compare(CompareArgs),
    /// Watch processes on a terminal: the grid of classes and shards, time lines, verdicts
    #[command(after_help = top::EXAMPLES)]
    Top(TopArgs),
    /// Hold assertions against what processes count, for CI
    #[command(after_help = check::EXAMPLES)]
    Check(CheckArgs),
    /// Serve the page and /metrics for this user's processes
    Serve(ServeArgs),
    /// Say what works on this machine, and how to mend the rest
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(DoctorArgs),
    /// Run a program under the allocator, with its page beside it and a summary at its end
    Run(RunArgs),
    /// Record what processes do into a file, to be looked at later or elsewhere
    Record(RecordArgs),
    /// Show a recording: the same page as live, with a time to move about in
    Replay(ReplayArgs),
    /// Print completions for a shell
    #[command(after_help = shell::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Write man pages, one a command
    #[command(after_help = shell::MAN_EXAMPLES)]
    Man(ManArgs),
    /// One measurement in this process, as a line of JSON
    #[command(hide = true)]
    Measure(MeasureArgs),
    /// One run of `compare` in this process, as a line of JSON
    #[command(hide = true)]
    MeasureMalloc(MeasureMallocArgs),
    /// A sidecar that ends with the process that started it
    #[command(hide = true)]
    ServeBeside(ServeArgs),
    /// Segments of processes that are not there, until an interrupt
    #[command(hide = true)]
    Synthesize(SynthesizeArgs),
}

#[derive(Debug, Group)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) sidecar: ServeArgs,
    /// End when the benchmark is over
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) bench: BenchArgs,
}

#[derive(Debug, Group)]
pub(crate) struct BenchArgs {
    /// Only these workloads: storm, larson
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = workload::named)]
    workload: Vec<&'static dyn Workload>,
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help = designs_help())]
    designs: Vec<Designs>,
    /// Threads of each workload [default: storm as many as cores, at least 2; larson 4]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Length of one run [default: 0.8]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Runs of each design [default: 5]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The paper's lengths: 10 s a run, larson with 1 and 4 threads
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    size: SizeArgs,
    /// Delay every CAS and every lock of these shards, to show what more cores would do: class=8192,shard=3,delay=500ns;
    /// `*` or nothing is all classes or shards; marked in every view
    #[arg(long, value_name = "WHERE")]
    inject: Option<Injection>,
    /// Print the report as JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Group)]
pub(crate) struct BenchAloneArgs {
    #[command(flatten)]
    pub(crate) bench: BenchArgs,
    /// Sample the slow paths by the processor's counters (STORMGLASS_PERF=1): cycles, instructions and cache misses by class and shard
    #[arg(long)]
    pub(crate) perf: bool,
    #[command(flatten)]
    pub(crate) cost: CostArgs,
}

impl BenchArgs {
    /// What of it `--cost` goes by.
    pub(crate) fn cost_wishes(&self, what: What, quick: bool) -> cost::Wishes {
        cost::Wishes {
            what,
            workloads: self.workload.clone(),
            designs: Designs::ids(&self.designs),
            threads: self.threads,
            seconds: self.seconds,
            rounds: self.rounds,
            quick,
        }
    }

    pub(crate) fn wishes(&self) -> Wishes {
        Wishes {
            workloads: self.workload.clone(),
            designs: Designs::ids(&self.designs),
            threads: self.threads,
            seconds: self.seconds,
            rounds: self.rounds,
            size: self.size.wishes(),
            full: self.full,
            inject: self.inject,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct ReportArgs {
    /// Where report.html, report.md and report.json are written; those of an earlier report are replaced
    #[arg(short, long, value_name = "DIR", default_value = "stormglass-report")]
    pub(crate) output: PathBuf,
    /// Only these designs; a claim about another one cannot be told [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    designs: Vec<Designs>,
    /// Numbers of threads, such as 1,2,4; storm takes those from 2 [default: the paper's and up to four times the cores]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Length of one run [default: 0.8, quick 0.3]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Runs of each design; a verdict takes at least 5 [default: 6, quick 5]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// A coarse report in about a minute and a half: short runs, the paper's numbers of threads
    #[arg(long)]
    pub(crate) quick: bool,
    /// Leave out the cache misses that valgrind's cachegrind simulates in a shortened run, which take some ten seconds more
    #[arg(long)]
    pub(crate) no_simulation: bool,
    /// Write the page and the Markdown again from a report.json; nothing is run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["designs", "threads", "seconds", "rounds", "quick", "no_simulation"])]
    pub(crate) from: Option<PathBuf>,
}

impl ReportArgs {
    pub(crate) fn wishes(&self) -> ReportWishes {
        ReportWishes {
            designs: Designs::ids(&self.designs),
            threads: self.threads.clone(),
            seconds: self.seconds,
            rounds: self.rounds,
            quick: self.quick,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct RunArgs {
    /// Design of the mid pool, 2 to 32 KiB [default: page, for all sizes]
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<StrategyId>,
    /// Find misuse of memory: writes past a block, use after free, double free (STORMGLASS_CHECK=1); slow
    #[arg(long)]
    pub(crate) check: bool,
    /// Sample the slow paths by the processor's counters (STORMGLASS_PERF=1), and count what processor and kernel count of the
    /// program, as `serve --perf` does; what is not counted says why
    #[arg(long)]
    pub(crate) perf: bool,
    /// Address and port of the page [default: 127.0.0.1:7070, or any free port]
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "no_page")]
    pub(crate) listen: Option<SocketAddr>,
    /// No page: only the summary; with --perf only the slow paths are sampled then
    #[arg(long)]
    pub(crate) no_page: bool,
    #[command(flatten)]
    pub(crate) exposure: ExposureArgs,
    /// The program and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Group)]
pub(crate) struct SynthesizeArgs {
    /// Segments of the living
    #[arg(long, default_value_t = 100)]
    pub(crate) processes: usize,
    /// Threads of each
    #[arg(long, default_value_t = 64)]
    pub(crate) threads: usize,
    /// Threads of each that go on counting
    #[arg(long, default_value_t = 2)]
    pub(crate) active: usize,
    /// Segments of processes that have ended
    #[arg(long, default_value_t = 0)]
    pub(crate) dead: usize,
    /// Different command names; 0 leaves them this program's
    #[arg(long, default_value_t = 0)]
    pub(crate) commands: usize,
}

#[derive(Debug, Group)]
pub(crate) struct MeasureArgs {
    #[arg(long, value_parser = workload::named)]
    workload: &'static dyn Workload,
    #[arg(long)]
    design: StrategyId,
    #[command(flatten)]
    shape: ShapeArgs,
    #[arg(long)]
    inject: Option<Injection>,
}

impl MeasureArgs {
    pub(crate) fn request(&self) -> Request {
        Request {
            workload: self.workload,
            design: self.design,
            shape: self.shape.shape(),
            inject: self.inject,
        }
    }
}

/// A span of time: a number and `s` (which may be left out), `m` or `h`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => return Err(format!("`{other}` is no unit of time: take s, m or h")),
    };
    let count: u64 = digits.parse().map_err(|_| "it takes a number and a unit, such as 10m".to_owned())?;
    count
        .checked_mul(unit)
        .map(Duration::from_secs)
        .ok_or_else(|| "that is longer than time itself".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use stormglass_bench::Shape;

    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["stormglass"], args].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_the_runner_says_the_child_understands() {
        let workload = workload::named("larson").expect("listed");
        let shape = Shape {
            seconds: 0.1 + 0.2,
            seed: u64::MAX,
            rounds: 0,
            threads: 3,
            min: 7,
            max: 9,
            ..workload.shape()
        };
        let inject = Some("class=8192,delay=500ns".parse().expect("an injection"));
        let request = Request { workload, design: StrategyId::LockfreeSingle, shape, inject };
        let words = stormglass_bench::arguments(&request);
        let args = ["stormglass".into(), "measure".into()].into_iter().chain(words);
        let Ok(Args { command: Some(Command::Measure(measure)), .. }) = Args::try_parse_from(args) else {
            panic!("not understood");
        };
        let heard = measure.request();
        assert_eq!(
            (heard.to_string(), heard.shape, heard.inject),
            (request.to_string(), request.shape, request.inject)
        );
    }

    #[test]
    fn watch_is_the_default_and_takes_its_options_with_or_without_its_name() {
        let args = parse(&["--once", "--designs", "mutex,lockfree-walk"]).expect("good");
        assert!(args.command.is_none() && args.watch.once);
        assert_eq!(args.watch.bench.wishes().designs, [StrategyId::Mutex, StrategyId::LockfreeWalk]);
        let args = parse(&["watch", "--once", "--rounds", "2"]).expect("good");
        assert!(matches!(args.command, Some(Command::Watch(w)) if w.once && w.bench.rounds == Some(2)));
        assert!(parse(&["--once", "bench"]).is_err(), "whose option would it be?");
    }

    #[test]
    fn all_is_every_design_and_none_is_left_to_the_plan() {
        let designs = |args: &[&str]| parse(args).expect("good").watch.bench.wishes().designs;
        assert_eq!(designs(&["--designs", "all"]), StrategyId::ALL);
        assert_eq!(designs(&["--designs", "depot,all"])[..2], [StrategyId::Depot, StrategyId::Mutex]);
        assert!(designs(&[]).is_empty());
    }

    #[test]
    fn what_stands_behind_the_program_is_its_own() {
        for args in [
            &["run", "--check", "--", "prog", "--check", "-x"][..],
            &["run", "--check", "prog", "--check", "-x"],
        ] {
            let Ok(Args { command: Some(Command::Run(run)), .. }) = parse(args) else {
                panic!("not understood")
            };
            assert_eq!(run.program, ["prog", "--check", "-x"]);
            assert!(run.check && !run.no_page);
        }
        assert!(parse(&["run", "--check"]).is_err(), "which program?");
        assert!(parse(&["run", "--no-page", "--listen", "127.0.0.1:1", "x"]).is_err(), "which of the two?");
    }

    #[test]
    fn spans_have_units() {
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(span("2h"), Ok(Duration::from_hours(2)));
        for wrong in
            ["", "m", "-1s", "1d", "1.5h", "99999999999999999999s", "9999999999999999999h", "1 h", "1é"]
        {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_help_names_every_workload_and_design() {
        let mut command = Args::command();
        let help = command.render_long_help().to_string();
        for name in workload::ALL.iter().map(|w| w.name()).chain(StrategyId::ALL.iter().map(|d| d.name())) {
            assert!(help.contains(name), "{name} is not in the help");
        }
    }
}

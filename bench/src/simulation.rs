//! Cache misses, simulated: short storms under valgrind's cachegrind, for machines whose processor does not count them.
//!
//! A simulation is no measurement. It has one core's caches and runs the threads in turn, so it shows how many lines an allocation
//! touches, and nothing of lines that go back and forth between cores; every view says so. What a run does besides (its start,
//! its set-up, its check) is in a second, shorter run as well, and the difference of the two is what is shown.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stormglass_allocator::StrategyId;

use crate::child::{arguments, printed_by};
use crate::measure::Request;
use crate::measurement::Measurement;
use crate::runner::{Failure, Stop};
use crate::shape::Shape;
use crate::workload;

const WORKLOAD: &str = "storm";
const THREADS: usize = 2;
/// Lengths of the two runs in seconds; cachegrind makes a program some fifty times slower.
const LENGTHS: [f64; 2] = [0.1, 0.7];
/// How long a run may take before it counts as hung.
const LIMIT: Duration = Duration::from_mins(2);
/// The caches, the same on every machine: size, ways, bytes of a line.
const FIRST: &str = "32768,8,64";
const LAST: &str = "8388608,16,64";

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Simulated {
    /// It was run.
    Run(Simulation),
    /// It was not, and why.
    Not(String),
}

/// The designs under simulated caches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// The tool and its version, as it names itself.
    pub tool: String,
    /// What ran, in words.
    pub workload: String,
    /// The caches, in words.
    pub caches: String,
    /// One row for each design.
    pub rows: Vec<SimulatedRow>,
}

/// One design, for each allocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimulatedRow {
    /// Name of the design.
    pub design: String,
    /// Allocations that the figures are of.
    pub allocations: u64,
    /// Instructions.
    pub instructions: f64,
    /// Reads and writes that the first level did not have.
    pub first_level_misses: f64,
    /// Those that the last level did not have either.
    pub last_level_misses: f64,
}

/// Simulates those of the designs that the paper tried; not, where there is no valgrind.
pub fn simulate(designs: &[StrategyId], stop: &Stop) -> Simulated {
    let designs: Vec<StrategyId> =
        StrategyId::PAPER_TRIED.iter().copied().filter(|design| designs.contains(design)).collect();
    match tried(&designs, stop) {
        Ok(simulation) => Simulated::Run(simulation),
        Err(why) => Simulated::Not(why),
    }
}

fn tried(designs: &[StrategyId], stop: &Stop) -> Result<Simulation, String> {
    if designs.is_empty() {
        return Err("none of the designs that it is for was measured".to_owned());
    }
    let tool = tool()?;
    let program = std::env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
    let mut rows = Vec::new();
    for &design in designs {
        let [short, long] = LENGTHS.map(|seconds| one(&program, design, seconds, stop));
        rows.push(difference(design, &short?, &long?)?);
    }
    Ok(Simulation {
        tool,
        workload: format!("{WORKLOAD}, {THREADS} threads"),
        caches: "32 KiB, 8 ways, and 8 MiB, 16 ways, with lines of 64 bytes".to_owned(),
        rows,
    })
}

/// What valgrind says of itself.
fn tool() -> Result<String, String> {
    let said = Command::new("valgrind").arg("--version").stdin(Stdio::null()).output();
    match said {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => Err(format!("valgrind does not work: {}", output.status)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("valgrind is not installed".to_owned()),
        Err(error) => Err(format!("valgrind cannot be started: {error}")),
    }
}

/// What one run did, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Totals {
    allocations: u64,
    instructions: u64,
    first_level_misses: u64,
    last_level_misses: u64,
}

fn one(program: &PathBuf, design: StrategyId, seconds: f64, stop: &Stop) -> Result<Totals, String> {
    let workload = workload::named(WORKLOAD)?;
    let shape = Shape { threads: THREADS, seconds, ..workload.shape() };
    let request = Request { workload, design, shape, inject: None };
    let file = OutFile::new();
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=cachegrind", "--cache-sim=yes"])
        .args([format!("--I1={FIRST}"), format!("--D1={FIRST}"), format!("--LL={LAST}")])
        .arg(format!("--cachegrind-out-file={}", file.0.display()))
        .arg(program)
        .arg("measure")
        .args(arguments(&request));
    let printed = printed_by(&mut command, LIMIT, stop).map_err(|failure| match failure {
        Failure::Stopped => "it was interrupted".to_owned(),
        Failure::Failed(why) => format!("a run under valgrind failed: {why}"),
    })?;
    let allocations = Measurement::parse(&printed)?.ops;
    let text = std::fs::read_to_string(&file.0).map_err(|e| format!("cachegrind wrote nothing: {e}"))?;
    totals(&text, allocations).ok_or_else(|| "what cachegrind wrote cannot be read".to_owned())
}

/// A file of cachegrind's, which goes when it has been read.
struct OutFile(PathBuf);

impl OutFile {
    fn new() -> OutFile {
        OutFile(std::env::temp_dir().join(format!("stormglass-cachegrind-{}", std::process::id())))
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        // It is not there where the run failed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The sums at the end of cachegrind's file, by the names in its line `events`.
fn totals(text: &str, allocations: u64) -> Option<Totals> {
    let line = |key| text.lines().find_map(|line| line.strip_prefix(key));
    let names: Vec<&str> = line("events:")?.split_whitespace().collect();
    let sums: Vec<u64> =
        line("summary:")?.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let of = |name: &str| sums.get(names.iter().position(|&other| other == name)?).copied();
    Some(Totals {
        allocations,
        instructions: of("Ir")?,
        first_level_misses: of("D1mr")? + of("D1mw")?,
        last_level_misses: of("DLmr")? + of("DLmw")?,
    })
}

fn difference(design: StrategyId, short: &Totals, long: &Totals) -> Result<SimulatedRow, String> {
    let allocations = long.allocations.saturating_sub(short.allocations);
    if allocations == 0 {
        return Err(format!("{design} did no more in the longer run: the machine is too busy"));
    }
    let each = |long: u64, short: u64| long.saturating_sub(short) as f64 / allocations as f64;
    Ok(SimulatedRow {
        design: design.name().to_owned(),
        allocations,
        instructions: each(long.instructions, short.instructions),
        first_level_misses: each(long.first_level_misses, short.first_level_misses),
        last_level_misses: each(long.last_level_misses, short.last_level_misses),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "desc: D1 cache: 32768 B, 64 B, 8-way associative\nevents: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw\n\
                        fn=main\n1 2 3\nsummary: 1000 1 2 300 40 5 200 60 7\n";

    #[test]
    fn the_sums_are_found_by_their_names() {
        let found = totals(TEXT, 9).expect("sums");
        let expected =
            Totals { allocations: 9, instructions: 1000, first_level_misses: 100, last_level_misses: 12 };
        assert_eq!(found, expected);
        assert_eq!(totals("events: Ir\nsummary: 5\n", 9), None);
        assert_eq!(totals("", 9), None);
        assert_eq!(totals(&TEXT.replace("1000", "many"), 9), None);
    }

    #[test]
    fn what_both_runs_do_cancels_out() {
        let short = Totals {
            allocations: 100,
            instructions: 90_000,
            first_level_misses: 5000,
            last_level_misses: 4000,
        };
        let long = Totals {
            allocations: 300,
            instructions: 110_000,
            first_level_misses: 5400,
            last_level_misses: 4001,
        };
        let row = difference(StrategyId::Mutex, &short, &long).expect("a difference");
        assert_eq!((row.allocations, row.instructions), (200, 100.0));
        assert_eq!((row.first_level_misses, row.last_level_misses), (2.0, 0.005));
        assert!(difference(StrategyId::Mutex, &long, &short).is_err());
    }

    #[test]
    fn it_is_for_the_designs_that_the_paper_tried() {
        let Simulated::Not(why) = simulate(&[StrategyId::Page], &Stop::default()) else { panic!("not page") };
        assert!(why.contains("none of the designs"), "{why}");
    }
}

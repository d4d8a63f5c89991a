//! The report: what the page, `--json` and the terminal show of a benchmark. Plain values that serialise.
//!
//! Invariant: a report holds only what was measured. A design without a finished run has no row, a workload
//! without a row has no table, and a ratio stands only where both runs of a round finished.

use serde::Serialize;
use stormglass_telemetry::Measures;

use crate::machine::Machine;
use crate::stats::Interval;

/// A benchmark, finished or growing.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The command that repeats it.
    pub command: String,
    /// Version of stormglass.
    pub version: String,
    /// The delay that was injected into every run; not serialised when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// How far it is; `None` when it is finished.
    pub progress: Option<Progress>,
    /// One table for each workload.
    pub tables: Vec<Table>,
    /// Sentences on the runs that failed or were disturbed; not serialised when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// How far a benchmark is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Runs that are over.
    pub done: usize,
    /// Runs in all.
    pub of: usize,
    /// The run that is under way, in words.
    pub current: String,
}

/// The designs side by side on one workload.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Name of the workload.
    pub workload: String,
    /// Threads of the workload.
    pub threads: usize,
    /// Length of one run in seconds.
    pub seconds: f64,
    /// The design that the others are compared with.
    pub baseline: String,
    /// One row for each design that finished a run.
    pub rows: Vec<Row>,
}

/// One design on one workload.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the design.
    pub design: String,
    /// Its phase in the paper.
    pub paper: String,
    /// Allocations a second of each finished run, in the order in which they ran.
    pub runs: Vec<f64>,
    /// Their median.
    pub median_ops_per_second: f64,
    /// Against the baseline, round by round; `None` for the baseline itself, and where no round has both.
    pub ratio: Option<Interval>,
    /// What the counters say over all finished runs together.
    pub measures: Measures,
    /// The same in one sentence.
    pub sentence: String,
}

//! The report: what the page, `--json` and the terminal show of a benchmark. Plain values that serialise.
//!
//! Invariant: a report holds only what was measured. A design without a finished run has no row, a workload
//! without a row has no table, and a ratio stands only where both runs of a round finished.

use serde::{Deserialize, Serialize};
use stormglass_telemetry::Measures;

use crate::machine::Machine;
use crate::retries::Retries;
use crate::stats::Interval;

/// A benchmark, finished or growing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// The command that repeats it.
    pub command: String,
    /// Version of stormglass.
    pub version: String,
    /// The delay that was injected into every run; not serialised when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<String>,
    /// How far it is; `None` when it is finished.
    pub progress: Option<Progress>,
    /// One table for each workload.
    pub tables: Vec<Table>,
    /// Sentences on the runs that failed or were disturbed; not serialised when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// How far a benchmark is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Runs that are over.
    pub done: usize,
    /// Runs in all.
    pub of: usize,
    /// The run that is under way, in words.
    pub current: String,
}

/// The designs side by side on one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Retries of one operation, over all finished runs together; `None` where nothing was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Blocks freed to another shard for each allocation, over all finished runs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_frees: Option<f64>,
    /// Each round by itself, `None` where its run did not finish: what an interval of a counted figure is made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Option<Round>>,
}

/// One run of one design.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Allocations a second.
    pub ops_per_second: f64,
    /// What the counters say of this run alone.
    pub measures: Measures,
    /// Share of the machine's time that other programs took meanwhile, 0 to 1; `None` if nobody knows.
    #[serde(default)]
    pub others: Option<f64>,
}

impl Report {
    /// The report without what belongs to single rounds, for a view that is sent again and again.
    #[must_use]
    pub fn brief(&self) -> Report {
        let mut brief = self.clone();
        for row in brief.tables.iter_mut().flat_map(|table| &mut table.rows) {
            row.rounds.clear();
            row.retries = None;
            row.remote_frees = None;
        }
        brief
    }
}

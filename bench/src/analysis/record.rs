//! What is kept of a measurement: the report and the conditions that it was made under.
//!
//! Invariant: a record that was written as JSON and read again is equal to itself.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use stormglass_telemetry::clock::Clock;
use stormglass_telemetry::perf;

use crate::plan::Plan;
use crate::report::Report;
use crate::simulation::Simulated;

/// The version of the JSON that this build writes.
const FORMAT: u32 = 1;

/// What was measured, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the JSON.
    pub format: u32,
    /// What the figures depend on besides the machine.
    pub conditions: Conditions,
    /// The figures.
    pub report: Report,
    /// What caches did, simulated; `None` where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulated>,
}

/// What the figures depend on besides the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// Whether it was a coarse one.
    pub quick: bool,
    /// Whether it was ended early.
    pub interrupted: bool,
    /// Runs that were planned.
    pub planned_runs: usize,
    /// Runs that finished.
    pub finished_runs: usize,
    /// Rate of the tick counter by which the slow path is timed; `None` where it has no fixed one.
    pub ticks_per_second: Option<f64>,
    /// Whether the processor says that a hypervisor runs it; `None` where it cannot be asked.
    pub virtual_machine: Option<bool>,
    /// Architecture of the processor.
    pub architecture: String,
    /// Why slow paths were not sampled by the processor's counters; `None` where they were, or nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<String>,
}

impl Conditions {
    /// Those of this machine at this moment, before the plan is run.
    #[must_use]
    pub fn now(plan: &Plan, quick: bool) -> Conditions {
        Conditions {
            began: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            quick,
            interrupted: false,
            planned_runs: plan.steps().len(),
            finished_runs: 0,
            ticks_per_second: tick_rate(Clock::calibrate()),
            virtual_machine: fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| hypervisor(&text)),
            architecture: std::env::consts::ARCH.to_owned(),
            uncounted: perf::why_not_inside(),
        }
    }
}

impl Record {
    /// What came of a plan.
    #[must_use]
    pub fn new(conditions: Conditions, report: Report, interrupted: bool) -> Record {
        let finished_runs = report.tables.iter().flat_map(|t| &t.rows).map(|row| row.runs.len()).sum();
        Record {
            format: FORMAT,
            conditions: Conditions { interrupted, finished_runs, ..conditions },
            report,
            simulation: None,
        }
    }

    /// The record in a report's JSON.
    ///
    /// # Errors
    /// The end of a sentence that begins with the file's name.
    pub fn parse(json: &str) -> Result<Record, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let foreign = |error| format!("is not the JSON of a `stormglass report` ({error})");
        let head: Head = serde_json::from_str(json).map_err(foreign)?;
        if head.format != FORMAT {
            return Err(format!(
                "speaks report format {}, and this stormglass reads {FORMAT}: use the stormglass that wrote it",
                head.format
            ));
        }
        serde_json::from_str(json).map_err(foreign)
    }
}

/// How often the clock ticks in a second, as far as it knows.
fn tick_rate(clock: Clock) -> Option<f64> {
    // A billion ticks last as many nanoseconds as there are seconds in a billion seconds of ticks.
    const TICKS: u64 = 1_000_000_000;
    match clock.nanoseconds(TICKS) {
        0 => None,
        nanoseconds => Some(TICKS as f64 * 1e9 / nanoseconds as f64),
    }
}

/// Whether the processor's flags name a hypervisor; `None` if it says no flags.
fn hypervisor(cpuinfo: &str) -> Option<bool> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    Some(flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Analysis, synthetic};

    #[test]
    fn a_record_comes_back_from_its_analysis_as_it_was() {
        let record = synthetic::record();
        let json = Analysis::of(record.clone()).json().expect("plain values");
        assert_eq!(Record::parse(&json), Ok(record));
    }

    #[test]
    fn what_is_no_record_is_said() {
        let error = |text| Record::parse(text).expect_err("not a record");
        assert!(error("hello").starts_with("is not the JSON of a `stormglass report` ("));
        assert!(error("{}").contains("format"));
        assert!(error(r#"{"format": 1}"#).contains("conditions"));
        assert_eq!(
            error(r#"{"format": 2}"#),
            "speaks report format 2, and this stormglass reads 1: use the stormglass that wrote it"
        );
    }

    #[test]
    fn a_hypervisor_is_a_flag() {
        assert_eq!(hypervisor("processor: 0\nflags\t\t: fpu hypervisor sse\n"), Some(true));
        assert_eq!(hypervisor("flags\t\t: fpu sse\n"), Some(false));
        assert_eq!(hypervisor("Features\t: fp asimd\n"), None);
    }
}

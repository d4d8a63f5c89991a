//! One run, in this process, which should be a fresh one.
//!
//! Invariant: nothing is measured before it is certain what serves it.

use std::fmt;
use std::fs;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::c::{self, Used, Whose};
use super::contender::Serving;
use super::limit;
use super::memory::Memory;
use super::plan::Request;
use super::verify::verify;
use super::workload::startup;
use crate::neighbours::Usage;
use crate::workload::{Meter, Trouble};

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Allocations in the timed part.
    pub ops: u64,
    /// Length of the timed part.
    pub seconds: f64,
    /// Their quotient.
    pub ops_per_second: f64,
    /// Time on processors in the timed part, over all threads, the kernel's for them included.
    pub cpu_seconds: f64,
    /// The object that served.
    pub served_by: String,
    /// Whether our library counted what it did; `None` of other libraries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<bool>,
    /// The most memory that the process had at once until the end of the timed part; of `startup`, a short process's.
    pub peak_bytes: u64,
    /// Page faults in the timed part that took no disk.
    pub minor_faults: u64,
    /// Context switches in the timed part, forced ones included.
    pub switches: u64,
    /// Share of the machine's time in the timed part that other programs took, 0 to 1; `None` if nobody knows.
    pub others: Option<f64>,
}

impl Run {
    /// Allocations a second of processor time; `None` if the run was too short for the kernel's clock.
    pub fn ops_per_cpu_second(&self) -> Option<f64> {
        (self.cpu_seconds > 0.0).then(|| self.ops as f64 / self.cpu_seconds)
    }
}

/// Why there is no result.
#[derive(Debug)]
pub enum MeasureError {
    /// Something else serves, or the limit cannot be had.
    Serving(String),
    /// The workload has no result.
    Workload(Trouble),
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MeasureError::Serving(why) => f.write_str(why),
            MeasureError::Workload(trouble) => trouble.fmt(f),
        }
    }
}

impl std::error::Error for MeasureError {}

/// Measures.
///
/// # Errors
/// If something else serves than was asked for, memory or threads ran out, or the allocator's answer was wrong.
pub fn measure(request: &Request) -> Result<Run, MeasureError> {
    let (memory, served_by) = memory(&request.serving)?;
    let mut watch = Watch::new(request.workload.whose());
    let ops = request.workload.run(&memory, &request.shape, &mut watch).map_err(MeasureError::Workload)?;
    Ok(watch.result(ops, served_by))
}

/// What a short process of `startup` does instead.
///
/// # Errors
/// As [`measure`].
pub fn measure_alone(request: &Request) -> Result<(), MeasureError> {
    let (memory, _) = memory(&request.serving)?;
    startup::alone(&memory, &request.shape).map_err(MeasureError::Workload)
}

/// The allocator that was asked for, and what it is served by.
fn memory(serving: &Serving) -> Result<(Memory, String), MeasureError> {
    let served_by = verify(serving, &c::serving()).map_err(MeasureError::Serving)?;
    let memory = match serving {
        Serving::Limit => limit::open().map_err(|error| {
            MeasureError::Serving(format!(
                "the limit takes 600 GiB of address space, and there is none: {error}"
            ))
        })?,
        Serving::Glibc | Serving::Library(_) | Serving::Design(..) => Memory::of_this_process(),
    };
    Ok((memory, served_by))
}

/// A moment, and what was used until then.
struct Moment {
    at: Instant,
    used: Option<Used>,
    machine: Option<Usage>,
}

/// The meter.
struct Watch {
    whose: Whose,
    from: Option<Moment>,
    to: Option<Moment>,
    peak_bytes: u64,
}

impl Watch {
    fn new(whose: Whose) -> Watch {
        Watch { whose, from: None, to: None, peak_bytes: 0 }
    }

    fn result(&self, ops: u64, served_by: String) -> Run {
        let span = self.from.as_ref().zip(self.to.as_ref());
        let seconds = span.map_or(0.0, |(from, to)| (to.at - from.at).as_secs_f64());
        let used = span.and_then(|(from, to)| from.used.zip(to.used));
        let more = |of: fn(&Used) -> u64| used.map_or(0, |(from, to)| of(&to).saturating_sub(of(&from)));
        Run {
            ops,
            seconds,
            ops_per_second: ops as f64 / seconds.max(1e-9),
            cpu_seconds: more(|used| used.cpu_micros) as f64 / 1e6,
            served_by,
            counted: c::counts(),
            peak_bytes: self.peak_bytes,
            minor_faults: more(|used| used.minor_faults),
            switches: more(|used| used.switches),
            others: span.and_then(|(from, to)| to.machine?.others_since(from.machine?)),
        }
    }
}

impl Meter for Watch {
    fn start(&mut self) {
        let (machine, used) = (Usage::now(), c::used(self.whose));
        self.from = Some(Moment { at: Instant::now(), used, machine });
    }

    fn stop(&mut self) {
        let at = Instant::now();
        let used = c::used(self.whose);
        // The kernel keeps a process's own peak apart from what it was before it became this program.
        self.peak_bytes = match self.whose {
            Whose::Own => fs::read_to_string("/proc/self/status").ok().and_then(|status| peak(&status)),
            Whose::Children => None,
        }
        .or(used.map(|used| used.peak_bytes))
        .unwrap_or(0);
        self.to = Some(Moment { at, used, machine: Usage::now() });
    }
}

/// The most resident memory that a process had, from its status.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::workload;
    use crate::shape::Shape;

    fn request(serving: Serving) -> Request {
        let workload = workload::named("churn").expect("listed");
        let shape = Shape { seconds: 0.05, chunks: 100, ..workload.shape() };
        Request { workload, serving, shape }
    }

    #[test]
    fn a_run_tells_what_it_used() {
        let run = measure(&request(Serving::Glibc)).expect("a result");
        assert!(run.ops > 0 && run.seconds >= 0.05 && run.peak_bytes > 1 << 20, "{run:?}");
        assert!(run.served_by.contains("libc"), "{run:?}");
        assert_eq!(measure(&request(Serving::Limit)).expect("a result").served_by, "no allocator");
        measure_alone(&request(Serving::Glibc)).expect("a right answer");
    }

    #[test]
    fn nothing_is_measured_under_another_library() {
        let error = measure(&request(Serving::Library("/nowhere/libx.so".into()))).expect_err("glibc serves");
        assert!(error.to_string().contains("not by /nowhere/libx.so"), "{error}");
    }

    #[test]
    fn a_peak_is_in_kib() {
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t  1234 kB\n"), Some(1234 * 1024));
        assert_eq!(peak("VmHWM:\t x kB\n"), None);
    }
}

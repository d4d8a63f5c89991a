//! What is wrong, where, and what to try: verdicts out of counts. Pure: values and spans of time go in, findings come out.
//!
//! ```text
//! Snapshot or Delta -> Tally (counts by class and shard) -> rules/ (one a file) -> Diagnostician (hysteresis) -> Finding
//! ```
//!
//! Invariants: a verdict rests on counters and never on a design's name; a ratio alone raises nothing, there is a limit on a rate
//! beside it; a verdict that is on stays on for [`HOLD`], so that it cannot flap faster than somebody reads. See
//! docs/VERDICTS.md, which is made from the rules.

mod alarm;
mod diagnostician;
mod numbers;
mod rules;
mod tally;
mod verdict;
mod verdicts_md;

use core::fmt::{self, Display};

pub use alarm::{CALM, HOLD, RAISE_AFTER, RAISE_LOOKS};
pub use diagnostician::{Change, Diagnostician, GAP, LOOK, Past, Why};
pub use rules::{
    CasMultiplication, Evidence, FalseNonEmpty, LockConvoy, RemoteFreeFlood, RetryStorm, RingStarvation,
    StealThrash, WalkAmplification, WatchingCost,
};
pub use tally::METRICS_READ;
pub use verdict::{Scope, Severity, UnknownVerdict, Verdict};
pub use verdicts_md::verdicts_markdown;

/// What no segment says, and is known of a process or of who watches it. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Around {
    /// Whether a delay is injected, so that what is found was asked for. [`Diagnostician::see`] finds it out by itself.
    pub injected: bool,
    /// What the counters cost the program, a share of its speed, where that was measured.
    pub counting: Option<f64>,
    /// What the sidecar takes of the machine's processors, 0 to 1.
    pub sidecar: Option<f64>,
}

/// Where something was found: the values of the labels, as the writer has them. Neither is the whole process.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Block size in bytes.
    pub class: Option<String>,
    /// Shard of the class.
    pub shard: Option<String>,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.class, &self.shard) {
            (Some(class), Some(shard)) => write!(f, "class {class} shard {shard}"),
            (Some(class), None) => write!(f, "class {class}"),
            _ => f.write_str("the process"),
        }
    }
}

/// A verdict that is on, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub verdict: Verdict,
    /// Where.
    pub place: Place,
    /// Since when: the start of the first look that spoke for it, in nanoseconds. By `CLOCK_MONOTONIC` if snapshots were seen, else
    /// since the first delta.
    pub since: u64,
    /// The numbers, of the last second or so in which it showed. `Display` says them in a sentence.
    pub evidence: Evidence,
    /// Whether a delay is injected into the process: then this is what was asked for.
    pub injected: bool,
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.verdict.title(), self.place, self.evidence)?;
        if self.injected { f.write_str(" (a delay is injected)") } else { Ok(()) }
    }
}

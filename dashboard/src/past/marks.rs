//! When which verdict was on in which process, so that a frame of the past has the verdicts of then.
//!
//! Invariant: at most [`MARKS`]; the oldest goes first.

use std::collections::VecDeque;

use serde::{Serialize, Serializer};
use stormglass_telemetry::Process;
use stormglass_telemetry::diagnosis::{Change, Finding};

use crate::frame::{Epoch, ProcessId};
use crate::shown::Shown;

/// Marks that are kept.
const MARKS: usize = 256;

/// Milliseconds for which one that is over is still told.
const LINGER: u64 = 60_000;

/// A verdict in a process.
#[derive(Clone, Debug)]
struct Mark {
    process: ProcessId,
    command: String,
    verdict: Shown,
}

/// All of them, in the order in which they turned on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(VecDeque<Mark>);

/// What a time line needs of a mark.
#[derive(Serialize)]
struct Brief<'a> {
    process: ProcessId,
    command: &'a str,
    title: &'static str,
    class: Option<&'a str>,
    shard: Option<&'a str>,
    since: u64,
    until: Option<u64>,
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|mark| {
            let (since, until) = mark.verdict.span();
            let (title, class, shard) = mark.verdict.headline();
            Brief { process: mark.process, command: &mark.command, title, class, shard, since, until }
        }))
    }
}

impl Marks {
    /// Takes in that something has turned on or off; `whose` is who it is in, where that is still known.
    pub(crate) fn enter(
        &mut self,
        process: ProcessId,
        whose: Option<&Process>,
        change: &Change,
        epoch: Epoch,
    ) {
        match change {
            Change::Raised(finding) => {
                if self.0.len() == MARKS {
                    self.0.pop_front();
                }
                let command = whose.map(|process| process.command.clone()).unwrap_or_default();
                self.0.push_back(Mark { process, command, verdict: Shown::active(finding, epoch) });
            }
            Change::Cleared(past, _) => {
                let until = epoch.at(past.until).unix_ms;
                let is_it = |mark: &&mut Mark| mark.is_on(process, &past.finding);
                if let Some(mark) = self.0.iter_mut().rev().find(is_it) {
                    mark.verdict.end(until);
                }
            }
        }
    }

    /// What was on in a process at a moment, and what had been over for less than a minute then, the newest first: as a frame of
    /// that moment said it.
    pub(crate) fn at(&self, process: ProcessId, unix_ms: u64) -> (Vec<Shown>, Vec<Shown>) {
        let (mut on, mut over) = (Vec::new(), Vec::new());
        for mark in self.0.iter().filter(|mark| mark.process == process) {
            match mark.verdict.span() {
                (since, _) if since > unix_ms => {}
                (_, Some(until)) if until <= unix_ms => {
                    if unix_ms - until < LINGER {
                        over.push(mark.verdict.clone());
                    }
                }
                _ => on.push(mark.verdict.still_on()),
            }
        }
        over.reverse();
        (on, over)
    }
}

impl Mark {
    fn is_on(&self, process: ProcessId, finding: &Finding) -> bool {
        self.process == process && self.verdict.span().1.is_none() && self.verdict.is_of(finding)
    }
}

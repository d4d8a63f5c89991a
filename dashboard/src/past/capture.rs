//! What is kept when something has happened: the minute before, of one process.
//!
//! Invariant: at most [`CAPTURES`], of [`BYTES`] in all; the oldest goes first.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use stormglass_telemetry::Process;
use stormglass_telemetry::diagnosis::{Finding, Verdict};

use crate::frame::ProcessId;
use crate::tape::Tape;

/// Captures that are kept.
pub(crate) const CAPTURES: usize = 16;
/// Bytes that they may take together.
pub(crate) const BYTES: usize = 1 << 20;

/// One of them.
#[derive(Clone, Serialize)]
pub(crate) struct Capture {
    /// Its number, counted from 1.
    pub(crate) id: u32,
    process: ProcessId,
    pid: u32,
    command: String,
    strategy: String,
    /// The verdict that turned on, where, and by which numbers.
    verdict: &'static str,
    place: String,
    note: String,
    /// When it happened, and how far back it goes.
    time: u64,
    from: u64,
    bytes: usize,
    #[serde(skip)]
    pub(crate) tape: Arc<Tape>,
}

impl Capture {
    pub(super) fn new(
        id: ProcessId,
        process: &Process,
        finding: &Finding,
        time: u64,
        tape: Arc<Tape>,
    ) -> Capture {
        Capture {
            id: 0,
            process: id,
            pid: process.pid,
            command: process.command.clone(),
            strategy: process.strategy.clone(),
            verdict: finding.verdict.id(),
            place: finding.place.to_string(),
            note: finding.evidence.to_string(),
            time,
            from: tape.reach().0,
            bytes: tape.bytes(),
            tape,
        }
    }

    /// A name for the file that it is downloaded as.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}-{}.sgrec", self.verdict, self.pid, self.id)
    }
}

/// All of them, oldest first.
#[derive(Default)]
pub(super) struct Captures {
    list: VecDeque<Capture>,
    numbers: u32,
}

impl Captures {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Capture> {
        self.list.iter()
    }

    /// Whether one was captured for this since.
    pub(super) fn has(&self, process: ProcessId, verdict: Verdict, since: u64) -> bool {
        self.list.iter().any(|c| c.process == process && c.verdict == verdict.id() && c.time >= since)
    }

    /// Keeps one, in place of the oldest where there is no room; says its number.
    pub(super) fn keep(&mut self, capture: Capture) -> u32 {
        self.numbers += 1;
        self.list.push_back(Capture { id: self.numbers, ..capture });
        while self.list.len() > CAPTURES || self.bytes() > BYTES {
            self.list.pop_front();
        }
        self.numbers
    }

    pub(super) fn bytes(&self) -> usize {
        self.list.iter().map(|capture| capture.bytes).sum()
    }
}

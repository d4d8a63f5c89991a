//! What is kept when something has happened: the minute before, of one process.
//!
//! Invariant: at most [`CAPTURES`], of [`BYTES`] in all; the oldest goes first.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use stormglass_telemetry::Process;

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
    /// What has happened, such as `retry_storm on class 8192, shard 3`.
    pub(crate) why: String,
    note: String,
    /// When it happened, and how far back it goes.
    time: u64,
    from: u64,
    bytes: usize,
    #[serde(skip)]
    pub(crate) tape: Arc<Tape>,
}

impl Capture {
    pub(super) fn new(id: ProcessId, process: &Process, why: &str, note: &str, time: u64, tape: Arc<Tape>) -> Capture {
        Capture {
            id: 0,
            process: id,
            pid: process.pid,
            command: process.command.clone(),
            strategy: process.strategy.clone(),
            why: why.to_owned(),
            note: note.to_owned(),
            time,
            from: tape.reach().0,
            bytes: tape.bytes(),
            tape,
        }
    }

    /// A name for the file that it is downloaded as.
    pub(crate) fn file_name(&self) -> String {
        let why: String =
            self.why.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        format!("capture-{}-{}-{why}.sgrec", self.id, self.pid).replace("--", "-")
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

    /// Whether the same was captured since.
    pub(super) fn has(&self, process: ProcessId, why: &str, since: u64) -> bool {
        self.list.iter().any(|c| c.process == process && c.why == why && c.time >= since)
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

//! The last quarter of an hour: every process, moment by moment, as segments of a recording.
//!
//! ```text
//! snapshots --each second-->        fine    the last minutes, as far as its bytes go
//!           --each fifth second-->  coarse  the rest of the quarter of an hour, as far as its bytes go
//! ```
//!
//! Counts only grow, so a coarse row is made by looking less often, not by working anything over. Invariants: what is kept
//! takes at most [`BYTES`] and the captures' [`capture::BYTES`], whatever happens and however many processes share it: the oldest
//! goes first. Beside that, each row remembers one value of each counter of each process.

mod capture;
mod frame;
mod marks;
mod ring;
pub(crate) mod routes;

use std::sync::Arc;

pub(crate) use capture::Capture;
pub(crate) use frame::{span_frame, spans};
pub(crate) use ring::Clip;

use crate::frame::{Epoch, Now, ProcessId};
use crate::packed::Packed;
use crate::recording::{About, Kind, beginning, put_record};
use crate::tape::Tape;
use capture::Captures;
pub(crate) use marks::Marks;
use ring::Ring;
use stormglass_telemetry::diagnosis::{Change, Finding};

/// How far back a sidecar's past goes at most, in milliseconds.
pub const REACH: u64 = 15 * 60 * 1000;
/// Milliseconds between two moments of each row, and bytes that it may take.
const FINE: (u64, usize) = (1000, 3 << 19);
const COARSE: (u64, usize) = (5000, 2 << 20);
/// Bytes of both rows.
#[cfg(test)]
const BYTES: usize = FINE.1 + COARSE.1;
/// Milliseconds of a capture: the minute before.
const BEFORE: u64 = 60_000;

/// The rows, and what was kept of them for good reason.
pub(crate) struct Past {
    fine: Ring,
    coarse: Ring,
    captures: Captures,
    marks: Marks,
}

impl Default for Past {
    fn default() -> Past {
        Past {
            fine: Ring::new(FINE.0, FINE.1),
            coarse: Ring::new(COARSE.0, COARSE.1),
            captures: Captures::default(),
            marks: Marks::default(),
        }
    }
}

impl Past {
    /// Takes in every process of one moment, where a row is due.
    pub(crate) fn record(&mut self, now: Now, left_out: u64, snapshots: &[Packed]) {
        for ring in [&mut self.fine, &mut self.coarse] {
            if ring.is_due(now) {
                ring.push(now, left_out, snapshots);
            }
        }
    }

    /// The first and the last moment that it knows of, in milliseconds since 1970.
    pub(crate) fn reach(&self) -> Option<(u64, u64)> {
        let from = [&self.fine, &self.coarse].into_iter().filter_map(Ring::from).min()?;
        let to = self.fine.to()?;
        // Segments go whole, so a row may still have a little more.
        Some((from.max(to.saturating_sub(REACH)), to))
    }

    /// The segment with the last moment that is no later than this one, from the finest row that goes back so far.
    pub(crate) fn clip(&self, unix_ms: u64) -> Option<Clip> {
        let reaches = |ring: &&Ring| ring.from().is_some_and(|from| from <= unix_ms);
        let oldest =
            [&self.coarse, &self.fine].into_iter().filter(|r| r.from().is_some()).min_by_key(|r| r.from());
        [&self.fine, &self.coarse].into_iter().find(reaches).or(oldest)?.clip(unix_ms)
    }

    /// A span as a file: whole segments, so it begins a little early.
    pub(crate) fn recording(&self, from: u64, to: u64, created: u64) -> Vec<u8> {
        // The finer row, where it goes back as far as was asked or as far as there is anything.
        let begins = |ring: &Ring| ring.from().unwrap_or(u64::MAX);
        let enough = from.max(begins(&self.coarse)).saturating_add(COARSE.0);
        let ring = if begins(&self.fine) <= enough { &self.fine } else { &self.coarse };
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created,
            spacing_ms: ring.spacing(),
            note: String::new(),
        };
        let mut out = beginning(&about);
        ring.copy(from, to, &mut out);
        put_record(&mut out, Kind::End, &[]);
        out
    }

    /// Takes in that a verdict has turned on or off. When it turns on, the minute before is kept.
    pub(crate) fn note(
        &mut self,
        now: Now,
        epoch: Epoch,
        snapshots: &[Packed],
        id: ProcessId,
        change: &Change,
    ) {
        let whose = snapshots.iter().find(|s| ProcessId::of(s.process()) == id).map(|s| &**s.process());
        self.marks.enter(id, whose, change, epoch);
        if let Change::Raised(finding) = change {
            self.capture(now, snapshots, id, finding);
        }
    }

    /// Keeps the minute before now of one process, and says under which number; `None` if one was kept for the same verdict
    /// within that minute, so that a storm over many shards is one capture.
    fn capture(&mut self, now: Now, snapshots: &[Packed], id: ProcessId, finding: &Finding) -> Option<u32> {
        let process = snapshots.iter().find(|s| ProcessId::of(s.process()) == id)?.process();
        if self.captures.has(id, finding.verdict, now.unix_ms.saturating_sub(BEFORE)) {
            return None;
        }
        if self.fine.to().is_none_or(|to| to < now.unix_ms) {
            self.fine.push(now, 0, snapshots);
        }
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: now.unix_ms / 1000,
            spacing_ms: FINE.0,
            note: finding.to_string(),
        };
        let bytes = self.fine.excerpt(&about, id, now.unix_ms.saturating_sub(BEFORE), now.unix_ms);
        // What was just written can be read; if it could not, there would be nothing to keep.
        let tape = Tape::of_bytes(bytes).ok()?;
        Some(self.captures.keep(Capture::new(id, process, finding, now.unix_ms, Arc::new(tape))))
    }

    /// The verdicts of some time.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// What was captured, oldest first.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.captures.iter()
    }

    /// The tape of a capture.
    pub(crate) fn tape(&self, capture: u32) -> Option<Arc<Tape>> {
        self.captures().find(|c| c.id == capture).map(|c| Arc::clone(&c.tape))
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.fine.bytes() + self.coarse.bytes()
    }
}

#[cfg(test)]
mod tests;

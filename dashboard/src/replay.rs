//! A recording in place of processes: its last moment for who looks at the sidecar as a whole, and its moments in time for who
//! plays it.
//!
//! Invariant: a player never waits: it says what is due, so the page, a terminal view and a test each keep their own time.

use std::sync::Arc;
use std::time::Duration;

use stormglass_telemetry::Snapshot;

use crate::frame::Now;
use crate::recording::{Moment, RecordingError};
use crate::retired::Retired;
use crate::source::Source;
use crate::tape::Tape;

/// Says the last moment of a recording, whenever it is asked.
pub(crate) struct Last {
    moment: Moment,
    retired: Retired,
}

impl Last {
    pub(crate) fn of(tape: &Tape) -> Result<Last, RecordingError> {
        Ok(Last { moment: tape.moment(tape.reach().1)?, retired: Retired::default() })
    }
}

impl Source for Last {
    fn snapshots(&mut self) -> Vec<Snapshot> {
        self.moment.snapshots.clone()
    }

    fn now(&self) -> Option<Now> {
        Some(Now { unix_ms: self.moment.unix_ms, monotonic: self.moment.monotonic })
    }

    fn retired(&self) -> &Retired {
        &self.retired
    }

    fn errors(&self) -> u64 {
        0
    }
}

/// A place in a recording that moves with time, back and forth as it is told: what a live view reads in place of segments.
pub struct Player {
    tape: Arc<Tape>,
    at: f64,
    speed: f64,
    playing: bool,
}

impl Player {
    /// A player that stands at the beginning, and plays so many times as fast as it went.
    pub fn new(tape: Arc<Tape>, speed: f64) -> Player {
        Player { at: tape.reach().0 as f64, tape, speed, playing: true }
    }

    /// The recording.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Where it stands, in milliseconds since 1970.
    pub fn at(&self) -> u64 {
        self.at as u64
    }

    /// Whether it moves.
    pub fn is_playing(&self) -> bool {
        self.playing && !self.has_ended()
    }

    /// Whether it stands at the end.
    pub fn has_ended(&self) -> bool {
        self.at() >= self.tape.reach().1
    }

    /// Plays, or stands still.
    pub fn play(&mut self, playing: bool) {
        self.playing = playing;
    }

    /// How many times as fast as it went.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// From now on at another speed.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = speed;
    }

    /// Goes to a moment, or as near as the recording has one.
    pub fn seek(&mut self, unix_ms: u64) {
        let (from, to) = self.tape.reach();
        self.at = unix_ms.clamp(from, to) as f64;
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, time: Duration) {
        if self.playing {
            let to = self.tape.reach().1 as f64;
            self.at = (self.at + time.as_secs_f64() * 1000.0 * self.speed).min(to);
        }
    }

    /// The moment where it stands.
    ///
    /// # Errors
    /// If the recording cannot be read any more.
    pub fn moment(&self) -> Result<Moment, RecordingError> {
        self.tape.moment(self.at())
    }

    /// The moment a second before, to take a difference from; `None` at the beginning.
    ///
    /// # Errors
    /// If the recording cannot be read any more.
    pub fn before(&self) -> Result<Option<Moment>, RecordingError> {
        let now = self.moment()?.unix_ms;
        let before = self.tape.moment(now.saturating_sub(1000))?;
        Ok((before.unix_ms < now).then_some(before))
    }
}

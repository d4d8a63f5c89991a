//! A recording in place of processes: its last moment for who looks at the sidecar as a whole, and its moments in time for who
//! plays it.
//!
//! Invariant: a player never waits: it says what is due, so the page, a terminal view and a test each keep their own time.

use std::sync::Arc;
use std::time::Duration;

use crate::frame::Now;
use crate::packed::Packed;
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
    fn snapshots(&mut self) -> Vec<Packed> {
        self.moment.snapshots.iter().cloned().map(Packed::of).collect()
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use stormglass_telemetry::{Metric, Select};

    use super::*;
    use crate::past::Past;
    use crate::synthetic::{self, SECOND};

    const START: u64 = 1_700_000_000_000;

    /// A hundred seconds of one process, as a file.
    fn bytes() -> Vec<u8> {
        let mut past = Past::default();
        for second in 0..100 {
            let mut snapshot = synthetic::snapshot(synthetic::process(1, "mutex"), (second + 5) * SECOND);
            synthetic::add(&mut snapshot, Metric::RingHits, &[0], 0, 1000 * second);
            let now = Now { unix_ms: START + second * 1000, monotonic: snapshot.taken };
            past.record(now, 0, &[snapshot.into()]);
        }
        past.recording(START, u64::MAX, 0)
    }

    fn tape(bytes: &[u8]) -> Result<Tape, RecordingError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("room");
        Tape::open(file.path())
    }

    #[test]
    fn a_player_moves_with_time_at_its_speed_and_stops_at_the_end() {
        let mut player = Player::new(Arc::new(tape(&bytes()).expect("a recording")), 4.0);
        let hits = |player: &Player| {
            player.moment().expect("it can be read").snapshots[0].counts.sum(Metric::RingHits, Select::ALL)
        };
        assert_eq!((player.at(), hits(&player)), (START, Some(0)));
        assert!(player.before().expect("it can be read").is_none(), "nothing lies before the beginning");
        player.pass(Duration::from_secs(10));
        assert_eq!((player.at(), hits(&player)), (START + 40_000, Some(40_000)));
        assert_eq!(player.before().expect("it can be read").map(|m| m.unix_ms), Some(START + 39_000));
        player.play(false);
        player.pass(Duration::from_secs(10));
        assert_eq!((player.at(), player.is_playing()), (START + 40_000, false));
        player.play(true);
        player.set_speed(0.5);
        player.pass(Duration::from_secs(3));
        assert_eq!(
            (player.at(), hits(&player)),
            (START + 41_500, Some(41_000)),
            "between two it is the earlier"
        );
        player.seek(0);
        assert_eq!(player.at(), START);
        player.set_speed(1000.0);
        player.pass(Duration::from_mins(1));
        assert!(player.has_ended() && !player.is_playing());
        assert_eq!((player.at(), hits(&player)), (START + 99_000, Some(99_000)));
    }

    #[test]
    fn a_tape_goes_as_far_as_its_file_can_be_read_and_says_so() {
        let whole = bytes();
        assert!(tape(&whole).expect("a recording").is_whole());
        let cut = tape(&whole[..whole.len() - 20]).expect("what is left");
        assert!(!cut.is_whole() && cut.damage().is_none());
        assert_eq!(cut.reach(), (START, START + 98_000));
        let mut hurt = whole.clone();
        let middle = whole.len() * 3 / 4;
        hurt[middle] ^= 1;
        let hurt = tape(&hurt).expect("what lies before");
        assert!(
            hurt.damage().is_some_and(|damage| damage.contains("damaged at byte")),
            "{:?}",
            hurt.damage()
        );
        assert!(hurt.reach().1 < START + 98_000 && hurt.moment(u64::MAX).is_ok());
        assert!(matches!(tape(&whole[..40]), Err(RecordingError::Empty)));
        assert!(matches!(tape(b"something else"), Err(RecordingError::Foreign)));
        assert!(matches!(Tape::open(std::path::Path::new("/nonexistent")), Err(RecordingError::Io(_))));
    }
}

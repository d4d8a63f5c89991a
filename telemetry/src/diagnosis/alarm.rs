//! Hysteresis: when what a rule reads becomes a verdict, and when it is none any more.
//!
//! ```text
//! nothing -> rising: every look reaches the limits for raising -> on -> every look misses a limit for staying, for CALM -> nothing
//!              one that does not: nothing                        stays for HOLD at least
//! ```
//!
//! Invariant: between two turnings-on of one verdict at one place lie [`HOLD`] and [`RAISE_AFTER`] at least.

use core::time::Duration;

use super::rules::{Evidence, Reading};

/// Looks in a row that must speak for a verdict: one alone may be a start, or chance.
pub const RAISE_LOOKS: u32 = 2;
/// The time that they must span: long enough to be no hiccup, short enough that a storm of a second is named.
pub const RAISE_AFTER: Duration = Duration::from_millis(500);
/// How long a verdict is on at least: about as long as it takes to read it.
pub const HOLD: Duration = Duration::from_secs(5);
/// How long it must be calm before it is off: a storm that breathes is one storm.
pub const CALM: Duration = Duration::from_secs(3);
/// How long the numbers of a verdict stand: faster than this nobody reads them.
const REFRESH: Duration = Duration::from_secs(1);

/// One verdict at one place, rising or on.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    /// Start of the first look that spoke for it.
    pub(super) since: u64,
    pub(super) evidence: Evidence,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Rising { looks: u32, span: Duration },
    On { on: Duration, calm: Duration, stands: Duration },
}

/// What a look made of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// As it was.
    Stays,
    /// It is on from now on.
    TurnsOn,
    /// It was on and is over.
    TurnsOff,
    /// It never was on, and is forgotten.
    Subsides,
}

impl Alarm {
    /// One that the look from `since` on begins.
    pub(super) fn begin(since: u64, evidence: Evidence) -> Alarm {
        Alarm { since, evidence, state: State::Rising { looks: 0, span: Duration::ZERO } }
    }

    pub(super) fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }

    /// Takes in what a look of that length read at this place.
    #[must_use]
    pub(super) fn look(&mut self, reading: Option<&Reading>, length: Duration) -> Step {
        match &mut self.state {
            State::Rising { looks, span } => {
                let Some(reading) = reading.filter(|r| r.raises) else { return Step::Subsides };
                self.evidence = reading.evidence;
                *looks += 1;
                *span += length;
                if *looks < RAISE_LOOKS || *span < RAISE_AFTER {
                    return Step::Stays;
                }
                self.state = State::On { on: Duration::ZERO, calm: Duration::ZERO, stands: Duration::ZERO };
                Step::TurnsOn
            }
            State::On { on, calm, stands } => {
                *on += length;
                *stands += length;
                if let Some(reading) = reading.filter(|r| r.holds) {
                    *calm = Duration::ZERO;
                    if *stands >= REFRESH {
                        *stands = Duration::ZERO;
                        self.evidence = reading.evidence;
                    }
                    return Step::Stays;
                }
                *calm += length;
                if *calm >= CALM && *on >= HOLD { Step::TurnsOff } else { Step::Stays }
            }
        }
    }
}

//! One process's findings, as its counts come in.
//!
//! Invariants: what is remembered is one tally of the counts, one of the look in progress, and a bounded number of alarms and of
//! past findings, however long the process lives; a span that is not known, is too long, or in which a count fell, speaks
//! neither for nor against anything.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::alarm::{Alarm, Step};
use super::rules::{At, RULES, Reading};
use super::tally::{Packed, Tally};
use super::{Around, Finding, Place, Scope, Verdict};
use crate::counts::Schema;
use crate::schema::Label;
use crate::snapshot::{Delta, Liveness, Snapshot};

/// Shortest look: what comes in faster is added up first. A little less than the sidecar's shortest interval.
pub const LOOK: Duration = Duration::from_millis(180);
/// Longest: a span like this (a machine that slept, a sidecar that was stopped) says nothing of how it went meanwhile.
pub const GAP: Duration = Duration::from_secs(5);
/// A process younger than this is judged by its whole life at the first look.
const YOUTH: Duration = Duration::from_millis(1100);
/// Alarms of one process at most: every shard of the mid pool for a few verdicts. Further ones are not raised.
const ALARMS: usize = 256;
/// Past findings that are kept.
const PASTS: usize = 16;

/// What turned on or off.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is on from now on.
    Raised(Finding),
    /// It is off from now on.
    Cleared(Past, Why),
}

/// Why a verdict is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has been calm for long enough.
    Calm,
    /// The process has ended.
    Ended,
}

/// A finding that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// As it last was.
    pub finding: Finding,
    /// When it was over, by the clock of [`Finding::since`].
    pub until: u64,
}

/// A verdict and the indices of its class and shard; those that it has not are 0.
type Key = (Verdict, usize, usize);

/// Watches one process.
#[derive(Clone, Debug, Default)]
pub struct Diagnostician {
    /// Names of the classes and shards.
    classes: Vec<String>,
    shards: Vec<String>,
    /// Counts at the end of the last look, and when that was; of [`Diagnostician::see`].
    seen: Option<(Packed, u64)>,
    /// The look in progress, and its length so far; of [`Diagnostician::observe`].
    pending: Option<(Tally, Duration)>,
    now: u64,
    injected: bool,
    alarms: BTreeMap<Key, Alarm>,
    past: VecDeque<Past>,
    raised: [u64; Verdict::ALL.len()],
}

impl Diagnostician {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Diagnostician {
        Diagnostician::default()
    }

    /// Takes in what happened in the span of time after the last one.
    pub fn observe(&mut self, delta: &Delta, around: &Around) -> Vec<Change> {
        let Some(elapsed) = delta.elapsed else { return Vec::new() };
        self.now = self.now.saturating_add(nanoseconds(elapsed));
        self.learn(&delta.counts.schema);
        let tally = Tally::of(&delta.counts);
        let (sum, length) = match self.pending.take() {
            Some((mut sum, length)) if sum.is_like(&tally) => {
                sum.add(&tally);
                (sum, length.saturating_add(elapsed))
            }
            _ => (tally, elapsed),
        };
        if length < LOOK {
            self.pending = Some((sum, length));
            return Vec::new();
        }
        self.look(&sum, length, around)
    }

    /// Takes in a read of the process; how often does not matter. One that is dead ends what was on.
    pub fn see(&mut self, snapshot: &Snapshot, around: &Around) -> Vec<Change> {
        if snapshot.liveness == Liveness::Dead {
            return self.end(snapshot.taken);
        }
        let since = match &self.seen {
            None => snapshot.born,
            Some((_, taken)) => *taken,
        };
        let length = Duration::from_nanos(snapshot.taken.saturating_sub(since));
        if length < LOOK {
            return Vec::new();
        }
        let around = Around { injected: snapshot.process.injected.is_some(), ..*around };
        self.now = snapshot.taken;
        self.learn(&snapshot.counts.schema);
        let tally = Tally::of(&snapshot.counts);
        let change = match &self.seen {
            None => (length <= YOUTH).then(|| tally.clone()),
            Some((before, _)) => {
                let before = before.whole();
                tally.continues(&before).then(|| tally.since(&before))
            }
        };
        self.seen = Some((Packed::of(&tally), snapshot.taken));
        if let Some(change) = change {
            return self.look(&change, length, &around);
        }
        self.calm_down();
        Vec::new()
    }

    /// Ends what was on: the process has gone.
    pub fn end(&mut self, now: u64) -> Vec<Change> {
        self.now = self.now.max(now);
        self.pending = None;
        let alarms = std::mem::take(&mut self.alarms);
        let on = alarms.into_iter().filter(|(_, alarm)| alarm.is_on());
        on.map(|(key, alarm)| self.over(key, &alarm, Why::Ended)).collect()
    }

    /// What is on, the worst verdict first, and of each its worst place.
    pub fn active(&self) -> Vec<Finding> {
        let on = self.alarms.iter().filter(|(_, alarm)| alarm.is_on());
        let mut findings: Vec<Finding> = on.map(|(key, alarm)| self.finding(*key, alarm)).collect();
        findings.sort_by(|a, b| {
            a.verdict.cmp(&b.verdict).then(b.evidence.weight().total_cmp(&a.evidence.weight()))
        });
        findings
    }

    /// What was on, oldest first; the last few.
    pub fn past(&self) -> impl Iterator<Item = &Past> {
        self.past.iter()
    }

    /// How often a verdict has turned on, anywhere in the process.
    pub fn raised(&self, verdict: Verdict) -> u64 {
        self.raised[verdict as usize]
    }

    fn learn(&mut self, schema: &Schema) {
        let (classes, shards) = (schema.label_values(Label::Class), schema.label_values(Label::Shard));
        if self.classes != classes || self.shards != shards {
            self.classes = classes.to_vec();
            self.shards = shards.to_vec();
            self.calm_down();
        }
    }

    /// Forgets what was rising: what comes does not follow on what was.
    fn calm_down(&mut self) {
        self.pending = None;
        self.alarms.retain(|_, alarm| alarm.is_on());
    }

    fn look(&mut self, tally: &Tally, length: Duration, around: &Around) -> Vec<Change> {
        if length > GAP {
            self.calm_down();
            return Vec::new();
        }
        self.injected = around.injected;
        let watched = around.counting.is_some() || around.sidecar.is_some();
        if tally.is_silent() && !watched && self.alarms.is_empty() {
            // Most processes, most of the time.
            return Vec::new();
        }
        let mut readings = readings(tally, length, around);
        let mut changes = Vec::new();
        let mut alarms = std::mem::take(&mut self.alarms);
        alarms.retain(|&key, alarm| match alarm.look(readings.remove(&key).as_ref(), length) {
            Step::Stays => true,
            Step::TurnsOn => {
                self.raised[key.0 as usize] += 1;
                changes.push(Change::Raised(self.finding(key, alarm)));
                true
            }
            Step::TurnsOff => {
                changes.push(self.over(key, alarm, Why::Calm));
                false
            }
            Step::Subsides => false,
        });
        let since = self.now.saturating_sub(nanoseconds(length));
        for (key, reading) in readings {
            if reading.raises && alarms.len() < ALARMS {
                let mut alarm = Alarm::begin(since, reading.evidence);
                // The first of at least two looks: nothing turns on yet.
                if alarm.look(Some(&reading), length) == Step::Stays {
                    alarms.insert(key, alarm);
                }
            }
        }
        self.alarms = alarms;
        changes
    }

    fn over(&mut self, key: Key, alarm: &Alarm, why: Why) -> Change {
        let past = Past { finding: self.finding(key, alarm), until: self.now };
        if self.past.len() == PASTS {
            self.past.pop_front();
        }
        self.past.push_back(past.clone());
        Change::Cleared(past, why)
    }

    fn finding(&self, (verdict, class, shard): Key, alarm: &Alarm) -> Finding {
        let name = |names: &[String], index: usize| names.get(index).cloned();
        let place = match verdict.scope() {
            Scope::Shard => Place { class: name(&self.classes, class), shard: name(&self.shards, shard) },
            Scope::Class => Place { class: name(&self.classes, class), shard: None },
            Scope::Process => Place::default(),
        };
        Finding { verdict, place, since: alarm.since, evidence: alarm.evidence, injected: self.injected }
    }
}

/// What every rule reads at every place where it has something to read.
fn readings(tally: &Tally, length: Duration, around: &Around) -> BTreeMap<Key, Reading> {
    let seconds = length.as_secs_f64();
    let mut readings = BTreeMap::new();
    for rule in &RULES {
        let (classes, shards) = match rule.scope {
            Scope::Shard => (tally.classes, tally.shards),
            Scope::Class => (tally.classes, tally.shards.min(1)),
            Scope::Process => (1, 1),
        };
        for class in 0..classes {
            for shard in 0..shards {
                if let Some(reading) = (rule.read)(&At { tally, seconds, class, shard, around }) {
                    readings.insert((rule.verdict, class, shard), reading);
                }
            }
        }
    }
    readings
}

/// In a `u64`, which holds centuries.
fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

//! What a source saw, kept small: of each process the whole span, and its windows of about a second.
//!
//! Invariants: what is kept grows with what was counted, not with how often it was looked at (a window keeps the cells that
//! moved); the windows of a process add up to its span.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use stormglass_telemetry::{Counts, Delta, Liveness, Process, Schema, Snapshot};

use super::expression::Gauge;
use super::verdicts::{Raised, Watch};

/// What tells processes apart.
type Id = (u32, u64, u32, [String; 4]);

fn id(process: &Process) -> Id {
    let injected = process.injected.clone().unwrap_or_default();
    let words = [process.command.clone(), process.strategy.clone(), process.workload.clone(), injected];
    (process.pid, process.start_time, process.sequence, words)
}

/// From where on a process counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// From the first look at it, or from its birth if that came later: what happens while one looks.
    FirstLook,
    /// From its birth.
    Birth,
}

/// What counting costs a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cost {
    Unknown,
    /// The source knows it, and has raised the verdict if there was cause.
    Judged,
    /// A share of its speed.
    Share(f64),
}

/// A process as a source saw it.
pub(crate) struct Sight {
    pub(crate) snapshot: Snapshot,
    /// What it held then.
    pub(crate) gauges: Vec<(Gauge, Option<f64>)>,
    /// Verdicts that the source itself raised.
    pub(crate) raised: Vec<Raised>,
    pub(crate) cost: Cost,
}

impl From<Snapshot> for Sight {
    fn from(snapshot: Snapshot) -> Sight {
        let gauges = Gauge::all().map(|gauge| (gauge, gauge.value(&snapshot))).collect();
        Sight { snapshot, gauges, raised: Vec::new(), cost: Cost::Unknown }
    }
}

/// Everything that was seen.
pub(crate) struct Evidence {
    since: Since,
    window: Duration,
    tracks: BTreeMap<Id, Track>,
    /// Processes that were dead before the first look, and are left out.
    dead: BTreeSet<Id>,
    /// When the first look was, `CLOCK_MONOTONIC` nanoseconds of whoever looked.
    start: Option<u64>,
}

impl Evidence {
    pub(crate) fn new(since: Since, window: Duration) -> Evidence {
        Evidence { since, window, tracks: BTreeMap::new(), dead: BTreeSet::new(), start: None }
    }

    /// Takes in one look at all processes. `now` is its time.
    pub(crate) fn see(&mut self, now: u64, sights: impl IntoIterator<Item = Sight>) {
        let start = *self.start.get_or_insert(now);
        for sight in sights {
            let snapshot = &sight.snapshot;
            let id = id(&snapshot.process);
            if let Some(track) = self.tracks.get_mut(&id) {
                track.see(sight, self.window);
                continue;
            }
            let from_birth = self.since == Since::Birth || snapshot.born > start;
            if snapshot.liveness == Liveness::Dead && !from_birth {
                self.dead.insert(id);
                continue;
            }
            self.tracks.insert(id, Track::new(sight, from_birth, start));
        }
    }

    /// The processes, when all has been seen.
    pub(crate) fn finish(self) -> Seen {
        let window = self.window;
        let tracks = self.tracks.into_values().map(|track| track.finish(window)).collect();
        Seen { tracks, dead: self.dead.len() }
    }
}

/// What an assertion is judged by.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) tracks: Vec<Seconds>,
    /// Processes that were dead before the first look.
    pub(crate) dead: usize,
}

/// A process while it is looked at.
struct Track {
    start: u64,
    /// At the start of its span, of the last window, and of the one that is open.
    baseline: Snapshot,
    before: Option<Snapshot>,
    open: Snapshot,
    last: Snapshot,
    /// What it held when it was last seen alive, and between which bounds that was since the open window began.
    gauges: Vec<(Gauge, Option<f64>)>,
    extents: Vec<(Gauge, Extent)>,
    windows: Vec<Window>,
    watch: Watch,
    cost_known: bool,
}

impl Track {
    fn new(sight: Sight, from_birth: bool, start: u64) -> Track {
        let snapshot = &sight.snapshot;
        let baseline = if from_birth {
            let counts = Counts::zero(Arc::clone(&snapshot.counts.schema));
            Snapshot { counts, taken: snapshot.born, liveness: Liveness::Live, ..snapshot.clone() }
        } else {
            snapshot.clone()
        };
        let watch = Watch::default();
        let mut track = Track {
            start,
            open: baseline.clone(),
            last: baseline.clone(),
            before: None,
            baseline,
            gauges: Vec::new(),
            extents: Vec::new(),
            windows: Vec::new(),
            watch,
            cost_known: false,
        };
        track.see(sight, Duration::MAX);
        track
    }

    fn see(&mut self, sight: Sight, window: Duration) {
        let Sight { mut snapshot, gauges, raised, cost } = sight;
        if self.last.liveness == Liveness::Dead {
            return;
        }
        // A process that ended says when; one that was killed lived until somewhere between two looks.
        if snapshot.liveness == Liveness::Dead
            && snapshot.threads == 0
            && snapshot.heartbeat > self.last.taken
        {
            snapshot.taken = snapshot.heartbeat.min(snapshot.taken);
        }
        self.cost_known |= cost != Cost::Unknown;
        let counting = if let Cost::Share(share) = cost { Some(share) } else { None };
        self.watch.see(&snapshot, counting);
        for raised in raised {
            self.watch.add(raised);
        }
        if snapshot.liveness == Liveness::Live {
            for (gauge, value) in gauges.iter().filter_map(|(gauge, value)| Some((*gauge, (*value)?))) {
                match self.extents.iter_mut().find(|(of, _)| *of == gauge) {
                    Some((_, extent)) => extent.take(value),
                    None => self.extents.push((gauge, Extent::of(value))),
                }
            }
            self.gauges = gauges;
        }
        if since(&self.open, &snapshot) >= window {
            self.close(&snapshot);
        }
        self.last = snapshot;
    }

    fn close(&mut self, end: &Snapshot) {
        let extents = std::mem::take(&mut self.extents);
        self.windows.extend(Window::between(&self.open, end, self.start, extents));
        self.before = Some(std::mem::replace(&mut self.open, end.clone()));
    }

    /// The last window is open still: if it is short, it is part of the one before.
    fn finish(mut self, window: Duration) -> Seconds {
        let last = self.last.clone();
        match &self.before {
            Some(before) if since(&self.open, &last) < window / 2 => {
                let mut extents = std::mem::take(&mut self.extents);
                if let Some(window) = self.windows.pop() {
                    for (gauge, extent) in window.extents {
                        match extents.iter_mut().find(|(of, _)| *of == gauge) {
                            Some((_, of)) => of.join(extent),
                            None => extents.push((gauge, extent)),
                        }
                    }
                }
                self.windows.extend(Window::between(before, &last, self.start, extents));
            }
            _ => self.close(&last),
        }
        Seconds {
            span: last.since(&self.baseline),
            windows: self.windows,
            could_tell: self.watch.could_tell(),
            cost_known: self.cost_known,
            raised: self.watch.raised(),
            gauges: self.gauges,
            last,
        }
    }
}

fn since(earlier: &Snapshot, later: &Snapshot) -> Duration {
    Duration::from_nanos(later.taken.saturating_sub(earlier.taken))
}

/// A process, second by second.
pub(crate) struct Seconds {
    /// What it did in all; `None` if it was seen once only.
    pub(crate) span: Option<Delta>,
    pub(crate) windows: Vec<Window>,
    /// Whether it was seen for as long as a verdict takes.
    pub(crate) could_tell: bool,
    /// Whether it is known what counting costs it.
    pub(crate) cost_known: bool,
    /// The verdicts on it.
    pub(crate) raised: Vec<Raised>,
    /// As it was seen last.
    pub(crate) last: Snapshot,
    gauges: Vec<(Gauge, Option<f64>)>,
}

impl Seconds {
    /// What it held when it was last seen alive.
    pub(crate) fn gauge(&self, gauge: Gauge) -> Option<f64> {
        self.gauges.iter().find(|(of, _)| *of == gauge).and_then(|(_, value)| *value)
    }
}

/// The values of a gauge in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    pub(crate) low: f64,
    pub(crate) high: f64,
    sum: f64,
    count: f64,
}

impl Extent {
    fn of(value: f64) -> Extent {
        Extent { low: value, high: value, sum: value, count: 1.0 }
    }

    fn take(&mut self, value: f64) {
        self.join(Extent::of(value));
    }

    fn join(&mut self, other: Extent) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.sum += other.sum;
        self.count += other.count;
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.count
    }
}

/// About a second of a process: the cells that moved.
pub(crate) struct Window {
    /// When it began, after the first look.
    pub(crate) at: Duration,
    elapsed: Duration,
    schema: Arc<Schema>,
    cells: Vec<(usize, u64)>,
    /// What the process held in it.
    extents: Vec<(Gauge, Extent)>,
}

impl Window {
    fn between(from: &Snapshot, to: &Snapshot, start: u64, extents: Vec<(Gauge, Extent)>) -> Option<Window> {
        let delta = to.since(from)?;
        let values = delta.counts.values.iter().copied().enumerate();
        Some(Window {
            at: Duration::from_nanos(from.taken.saturating_sub(start)),
            elapsed: delta.elapsed?,
            schema: Arc::clone(&delta.counts.schema),
            cells: values.filter(|&(_, value)| value != 0).collect(),
            extents,
        })
    }

    pub(crate) fn extent(&self, gauge: Gauge) -> Option<Extent> {
        self.extents.iter().find(|(of, _)| *of == gauge).map(|(_, extent)| *extent)
    }

    pub(crate) fn delta(&self) -> Delta {
        let mut counts = Counts::zero(Arc::clone(&self.schema));
        for &(cell, value) in &self.cells {
            counts.values[cell] = value;
        }
        Delta { elapsed: Some(self.elapsed), counts }
    }
}

//! Hardware and kernel counters of the processes that discovery finds, if the user asks for them.
//!
//! Invariants: a process is attached to once, however many segments it has; what it counted stays in the sums of its groups after it has gone,
//! so that a counter only rises; an event that is not counted has a state and no number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use stormglass_telemetry::perf::{Attachment, Circumstances, Event, Kernel, Plan, State, Tally, raise_limit};
use stormglass_telemetry::{Liveness, Process, clock};

use crate::packed::Packed;
use crate::retired::Group;
use crate::round::round;

const MILLISECOND: u64 = 1_000_000;
/// Readings are at least so far apart: each is a system call for each group of each thread.
const SPACING: u64 = 400 * MILLISECOND;
/// A rate is of about a second.
const SPAN: u64 = 900 * MILLISECOND;
/// Until a process is tried again that could not be attached to: a limit may have been raised meanwhile.
const RETRY: u64 = 10_000 * MILLISECOND;
/// Groups whose gone processes are remembered at most, as for everything else (retired.rs).
const GROUPS: usize = 64;

/// A process, by pid and start time.
type Key = (u32, u64);

fn key(process: &Process) -> Key {
    (process.pid, process.start_time)
}

/// What attaches to processes and reads what they count. Synthetic in tests.
pub(crate) trait Attach: Send {
    /// Counters on a process, or how every event stands instead.
    fn attach(&mut self, process: &Process) -> Result<Box<dyn Attached>, Vec<Tally>>;
}

/// Counters on a process.
pub(crate) trait Attached: Send {
    /// Every event; also once the process has ended.
    fn read(&mut self) -> Vec<Tally>;
    /// Threads that came while it was attached to, of which some may not be counted.
    fn missed(&self) -> usize;
}

/// The kernel's counters, by what can be counted here.
struct Real {
    kernel: Kernel,
    plan: Arc<Plan>,
}

struct RealAttached {
    attachment: Attachment<Kernel>,
    plan: Arc<Plan>,
}

impl Attach for Real {
    fn attach(&mut self, process: &Process) -> Result<Box<dyn Attached>, Vec<Tally>> {
        match Attachment::new(&self.kernel, &self.plan, process.pid, process.start_time) {
            Ok(attachment) => Ok(Box::new(RealAttached { attachment, plan: Arc::clone(&self.plan) })),
            Err(trouble) => {
                tracing::warn!(pid = process.pid, command = %process.command, "not counted: {}", trouble.message);
                Err(self.plan.all(trouble.state, &trouble.message))
            }
        }
    }
}

impl Attached for RealAttached {
    fn read(&mut self) -> Vec<Tally> {
        self.attachment.read(&self.plan)
    }

    fn missed(&self) -> usize {
        self.attachment.missed()
    }
}

/// One process.
struct Watched {
    /// None where it could not be attached to; then `tallies` say why.
    attached: Option<Box<dyn Attached>>,
    tallies: Vec<Tally>,
    /// Earlier readings, oldest first.
    earlier: VecDeque<(u64, Vec<Option<u64>>)>,
    read: u64,
    groups: BTreeSet<Group>,
    /// Until it has ended, which is final: what it counted then stands.
    live: bool,
}

/// What a process shows of its events.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PerfFrame {
    events: Vec<EventFrame>,
    /// Threads that may not be counted.
    missed_threads: usize,
}

#[derive(Clone, Debug, Serialize)]
struct EventFrame {
    event: Event,
    state: State,
    /// What to say of the state; empty while the event is counted.
    message: String,
    /// Since it was attached to.
    total: Option<u64>,
    per_second: Option<f64>,
    /// Share of the time for which it was counted.
    running: Option<f64>,
}

/// One event of all processes of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    /// None if no process counts it.
    pub(crate) total: Option<u64>,
    /// In which states it is, in processes that live.
    pub(crate) states: BTreeSet<State>,
    enabled: u64,
    running: u64,
}

impl Sum {
    /// Share of the time for which it was counted.
    pub(crate) fn running_ratio(&self) -> Option<f64> {
        (self.enabled > 0).then(|| (self.running as f64 / self.enabled as f64).min(1.0))
    }

    fn add(&mut self, tally: &Tally, live: bool) {
        if let Some(total) = tally.total {
            self.total = Some(self.total.unwrap_or(0).saturating_add(total));
        }
        self.enabled = self.enabled.saturating_add(tally.enabled);
        self.running = self.running.saturating_add(tally.running);
        if live {
            self.states.insert(tally.state);
        }
    }
}

/// The sums of a group, in the order of [`Event::ALL`].
pub(crate) type Sums = [Sum; Event::ALL.len()];

/// Follows processes as they come and go.
struct Perf {
    attach: Box<dyn Attach>,
    watched: BTreeMap<Key, Watched>,
    gone: BTreeMap<Group, Sums>,
}

/// The counters that the sampler and the scrapes share; or none, where nobody asked for them.
#[derive(Clone, Default)]
pub(crate) struct SharedPerf(Option<Arc<Mutex<Perf>>>);

impl SharedPerf {
    /// Counts whatever this machine and its settings allow; and what they do not, in sentences.
    pub(crate) fn here() -> (SharedPerf, Vec<String>) {
        raise_limit();
        let kernel = Kernel::here();
        let plan = Arc::new(Plan::probe(&kernel, Circumstances::here()));
        let problems = plan.problems();
        (SharedPerf::over(Real { kernel, plan }), problems)
    }

    fn over(attach: impl Attach + 'static) -> SharedPerf {
        let perf = Perf { attach: Box::new(attach), watched: BTreeMap::new(), gone: BTreeMap::new() };
        SharedPerf(Some(Arc::new(Mutex::new(perf))))
    }

    /// Attaches to what is new, reads what there is, and lets go of what has gone.
    pub(crate) fn follow(&self, snapshots: &[Packed]) {
        self.with(|perf| perf.follow(snapshots, clock::monotonic()));
    }

    /// What a process shows.
    pub(crate) fn frame(&self, process: &Process) -> Option<PerfFrame> {
        self.with(|perf| perf.watched.get(&key(process)).map(Watched::frame)).flatten()
    }

    /// The events of a process that are counted, and how many there were since it was attached to.
    pub(crate) fn totals(&self, process: &Process) -> Vec<(Event, u64)> {
        let of = |watched: &Watched| {
            watched.tallies.iter().filter_map(|tally| Some((tally.event, tally.total?))).collect()
        };
        self.with(|perf| perf.watched.get(&key(process)).map(of)).flatten().unwrap_or_default()
    }

    /// The sums of every group.
    pub(crate) fn by_group(&self) -> BTreeMap<Group, Sums> {
        self.with(|perf| perf.by_group()).unwrap_or_default()
    }

    fn with<T>(&self, f: impl FnOnce(&mut Perf) -> T) -> Option<T> {
        // See `SharedSource::lock` for why poison is ignored.
        Some(f(&mut self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Perf {
    fn follow(&mut self, snapshots: &[Packed], now: u64) {
        // Of several segments of a process each says by itself whether it is written to; the process lives while one is.
        let mut seen: BTreeMap<Key, bool> = BTreeMap::new();
        for snapshot in snapshots {
            let lives = seen.entry(key(snapshot.process())).or_default();
            *lives |= snapshot.liveness() == Liveness::Live;
        }
        for snapshot in snapshots {
            let key = key(snapshot.process());
            if seen[&key] && !self.watched.contains_key(&key) {
                self.watched.insert(key, Watched::new(self.attach.as_mut(), snapshot.process(), now));
            }
            if let Some(watched) = self.watched.get_mut(&key) {
                watched.groups.insert(Group::of(snapshot.process()));
                if seen[&key] {
                    watched.follow(self.attach.as_mut(), snapshot.process(), now);
                } else {
                    watched.end();
                }
            }
        }
        let gone: Vec<Key> = self.watched.keys().filter(|key| !seen.contains_key(key)).copied().collect();
        for mut watched in gone.iter().filter_map(|key| self.watched.remove(key)) {
            watched.end();
            for group in &watched.groups {
                if self.gone.len() < GROUPS || self.gone.contains_key(group) {
                    add(self.gone.entry(group.clone()).or_default(), &watched);
                }
            }
        }
    }

    fn by_group(&self) -> BTreeMap<Group, Sums> {
        let mut all = self.gone.clone();
        for watched in self.watched.values() {
            for group in &watched.groups {
                add(all.entry(group.clone()).or_default(), watched);
            }
        }
        all
    }
}

fn add(sums: &mut Sums, watched: &Watched) {
    for tally in &watched.tallies {
        sums[tally.event as usize].add(tally, watched.live);
    }
}

impl Watched {
    fn new(attach: &mut dyn Attach, process: &Process, now: u64) -> Watched {
        let (attached, tallies) = match attach.attach(process) {
            Ok(mut attached) => {
                let tallies = attached.read();
                (Some(attached), tallies)
            }
            Err(tallies) => (None, tallies),
        };
        let earlier = VecDeque::new();
        let mut watched =
            Watched { attached, tallies, earlier, read: now, groups: BTreeSet::new(), live: true };
        watched.remember();
        watched
    }

    /// Reads a process that lives, or tries again to attach to it.
    fn follow(&mut self, attach: &mut dyn Attach, process: &Process, now: u64) {
        let since = now.saturating_sub(self.read);
        if let Some(attached) = &mut self.attached {
            if since >= SPACING {
                self.tallies = attached.read();
                self.read = now;
                self.remember();
            }
        } else if self.live && since >= RETRY {
            let groups = std::mem::take(&mut self.groups);
            *self = Watched { groups, ..Watched::new(attach, process, now) };
        }
    }

    /// The process has ended: its counters are read once more and closed.
    fn end(&mut self) {
        if let Some(mut attached) = self.attached.take() {
            self.tallies = attached.read();
            self.earlier.clear();
        }
        self.live = false;
    }

    fn remember(&mut self) {
        let distance = |from: u64| self.read.saturating_sub(from);
        while self.earlier.get(1).is_some_and(|&(at, _)| distance(at) >= SPAN) {
            self.earlier.pop_front();
        }
        self.earlier.push_back((self.read, self.tallies.iter().map(|tally| tally.total).collect()));
    }

    fn frame(&self) -> PerfFrame {
        let earlier = self.earlier.front().filter(|(at, _)| *at < self.read);
        let events = self.tallies.iter().enumerate().map(|(index, tally)| {
            let rate = earlier.and_then(|(at, totals)| {
                let more = tally.total?.saturating_sub(totals.get(index).copied().flatten()?);
                round(more as f64 * 1e9 / (self.read - at) as f64)
            });
            let share = (tally.enabled > 0).then(|| tally.running as f64 / tally.enabled as f64);
            EventFrame {
                event: tally.event,
                state: tally.state,
                message: tally.message.clone(),
                total: tally.total,
                per_second: rate,
                running: share.and_then(round),
            }
        });
        PerfFrame {
            events: events.collect(),
            missed_threads: self.attached.as_ref().map_or(0, |attached| attached.missed()),
        }
    }
}

#[cfg(test)]
mod tests;

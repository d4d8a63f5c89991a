//! The verdicts over all processes: one diagnostician each, fed with whatever the sampler reads, and what has become of it for
//! `/metrics`, the log and the command line.
//!
//! Invariants: a process is judged whether or not it finds room on the page; one whose segment has gone has nothing on any more;
//! the ledger holds [`PLACES`] places at most, and counts how often a verdict was raised for those that find no room, too.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stormglass_telemetry::diagnosis::{Around, Change, Diagnostician, Finding, Place, Verdict, Why};
use stormglass_telemetry::{Counts, Delta, Process, Schema, clock};

use crate::frame::{Epoch, ProcessId};
use crate::packed::Packed;
use crate::retired::Group;
use crate::shown::Shown;
use crate::watching::Watching;

/// What the events are filtered by: `RUST_LOG=stormglass::verdict=off`.
const TARGET: &str = "stormglass::verdict";
/// Places that the ledger holds at most.
const PLACES: usize = 1024;
/// Events of one process and one look at most; of more that come at once, the number is told.
const EVENTS: usize = 4;
/// Time between two looks at what the sidecar itself takes.
const OWN_INTERVAL: u64 = 1_000_000_000;

/// What has been found since the start; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Verdicts(Arc<Mutex<Ledger>>);

/// A verdict at one place in the processes of one design and workload, added up.
#[derive(Clone, Debug)]
pub struct Told {
    /// The processes' command.
    pub command: String,
    /// Their design.
    pub strategy: String,
    /// Their workload; empty for programs.
    pub workload: String,
    /// In how many of them it is on.
    pub on: u64,
    /// How often it turned on.
    pub raised: u64,
    /// As it was last found.
    pub finding: Finding,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    places: BTreeMap<(Group, Verdict, Place), Record>,
    raised: BTreeMap<(Group, Verdict), u64>,
    full: bool,
}

#[derive(Clone, Debug)]
struct Record {
    on: u64,
    raised: u64,
    finding: Finding,
}

impl Verdicts {
    /// Everything that was ever found, the worst verdict first.
    pub fn told(&self) -> Vec<Told> {
        let ledger = self.lock();
        let told = ledger.places.iter().map(|((group, ..), record)| Told {
            command: group.command.clone(),
            strategy: group.strategy.clone(),
            workload: group.workload.clone(),
            on: record.on,
            raised: record.raised,
            finding: record.finding.clone(),
        });
        let mut told: Vec<Told> = told.collect();
        told.sort_by_key(|t| (std::cmp::Reverse(t.finding.verdict.severity()), t.finding.verdict));
        told
    }

    /// The ledger, for as long as one scrape or one look takes. Poison is ignored: every entry stands by itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// By group, verdict and place: whether it is on.
    pub(crate) fn active(&self) -> impl Iterator<Item = (&Group, Verdict, &Place, bool)> {
        self.places.iter().map(|((group, verdict, place), record)| (group, *verdict, place, record.on > 0))
    }

    /// By group and verdict: how often it turned on.
    pub(crate) fn raised(&self) -> impl Iterator<Item = (&Group, Verdict, u64)> {
        self.raised.iter().map(|((group, verdict), count)| (group, *verdict, *count))
    }

    fn enter(&mut self, group: &Group, change: &Change) {
        let (finding, raised) = match change {
            Change::Raised(finding) => (finding, true),
            Change::Cleared(past, _) => (&past.finding, false),
        };
        let room = self.places.len() < PLACES;
        let key = (group.clone(), finding.verdict);
        if raised && (self.raised.contains_key(&key) || self.raised.len() < PLACES) {
            *self.raised.entry(key).or_default() += 1;
        }
        match self.places.entry((group.clone(), finding.verdict, finding.place.clone())) {
            Entry::Occupied(mut entry) => {
                let record = entry.get_mut();
                record.on = if raised { record.on + 1 } else { record.on.saturating_sub(1) };
                record.raised += u64::from(raised);
                record.finding = finding.clone();
            }
            Entry::Vacant(entry) if raised && room => {
                entry.insert(Record { on: 1, raised: 1, finding: finding.clone() });
            }
            Entry::Vacant(_) => {
                if raised && !std::mem::replace(&mut self.full, true) {
                    tracing::warn!(
                        "over {PLACES} places have had a verdict: stormglass_verdict_active shows no further ones"
                    );
                }
            }
        }
    }
}

/// One process.
struct Case {
    process: Arc<Process>,
    diagnostician: Diagnostician,
}

/// Judges every process, and the sidecar.
pub(crate) struct Clinic {
    verdicts: Verdicts,
    cases: BTreeMap<ProcessId, Case>,
    own: Own,
    watching: Watching,
}

impl Clinic {
    pub(crate) fn new(verdicts: Verdicts) -> Clinic {
        Clinic { verdicts, cases: BTreeMap::new(), own: Own::default(), watching: Watching::default() }
    }

    /// One that knows what counting costs.
    pub(crate) fn knowing(self, watching: Watching) -> Clinic {
        Clinic { watching, ..self }
    }

    /// Takes in one read of all processes, and says what has turned on or off in which.
    pub(crate) fn look(&mut self, snapshots: &[Packed], now: u64) -> Vec<(ProcessId, Change)> {
        let mut all = Vec::new();
        let cost = self.watching.latest();
        let mut before = std::mem::take(&mut self.cases);
        for snapshot in snapshots {
            let id = ProcessId::of(snapshot.process());
            let mut case = before.remove(&id).unwrap_or_else(|| Case {
                process: Arc::clone(snapshot.process()),
                diagnostician: Diagnostician::new(),
            });
            let Process { strategy, workload, .. } = &*case.process;
            let counting = cost.as_ref().and_then(|cost| cost.share(strategy, workload));
            let changes =
                case.diagnostician.see(&snapshot.whole(), &Around { counting, ..Around::default() });
            self.report(&case.process, &changes);
            all.extend(changes.into_iter().map(|change| (id, change)));
            self.cases.insert(id, case);
        }
        // Their segments have gone without a last word.
        for (id, case) in &mut before {
            let changes = case.diagnostician.end(now);
            self.report(&case.process, &changes);
            all.extend(changes.into_iter().map(|change| (*id, change)));
        }
        self.own.look(now, clock::process_time());
        all
    }

    /// What is on in a process, and what was.
    pub(crate) fn of(&self, id: ProcessId, epoch: Epoch) -> (Vec<Shown>, Vec<Shown>) {
        let Some(Case { diagnostician, .. }) = self.cases.get(&id) else { return Default::default() };
        let active = diagnostician.active().iter().map(|finding| Shown::active(finding, epoch)).collect();
        // The newest first.
        let past = diagnostician.past().map(|past| Shown::past(past, epoch));
        (active, past.collect::<Vec<_>>().into_iter().rev().collect())
    }

    /// What is on in the sidecar itself.
    pub(crate) fn own(&self, epoch: Epoch) -> Vec<Shown> {
        self.own.diagnostician.active().iter().map(|finding| Shown::active(finding, epoch)).collect()
    }

    fn report(&self, process: &Process, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut ledger = self.verdicts.lock();
        let group = Group::of(process);
        for (i, change) in changes.iter().enumerate() {
            ledger.enter(&group, change);
            if i < EVENTS {
                tell(process, change);
            }
        }
        if let Some(more) = changes.len().checked_sub(EVENTS).filter(|&more| more > 0) {
            tracing::warn!(target: TARGET, command = %process.command, pid = process.pid, "and {more} more at once");
        }
    }
}

fn tell(process: &Process, change: &Change) {
    let Process { command, pid, strategy, workload, .. } = process;
    match change {
        Change::Raised(finding) => {
            let verdict = finding.verdict.id();
            tracing::warn!(target: TARGET, verdict, %command, pid, %strategy, %workload, "{finding}");
        }
        Change::Cleared(past, why) => {
            let verdict = past.finding.verdict.id();
            let lasted = Duration::from_nanos(past.until.saturating_sub(past.finding.since)).as_secs_f64();
            let end = match why {
                Why::Calm => "over",
                Why::Ended => "over with its process",
            };
            let place = &past.finding.place;
            tracing::info!(
                target: TARGET, verdict, %command, pid, %strategy, %workload,
                "{}, {place}: {end} after {lasted:.1} s", past.finding.verdict.title()
            );
        }
    }
}

/// What the sidecar takes of the machine.
#[derive(Default)]
struct Own {
    diagnostician: Diagnostician,
    /// Moment and processor time of the last look, nanoseconds.
    last: Option<(u64, u64)>,
}

impl Own {
    fn look(&mut self, now: u64, taken: u64) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, taken));
            return;
        };
        let span = now.saturating_sub(then);
        if span < OWN_INTERVAL {
            return;
        }
        self.last = Some((now, taken));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = taken.saturating_sub(before) as f64 / span as f64 / cores as f64;
        let nothing = Counts::zero(Arc::new(Schema::new(Vec::new(), Vec::new())));
        let delta = Delta { elapsed: Some(Duration::from_nanos(span)), counts: nothing };
        let around = Around { sidecar: Some(share), ..Around::default() };
        for change in self.diagnostician.observe(&delta, &around) {
            match change {
                Change::Raised(finding) => {
                    tracing::warn!(target: TARGET, verdict = finding.verdict.id(), "{}", finding.evidence);
                }
                Change::Cleared(past, _) => {
                    tracing::info!(target: TARGET, verdict = past.finding.verdict.id(), "over");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Remembers just enough of each process to say what it does *now*, and makes frames of it.
//!
//! Invariant: of a live process it keeps the snapshots of about one second, of a dead one the finished part of its
//! frame: what is kept grows with the number of processes, never with time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use stormglass_telemetry::{Liveness, Snapshot, clock};

use crate::baselines::Baselines;
use crate::exposition::OwnCounts;
use crate::frame::{Body, Epoch, Frame, Now, ProcessFrame, ProcessId, Spans};
use crate::history::{History, Memory, PROCESSES};
use crate::packed::Packed;
use crate::past::Past;
use crate::results::Results;
use crate::source::SharedSource;
use crate::verdicts::{Clinic, Verdicts};
use crate::watching::Watching;

/// What is remembered of one process.
#[derive(Default)]
struct Track {
    earlier: Baselines,
    /// Of a dead process: all but its age.
    buried: Option<Arc<Body>>,
}

/// Turns reads of a source into frames and history.
pub(crate) struct Observer {
    source: SharedSource,
    results: Results,
    /// What the scrapes beside it count.
    scrapes: Arc<OwnCounts>,
    watching: Watching,
    epoch: Epoch,
    clinic: Clinic,
    tracks: BTreeMap<ProcessId, Track>,
    pub(crate) history: History,
    pub(crate) past: Past,
}

impl Observer {
    pub(crate) fn new(source: SharedSource, results: Results, verdicts: Verdicts) -> Observer {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        Observer {
            source,
            results,
            scrapes: Arc::default(),
            watching: Watching::default(),
            epoch: Epoch::of(unix_ms, clock::monotonic()),
            clinic: Clinic::new(verdicts),
            tracks: BTreeMap::new(),
            history: History::default(),
            past: Past::default(),
        }
    }

    /// With the scrapes of an exposition, whose losses its frames tell of.
    pub(crate) fn beside(self, scrapes: Arc<OwnCounts>) -> Observer {
        Observer { scrapes, ..self }
    }

    /// With what counting costs, of which its frames and verdicts tell.
    pub(crate) fn knowing(self, watching: Watching) -> Observer {
        Observer { clinic: self.clinic.knowing(watching.clone()), watching, ..self }
    }

    /// Reads every process now, and says what is to be shown.
    pub(crate) fn observe(&mut self) -> Frame {
        let mut source = self.source.lock();
        let snapshots = source.snapshots();
        let now = source.now().unwrap_or_else(|| self.epoch.at(clock::monotonic()));
        drop(source);
        self.source.perf.follow(&snapshots);
        self.frame(snapshots, now)
    }

    fn frame(&mut self, mut snapshots: Vec<Packed>, now: Now) -> Frame {
        let changes = self.clinic.look(&snapshots, now.monotonic);
        // The living first, then the youngest, so that what is cut off is the longest dead. The frame says how many.
        snapshots.sort_by_key(|s| (s.liveness() == Liveness::Dead, std::cmp::Reverse(s.born())));
        let left_out = snapshots.len().saturating_sub(PROCESSES);
        snapshots.truncate(PROCESSES);
        snapshots.sort_by_key(|s| (s.born(), ProcessId::of(s.process())));

        self.past.record(now, left_out as u64, &snapshots);
        for (id, change) in &changes {
            self.past.note(now, self.epoch, &snapshots, *id, change);
        }
        let mut before = std::mem::take(&mut self.tracks);
        let mut processes = Vec::with_capacity(snapshots.len());
        for packed in snapshots {
            let snapshot = packed.whole();
            let id = ProcessId::of(&snapshot.process);
            let mut track = before.remove(&id).unwrap_or_default();
            let body = track.body(&snapshot, now, &mut self.history);
            let perf = self.source.perf.frame(&snapshot.process);
            processes.push(
                ProcessFrame::new(body, &snapshot, now, self.clinic.of(id, self.epoch)).with_perf(perf),
            );
            track.remember(packed);
            self.tracks.insert(id, track);
        }
        let results = self.results.latest();
        // Relaxed: a statistic.
        let series_left_out = self.scrapes.left_out.load(Ordering::Relaxed);
        let sidecar_verdicts = self.clinic.own(self.epoch);
        let watching_cost = self.watching.latest();
        Frame {
            time: now.unix_ms,
            processes,
            sidecar_verdicts,
            left_out,
            series_left_out,
            results,
            watching_cost,
        }
    }
}

impl Track {
    fn body(&mut self, snapshot: &Snapshot, now: Now, history: &mut History) -> Arc<Body> {
        if let Some(body) = &self.buried {
            return Arc::clone(body);
        }
        let before = self.earlier.before(snapshot.taken);
        let newest = self.earlier.newest();
        let spans = Spans::new(snapshot, before.iter().chain(&newest));
        let body = Arc::new(Body::new(snapshot, &spans));
        let dead = snapshot.liveness == Liveness::Dead;
        // One that was never seen alive leaves one point, its life; a life is no point on the line of another.
        if spans.recent.is_some() || (dead && self.earlier.is_empty()) {
            history.record(&snapshot.process, now.unix_ms, body.rates(), &Memory::of(snapshot));
        }
        if dead {
            self.earlier = Baselines::default();
            self.buried = Some(Arc::clone(&body));
        }
        body
    }

    fn remember(&mut self, snapshot: Packed) {
        if self.buried.is_none() {
            self.earlier.remember(snapshot);
        }
    }
}

#[cfg(test)]
mod tests {
    use stormglass_telemetry::Metric;

    use super::*;
    use crate::history::Asked;
    use crate::packed::packed;
    use crate::synthetic::{self, Fixed, SECOND};

    fn observer() -> Observer {
        Observer::new(SharedSource::new(Fixed::new(Vec::new())), Results::default(), Verdicts::default())
    }

    fn at(pid: u32, age: u64) -> Snapshot {
        let mut snapshot = synthetic::snapshot(synthetic::process(pid, "mutex"), age);
        synthetic::add(&mut snapshot, Metric::RingHits, &[2], 0, age / 1000);
        snapshot
    }

    fn now(snapshot: &Snapshot) -> Now {
        Now { unix_ms: snapshot.taken / 1_000_000, monotonic: snapshot.taken }
    }

    #[test]
    fn baselines_are_those_of_a_second() {
        let mut observer = observer();
        for i in 0..200_u64 {
            let snapshot = at(1, i * SECOND / 50);
            let now = now(&snapshot);
            observer.frame(vec![snapshot.into()], now);
            assert!(observer.tracks.values().all(|t| t.earlier.len() <= 9));
        }
        let track = observer.tracks.values().next().expect("one process");
        assert!(track.earlier.len() >= 5);
        assert!(observer.frame(Vec::new(), now(&at(1, 0))).processes.is_empty());
        assert!(observer.tracks.is_empty(), "a process that is gone is forgotten");
    }

    #[test]
    fn the_wall_clock_is_asked_once() {
        let mut observer = observer();
        observer.epoch = Epoch::of(3_600_000, 100 * SECOND);
        let times: Vec<u64> = [100, 101, 103].map(|at| observer.epoch.at(at * SECOND).unix_ms).into();
        assert_eq!(times, [3_600_000, 3_601_000, 3_603_000]);
        // In 1970 for as long as it runs, if the clock said so at the start.
        observer.epoch = Epoch::of(3_600_000, clock::monotonic());
        let (first, second) = (observer.observe().time, observer.observe().time);
        assert!(3_600_000 <= first && first <= second && second < 7_200_000, "{first} {second}");
    }

    #[test]
    fn a_dead_process_is_worked_out_once_and_shows_its_life() {
        let mut observer = observer();
        for age in [SECOND, 2 * SECOND] {
            let snapshot = at(1, age);
            let now = now(&snapshot);
            observer.frame(vec![snapshot.into()], now);
        }
        let mut dead = at(1, 4 * SECOND);
        dead.liveness = Liveness::Dead;
        dead.threads = 0;
        let frame = observer.frame(vec![dead.clone().into()], now(&dead));
        assert_eq!(frame.processes[0].rates().allocations_per_second, Some(1e6));
        let track = observer.tracks.values().next().expect("still shown");
        assert!(track.buried.is_some() && track.earlier.is_empty());
    }

    #[test]
    fn one_that_lived_between_two_samples_leaves_its_lifetime() {
        let mut observer = observer();
        let mut dead = at(9, SECOND / 10);
        dead.liveness = Liveness::Dead;
        dead.threads = 0;
        let moment = now(&dead);
        let frame = observer.frame(vec![dead.into()], moment);
        assert_eq!(frame.processes[0].rates().allocations_per_second, Some(1e6));
        let history = serde_json::to_value(observer.history.part(Asked::default())).expect("JSON");
        assert_eq!(history["points"]["9-90-0"][0][1], 1e6);
    }

    #[test]
    fn the_frame_is_bounded_and_keeps_the_living() {
        let mut observer = observer();
        let mut snapshots: Vec<Snapshot> = (1..=200).map(|pid| at(pid, SECOND)).collect();
        for snapshot in &mut snapshots[..199] {
            snapshot.liveness = Liveness::Dead;
            snapshot.born += u64::from(snapshot.process.pid);
        }
        let moment = now(&snapshots[0]);
        let frame = observer.frame(packed(&snapshots), moment);
        assert_eq!(frame.processes.len(), PROCESSES);
        assert_eq!(frame.left_out, 200 - PROCESSES);
        let json = serde_json::to_value(&frame).expect("JSON");
        assert!(json["processes"].as_array().expect("a list").iter().any(|p| p["live"] == true));
    }
}

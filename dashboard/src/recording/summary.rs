//! A recording in a few numbers: what each process did in the time that was recorded.
//!
//! Invariant: rates and ratios are of the recorded span alone; of a process that was recorded once, and of which nothing else is
//! known, there are none.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Serialize;
use stormglass_telemetry::{Delta, Liveness, Measures, Metric, Select, Snapshot};

use super::{End, Reader, RecordingError};
use crate::frame::ProcessId;
use crate::grid::{Axes, grid};

/// What a recording holds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Version of the stormglass that recorded.
    pub version: String,
    /// What the recording is about; may be empty.
    pub note: String,
    /// Milliseconds since 1970 of the first and of the last moment.
    pub span: Option<(u64, u64)>,
    /// Moments.
    pub moments: u64,
    /// Whether it ends as its recorder wished.
    pub whole: bool,
    /// What is wrong with it from some place on.
    pub damage: Option<String>,
    /// Every process, in the order of its first moment.
    pub processes: Vec<Recorded>,
}

/// What a recording holds of one process.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// Command name.
    pub command: String,
    /// Process id on the machine that was recorded.
    pub pid: u32,
    /// Free-list design.
    pub strategy: String,
    /// What a benchmark ran; empty for others.
    pub workload: String,
    /// The delay that was injected.
    pub injected: Option<String>,
    /// Whether it lived at its last moment.
    pub live: bool,
    /// Milliseconds since 1970 of its first and of its last moment.
    pub span: (u64, u64),
    /// The measures over that span.
    pub measures: Measures,
    /// The most CAS failures a second between two moments, and when that was.
    pub peak: Option<Peak>,
    /// The class and shard with the most CAS failures, if there were any.
    pub hottest: Option<Hottest>,
}

/// The worst moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Peak {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// CAS failures a second up to there.
    pub cas_failures_per_second: f64,
}

/// The worst place.
#[derive(Clone, Debug, Serialize)]
pub struct Hottest {
    /// Block size in bytes.
    pub class: String,
    /// Shard of the class.
    pub shard: String,
    /// CAS failures a second there, over the span.
    pub cas_failures_per_second: f64,
}

/// What is remembered while reading.
struct Track {
    first: Snapshot,
    last: Snapshot,
    from: u64,
    to: u64,
    failures: Option<u64>,
    peak: Option<Peak>,
}

impl Summary {
    /// Reads a recording to its end. Damage ends the reading, and is said.
    ///
    /// # Errors
    /// If it holds no moment that can be read.
    pub fn of<R: Read>(mut reader: Reader<R>) -> Result<Summary, RecordingError> {
        let mut tracks: BTreeMap<ProcessId, Track> = BTreeMap::new();
        let mut order = Vec::new();
        let (mut span, mut moments, mut damage) = (None::<(u64, u64)>, 0, None);
        loop {
            match reader.advance() {
                Ok(None) => break,
                Err(error) if moments == 0 => return Err(error),
                Err(error) => {
                    damage = Some(error.to_string());
                    break;
                }
                Ok(Some(_)) => {}
            }
            let now = reader.decoder().now().unix_ms;
            moments += 1;
            span = Some((span.map_or(now, |(from, _)| from), now));
            for snapshot in reader.decoder().snapshots() {
                let id = ProcessId::of(&snapshot.process);
                if let Some(track) = tracks.get_mut(&id) {
                    track.go_on(snapshot, now);
                } else {
                    order.push(id);
                    tracks.insert(id, Track::begin(snapshot, now));
                }
            }
        }
        let about = reader.about();
        Ok(Summary {
            version: about.version.clone(),
            note: about.note.clone(),
            span,
            moments,
            whole: damage.is_none() && reader.end() == Some(End::Whole),
            damage,
            processes: order.iter().filter_map(|id| tracks.get(id)).map(Track::recorded).collect(),
        })
    }
}

impl Track {
    fn begin(snapshot: &Snapshot, now: u64) -> Track {
        Track {
            first: snapshot.clone(),
            last: snapshot.clone(),
            from: now,
            to: now,
            failures: snapshot.counts.sum(Metric::CasFailures, Select::ALL),
            peak: None,
        }
    }

    fn go_on(&mut self, snapshot: &Snapshot, now: u64) {
        let failures = snapshot.counts.sum(Metric::CasFailures, Select::ALL);
        let nanoseconds = snapshot.taken.saturating_sub(self.last.taken);
        if let (Some(before), Some(after)) = (self.failures, failures)
            && nanoseconds > 0
        {
            let rate = after.saturating_sub(before) as f64 / (nanoseconds as f64 / 1e9);
            if self.peak.is_none_or(|peak| rate > peak.cas_failures_per_second) {
                self.peak = Some(Peak { unix_ms: now, cas_failures_per_second: rate });
            }
        }
        self.failures = failures;
        self.last.clone_from(snapshot);
        self.to = now;
    }

    /// What happened in the recorded span; of a process that began in it, in its life.
    fn delta(&self) -> Delta {
        let lived_before = self.first.born.saturating_add(1_000_000_000) < self.first.taken;
        let since = self.last.since(&self.first);
        if lived_before { since.unwrap_or_else(|| self.last.lifetime()) } else { self.last.lifetime() }
    }

    fn recorded(&self) -> Recorded {
        let delta = self.delta();
        let process = &self.last.process;
        Recorded {
            command: process.command.clone(),
            pid: process.pid,
            strategy: process.strategy.clone(),
            workload: process.workload.clone(),
            injected: process.injected.clone(),
            live: self.last.liveness == Liveness::Live,
            span: (self.from, self.to),
            measures: delta.measures(Select::ALL),
            peak: self.peak,
            hottest: hottest(&delta),
        }
    }
}

fn hottest(delta: &Delta) -> Option<Hottest> {
    let axes = Axes::of(&delta.counts.schema);
    let cells = grid(delta, &axes).cas_failures_per_second;
    let all = cells.iter().enumerate().flat_map(|(class, row)| {
        row.iter().enumerate().filter_map(move |(shard, rate)| Some((class, shard, (*rate)?)))
    });
    let (class, shard, rate) = all.filter(|at| at.2 > 0.0).max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(Hottest {
        class: axes.classes.get(class)?.clone(),
        shard: axes.shards.get(shard)?.clone(),
        cas_failures_per_second: rate,
    })
}

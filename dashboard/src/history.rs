//! The past of each process, for the time lines: a ring of points, so that a page that has just been opened does
//! not start empty.
//!
//! Invariant: at most [`POINTS`] points a process and [`PROCESSES`] processes, whatever happens: the memory of a
//! sidecar that runs for a month is that of its first minutes.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use stormglass_telemetry::{Measures, Process};

use crate::frame::ProcessId;
use crate::round::round;

/// Points kept of one process: five minutes at two a second.
pub(crate) const POINTS: usize = 600;
/// Processes kept; the one that was heard of longest ago goes first.
pub(crate) const PROCESSES: usize = 64;
/// Least distance of two points, in milliseconds; a little under half a second, so that a timer that fires a
/// little early does not lose every other point.
const SPACING: u64 = 450;

/// One moment of one process. Single precision: it is drawn, not computed with.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    unix_ms: u64,
    allocations_per_second: Option<f32>,
    cas_failures_per_second: Option<f32>,
    ring_hit_ratio: Option<f32>,
    lock_wait_ratio: Option<f32>,
    live_bytes: Option<f32>,
    mapped_bytes: Option<f32>,
    resident_bytes: Option<f32>,
}

/// Bytes of a process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) live: Option<u64>,
    pub(crate) mapped: Option<u64>,
    pub(crate) resident: Option<u64>,
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = |v: Option<f32>| v.and_then(|v| round(f64::from(v)));
        (
            self.unix_ms,
            value(self.allocations_per_second),
            value(self.cas_failures_per_second),
            value(self.ring_hit_ratio),
            value(self.lock_wait_ratio),
            value(self.live_bytes),
            value(self.mapped_bytes),
            value(self.resident_bytes),
        )
            .serialize(serializer)
    }
}

/// Whose line it is.
#[derive(Clone, Debug, Serialize)]
struct Owner {
    command: String,
    strategy: String,
    workload: String,
    injected: Option<String>,
    pid: u32,
    /// Whether it is an allocator of every size.
    general: bool,
}

#[derive(Debug)]
struct Line {
    owner: Owner,
    points: VecDeque<Point>,
}

/// The time lines of all processes.
#[derive(Debug, Default)]
pub(crate) struct History {
    lines: BTreeMap<ProcessId, Line>,
}

impl History {
    /// Adds a point, unless the last one is too recent.
    pub(crate) fn record(&mut self, process: &Process, unix_ms: u64, measures: &Measures, memory: &Memory) {
        let id = ProcessId::of(process);
        if !self.lines.contains_key(&id) {
            self.make_room();
            let owner = Owner {
                command: process.command.clone(),
                strategy: process.strategy.clone(),
                workload: process.workload.clone(),
                injected: process.injected.clone(),
                pid: process.pid,
                general: memory.live.is_some(),
            };
            self.lines.insert(id, Line { owner, points: VecDeque::new() });
        }
        let Some(line) = self.lines.get_mut(&id) else { return };
        if line.points.back().is_some_and(|last| unix_ms < last.unix_ms.saturating_add(SPACING)) {
            return;
        }
        if line.points.len() == POINTS {
            line.points.pop_front();
        }
        let single = |v: Option<f64>| v.map(|v| v as f32);
        line.points.push_back(Point {
            unix_ms,
            allocations_per_second: single(measures.allocations_per_second),
            cas_failures_per_second: single(measures.cas_failures_per_second),
            ring_hit_ratio: single(measures.ring_hit_ratio),
            lock_wait_ratio: single(measures.lock_wait_ratio),
            live_bytes: memory.live.map(|bytes| bytes as f32),
            mapped_bytes: memory.mapped.map(|bytes| bytes as f32),
            resident_bytes: memory.resident.map(|bytes| bytes as f32),
        });
    }

    /// Forgets the process whose last point is oldest, if another would be one too many.
    fn make_room(&mut self) {
        while self.lines.len() >= PROCESSES {
            let heard = |line: &Line| line.points.back().map_or(0, |p| p.unix_ms);
            let Some(id) = self.lines.iter().min_by_key(|(_, line)| heard(line)).map(|(id, _)| *id) else {
                return;
            };
            self.lines.remove(&id);
        }
    }
}

impl Serialize for History {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("History", 2)?;
        out.serialize_field("points", &Mapped(self, |line| &line.points))?;
        out.serialize_field("processes", &Mapped(self, |line| &line.owner))?;
        out.end()
    }
}

/// One part of each line, by process id.
struct Mapped<'a, T>(&'a History, fn(&Line) -> &T);

impl<T: Serialize> Serialize for Mapped<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.lines.len()))?;
        for (id, line) in &self.0.lines {
            map.serialize_entry(&id.to_string(), self.1(line))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    fn measures() -> Measures {
        Measures { allocations_per_second: Some(1_234_567.8), ring_hit_ratio: None, ..Measures::default() }
    }

    #[test]
    fn points_and_processes_are_bounded() {
        let mut history = History::default();
        let process = synthetic::process(1, "mutex");
        for i in 0..POINTS as u64 + 100 {
            history.record(&process, i * 500, &measures(), &Memory::default());
        }
        let line = &history.lines[&ProcessId::of(&process)];
        assert_eq!(line.points.len(), POINTS);
        assert_eq!(line.points.front().map(|p| p.unix_ms), Some(100 * 500), "the oldest went first");

        for pid in 2..=PROCESSES as u32 + 10 {
            history.record(
                &synthetic::process(pid, "mutex"),
                1_000_000 + u64::from(pid),
                &measures(),
                &Memory::default(),
            );
        }
        assert_eq!(history.lines.len(), PROCESSES);
        assert!(!history.lines.contains_key(&ProcessId::of(&process)), "the one heard of longest ago went");
    }

    #[test]
    fn points_keep_their_distance() {
        let mut history = History::default();
        let process = synthetic::process(1, "mutex");
        for unix_ms in [1000, 1200, 1400, 1600, 2000] {
            history.record(&process, unix_ms, &measures(), &Memory::default());
        }
        let times: Vec<u64> =
            history.lines[&ProcessId::of(&process)].points.iter().map(|p| p.unix_ms).collect();
        assert_eq!(times, [1000, 1600]);
    }

    #[test]
    fn the_shape_is_the_one_that_the_page_reads() {
        let mut history = History::default();
        let memory = Memory { live: Some(70), mapped: Some(1 << 20), resident: None };
        history.record(&synthetic::process(7, "mutex"), 1000, &measures(), &memory);
        let json = serde_json::to_value(&history).expect("history is JSON");
        assert_eq!(
            json["points"]["7-70-0"],
            serde_json::json!([[1000, 1_234_600.0, null, null, null, 70.0, 1_048_600.0, null]])
        );
        assert_eq!(
            json["processes"]["7-70-0"],
            serde_json::json!({"command": "hammer", "strategy": "mutex", "workload": "storm", "injected": null, "pid": 7, "general": true})
        );
    }
}

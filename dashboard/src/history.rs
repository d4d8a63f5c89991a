//! The past of each process, for the time lines: points of a quarter of an hour, so that a page that has just been opened
//! does not start empty.
//!
//! Invariant: at most [`POINTS`] points in all and [`PROCESSES`] processes, which share them evenly, whatever happens: the
//! memory of a sidecar that runs for a month is that of its first quarter of an hour. Where a share is too small for a point a
//! second, what is older than [`RECENT`] is thinned to one in five seconds, and what is oldest goes.

use std::collections::{BTreeMap, VecDeque};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, SerializeTuple, Serializer};
use stormglass_telemetry::{Measures, Process, Snapshot};

use crate::frame::ProcessId;
use crate::past::REACH;
use crate::round::round;

/// Points kept of all processes: 40 bytes each.
pub(crate) const POINTS: usize = 24_000;
/// Processes kept; the one that was heard of longest ago goes first.
pub(crate) const PROCESSES: usize = 64;
/// Processes of a recording: as many as it may name at a time.
const RECORDED: usize = 1024;
/// Least distance of two points, in milliseconds; a little under a second, so that a timer that fires a little early does
/// not lose every other point.
const SPACING: u64 = 950;
/// Points that a line grows by.
const STEP: usize = 60;
/// What is younger is never thinned, in milliseconds.
const RECENT: u64 = 60_000;
/// Least distance of two points that were thinned, in milliseconds.
const THINNED: u64 = 4900;

/// One moment of one process. Single precision: it is drawn, not computed with; NaN is what was not counted.
#[derive(Clone, Copy, Debug)]
struct Point {
    unix_ms: u64,
    values: [f32; 7],
}

/// Bytes of a process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) live: Option<u64>,
    pub(crate) mapped: Option<u64>,
    pub(crate) resident: Option<u64>,
}

impl Memory {
    /// What the time line of memory shows; nothing of a mid pool, whose process holds memory elsewhere.
    pub(crate) fn of(snapshot: &Snapshot) -> Memory {
        let held = snapshot.held();
        if held.large_live_bytes.is_none() {
            return Memory::default();
        }
        Memory { live: held.live_bytes, mapped: held.mapped_bytes, resident: held.resident_bytes }
    }
}

impl Point {
    fn new(unix_ms: u64, measures: &Measures, memory: &Memory) -> Point {
        let bytes = |v: Option<u64>| v.map(|v| v as f64);
        let values = [
            measures.allocations_per_second,
            measures.cas_failures_per_second,
            measures.ring_hit_ratio,
            measures.lock_wait_ratio,
            bytes(memory.live),
            bytes(memory.mapped),
            bytes(memory.resident),
        ];
        Point { unix_ms, values: values.map(|value| value.map_or(f32::NAN, |value| value as f32)) }
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_tuple(1 + self.values.len())?;
        out.serialize_element(&self.unix_ms)?;
        for value in self.values {
            out.serialize_element(&round(f64::from(value)))?;
        }
        out.end()
    }
}

/// Whose line it is.
#[derive(Clone, Debug, serde::Serialize)]
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
    /// Least distance of its points, in milliseconds.
    spacing: u64,
}

/// The time lines of all processes.
#[derive(Debug)]
pub(crate) struct History {
    lines: BTreeMap<ProcessId, Line>,
    /// Milliseconds that it goes back; without that, it goes back for ever, and its lines grow coarser evenly.
    reach: Option<u64>,
    processes: usize,
}

impl Default for History {
    fn default() -> History {
        History { lines: BTreeMap::new(), reach: Some(REACH), processes: PROCESSES }
    }
}

impl History {
    /// The history of something that has ended, of whatever length.
    pub(crate) fn of_all_time() -> History {
        History { lines: BTreeMap::new(), reach: None, processes: RECORDED }
    }

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
            self.lines.insert(id, Line { owner, points: VecDeque::new(), spacing: SPACING });
        }
        let Some(line) = self.lines.get_mut(&id) else { return };
        if line.points.back().is_some_and(|last| unix_ms < last.unix_ms.saturating_add(line.spacing)) {
            return;
        }
        if line.points.len() == line.points.capacity() {
            line.points.reserve_exact(STEP);
        }
        line.points.push_back(Point::new(unix_ms, measures, memory));
        let share = POINTS / self.lines.len().max(1);
        for line in self.lines.values_mut() {
            match self.reach {
                Some(reach) => line.fit(share, unix_ms, reach),
                None => line.coarsen(share),
            }
        }
        self.lines.retain(|_, line| !line.points.is_empty());
    }

    /// Forgets the process whose last point is oldest, if another would be one too many.
    fn make_room(&mut self) {
        while self.lines.len() >= self.processes {
            let heard = |line: &Line| line.points.back().map_or(0, |p| p.unix_ms);
            let Some(id) = self.lines.iter().min_by_key(|(_, line)| heard(line)).map(|(id, _)| *id) else {
                return;
            };
            self.lines.remove(&id);
        }
    }
}

impl Line {
    /// Thins and shortens it to so many points, none older than the past reaches.
    fn fit(&mut self, share: usize, now: u64, reach: u64) {
        let oldest = now.saturating_sub(reach);
        while self.points.front().is_some_and(|first| first.unix_ms < oldest) {
            self.points.pop_front();
        }
        if self.points.len() <= share {
            return;
        }
        let recent = now.saturating_sub(RECENT);
        self.thin(THINNED, recent);
        while self.points.len() > share {
            self.points.pop_front();
        }
        self.points.shrink_to(share + STEP);
    }

    /// Makes do with so many points by taking fewer of them from here on, and of those that are there.
    fn coarsen(&mut self, share: usize) {
        if self.points.len() > share.max(2) {
            self.spacing *= 2;
            self.thin(self.spacing, u64::MAX);
        }
    }

    /// Leaves points of this distance, of those before some moment.
    fn thin(&mut self, spacing: u64, before: u64) {
        let mut kept = None;
        self.points.retain(|point| {
            let keep = point.unix_ms >= before
                || kept.is_none_or(|kept| point.unix_ms >= u64::saturating_add(kept, spacing));
            if keep {
                kept = Some(point.unix_ms);
            }
            keep
        });
    }
}

/// What is asked of a history: a span, in milliseconds since 1970, or the last so many milliseconds of it, and the least distance
/// of two points.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    from: u64,
    to: u64,
    last: Option<u64>,
    step: u64,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked { from: 0, to: u64::MAX, last: None, step: 0 }
    }
}

/// The part of a history that was asked for. Processes without a point in it are left out.
pub(crate) struct Part<'a> {
    lines: Vec<(&'a ProcessId, &'a Line, Vec<Point>)>,
}

impl History {
    /// A part of it.
    pub(crate) fn part(&self, asked: Asked) -> Part<'_> {
        let newest =
            self.lines.values().filter_map(|line| line.points.back()).map(|point| point.unix_ms).max();
        let from = asked.last.map_or(asked.from, |last| newest.unwrap_or(0).saturating_sub(last));
        let points = |line: &Line| -> Vec<Point> {
            let mut last = None;
            let in_span = |p: &&Point| (from..=asked.to).contains(&p.unix_ms);
            let spaced = |p: &&Point| {
                let far = last.is_none_or(|last: u64| p.unix_ms - last >= asked.step);
                if far {
                    last = Some(p.unix_ms);
                }
                far
            };
            line.points.iter().filter(in_span).filter(spaced).copied().collect()
        };
        let lines = self.lines.iter().map(|(id, line)| (id, line, points(line)));
        Part { lines: lines.filter(|(.., points)| !points.is_empty()).collect() }
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("History", 2)?;
        out.serialize_field("points", &Mapped(self, |(.., points)| points))?;
        out.serialize_field("processes", &Mapped(self, |(_, line, _)| &line.owner))?;
        out.end()
    }
}

type Entry<'a> = (&'a ProcessId, &'a Line, Vec<Point>);

/// One part of each line, by process id.
struct Mapped<'a, T>(&'a Part<'a>, fn(&'a Entry<'a>) -> &'a T);

impl<T: Serialize> Serialize for Mapped<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.lines.len()))?;
        for entry in &self.0.lines {
            map.serialize_entry(&entry.0.to_string(), self.1(entry))?;
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
    fn points_are_a_quarter_of_an_hour_and_shared_by_all_processes() {
        let mut history = History::default();
        let all: Vec<Process> = (1..=PROCESSES as u32).map(|pid| synthetic::process(pid, "mutex")).collect();
        for second in 0..1000 {
            // The first is alone for a while.
            let there = if second < 100 { &all[..1] } else { &all };
            for process in there {
                history.record(process, second * 1000, &measures(), &Memory::default());
            }
        }
        let points = |process: &Process| -> Vec<u64> {
            history.lines[&ProcessId::of(process)].points.iter().map(|point| point.unix_ms).collect()
        };
        let first = points(&all[0]);
        assert!(first.len() <= POINTS / PROCESSES && first.len() > 200, "{}", first.len());
        assert!(first[0] >= 999_000 - REACH && first.is_sorted(), "from {}", first[0]);
        assert_eq!(
            first[first.len() - 60..],
            (940..1000).map(|s| s * 1000).collect::<Vec<_>>(),
            "a minute is whole"
        );
        let total: usize = history.lines.values().map(|line| line.points.capacity()).sum();
        assert!(total <= POINTS + PROCESSES * 2 * STEP, "{total} points of {} bytes", size_of::<Point>());
    }

    #[test]
    fn the_process_that_was_heard_of_longest_ago_makes_room() {
        let mut history = History::default();
        for pid in 1..=PROCESSES as u32 + 10 {
            let process = synthetic::process(pid, "mutex");
            history.record(&process, 1000 + u64::from(pid), &measures(), &Memory::default());
        }
        assert_eq!(history.lines.len(), PROCESSES);
        assert!(!history.lines.contains_key(&ProcessId::of(&synthetic::process(10, "mutex"))));
        let process = synthetic::process(11, "mutex");
        history.record(&process, 2 * REACH, &measures(), &Memory::default());
        assert_eq!(history.lines.len(), 1, "what lies further back than the past is gone");
    }

    #[test]
    fn a_history_of_all_time_grows_coarser_and_keeps_its_ends() {
        let mut history = History::of_all_time();
        let process = synthetic::process(1, "mutex");
        let seconds = 2 * POINTS as u64;
        for second in 0..seconds {
            history.record(&process, second * 1000, &measures(), &Memory::default());
        }
        let points = &history.lines[&ProcessId::of(&process)].points;
        let ends = (points.front().map(|p| p.unix_ms), points.back().map(|p| p.unix_ms));
        assert!(points.len() <= POINTS && points.len() > POINTS / 4, "{}", points.len());
        assert!(ends.0 == Some(0) && ends.1 >= Some((seconds - 10) * 1000), "{ends:?}");
    }

    #[test]
    fn a_part_is_of_its_span_and_as_coarse_as_was_asked() {
        let mut history = History::default();
        for second in 0..100 {
            history.record(&synthetic::process(1, "mutex"), second * 1000, &measures(), &Memory::default());
        }
        history.record(&synthetic::process(2, "mutex"), 50_000, &measures(), &Memory::default());
        let asked = Asked { from: 60_000, to: 80_000, step: 10_000, ..Asked::default() };
        let json = serde_json::to_value(history.part(asked));
        let json = json.expect("history is JSON");
        let times: Vec<u64> = json["points"]["1-10-0"]
            .as_array()
            .expect("points")
            .iter()
            .filter_map(|point| point[0].as_u64())
            .collect();
        assert_eq!(times, [60_000, 70_000, 80_000]);
        assert_eq!(json["processes"].as_object().map(serde_json::Map::len), Some(1));
        let last = history.part(Asked { last: Some(5000), ..Asked::default() });
        assert_eq!(last.lines.iter().map(|(.., points)| points.len()).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn points_keep_their_distance() {
        let mut history = History::default();
        let process = synthetic::process(1, "mutex");
        for unix_ms in [1000, 1200, 1400, 1960, 2800] {
            history.record(&process, unix_ms, &measures(), &Memory::default());
        }
        let times: Vec<u64> =
            history.lines[&ProcessId::of(&process)].points.iter().map(|p| p.unix_ms).collect();
        assert_eq!(times, [1000, 1960]);
    }

    #[test]
    fn the_shape_is_the_one_that_the_page_reads() {
        let mut history = History::default();
        let memory = Memory { live: Some(70), mapped: Some(1 << 20), resident: None };
        history.record(&synthetic::process(7, "mutex"), 1000, &measures(), &memory);
        let json = serde_json::to_value(history.part(Asked::default())).expect("history is JSON");
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
